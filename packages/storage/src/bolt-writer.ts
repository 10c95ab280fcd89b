// Writes a view of the backend as one bbolt file, front to back, in constant memory: a snapshot for a client,
// a follower or a folder that stock etcd can open.
//
// The metas stand at the beginning and say how many pages there are, so the view is walked twice: once to
// count the pages, which needs nothing but the lengths of keys and values, and once to write them. Both
// walks are cut into slices of about a millisecond with a pause in between.
//
//      page 0  meta, transaction 2      page 2 …  trees of the buckets in name order
//      page 1  meta, transaction 1      last      tree of the root: one item per bucket

import { type Bytes, emptyBytes, utf8ToBytes } from "@etcd-ts/base";
import { type BackendReader, type BucketName, bucketNames } from "@etcd-ts/machine";
import { leafIsBucket, writeMeta } from "./bolt-format.ts";
import { BoltTreeBuilder, PageNumbers, type PageSink } from "./bolt-tree-builder.ts";

export interface BoltSink {
  /** Before anything is written: the length of the file. */
  begin(bytes: number): void;
  /** Takes the array over. At most `chunkBytes`, unless one item is larger. */
  write(chunk: Bytes): Promise<void>;
  /** Called after each slice of work: lets others run. */
  pause(): Promise<void>;
}

const pageSize = 4096;
const chunkBytes = 128 << 10;
const sliceItems = 1_000;
const sliceBytes = 512 << 10;

/** The view must not change meanwhile. Rejects when the sink does. */
export async function writeBoltFile(view: BackendReader, sink: BoltSink): Promise<void> {
  const counted = new PageNumbers(pageSize);
  const countedRoot = await writeTrees(view, counted, undefined, () => sink.pause());
  const highWater = counted.next;
  sink.begin(highWater * pageSize);
  const chunks = new ChunkCollector();
  for (const id of [0, 1]) {
    const page = new Uint8Array(pageSize);
    page.set(writeMeta(id, { pageSize, root: countedRoot, highWater, txid: BigInt(2 - id) }));
    chunks.page(page);
  }
  const flush = async (): Promise<void> => {
    for (const chunk of chunks.takeFull()) await sink.write(chunk);
    await sink.pause();
  };
  await writeTrees(view, new PageNumbers(pageSize), chunks, flush);
  for (const chunk of chunks.takeAll()) await sink.write(chunk);
}

/** Returns the page of the root. */
async function writeTrees(
  view: BackendReader,
  numbers: PageNumbers,
  pages: PageSink | undefined,
  pause: () => Promise<void>,
): Promise<number> {
  const root = new BoltTreeBuilder(numbers, pages, leafIsBucket);
  for (const bucket of bucketNames) {
    const tree = new BoltTreeBuilder(numbers, pages);
    let from: Bytes | undefined = emptyBytes;
    while (from !== undefined) {
      from = addSlice(view, bucket, from, tree);
      await pause();
    }
    root.add(utf8ToBytes(bucket), tree.finishBucket());
  }
  return root.finish();
}

/** Adds some items and returns where to go on; undefined at the end of the bucket. */
function addSlice(
  view: BackendReader,
  bucket: BucketName,
  from: Bytes,
  tree: BoltTreeBuilder,
): Bytes | undefined {
  let next: Bytes | undefined;
  let count = 0;
  let bytes = 0;
  view.scan(bucket, from, undefined, sliceItems, (key, value) => {
    tree.add(key, value);
    count++;
    bytes += key.length + value.length;
    if (count < sliceItems && bytes < sliceBytes) return true;
    // The smallest key behind this one.
    next = new Uint8Array(key.length + 1);
    next.set(key);
    return false;
  });
  return next;
}

/** Gathers pages into chunks. */
class ChunkCollector implements PageSink {
  #full: Bytes[] = [];
  #open: Bytes = new Uint8Array(chunkBytes);
  #length = 0;

  page(bytes: Bytes): void {
    if (this.#length + bytes.length > chunkBytes) this.#endChunk();
    if (bytes.length > chunkBytes) {
      this.#full.push(bytes);
      return;
    }
    this.#open.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  takeFull(): Bytes[] {
    const taken = this.#full;
    this.#full = [];
    return taken;
  }

  takeAll(): Bytes[] {
    this.#endChunk();
    return this.takeFull();
  }

  #endChunk(): void {
    if (this.#length === 0) return;
    this.#full.push(this.#open.subarray(0, this.#length));
    this.#open = new Uint8Array(chunkBytes);
    this.#length = 0;
  }
}
