// The whole log as raft sees it: the durable part behind a `LogReader`, the young part in `Unstable`, and
// how far the group and we have come in it.
//
//     firstIndex .......... applied ... applying ... committed .......... offset ..... lastIndex
//                           \_ acknowledged           \_ a quorum has it  \_ not durable here
//                                       \_ handed out to be applied
//
// applied <= applying <= committed <= lastIndex. Committed entries may be unstable: a quorum of others
// can be faster than our disk.

import { assert } from "@etcd-ts/base";
import { encodedSizeOf, fittingCount } from "./entry-size.ts";
import type { Entry, Snapshot } from "./gen/raftpb.ts";
import type { LogGap, LogReader } from "./log-reader.ts";
import { LogLevel, type RaftLogger } from "./logger.ts";
import { Unstable } from "./unstable.ts";

export class RaftLog {
  /** Highest index known to be stored by a quorum. Never decreases. */
  committed: number;
  /** Highest index that was handed out to be applied. */
  applying: number;
  /** Highest index whose application was acknowledged. */
  applied: number;
  readonly unstable: Unstable;
  readonly #stable: LogReader;
  readonly #logger: RaftLogger;
  /** Bound of the encoded bytes that are handed out to be applied and not acknowledged. */
  readonly applyingBytesMax: number;
  #applyingBytes = 0;
  /** Nothing more is handed out until acknowledgements bring `#applyingBytes` below its bound. */
  #applyingPaused = false;

  constructor(stable: LogReader, logger: RaftLogger, applyingBytesMax: number) {
    this.#stable = stable;
    this.#logger = logger;
    this.applyingBytesMax = applyingBytesMax;
    this.unstable = new Unstable(stable.lastIndex() + 1, logger);
    this.committed = stable.firstIndex() - 1;
    this.applying = this.committed;
    this.applied = this.committed;
  }

  // --- reading ------------------------------------------------------------------------------------

  get firstIndex(): number {
    const snapshot = this.unstable.snapshot;
    return snapshot === undefined ? this.#stable.firstIndex() : snapshot.metadata!.index + 1;
  }

  get lastIndex(): number {
    return this.unstable.lastIndex;
  }

  get lastTerm(): number {
    const term = this.term(this.lastIndex);
    assert(typeof term === "number", "the term of the last index is known");
    return term;
  }

  /** The term of an index in [firstIndex - 1, lastIndex]. */
  term(index: number): number | LogGap {
    const young = this.unstable.term(index);
    if (young !== undefined) return young;
    if (index > this.lastIndex) return "unavailable";
    if (index + 1 < this.firstIndex) return "compacted";
    return this.#stable.term(index);
  }

  /** The term at `index`, zero when it is unknown. */
  termOrZero(index: number): number {
    const term = this.term(index);
    return typeof term === "number" ? term : 0;
  }

  /** Whether a log that ends with (lastIndex, lastTerm) is at least as up to date (Raft §5.4.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    const ourTerm = this.lastTerm;
    return lastTerm > ourTerm || (lastTerm === ourTerm && lastIndex >= this.lastIndex);
  }

  /** From `low` to the end, as many as fit, at least one when there is one. */
  entriesFrom(low: number, bytesMax: number): Entry[] | "compacted" {
    return low > this.lastIndex ? [] : this.slice(low, this.lastIndex + 1, bytesMax);
  }

  /** Entries in [low, high), as many as fit, at least one. */
  slice(low: number, high: number, bytesMax: number): Entry[] | "compacted" {
    assert(
      low <= high && high <= this.lastIndex + 1,
      `slice [${low}, ${high}) lies within the log`,
    );
    if (low < this.firstIndex) return "compacted";
    if (low === high) return [];
    const young = this.unstable;
    if (low >= young.offset) return this.#youngSlice(low, high, bytesMax);

    const cut = Math.min(high, young.offset);
    const entries = this.#stable.entries(low, cut, bytesMax);
    if (entries === "compacted") return entries;
    assert(entries !== "unavailable", `entries [${low}, ${cut}) are in the durable log`);
    if (high <= young.offset || entries.length < cut - low) return entries;
    let room = Number.POSITIVE_INFINITY;
    if (bytesMax !== room) {
      room = bytesMax - encodedSizeOf(entries);
      if (room <= 0) return entries;
    }
    const more = this.#youngSlice(young.offset, high, room);
    // The first of a slice is always given; here it would be one too many.
    if (more.length === 1 && encodedSizeOf(more) > room) return entries;
    for (let i = 0; i < more.length; i++) entries.push(more[i]!);
    return entries;
  }

  /**
   * The highest index at or below `index` whose entry may be equal to one of `term`: terms never decrease
   * along a log, so every entry with a higher term conflicts for certain. Its term is zero where it is
   * unknown. Both sides use this to skip a whole term with one rejection (Raft §5.3, end).
   */
  findConflictByTerm(index: number, term: number): { index: number; term: number } {
    for (let at = index; at > 0; at--) {
      const ours = this.term(at);
      if (typeof ours !== "number") return { index: at, term: 0 };
      if (ours <= term) return { index: at, term: ours };
    }
    return { index: 0, term: 0 };
  }

