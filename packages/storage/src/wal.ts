// The write-ahead log, in etcd's format, with group commit.
//
//   append ─┐                      ┌── write ──── sync ──┐
//   append ─┼─► open batch ─soon─► │      in flight      ├─► done, done, done
//   append ─┘                      └─────────────────────┘
//                 ▲ gathers while the one before is on its way to the disk
//
// Who knows when its last append of a turn is done says so with `hold` before and `flush` after them, and
// the batch leaves at once instead of in the next round of the event loop.
//
// Records are encoded when they are appended, so that a batch is one array, one write and at most one
// sync. A batch without entries, or a new term or vote, needs no sync: a commit index that is lost is
// found again.
//
// Segments. When the batch that is being filled reaches the segment's size, it is sealed and the next one
// begins a new segment with its head (checksum, metadata, hard state). The file for it was prepared in the
// background when the present one was half full. At the cut, the old file is cut to its length and synced
// while the head and what came with it are written to the new one and synced; the rename comes after
// both, so that a segment with a successor is always complete.
//
//      0.tmp ──head + batch, sync──┐
//                                  ├─► rename to <sequence>-<index>.wal ─► sync folder ─► done
//      old ── truncate, sync ──────┘
//
// After a failed write or sync nobody knows what is on the disk (the kernel may have dropped the dirty
// pages and reports the failure once), so nothing is ever tried again: the log is dead, everything that
// waits gets the error, and the member must stop.

import { assert, type Bytes, type Disk, DiskError, type DiskFile } from "@etcd-ts/base";
import type { Entry, HardState } from "@etcd-ts/raft";
import { encodeWalSnapshot, WalRecordType } from "./gen/walpb.ts";
import { promised } from "./paths.ts";
import { SegmentFactory } from "./segment-factory.ts";
import { SegmentLocks } from "./segment-locks.ts";
import { createLogFolder, type WalStart } from "./wal-create.ts";
import { WalEncoder } from "./wal-encoder.ts";
import {
  listWalSegments,
  readWal,
  type WalContent,
  type WalMetadata,
  type WalReadOptions,
  type WalSnapshotPoint,
} from "./wal-log-reader.ts";
import { type WalSegment, walSegment } from "./wal-names.ts";
import type { WalDone, WalHost, WalObserver, WalOptions } from "./wal-options.ts";
import { makeTailClean, mendTornTail } from "./wal-repair.ts";

export interface WalOpened {
  readonly wal: Wal;
  readonly metadata: WalMetadata;
  readonly hardState: HardState;
  /** Index 0 when the log has no snapshot. */
  readonly snapshot: WalSnapshotPoint;
  readonly entries: Entry[];
  /** True when a torn tail was cut off. */
  readonly repaired: boolean;
}

const defaultSegmentBytes = 64_000_000;
const defaultSegmentsKept = 5;
/** A sync that takes longer is a line in the log. */
const slowSyncMs = 1000;

/** Records that go to the disk together. */
interface Batch {
  /** Segment that begins with this batch. */
  readonly opens: WalSegment | undefined;
  readonly dones: WalDone[];
  bytes: Bytes | undefined;
  mustSync: boolean;
}

export class Wal {
  readonly #host: WalHost;
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #segmentsKept: number;
  readonly #observer: WalObserver;
  readonly #metadata: Bytes;
  readonly #factory: SegmentFactory;
  readonly #locks: SegmentLocks;
  /** Oldest first; the last one is that of `#file`. */
  readonly #segments: WalSegment[];
  #file: DiskFile;
  /** Where the next batch goes in `#file`. */
  #position: number;

  readonly #encoder: WalEncoder;
  /** Position in its segment at which the open batch ends; also counts what is queued before it. */
  #encodedTo: number;
  #encodedSegment: WalSegment;
  #open: Batch = newBatch(undefined);
  readonly #sealed: Batch[] = [];
  #hardState: HardState | undefined;
  #lastIndex: number;

