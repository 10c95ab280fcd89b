// Reads a bbolt file from any source, trusting nothing: a snapshot that an administrator wants to restore, a
// database that a leader sends, a stock member's own file.
//
// The tree of a bucket is walked from its root, one page at a time. A page must lie below the high-water
// mark and the end of the file, carry its own id and a type that fits its place, and be met only once
// (which rules out cycles and shared subtrees); its elements must lie within it; keys must ascend over the
// whole bucket and stay within what the parents say. Everything else is a `CorruptionError`. Memory is
// bounded by a few cached blocks, a bit per page, and the largest item.

import {
  assert,
  type Bytes,
  bytesToUtf8,
  CorruptionError,
  compareBytes,
  copyBytes,
  type DiskFile,
} from "@etcd-ts/base";
import { BlockCache } from "./block-cache.ts";
import {
  type BoltMeta,
  bucketHeadBytes,
  elementBytes,
  keyBytesMax,
  leafIsBucket,
  metaBytes,
  PageFlag,
  pageHeadBytes,
  readMeta,
  readPageId,
} from "./bolt-format.ts";

const depthMax = 64;
/** One item larger than this is damage: etcd would never have taken it. */
const pageRunBytesMax = 512 << 20;

/** Called for each pair in key order; the arrays are views of cached pages. */
export type VisitPair = (key: Bytes, value: Bytes) => void;

interface Bucket {
  readonly name: string;
  /** 0: the bucket is inline. */
  readonly root: number;
  readonly inline: Bytes;
}

/** Keys that a subtree may hold: `low <= key < high`. */
interface Bounds {
  readonly low: Bytes | undefined;
  readonly high: Bytes | undefined;
}

interface Page {
  readonly id: number;
  readonly isLeaf: boolean;
  readonly count: number;
  readonly bytes: Bytes;
  readonly view: DataView;
}

export class BoltFile {
  readonly #file: DiskFile;
  readonly #meta: BoltMeta;
  readonly #cache: BlockCache;
  readonly #buckets: Map<string, Bucket> = new Map();
  /** A bit per page: met already. */
  readonly #met: Uint8Array;
  /** Buckets walked since the bits were cleared. */
  readonly #walked: Set<string> = new Set();

  /** `bytes`: length of the database in the file, when something follows it. */
  static async open(file: DiskFile, bytes?: number): Promise<BoltFile> {
    const fileBytes = Math.min(bytes ?? Number.POSITIVE_INFINITY, await file.size());
    const meta = await findMeta(file, fileBytes);
    if (meta.highWater < 3 || meta.highWater * meta.pageSize > fileBytes) {
      throw new CorruptionError(
        file.path,
        0,
        `${meta.highWater} pages of ${meta.pageSize} bytes are more than the file's ${fileBytes} bytes`,
      );
    }
    const opened = new BoltFile(file, meta, fileBytes);
    await opened.#readRoot();
    return opened;
  }

  private constructor(file: DiskFile, meta: BoltMeta, fileBytes: number) {
    this.#file = file;
    this.#meta = meta;
    this.#cache = new BlockCache(file, fileBytes);
    this.#met = new Uint8Array((meta.highWater >> 3) + 1);
  }

  get pageSize(): number {
    return this.#meta.pageSize;
  }

  /** Pages times page size. */
  get bytes(): number {
    return this.#meta.highWater * this.#meta.pageSize;
  }

