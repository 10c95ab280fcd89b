// Reads a whole log: decides from which snapshot record it continues, and which entries count.
//
// The segments are read backwards, each once, until the newest acceptable snapshot record and everything
// after it is known. A snapshot record is acceptable when its index is committed by the last hard state (a
// snapshot received from a leader is recorded before that), when no entry up to its index follows it (then
// a crash came between record and hard state, and the log went on without it), and when the caller agrees.
// So a log with five old segments kept for safety costs no more at start than its last one or two.
//
// Stock 3.4 to 3.6 also asks for a `.snap` file with the record's term and index: that is what `accept` is
// for. 3.7 takes the newest record itself.

import { type Bytes, CorruptionError, type Disk, DiskError, equalBytes } from "@etcd-ts/base";
import type { ConfState, Entry, HardState } from "@etcd-ts/raft";
import { HardState as EmptyHardState } from "@etcd-ts/raft";
import { decodeWalMetadata } from "./gen/metadata.ts";
import type { WalSnapshot } from "./gen/walpb.ts";
import type { SegmentLocks } from "./segment-locks.ts";
import { parseWalSegment, type WalSegment } from "./wal-names.ts";
import { readSegment, type SegmentContent } from "./wal-segment-reader.ts";

export interface WalMetadata {
  readonly nodeId: bigint;
  readonly clusterId: bigint;
}

/** Index and term up to which a snapshot stands for the log. */
export interface WalSnapshotPoint {
  readonly index: number;
  readonly term: number;
  /** Absent in the first record of a log, and in those of 3.4. */
  readonly confState: ConfState | undefined;
}

export interface WalReadOptions {
  /** Whether the log may continue from this snapshot record; asked from the newest on. Default: yes. */
  readonly accept?: (point: WalSnapshotPoint) => boolean;
  /** Continue from exactly this record: "wal: snapshot not found", "wal: snapshot mismatch". */
  readonly startAt?: { readonly index: number; readonly term: number };
}

export interface WalContent {
  readonly metadata: WalMetadata;
  readonly metadataBytes: Bytes;
  readonly hardState: HardState;
  readonly snapshot: WalSnapshotPoint;
  /** Contiguous, the first one follows `snapshot.index`. */
  readonly entries: Entry[];
  /** All segments of the folder, oldest first. */
  readonly segments: readonly WalSegment[];
  /** The last one. */
  readonly last: SegmentContent;
  /** Highest index that was ever written, at least that of the snapshot. */
  readonly lastIndex: number;
}

/** The segments in a folder, oldest first; none when there is no such folder. */
export async function listWalSegments(disk: Disk, directory: string): Promise<WalSegment[]> {
  let names: string[];
  try {
    names = await disk.list(directory);
  } catch (error) {
    if (error instanceof DiskError && error.code === "not-found") return [];
    throw error;
  }
  const segments: WalSegment[] = [];
  for (const name of names) {
    const segment = parseWalSegment(name);
    if (segment !== undefined) segments.push(segment);
  }
  return segments.sort((a, b) => a.sequence - b.sequence);
}

/**
 * Changes nothing on the disk. Throws `CorruptionError` and `DiskError`. Whoever is going to write asks for
 * the locks of the segments that are read.
 */
export async function readWal(
  disk: Disk,
  directory: string,
  options: WalReadOptions = {},
  locks?: SegmentLocks,
): Promise<WalContent> {
  const segments = await listWalSegments(disk, directory);
  if (segments.length === 0) {
    throw new DiskError("not-found", directory, `${directory}: wal: file not found`);
  }
  const contents: SegmentContent[] = [];
  let hardState: HardState | undefined;
  let start: WalSnapshot | undefined;
  /** Lowest index of an entry in the segments behind the present one. */
  let lowestAfter = Number.POSITIVE_INFINITY;
  for (let i = segments.length - 1; i >= 0; i--) {
    const segment = segments[i] as WalSegment;
    const next = segments[i + 1];
    if (next !== undefined && next.sequence !== segment.sequence + 1) {
      throw new CorruptionError(
        `${directory}/${next.name}`,
        0,
        "wal: file sequence numbers do not increase continuously",
      );
    }
    await locks?.take(segment);
    const content = await readOne(disk, `${directory}/${segment.name}`, next === undefined);
    const after = contents[0];
    if (after !== undefined) checkSeam(content, after);
    contents.unshift(content);
    hardState ??= content.hardState;
    start ??= choose(content, hardState?.commit ?? 0, lowestAfter, options);
    for (const { index } of content.entries) if (index < lowestAfter) lowestAfter = index;
    if (start !== undefined && segment.firstIndex <= start.index) break;
  }
  const first = contents[0] as SegmentContent;
  if (start === undefined) throw new CorruptionError(first.path, 0, "wal: snapshot not found");
  const state = hardState ?? new EmptyHardState();
  const entries = mergeEntries(contents, start);
  const lastKept = start.index + entries.length;
  if (state.commit > lastKept) {
    throw new CorruptionError(
      (contents[contents.length - 1] as SegmentContent).path,
      0,
      `entries up to ${state.commit} are committed but the log ends at ${lastKept}`,
    );
  }
  const metadataBytes = first.metadata as Bytes;
  return {
    metadata: decodeWalMetadata(metadataBytes),
    metadataBytes,
    hardState: state,
    snapshot: start,
    entries,
    segments,
    last: contents[contents.length - 1] as SegmentContent,
    lastIndex: lastKept,
  };
}