  #flushAsked = false;
  #held = false;
  #inFlight: Batch | undefined;
  #writeFailure: Error | undefined;
  #syncStartMs = 0;
  #failure: Error | undefined;
  #closed: Promise<void> | undefined;
  #idle: (() => void) | undefined;
  #releasing: Promise<void> = Promise.resolve();
  #pendingCount = 0;
  #writtenBytes = 0;
  #syncCount = 0;

  /** True when the folder holds a log. */
  static async exists(disk: Disk, directory: string): Promise<boolean> {
    return (await listWalSegments(disk, directory)).length > 0;
  }

  /** Makes a new log, which is complete or absent after a crash. `DiskError` "exists" when there is one. */
  static async create(
    host: WalHost,
    directory: string,
    metadata: WalMetadata,
    options: WalOptions = {},
  ): Promise<Wal> {
    if (await Wal.exists(host.disk, directory)) {
      throw new DiskError("exists", directory, `${directory}: the folder holds a log already`);
    }
    const start = await createLogFolder(host.disk, directory, metadata);
    const wal = new Wal(host, directory, options, start);
    wal.#preallocate();
    return wal;
  }

  /**
   * Reads the log and opens it for appending. A torn tail is cut off (its segment is copied to `.broken`
   * before); any other damage is a `CorruptionError`. A log that another process, or another `Wal`, has open
   * is a `DiskError` "locked" that names the segment.
   */
  static async open(
    host: WalHost,
    directory: string,
    options: WalOptions & WalReadOptions = {},
  ): Promise<WalOpened> {
    const locks = new SegmentLocks(host.disk, directory);
    try {
      return await Wal.#openLocked(host, directory, options, locks);
    } catch (error) {
      await locks.releaseAll();
      throw error;
    }
  }

