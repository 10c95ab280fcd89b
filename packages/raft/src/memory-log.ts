// The log in memory: the one `LogReader` that a member needs, since entries younger than the last
// compaction are few. `#entries[0]` is a placeholder with index and term of the compaction point, which
// makes every lookup a subtraction.

import { assert } from "@etcd-ts/base";
import { fittingCount } from "./entry-size.ts";
import { ConfState, Entry, HardState, Snapshot, SnapshotMetadata } from "./gen/raftpb.ts";
import type { LogGap, LogReader } from "./log-reader.ts";

export class MemoryLog implements LogReader {
  #hardState = new HardState();
  #snapshot = new Snapshot();
  #entries: Entry[] = [new Entry()];

  initialState(): { hardState: HardState; confState: ConfState } {
    const confState = this.#snapshot.metadata?.confState ?? new ConfState();
    return { hardState: this.#hardState, confState };
  }

  firstIndex(): number {
    return this.#entries[0]!.index + 1;
  }

  lastIndex(): number {
    return this.#entries[0]!.index + this.#entries.length - 1;
  }

  term(index: number): number | LogGap {
    const offset = this.#entries[0]!.index;
    if (index < offset) return "compacted";
    return this.#entries[index - offset]?.term ?? "unavailable";
  }

  entries(low: number, high: number, bytesMax: number): Entry[] | LogGap {
    const offset = this.#entries[0]!.index;
    if (low <= offset) return "compacted";
    if (high > this.lastIndex() + 1) return "unavailable";
    const count = fittingCount(this.#entries, low - offset, high - offset, bytesMax);
    return this.#entries.slice(low - offset, low - offset + count);
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /**
   * Stores entries, which replace all from the first one's index on. What is already compacted is left
   * out. A gap behind our last entry is a bug of the caller.
   */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const first = this.firstIndex();
    const last = entries[0]!.index + entries.length - 1;
    if (last < first) return;
    const skip = Math.max(0, first - entries[0]!.index);
    const at = entries[skip]!.index - this.#entries[0]!.index;
    assert(at <= this.#entries.length, `no gap in the log before index ${entries[skip]!.index}`);
    // Only when it shortens: setting a length costs time in proportion to the spare capacity.
    if (at < this.#entries.length) this.#entries.length = at;
    for (let i = skip; i < entries.length; i++) this.#entries.push(entries[i]!);
  }

  /** Drops all entries through `index`. False when that has happened before. */
  compact(index: number): boolean {
    const offset = this.#entries[0]!.index;
    if (index <= offset) return false;
    assert(
      index <= this.lastIndex(),
      `compact(${index}) is beyond the last index ${this.lastIndex()}`,
    );
    const kept = this.#entries.slice(index - offset);
    kept[0] = placeholder(index, kept[0]!.term);
    this.#entries = kept;
    return true;
  }

  /**
   * Replaces everything by a snapshot that came from elsewhere. False, and nothing done, when the one
   * here is as new. A snapshot with index zero carries nothing but the configuration to start with.
   */
  applySnapshot(snapshot: Snapshot): boolean {
    const index = snapshot.metadata?.index ?? 0;
    const present = this.#snapshot.metadata?.index ?? 0;
    if (present !== 0 && present >= index) return false;
    assert(index > 0 || this.lastIndex() === 0, "an empty snapshot begins an empty log");
    this.#snapshot = snapshot;
    this.#entries = [placeholder(index, snapshot.metadata?.term ?? 0)];
    return true;
  }

  /**
   * Makes a snapshot of the state at `index`, which must be in the log. Undefined when the one here is as
   * new. `confState` undefined keeps that of the last snapshot.
   */
  createSnapshot(
    index: number,
    confState: ConfState | undefined,
    data: Uint8Array,
  ): Snapshot | undefined {
    const before = this.#snapshot.metadata;
    if (index <= (before?.index ?? 0)) return undefined;
    const term = this.term(index);
    assert(typeof term === "number", `snapshot ${index} lies within the log`);
    const metadata = new SnapshotMetadata();
    metadata.index = index;
    metadata.term = term;
    metadata.confState = confState ?? before?.confState;
    const snapshot = new Snapshot();
    snapshot.metadata = metadata;
    snapshot.data = data;
    this.#snapshot = snapshot;
    return snapshot;
  }
}

function placeholder(index: number, term: number): Entry {
  const entry = new Entry();
  entry.index = index;
  entry.term = term;
  return entry;
}
