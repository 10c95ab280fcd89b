// What raft reads of the durable log. The application owns it, and writes to it what a `Ready` says;
// raft only reads, and keeps in memory what is not durable yet (unstable.ts).

import type { ConfState, Entry, HardState, Snapshot } from "./gen/raftpb.ts";

/**
 * Why an index cannot be read: it is below the first index ("compacted"), or above the last one
 * ("unavailable"). Both are expected answers, not errors.
 */
export type LogGap = "compacted" | "unavailable";

export interface LogReader {
  /** Hard state and configuration of the last snapshot, as after a restart. Read once. */
  initialState(): { hardState: HardState; confState: ConfState };
  /** The first index whose entry is there; one more than the index of the last compaction. */
  firstIndex(): number;
  /** The last index; `firstIndex() - 1` when there is no entry. */
  lastIndex(): number;
  /** The term of an entry in [firstIndex - 1, lastIndex]. */
  term(index: number): number | LogGap;
  /**
   * Entries in [low, high), as many as fit into `bytesMax` encoded bytes (`encodedSize`), at least one.
   * The result belongs to the caller; the entries in it are shared and never change.
   */
  entries(low: number, high: number, bytesMax: number): Entry[] | LogGap;
  /**
   * The newest snapshot; undefined while there is none at hand, and raft asks again later. It is for
   * somebody whose next entry is compacted, so it must reach at least to `firstIndex() - 1`, and somebody
   * who is not in its configuration cannot use it: make one when asked, rather than keep an old one.
   */
  snapshot(): Snapshot | undefined;
}
