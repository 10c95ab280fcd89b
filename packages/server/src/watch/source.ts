// What the watch hub reads: the store's present, and its history.

import type { Bytes, Key } from "@etcd-ts/base";
import type { KvEvent } from "@etcd-ts/machine";

/** What the hub reads from the store. */
export interface WatchSource {
  readonly revision: number;
  /** -1 before the first compaction. */
  readonly compactRevision: number;
  /** The KeyValue as it was before the event; undefined when there was none or it is compacted. */
  previousKv(event: KvEvent): Bytes | undefined;
  /**
   * All changes from revision `from` to the present one of keys that `wants` lets through. What it reads is
   * kept from compaction until it is done or cancelled.
   */
  history(from: number, wants: (key: Key) => boolean): WatchHistory;
  /** The field `header` of a response that speaks of `revision`, encoded with its tag and length. */
  header(revision: number): Bytes;
}

export interface WatchHistory {
  /** Reads about that many records; true when there are no more. */
  step(itemCount: number): boolean;
  /** What was read since the last call: whole revisions, in order. */
  takeEvents(): KvEvent[];
  /** All before this revision was read, and taken or is ready to be. */
  readonly nextRevision: number;
  cancel(): void;
}
