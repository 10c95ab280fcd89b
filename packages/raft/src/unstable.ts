// The young end of the log: entries, and at most one snapshot, that are not known to be durable.
//
//     durable log           | handed out to be written | not handed out yet
//     ... [offset - 1]      | [offset] ...             | [inProgress] ... [last]
//
// With asynchronous writes several batches are under way, and a new leader may replace entries that an
// older write is just bringing to the disk. A report of durability therefore names index *and term*, and
// counts only while our entry at that index still has that term.

import type { Entry, Snapshot } from "./gen/raftpb.ts";
import { LogLevel, type RaftLogger } from "./logger.ts";

export class Unstable {
  /** Index of `entries[0]`, also when there is none. */
  offset: number;
  /** First index that was not handed out. offset <= inProgress <= last + 1. */
  inProgress: number;
  entries: Entry[] = [];
  snapshot: Snapshot | undefined;
  /** The snapshot was handed out. */
  snapshotInProgress = false;
  readonly #logger: RaftLogger;

  constructor(offset: number, logger: RaftLogger) {
    this.offset = offset;
    this.inProgress = offset;
    this.#logger = logger;
  }

  get lastIndex(): number {
    return this.offset + this.entries.length - 1;
  }

  /** The term of an index that is held here, which includes that of the snapshot. */
  term(index: number): number | undefined {
    if (index >= this.offset) return this.entries[index - this.offset]?.term;
    const metadata = this.snapshot?.metadata;
    return metadata?.index === index ? metadata.term : undefined;
  }

  /** Entries that wait to be handed out. */
  nextEntries(): Entry[] {
    return this.entries.slice(this.inProgress - this.offset);
  }

  get hasNextEntries(): boolean {
    return this.inProgress - this.offset < this.entries.length;
  }

  /** The snapshot, when it waits to be handed out. */
  nextSnapshot(): Snapshot | undefined {
    return this.snapshotInProgress ? undefined : this.snapshot;
  }

  /** Everything here was handed out. */
  acceptInProgress(): void {
    this.inProgress = this.offset + this.entries.length;
    if (this.snapshot !== undefined) this.snapshotInProgress = true;
  }

  /** Appends, and replaces whatever was there from the first new index on. */
  append(entries: readonly Entry[]): void {
    const first = entries[0]!.index;
    if (first <= this.offset && first !== this.offset + this.entries.length) {
      this.#note(() => `replace the unstable entries from index ${first}`);
      this.entries.length = 0;
      this.offset = first;
      this.inProgress = first;
    } else if (first < this.offset + this.entries.length) {
      this.#note(() => `truncate the unstable entries before index ${first}`);
      this.entries.length = first - this.offset;
      this.inProgress = Math.min(this.inProgress, first);
    }
    for (let i = 0; i < entries.length; i++) this.entries.push(entries[i]!);
  }

  /** The entry with this index and term is durable, and so is all before it. */
  stableTo(index: number, term: number): void {
    const held = this.term(index);
    if (held === undefined) {
      this.#note(() => `entry at index ${index} missing from unstable log; ignoring`);
    } else if (index < this.offset) {
      this.#note(() => `entry at index ${index} matched unstable snapshot; ignoring`);
    } else if (held !== term) {
      this.#note(
        () =>
          `entry at (index,term)=(${index},${term}) mismatched with entry at ` +
          `(${index},${held}) in unstable log; ignoring`,
      );
    } else {
      const count = index + 1 - this.offset;
      if (count === this.entries.length) this.entries = [];
      else this.entries.splice(0, count);
      this.offset = index + 1;
      this.inProgress = Math.max(this.inProgress, this.offset);
    }
  }

  /** The snapshot with this index is durable. */
  snapshotStableTo(index: number): void {
    if (this.snapshot?.metadata?.index === index) {
      this.snapshot = undefined;
      this.snapshotInProgress = false;
    }
  }

  /** Begins anew behind a snapshot. */
  restore(snapshot: Snapshot, index: number): void {
    this.offset = index + 1;
    this.inProgress = this.offset;
    this.entries = [];
    this.snapshot = snapshot;
    this.snapshotInProgress = false;
  }

  #note(text: () => string): void {
    if (this.#logger.level <= LogLevel.info) this.#logger.write(LogLevel.info, text());
  }
}