  snapshot(): Snapshot | undefined {
    return this.unstable.snapshot ?? this.#stable.snapshot();
  }

  // --- growing ------------------------------------------------------------------------------------

  /** Appends entries that may replace others, but none that is committed. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const before = entries[0]!.index - 1;
    assert(before >= this.committed, `append behind ${before} leaves committed ${this.committed}`);
    this.unstable.append(entries);
  }

  /**
   * Takes a leader's entries behind (previousIndex, previousTerm), and its commit index as far as the two
   * logs are now known to be equal (Raft §5.3). False when our log does not have that previous entry.
   */
  appendFromLeader(
    previousIndex: number,
    previousTerm: number,
    entries: readonly Entry[],
    commit: number,
  ): boolean {
    if (this.term(previousIndex) !== previousTerm) return false;
    // What we have already stays: a delayed append must not cut off what later ones brought.
    let known = 0;
    while (known < entries.length && this.term(entries[known]!.index) === entries[known]!.term) {
      known += 1;
    }
    if (known < entries.length) {
      const { index, term } = entries[known]!;
      if (index <= this.lastIndex && this.#logger.level <= LogLevel.info) {
        const existing = this.termOrZero(index);
        this.#logger.write(
          LogLevel.info,
          `found conflict at index ${index} [existing term: ${existing}, conflicting term: ${term}]`,
        );
      }
      assert(
        index > this.committed,
        `entry ${index} conflict with committed entry [committed(${this.committed})]`,
      );
      this.append(known === 0 ? entries : entries.slice(known));
    }
    this.commitTo(Math.min(commit, previousIndex + entries.length));
    return true;
  }

  commitTo(index: number): void {
    if (index <= this.committed) return;
    assert(
      index <= this.lastIndex,
      `tocommit(${index}) is out of range [lastIndex(${this.lastIndex})]. ` +
        "Was the raft log corrupted, truncated, or lost? This member lacks entries that it has " +
        "acknowledged, so it cannot go on: remove it from the cluster and add it again, with an empty data directory",
    );
    this.committed = index;
  }

  /** Replaces the whole log by a snapshot. */
  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata!;
    if (this.#logger.level <= LogLevel.info) {
      this.#logger.write(
        LogLevel.info,
        `log [${this}] starts to restore snapshot [index: ${index}, term: ${term}]`,
      );
    }
    this.committed = index;
    this.unstable.restore(snapshot, index);
  }

  // --- applying -----------------------------------------------------------------------------------

  /** Committed entries that wait to be applied, bounded by what is outstanding. */
  nextCommitted(allowUnstable: boolean): Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return [];
    const room = this.applyingBytesMax - this.#applyingBytes;
    assert(room > 0, "applying is paused before its bound is reached");
    const entries = this.slice(this.applying + 1, this.#appliableIndex(allowUnstable) + 1, room);
    assert(entries !== "compacted", "no entry is compacted before it was applied");
    return entries;
  }

  hasNextCommitted(allowUnstable: boolean): boolean {
    if (this.#applyingPaused || this.unstable.snapshot !== undefined) return false;
    return this.applying < this.#appliableIndex(allowUnstable);
  }

  /** `nextCommitted` was handed out through `index`. */
  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    assert(index <= this.committed, `applying(${index}) is committed(${this.committed})`);
    this.applying = index;
    this.#applyingBytes += bytes;
    // Cut short by the bound means: reached, even where the sizes do not quite add up to it.
    this.#applyingPaused =
      this.#applyingBytes >= this.applyingBytesMax || index < this.#appliableIndex(allowUnstable);
  }

  appliedTo(index: number, bytes: number): void {
    assert(
      index >= this.applied && index <= this.committed,
      `applied(${index}) is out of range [prevApplied(${this.applied}), committed(${this.committed})]`,
    );
    this.applied = index;
    this.applying = Math.max(this.applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#applyingPaused = this.#applyingBytes >= this.applyingBytesMax;
  }

  toString(): string {
    const { offset, inProgress, entries } = this.unstable;
    return (
      `committed=${this.committed}, applied=${this.applied}, applying=${this.applying}, ` +
      `unstable.offset=${offset}, unstable.offsetInProgress=${inProgress}, ` +
      `len(unstable.Entries)=${entries.length}`
    );
  }

  #appliableIndex(allowUnstable: boolean): number {
    if (allowUnstable) return this.committed;
    return Math.min(this.committed, this.unstable.offset - 1);
  }

  #youngSlice(low: number, high: number, bytesMax: number): Entry[] {
    const { entries, offset } = this.unstable;
    const count = fittingCount(entries, low - offset, high - offset, bytesMax);
    return entries.slice(low - offset, low - offset + count);
  }
}
