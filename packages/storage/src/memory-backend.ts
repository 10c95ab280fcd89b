// The backend in memory, for tests, the simulator and embedding: one sorted tree per bucket, views and
// commits as snapshots of the trees.
//
// What a crash leaves is in a `DurableCell`, which outlives the backend: commits enter it in order, some
// time after they were asked for, and a backend opened on it later begins with what it holds.
//
//      MemoryBackend ──commit──► in flight ──(soon, or after a delay)──► durable
//                                    └── crash(n): the first n of them made it, the rest never was

import { type Bytes, bytesToKey, copyBytes, keyToBytes, type Timers } from "@etcd-ts/base";
import {
  type Backend,
  type BackendView,
  type BucketName,
  bucketNames,
  type ContentSink,
  type Visit,
} from "@etcd-ts/machine";
import { emptyTree, SortedTree, type TreeSnapshot } from "./sorted-tree.ts";

/** All buckets at one moment, in the order of `bucketNames`. */
type Image = readonly TreeSnapshot[];

const emptyImage: Image = bucketNames.map(() => emptyTree);
const bucketIndex: ReadonlyMap<BucketName, number> = new Map(
  bucketNames.map((name, index) => [name, index]),
);

/** The "disk" under memory backends, one backend at a time. */
export class DurableCell {
  #image: Image = emptyImage;
  readonly #inFlight: Image[] = [];
  /** Counts openings and crashes: what an earlier backend still has to say does not matter any more. */
  #epoch = 0;
  /** When set, commits fail with it, as they would on a full or broken disk. */
  failure: Error | undefined;

  /** Commits that were asked for and are not durable yet. */
  get inFlightCount(): number {
    return this.#inFlight.length;
  }