  static async #openLocked(
    host: WalHost,
    directory: string,
    options: WalOptions & WalReadOptions,
    locks: SegmentLocks,
  ): Promise<WalOpened> {
    const { disk } = host;
    const content = await readWal(disk, directory, options, locks);
    const { last } = content;
    await refuseGrown(disk, directory, content);
    if (last.torn) {
      host.log.warn("repaired the torn tail of the log", {
        path: last.path,
        "valid-bytes": last.end,
        "file-bytes": last.fileBytes,
      });
      await mendTornTail(disk, last);
    }
    await removeLeftovers(disk, directory);
    const file = await disk.open(last.path, "write");
    try {
      if (!last.torn) await makeTailClean(file, last);
    } catch (error) {
      await file.close();
      throw error;
    }
    const wal = new Wal(host, directory, options, startOf(content, file, locks));
    wal.#preallocate();
    const { metadata, hardState, snapshot, entries } = content;
    return { wal, metadata, hardState, snapshot, entries, repaired: last.torn };
  }

  private constructor(host: WalHost, directory: string, options: WalOptions, start: WalStart) {
    this.#host = host;
    this.#directory = directory;
    this.#segmentBytes = options.segmentBytes ?? defaultSegmentBytes;
    this.#segmentsKept = options.segmentsKept ?? defaultSegmentsKept;
    this.#observer = options.observer ?? {};
    this.#locks = start.locks;
    this.#metadata = start.metadata;
    this.#segments = start.segments.slice();
    this.#encodedSegment = this.#segments[this.#segments.length - 1] as WalSegment;
    this.#file = start.file;
    this.#position = start.position;
    this.#encodedTo = start.position;
    this.#encoder = new WalEncoder(start.crc);
    this.#hardState = start.hardState;
    this.#lastIndex = start.lastIndex;
    this.#factory = new SegmentFactory(host.disk, directory, this.#segmentBytes);
  }

  /** Appends that have not been called back. */
  get pendingCount(): number {
    return this.#pendingCount;
  }

  /** Bytes that wait for their write, without those in flight. */
  get pendingBytes(): number {
    let bytes = this.#encoder.length;
    for (const batch of this.#sealed) bytes += batch.bytes?.length ?? 0;
    return bytes;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  get syncCount(): number {
    return this.#syncCount;
  }

  /** Set once the log is dead. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get segments(): readonly WalSegment[] {
    return this.#segments;
  }

  /**
   * Queues entries, then the hard state, and calls back in the order of the calls: when they are durable,
   * or, if nothing in the batch asks for a sync, when they are written. After an error the log is dead.
   * The arguments may be used again as soon as the call returns.
   */
  append(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    mustSync: boolean,
    done: WalDone,
  ): void {
    if (this.#refused(done)) return;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Entry;
      this.#encoder.entry(entry);
      this.#lastIndex = entry.index;
    }
    if (hardState !== undefined && !isEmptyState(hardState)) {
      this.#encoder.state(hardState);
      const { term, vote, commit } = hardState;
      this.#hardState = { term, vote, commit };
    }
    this.#queue(mustSync, done);
  }

  /** What is appended from now on waits for `flush`. */
  hold(): void {
    this.#held = true;
  }

  /** Ends `hold`, and sends what is queued on its way unless a batch is there already. */
  flush(): void {
    this.#held = false;
    if (this.#inFlight === undefined && this.#hasQueued()) this.#send();
  }

  /** Records a snapshot whose file is durable already, and resolves when the record is. */
  saveSnapshot(point: WalSnapshotPoint): Promise<void> {
    const { index, term, confState } = point;
    assert(index === 0 || confState !== undefined, "a snapshot is recorded with its ConfState");
    return promised((done) => {
      if (this.#refused(done)) return;
      this.#encoder.record(WalRecordType.snapshot, encodeWalSnapshot({ index, term, confState }));
      if (index > this.#lastIndex) this.#lastIndex = index;
      this.#queue(true, done);
    });
  }

  /**
   * Nothing up to `index`, that of a recorded snapshot, is needed any more. Removes the segments before the
   * one in which `index` stands, but keeps as many as the options say.
   */
  releaseTo(index: number): Promise<void> {
    const released = this.#releasing.then(() => this.#release(index));
    // The next call does not inherit this one's failure.
    this.#releasing = released.catch(() => {});
    return released;
  }

  /** Writes and syncs what is queued, then closes. Rejects when that fails. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #refused(done: WalDone): boolean {
    this.#pendingCount++;
    const failure =
      this.#failure ?? (this.#closed === undefined ? undefined : new Error("the log is closed"));
    if (failure === undefined) return false;
    this.#host.timers.soon(() => {
      this.#pendingCount--;
      done(failure);
    });
    return true;
  }

  #queue(mustSync: boolean, done: WalDone): void {
    this.#open.dones.push(done);
    if (mustSync) this.#open.mustSync = true;
    if (this.#encodedTo + this.#encoder.length >= this.#segmentBytes) this.#cut();
    this.#askFlush();
  }

  /** Seals the open batch and begins the next segment. */
  #cut(): void {
    this.#seal();
    const segment = walSegment(this.#encodedSegment.sequence + 1, this.#lastIndex + 1);
    this.#encodedSegment = segment;
    this.#encodedTo = 0;
    this.#open = newBatch(segment);
    this.#encoder.crcRecord();
    this.#encoder.record(WalRecordType.metadata, this.#metadata);
    if (this.#hardState !== undefined) this.#encoder.state(this.#hardState);
  }

  #seal(): void {
    const batch = this.#open;
    batch.bytes = this.#encoder.take();
    this.#encodedTo += batch.bytes.length;
    this.#sealed.push(batch);
    this.#open = newBatch(undefined);
  }

  #hasQueued(): boolean {
    return this.#sealed.length > 0 || this.#open.dones.length > 0;
  }

  #askFlush(): void {
    if (this.#flushAsked || this.#held || this.#inFlight !== undefined) return;
    this.#flushAsked = true;
    this.#host.timers.soon(this.#askedFlush);
  }

  readonly #askedFlush = (): void => {
    this.#flushAsked = false;
    if (!this.#held) this.#send();
  };

  /** Sends the oldest batch on its way. */
  #send(): void {
    if (this.#inFlight !== undefined || this.#failure !== undefined) return;
    // The head of a new segment alone is no reason to begin it.
    if (this.#sealed.length === 0 && this.#open.dones.length > 0) this.#seal();
    const batch = this.#sealed.shift();
    if (batch === undefined) {
      this.#idle?.();
      return;
    }
    this.#inFlight = batch;
    if (batch.opens !== undefined) {
      this.#beginSegment(batch, batch.opens).then(
        () => {
          if (this.#failure === undefined) this.#landed(batch);
        },
        (error: unknown) => this.#fail(asError(error)),
      );
      return;
    }
    const bytes = batch.bytes as Bytes;
    if (bytes.length > 0) this.#file.write(this.#position, [bytes], this.#onWritten);
    this.#position += bytes.length;
    if (batch.mustSync) {
      this.#syncStartMs = this.#host.clock.monotonicMs();
      this.#file.sync(this.#onSynced);
    } else if (bytes.length === 0) this.#host.timers.soon(this.#onNothing);
  }

  readonly #onWritten = (error: Error | undefined): void => {
    const batch = this.#inFlight;
    if (batch === undefined) return; // the log failed meanwhile
    if (error !== undefined) {
      // The sync that follows may still use the file; it is the last to report.
      this.#writeFailure = error;
      if (!batch.mustSync) this.#fail(error);
    } else if (!batch.mustSync) this.#landed(batch);
  };

  readonly #onSynced = (error: Error | undefined): void => {
    const batch = this.#inFlight;
    if (batch === undefined) return; // the log failed meanwhile
    const failure = this.#writeFailure ?? error;
    if (failure !== undefined) {
      this.#fail(failure);
      return;
    }
    this.#synced(this.#syncStartMs);
    this.#landed(batch);
  };

  readonly #onNothing = (): void => {
    if (this.#inFlight !== undefined) this.#landed(this.#inFlight);
  };

  #synced(startMs: number): void {
    this.#syncCount++;
    const tookMs = this.#host.clock.monotonicMs() - startMs;
    this.#observer.synced?.(tookMs);
    if (tookMs > slowSyncMs) {
      const took = `${(tookMs / 1000).toFixed(6)}s`;
      this.#host.log.warn("slow fdatasync", { took, "expected-duration": "1s" });
    }
  }

  #landed(batch: Batch): void {
    this.#inFlight = undefined;
    const bytes = batch.bytes as Bytes;
    this.#writtenBytes += bytes.length;
    this.#observer.written?.(bytes.length);
    this.#encoder.giveBack(bytes);
    if (this.#position > this.#segmentBytes / 2) this.#factory.prepare();
    this.#settle(batch.dones, undefined);
    // What the callbacks append in this turn joins the next batch.
    if (this.#idle !== undefined || this.#hasQueued()) this.#askFlush();
  }

  /** Ends the present file and begins the next one with `batch`. */
  async #beginSegment(batch: Batch, segment: WalSegment): Promise<void> {
    const { disk, clock } = this.#host;
    const bytes = batch.bytes as Bytes;
    const old = this.#file;
    const startMs = clock.monotonicMs();
    const ended = endFile(old, this.#position);
    // Both are awaited below; this one must not count as unhandled meanwhile.
    ended.catch(() => {});
    const { file: next, lock } = await this.#factory.take();
    try {
      await promised((done) => next.write(0, [bytes], done));
      await promised((done) => next.sync(done));
      await ended;
      await disk.rename(next.path, `${this.#directory}/${segment.name}`);
      await disk.syncDirectory(this.#directory);
      this.#synced(startMs);
      await old.close();
    } catch (error) {
      await next.close();
      await lock.release();
      throw error;
    }
    this.#locks.adopt(segment, lock);
    this.#file = next;
    this.#position = bytes.length;
    this.#segments.push(segment);
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    // No spreading into `push`: that fails on lists as long as these may be.
    const waiting = (this.#inFlight?.dones ?? []).concat(
      ...this.#sealed.map((batch) => batch.dones),
      this.#open.dones,
    );
    this.#inFlight = undefined;
    this.#sealed.length = 0;
    this.#open = newBatch(undefined);
    this.#encoder.take();
    // Whoever waits is told, and says it. What fails in the background would otherwise stay unsaid.
    if (waiting.length === 0) {
      this.#host.log.error("the log failed", { path: this.#file.path, error: error.message });
    }
    this.#settle(waiting, error);
    this.#idle?.();
  }

  #settle(dones: readonly WalDone[], error: Error | undefined): void {
    this.#pendingCount -= dones.length;
    for (let i = 0; i < dones.length; i++) (dones[i] as WalDone)(error);
  }

  /** Lets the rest of the segment be filled with zeros while the log is in use. */
  #preallocate(): void {
    const file = this.#file;
    file.preallocate(this.#segmentBytes).catch((error: unknown) => {
      if (this.#closed !== undefined) return;
      if (error instanceof DiskError && error.code === "no-space") {
        // The file then grows with its writes, as long as there is room for them.
        this.#host.log.warn("no space to preallocate the log", { path: file.path });
      } else {
        // The failure of a sync in there concerns what we wrote as well.
        this.#fail(asError(error));
      }
    });
    if (this.#position > this.#segmentBytes / 2) this.#factory.prepare();
  }

  async #release(index: number): Promise<void> {
    await this.#unlockTo(index);
    if (this.#segmentsKept === 0) return;
    let removed = 0;
    while (this.#segments.length > this.#segmentsKept) {
      const next = this.#segments[1] as WalSegment;
      if (next.firstIndex > index || this.#failure !== undefined) break;
      const oldest = this.#segments[0] as WalSegment;
      await this.#host.disk.remove(`${this.#directory}/${oldest.name}`);
      await this.#locks.release(oldest);
      this.#segments.shift();
      removed++;
    }
    if (removed > 0) await this.#host.disk.syncDirectory(this.#directory);
  }

  /** Segments that are kept, but not needed, are free for whoever wants to copy or remove them. */
  async #unlockTo(index: number): Promise<void> {
    const segments = this.#segments;
    for (let i = 0; i + 1 < segments.length; i++) {
      if ((segments[i + 1] as WalSegment).firstIndex > index) break;
      await this.#locks.release(segments[i] as WalSegment);
    }
  }

  async #close(): Promise<void> {
    const deadBefore = this.#failure !== undefined;
    this.#held = false;
    if (!deadBefore) {
      // An empty batch that asks for a sync covers commits that were only written.
      this.#open.mustSync = true;
      await new Promise<void>((resolve) => {
        this.#open.dones.push(() => {});
        this.#pendingCount++;
        this.#idle = resolve;
        this.#askFlush();
      });
    }
    await this.#releasing;
    try {
      await this.#factory.close();
      await this.#file.close();
    } finally {
      await this.#locks.releaseAll();
    }
    if (!deadBefore && this.#failure !== undefined) throw this.#failure;
  }
}

function newBatch(opens: WalSegment | undefined): Batch {
  return { opens, dones: [], bytes: undefined, mustSync: opens !== undefined };
}

function isEmptyState(state: HardState): boolean {
  return state.term === 0 && state.vote === 0n && state.commit === 0;
}

/** Somebody may have begun another segment between our look at the folder and our locks. */
async function refuseGrown(disk: Disk, directory: string, content: WalContent): Promise<void> {
  const newest = (await listWalSegments(disk, directory)).at(-1);
  const known = content.segments[content.segments.length - 1] as WalSegment;
  if (newest === undefined || newest.sequence === known.sequence) return;
  const path = `${directory}/${newest.name}`;
  throw new DiskError("locked", path, `${path}: another process is writing this log`);
}

function startOf(content: WalContent, file: DiskFile, locks: SegmentLocks): WalStart {
  const { last, hardState } = content;
  return {
    locks,
    segments: content.segments,
    file,
    metadata: content.metadataBytes,
    crc: last.endCrc,
    position: last.end,
    hardState: isEmptyState(hardState) ? undefined : hardState,
    lastIndex: content.lastIndex,
  };
}

/** A segment that gets a successor is as long as what stands in it. */
async function endFile(file: DiskFile, bytes: number): Promise<void> {
  await file.truncate(bytes);
  await promised((done) => file.sync(done));
}

/** Segments that were being prepared when the process ended. */
async function removeLeftovers(disk: Disk, directory: string): Promise<void> {
  for (const name of await disk.list(directory)) {
    if (/^\d+\.tmp$/.test(name)) await disk.remove(`${directory}/${name}`);
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