  /** Names, ascending. */
  get buckets(): readonly string[] {
    return [...this.#buckets.keys()];
  }

  /**
   * Visits all pairs of a bucket; nothing when there is no such bucket.
   * `pause` is called between pages, every 64 KiB or so.
   */
  async scan(bucket: string, visit: VisitPair, pause?: () => Promise<void>): Promise<void> {
    const found = this.#buckets.get(bucket);
    if (found === undefined) return;
    if (this.#walked.has(bucket)) {
      this.#met.fill(0);
      this.#walked.clear();
    }
    this.#walked.add(bucket);
    const walk = new Walk();
    const all: Bounds = { low: undefined, high: undefined };
    const where = found.root === 0 ? this.#meta.root : found.root;
    const visitItem: VisitItem = (key, value, flags) => {
      if (flags !== 0) throw this.#damage(where, "a bucket inside a bucket");
      visit(key, value);
    };
    if (found.root !== 0) await this.#walk(found.root, all, walk, visitItem, pause);
    else {
      const page = pageOf(where, found.inline);
      if (!page.isLeaf) throw this.#damage(where, "an inline bucket that is no leaf");
      this.#leaf(page, all, walk, visitItem);
    }
  }

  async #readRoot(): Promise<void> {
    const walk = new Walk();
    const all: Bounds = { low: undefined, high: undefined };
    await this.#walk(this.#meta.root, all, walk, (key, value, flags) => {
      const where = this.#meta.root;
      if (flags !== leafIsBucket) throw this.#damage(where, "an item that is not a bucket");
      if (value.length < bucketHeadBytes) throw this.#damage(where, "a bucket without a head");
      const view = new DataView(value.buffer, value.byteOffset, value.length);
      const root = readPageId(view, 0);
      if (root === undefined) throw this.#damage(where, "a bucket's root page is out of range");
      if (root === 0 && value.length < bucketHeadBytes + pageHeadBytes) {
        throw this.#damage(where, "an inline bucket without a page");
      }
      const name = bytesToUtf8(key);
      this.#buckets.set(name, { name, root, inline: copyBytes(value.subarray(bucketHeadBytes)) });
    });
  }

  async #walk(
    root: number,
    bounds: Bounds,
    walk: Walk,
    visit: VisitItem,
    pause?: () => Promise<void>,
  ): Promise<void> {
    const stack: { page: Page; bounds: Bounds; at: number }[] = [];
    const enter = async (id: number, within: Bounds): Promise<void> => {
      const page = await this.#page(id);
      walk.bytes += page.bytes.length;
      if (pause !== undefined && walk.bytes >= walk.pauseAt) {
        walk.pauseAt = walk.bytes + (64 << 10);
        await pause();
      }
      if (page.isLeaf) this.#leaf(page, within, walk, visit);
      else {
        if (stack.length >= depthMax) throw this.#damage(id, "the tree is too deep");
        if (page.count === 0) throw this.#damage(id, "a branch page without children");
        stack.push({ page, bounds: within, at: 0 });
      }
    };
    await enter(root, bounds);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      if (top.at === top.page.count) {
        stack.pop();
        continue;
      }
      const at = top.at++;
      const { key, child } = this.#branchElement(top.page, at);
      const high =
        at + 1 < top.page.count ? this.#branchElement(top.page, at + 1).key : top.bounds.high;
      if (high !== undefined && compareBytes(key, high) >= 0) {
        throw this.#damage(top.page.id, "keys out of order");
      }
      // The leftmost child may hold smaller keys than its branch key, but not than the parent's bound.
      await enter(child, { low: at === 0 ? top.bounds.low : key, high });
    }
  }

  #branchElement(page: Page, at: number): { key: Bytes; child: number } {
    const element = pageHeadBytes + at * elementBytes;
    const start = element + page.view.getUint32(element, true);
    const keyLength = page.view.getUint32(element + 4, true);
    const child = readPageId(page.view, element + 8);
    if (child === undefined || start + keyLength > page.bytes.length || keyLength > keyBytesMax) {
      throw this.#damage(page.id, `branch element ${at} is out of bounds`);
    }
    return { key: page.bytes.subarray(start, start + keyLength), child };
  }

  #leaf(page: Page, bounds: Bounds, walk: Walk, visit: VisitItem): void {
    const { view, bytes, count } = page;
    if (pageHeadBytes + count * elementBytes > bytes.length) {
      throw this.#damage(page.id, `${count} elements are more than the page holds`);
    }
    let last = walk.lastKey;
    for (let i = 0; i < count; i++) {
      const element = pageHeadBytes + i * elementBytes;
      const flags = view.getUint32(element, true);
      const start = element + view.getUint32(element + 4, true);
      const keyLength = view.getUint32(element + 8, true);
      const end = start + keyLength + view.getUint32(element + 12, true);
      if (keyLength === 0 || keyLength > keyBytesMax || end > bytes.length) {
        throw this.#damage(page.id, `leaf element ${i} is out of bounds`);
      }
      const key = bytes.subarray(start, start + keyLength);
      if (
        (last !== undefined && compareBytes(last, key) >= 0) ||
        (i === 0 && bounds.low !== undefined && compareBytes(key, bounds.low) < 0)
      ) {
        throw this.#damage(page.id, "keys out of order");
      }
      last = key;
      visit(key, bytes.subarray(start + keyLength, end), flags);
    }
    if (last !== undefined && count > 0) {
      if (bounds.high !== undefined && compareBytes(last, bounds.high) >= 0) {
        throw this.#damage(page.id, "a key beyond its parent's range");
      }
      walk.lastKey = copyBytes(last);
    }
  }

  async #page(id: number): Promise<Page> {
    const { pageSize, highWater } = this.#meta;
    if (id < 2 || id >= highWater) throw this.#damage(id, `page ${id} of ${highWater}`);
    const bit = 1 << (id & 7);
    const byte = this.#met[id >> 3] as number;
    if ((byte & bit) !== 0) throw this.#damage(id, `page ${id} is reached twice`);
    this.#met[id >> 3] = byte | bit;
    const position = id * pageSize;
    const head = await this.#cache.read(position, pageHeadBytes);
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    if (readPageId(view, 0) !== id) throw this.#damage(id, "the page carries another id");
    const flags = view.getUint16(8, true);
    if (flags !== PageFlag.leaf && flags !== PageFlag.branch) {
      throw this.#damage(id, `a page of type ${flags}`);
    }
    const pages = view.getUint32(12, true) + 1;
    const runBytes = pages * pageSize;
    if (id + pages > highWater || runBytes > pageRunBytesMax) {
      throw this.#damage(id, `${pages} pages are out of bounds`);
    }
    const bytes = await this.#cache.read(position, runBytes);
    const page = pageOf(id, bytes);
    if (pageHeadBytes + page.count * elementBytes > bytes.length) {
      throw this.#damage(id, `${page.count} elements are more than the page holds`);
    }
    return page;
  }

  #damage(page: number, what: string): CorruptionError {
    return new CorruptionError(this.#file.path, page * this.#meta.pageSize, what);
  }
}