  /** Ends the present backend without a word; the first `surviving` commits in flight became durable. */
  crash(surviving = 0): void {
    const kept = Math.min(surviving, this.#inFlight.length);
    if (kept > 0) this.#image = this.#inFlight[kept - 1] as Image;
    this.#inFlight.length = 0;
    this.#epoch++;
  }

  /** For `MemoryBackend`: begins a new life on what is durable. */
  attach(): { readonly epoch: number; readonly image: Image } {
    this.crash();
    return { epoch: this.#epoch, image: this.#image };
  }

  /** For `MemoryBackend`. */
  begin(image: Image): void {
    this.#inFlight.push(image);
  }

  /** For `MemoryBackend`: the oldest commit in flight ends. False when that backend has crashed. */
  settle(epoch: number): boolean {
    if (epoch !== this.#epoch) return false;
    const image = this.#inFlight.shift();
    if (image !== undefined && this.failure === undefined) this.#image = image;
    return true;
  }

  /** For `MemoryBackend`. */
  get image(): Image {
    return this.#image;
  }
}

export interface MemoryBackendOptions {
  readonly timers: Timers;
  /** A new, empty one when absent. */
  readonly cell?: DurableCell;
  /** Time from a commit to its durability; 0 (the default) is the next turn of the event loop. */
  readonly commitDelayMs?: number;
}

export class MemoryBackend implements Backend {
  readonly #timers: Timers;
  readonly #cell: DurableCell;
  readonly #epoch: number;
  readonly #commitDelayMs: number;
  #trees: readonly SortedTree[];
  #pendingCount = 0;
  #pendingBytes = 0;
  /** The replacement that is under way, and commits that wait for its end. */
  #replacing: Promise<void> | undefined;
  readonly #heldCommits: ((error: Error | undefined) => void)[] = [];

  constructor(options: MemoryBackendOptions) {
    this.#timers = options.timers;
    this.#cell = options.cell ?? new DurableCell();
    this.#commitDelayMs = options.commitDelayMs ?? 0;
    const start = this.#cell.attach();
    this.#epoch = start.epoch;
    this.#trees = start.image.map((tree) => new SortedTree(tree));
  }

  get pendingCount(): number {
    return this.#pendingCount;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  put(bucket: BucketName, key: Bytes, value: Bytes): void {
    this.#tree(bucket).put(bytesToKey(key), value);
    this.#pendingCount++;
    this.#pendingBytes += key.length + value.length;
  }

  delete(bucket: BucketName, key: Bytes): void {
    this.#tree(bucket).delete(bytesToKey(key));
    this.#pendingCount++;
    this.#pendingBytes += key.length;
  }

  get(bucket: BucketName, key: Bytes): Bytes | undefined {
    return this.#tree(bucket).get(bytesToKey(key));
  }

  scan(bucket: BucketName, from: Bytes, to: Bytes | undefined, limit: number, visit: Visit): void {
    scanTree(this.#tree(bucket), from, to, limit, visit);
  }

  commit(done: (error: Error | undefined) => void): void {
    this.#pendingCount = 0;
    this.#pendingBytes = 0;
    if (this.#replacing !== undefined) this.#heldCommits.push(done);
    else this.#store(this.#trees, done);
  }

  async view(): Promise<BackendView> {
    while (this.#replacing !== undefined) await settled(this.#replacing);
    // The trees as they are now, not as they will be when the commit is through.
    const image = this.#trees.map((tree) => tree.snapshot());
    if (this.#pendingCount > 0) await this.#committed();
    return new MemoryView(image);
  }

  size(): { readonly allocatedBytes: number; readonly inUseBytes: number } {
    let bytes = 0;
    for (const tree of this.#cell.image) bytes += tree.bytes;
    return { allocatedBytes: bytes, inUseBytes: bytes };
  }

  async replaceContent(fill: (sink: ContentSink) => Promise<void>): Promise<void> {
    while (this.#replacing !== undefined) await settled(this.#replacing);
    // Begins in a moment, when the field is set: it may fail at once.
    this.#replacing = Promise.resolve().then(() => this.#replace(fill));
    await this.#replacing;
  }

  async defragment(): Promise<void> {
    // The garbage collector does it all the time.
  }

  async close(): Promise<void> {
    while (this.#replacing !== undefined) await settled(this.#replacing);
    await this.#committed();
  }

  async #replace(fill: (sink: ContentSink) => Promise<void>): Promise<void> {
    const trees = bucketNames.map(() => new SortedTree());
    let ended = false;
    const held = (): ((error: Error | undefined) => void)[] => {
      this.#replacing = undefined;
      ended = true;
      return this.#heldCommits.splice(0);
    };
    try {
      await fill({
        put: (bucket, key, value) => {
          if (ended) throw new Error("the replacement has ended");
          const tree = trees[bucketIndex.get(bucket) as number] as SortedTree;
          tree.put(bytesToKey(key), copyBytes(value));
        },
        flush: () => new Promise((resolve) => this.#timers.soon(resolve)),
      });
      await new Promise<void>((resolve, reject) => {
        this.#store(trees, (error) => {
          if (error !== undefined) {
            reject(error);
            return;
          }
          this.#trees = trees;
          this.#pendingCount = 0;
          this.#pendingBytes = 0;
          for (const done of held()) done(undefined);
          resolve();
        });
      });
    } catch (error) {
      // The old content stays, and what waited goes on with it.
      for (const done of held()) this.#store(this.#trees, done);
      throw error;
    }
  }

  /** Brings the trees as they are now to the cell. */
  #store(trees: readonly SortedTree[], done: (error: Error | undefined) => void): void {
    this.#cell.begin(trees.map((tree) => tree.snapshot()));
    const settle = (): void => {
      if (this.#cell.settle(this.#epoch)) done(this.#cell.failure);
    };
    if (this.#commitDelayMs > 0) this.#timers.after(this.#commitDelayMs, settle);
    else this.#timers.soon(settle);
  }

  #committed(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.commit((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  #tree(bucket: BucketName): SortedTree {
    return this.#trees[bucketIndex.get(bucket) as number] as SortedTree;
  }
}

class MemoryView implements BackendView {
  #image: Image | undefined;

  constructor(image: Image) {
    this.#image = image;
  }

  get(bucket: BucketName, key: Bytes): Bytes | undefined {
    return this.#tree(bucket).get(bytesToKey(key));
  }

  scan(bucket: BucketName, from: Bytes, to: Bytes | undefined, limit: number, visit: Visit): void {
    scanTree(this.#tree(bucket), from, to, limit, visit);
  }

  close(): void {
    this.#image = undefined;
  }

  #tree(bucket: BucketName): TreeSnapshot {
    if (this.#image === undefined) throw new Error("view is closed");
    return this.#image[bucketIndex.get(bucket) as number] as TreeSnapshot;
  }
}

function scanTree(
  tree: Pick<TreeSnapshot, "scan">,
  from: Bytes,
  to: Bytes | undefined,
  limit: number,
  visit: Visit,
): void {
  const end = to === undefined ? undefined : bytesToKey(to);
  tree.scan(bytesToKey(from), end, limit, (key, value) => visit(keyToBytes(key), value));
}

/** Waits for the end of something whose failure is somebody else's. */
function settled(task: Promise<unknown>): Promise<void> {
  const ignore = (): void => undefined;
  return task.then(ignore, ignore);
}