async function readOne(disk: Disk, path: string, isLast: boolean): Promise<SegmentContent> {
  const file = await disk.open(path, "read");
  try {
    return await readSegment(file, isLast);
  } finally {
    await file.close();
  }
}

/** Two segments, one behind the other, must be of one log. */
function checkSeam(before: SegmentContent, after: SegmentContent): void {
  if (before.endCrc !== 0 && before.endCrc !== after.headCrc) {
    throw new CorruptionError(after.path, 0, "wal: crc mismatch with the segment before");
  }
  if (!equalBytes(before.metadata as Bytes, after.metadata as Bytes)) {
    throw new CorruptionError(after.path, 0, "wal: conflicting metadata found");
  }
}

/** The newest acceptable snapshot record of a segment. */
function choose(
  content: SegmentContent,
  commit: number,
  lowestInLaterSegments: number,
  options: WalReadOptions,
): WalSnapshot | undefined {
  const { startAt, accept } = options;
  let lowestAfter = lowestInLaterSegments;
  let seen = content.entries.length;
  for (let i = content.snapshots.length - 1; i >= 0; i--) {
    const snapshot = content.snapshots[i] as WalSnapshot;
    if (startAt !== undefined) {
      if (snapshot.index !== startAt.index) continue;
      if (snapshot.term === startAt.term) return snapshot;
      throw new CorruptionError(content.path, 0, "wal: snapshot mismatch");
    }
    for (const before = content.entriesBefore[i] as number; seen > before; seen--) {
      lowestAfter = Math.min(lowestAfter, (content.entries[seen - 1] as Entry).index);
    }
    if (snapshot.index > commit || snapshot.index >= lowestAfter) continue;
    if (accept === undefined || accept(snapshot)) return snapshot;
  }
  return undefined;
}

/**
 * The entries behind `start`, record by record as raft's log went. Two rules where stock keeps more:
 *
 * - An entry replaces one of the same index and drops all after it. Those up to the start do not count but drop
 *   what follows them all the same: else an uncommitted 6 of term 2 can end up behind a snapshot at 5 of
 *   term 3, after which the member's vote is worth less than it should be.
 * - A snapshot whose entry the log does not hold, or holds with another term, came from a leader and replaced
 *   the whole log: what stood there before is no continuation of it. Kept, it would put the same entry (index
 *   and term) behind two different pasts, and raft's log matching (Raft §5.3) would be void.
 */
function mergeEntries(contents: readonly SegmentContent[], start: WalSnapshot): Entry[] {
  const merger = new EntryMerger(start);
  for (const content of contents) {
    const { entries, snapshots, entriesBefore } = content;
    let next = 0;
    for (let i = 0; i <= snapshots.length; i++) {
      const until = entriesBefore[i] ?? entries.length;
      while (next < until) merger.entry(entries[next++] as Entry, content.path);
      const snapshot = snapshots[i];
      if (snapshot !== undefined) merger.snapshot(snapshot);
    }
  }
  return merger.merged;
}

class EntryMerger {
  readonly merged: Entry[] = [];
  readonly #start: WalSnapshot;
  /** Of the entry at the start's index, as the log holds it at this point of the reading; -1 when it does not. */
  #termAtStart = -1;

  constructor(start: WalSnapshot) {
    this.#start = start;
  }

  entry(entry: Entry, path: string): void {
    const { merged } = this;
    const start = this.#start.index;
    const at = Math.max(0, entry.index - start - 1);
    if (at > merged.length) {
      throw new CorruptionError(
        path,
        0,
        `wal: slice bounds out of range: entry ${entry.index} follows ${start + merged.length}`,
      );
    }
    merged.length = at;
    if (entry.index > start) merged.push(entry);
    else this.#termAtStart = entry.index === start ? entry.term : -1;
  }

  snapshot({ index, term }: WalSnapshot): void {
    if (index !== this.#start.index || term !== this.#start.term) return;
    if (this.#termAtStart !== term) this.merged.length = 0;
    this.#termAtStart = term;
  }
}