type VisitItem = (key: Bytes, value: Bytes, flags: number) => void;

/** Where a walk through one bucket has come to. */
class Walk {
  lastKey: Bytes | undefined = undefined;
  bytes = 0;
  pauseAt = 64 << 10;
}

/** `bytes` hold at least a page head. */
function pageOf(id: number, bytes: Bytes): Page {
  assert(bytes.length >= pageHeadBytes, "a page has a head");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isLeaf = view.getUint16(8, true) === PageFlag.leaf;
  return { id, isLeaf, count: view.getUint16(10, true), bytes, view };
}

/** The valid meta of the later transaction. */
async function findMeta(file: DiskFile, fileBytes: number): Promise<BoltMeta> {
  const wanted = pageHeadBytes + metaBytes;
  const metaAt = async (position: number): Promise<BoltMeta | undefined> => {
    if (position + wanted > fileBytes) return undefined;
    return readMeta(await file.read(position, wanted));
  };
  const first = await metaAt(0);
  if (first !== undefined) {
    const second = await metaAt(first.pageSize);
    const isLater = second !== undefined && second.pageSize === first.pageSize;
    return isLater && second.txid > first.txid ? second : first;
  }
  // The first is damaged: the second stands behind the first page, whatever size that has.
  for (let pageSize = 512; pageSize <= 16 << 20; pageSize *= 2) {
    const second = await metaAt(pageSize);
    if (second !== undefined && second.pageSize === pageSize) return second;
  }
  throw new CorruptionError(file.path, 0, "invalid database: no meta page");
}
