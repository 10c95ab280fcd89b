// Reads a whole bucket from LMDB's file itself, for opening a store: every page once, in the order of the keys, many
// neighbours at a time. It gives out where things stand in its own buffer, so there is no call, object or view per
// pair. For a million revisions of 330 bytes that takes 0.15 µs each where a cursor takes 0.45, and the pages
// do not become resident memory of the process, as mapped ones do (340 MB).
//
// Good only while nobody writes the file. What is not in the format below is refused (`open` gives nothing back, a
// cursor does the work), what breaks its rules is damage.
//
// It also looks at a file before LMDB does (`checkDataFile`): LMDB trusts what it maps, and a damaged meta page or a
// file that was cut off would end the process by a signal, without a word.
//
//     file    pages; 0 and 1 are meta pages, the one with the higher transaction counts
//     page    0   u64 number · u64 transaction · u16 - · u16 kind (1 branch, 2 leaf, 4 large value, 8 meta)
//             20  u16 bytes of the table behind this head · u16 -
//             24  u16 place of each node, counted from 24, in the order of the keys
//     meta    24  u32 magic · u32 version
//             32  u64 address of the map, 0 · u64 bytes of the map
//             48  tree of free pages (its first u32: bytes of a page) · 96 tree of the buckets' trees
//             144 u64 last page in use · u64 transaction
//     tree    0   u32 - · u16 flags · u16 height, 0: empty · u64 ×4 - · u64 number of the root page
//     node    0   u32 bytes of the value · u16 flags (1: on large value pages, 2: a tree) · u16 bytes of the key
//             8   key · value, or number of the first large value page
//             in a branch page: u48 number of the child · u16 bytes of the key · key; the first has none

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type Bytes, CorruptionError, compareBytes, DiskError, emptyBytes } from "@etcd-ts/base";
import type { VisitSpans } from "@etcd-ts/machine";

const headBytes = 24;
const nodeHeadBytes = 8;
const metaBytes = 160;
const treeBytes = 48;
const magic = 0xbeef_c0de;
const version = 2;
const two32 = 0x1_0000_0000;
const branchPage = 1;
const leafPage = 2;
const largePage = 4;
const metaPage = 8;
const largeValue = 1;
const treeValue = 2;
const heightMax = 32;
/** Free pages behind the end of the file that were given out but not written. */
const unwrittenPagesMax = 4096;
/** What a process can map. */
const mapBytesMax = 2 ** 47;
/** Pages that are read at once. */
const runPages = 32;

/** One page or some neighbouring ones. */
class PageBlock {
  bytes: Bytes;
  view: DataView;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.view = new DataView(this.bytes.buffer);
  }

  grow(size: number): void {
    if (size <= this.bytes.length) return;
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.view = new DataView(this.bytes.buffer);
  }
}

export class DataFile {
  readonly #path: string;
  readonly #file: number;
  readonly #fileBytes: number;
  readonly #pageBytes: number;
  readonly #lastPage: number;
  readonly #buckets: Tree;
  /** Which pages are free. */
  readonly #free: Tree;
  readonly #leaves: PageBlock;
  readonly #large: PageBlock = new PageBlock(0);
  /** Branch pages on the way, by their height. */
  readonly #branches: PageBlock[] = [];

  /** Nothing when the file is not as described above. */
  static open(path: string): DataFile | undefined {
    const file = openSync(path, "r");
    const meta = newestMeta(file);
    if (meta === undefined) {
      closeSync(file);
      return undefined;
    }
    return new DataFile(path, file, meta);
  }

  private constructor(path: string, file: number, meta: Meta) {
    this.#path = path;
    this.#file = file;
    this.#fileBytes = fstatSync(file).size;
    this.#pageBytes = meta.pageBytes;
    this.#lastPage = meta.lastPage;
    this.#buckets = meta.buckets;
    this.#free = meta.free;
    this.#leaves = new PageBlock(runPages * meta.pageBytes);
  }

  close(): void {
    closeSync(this.#file);
  }

  /** Visits the rows of a bucket from the key `from` on, until `visit` returns false. */
  scan(bucket: string, from: Bytes, visit: VisitSpans): void {
    const tree = this.#find(bucket);
    if (tree !== undefined) this.#walk(tree.root, tree.height, from, visit);
  }

  /**
   * Walks all trees but those of the buckets `unless`, which are read as a whole anyway, before anybody else looks at them. Of
   * those only the root is checked; with `unless` undefined, everything.
   */
  check(unless: string | undefined): void {
    const ignore = (): boolean => true;
    this.#walk(this.#free.root, this.#free.height, emptyBytes, ignore);
    const names: { name: string; tree: Tree }[] = [];
    const { root, height } = this.#buckets;
    this.#walk(root, height, emptyBytes, (keys, keyStart, keyEnd, values, start, end) => {
      if (end - start !== treeBytes) throw this.#damaged(root, "no tree under its name");
      const view = new DataView(values.buffer, values.byteOffset);
      const name = Buffer.from(keys.subarray(keyStart, keyEnd)).toString("latin1");
      names.push({ name, tree: readTree(view, start) });
      return true;
    });
    for (const { name, tree } of names) {
      if (name !== `${unless}\0`) this.#walk(tree.root, tree.height, emptyBytes, ignore);
      else if (tree.height > 0) {
        this.#read(tree.root, this.#leaves.bytes, this.#pageBytes);
        this.#check(this.#leaves, 0, tree.root, tree.height > 1 ? branchPage : leafPage);
      }
    }
  }

  /** The tree of a bucket. */
  #find(bucket: string): Tree | undefined {
    const { root, height } = this.#buckets;
    if (height === 0) return undefined;
    // A name ends with a zero.
    const name = Buffer.from(`${bucket}\0`, "latin1");
    let tree: Tree | undefined;
    this.#walk(root, height, name, (keys, keyStart, keyEnd, values, start, end) => {
      if (compareBytes(keys.subarray(keyStart, keyEnd), name) !== 0) return false;
      if (end - start !== treeBytes) throw this.#damaged(root, "no tree under its name");
      tree = readTree(new DataView(values.buffer, values.byteOffset), start);
      return false;
    });
    return tree;
  }

  /** What is under a page at this height above the leaves, which have 1. False when the visitor has had enough. */
  #walk(page: number, height: number, from: Bytes, visit: VisitSpans): boolean {
    if (height === 0) return true;
    if (height > heightMax) throw this.#damaged(page, "a tree of impossible height");
    if (height === 1) {
      this.#read(page, this.#leaves.bytes, this.#pageBytes);
      return this.#leaf(0, page, from, visit);
    }
    this.#branches[height] ??= new PageBlock(this.#pageBytes);
    const buffer = this.#branches[height];
    this.#read(page, buffer.bytes, this.#pageBytes);
    this.#check(buffer, 0, page, branchPage);
    const count = this.#count(buffer, 0, page);
    let place = 0;
    while (place + 1 < count && this.#compareKey(buffer, 0, page, place + 1, from) <= 0) place++;
    let seek = from;
    while (place < count) {
      const child = this.#child(buffer, page, place);
      if (height > 2) {
        if (!this.#walk(child, height - 1, seek, visit)) return false;
        place++;
      } else {
        const run = this.#runLength(buffer, page, place, count);
        this.#read(child, this.#leaves.bytes, run * this.#pageBytes);
        for (let i = 0; i < run; i++) {
          const at = i * this.#pageBytes;
          if (!this.#leaf(at, child + i, i === 0 ? seek : emptyBytes, visit)) return false;
        }
        place += run;
      }
      seek = emptyBytes;
    }
    return true;
  }

  #leaf(base: number, page: number, from: Bytes, visit: VisitSpans): boolean {
    const buffer = this.#leaves;
    this.#check(buffer, base, page, leafPage);
    const count = this.#count(buffer, base, page);
    const { bytes, view } = buffer;
    const pageEnd = base + this.#pageBytes;
    let place = 0;
    if (from.length > 0) {
      while (place < count && this.#compareKey(buffer, base, page, place, from) < 0) place++;
    }
    for (; place < count; place++) {
      const node = base + headBytes + view.getUint16(base + headBytes + place * 2, true);
      if (node + nodeHeadBytes > pageEnd) throw this.#damaged(page, "a node beyond its page");
      const size = view.getUint32(node, true);
      const flags = view.getUint16(node + 4, true);
      const keyStart = node + nodeHeadBytes;
      const keyEnd = keyStart + view.getUint16(node + 6, true);
      const isLarge = flags === largeValue;
      if (keyEnd + (isLarge ? 8 : size) > pageEnd) {
        throw this.#damaged(page, "a node reaches beyond its page");
      }
      if (isLarge) {
        const large = this.#readLarge(pageNumber(view, keyEnd), size);
        if (visit(bytes, keyStart, keyEnd, large, headBytes, headBytes + size) === false)
          return false;
      } else if (flags === 0 || flags === treeValue) {
        if (visit(bytes, keyStart, keyEnd, bytes, keyEnd, keyEnd + size) === false) return false;
      } else throw this.#damaged(page, "a node of an unknown kind");
    }
    return true;
  }

  /** How many of the children from `place` on lie side by side. */
  #runLength(buffer: PageBlock, page: number, place: number, count: number): number {
    const first = this.#child(buffer, page, place);
    let run = 1;
    while (
      run < runPages &&
      place + run < count &&
      this.#child(buffer, page, place + run) === first + run
    ) {
      run++;
    }
    return run;
  }

  /** Where node `place` begins; its head is inside the page. */
  #node(buffer: PageBlock, base: number, page: number, place: number): number {
    const offset = buffer.view.getUint16(base + headBytes + place * 2, true);
    if (headBytes + offset + nodeHeadBytes > this.#pageBytes) {
      throw this.#damaged(page, "a node beyond its page");
    }
    return base + headBytes + offset;
  }

  #child(buffer: PageBlock, page: number, place: number): number {
    const node = this.#node(buffer, 0, page, place);
    return buffer.view.getUint32(node, true) + buffer.view.getUint16(node + 4, true) * two32;
  }

  #compareKey(buffer: PageBlock, base: number, page: number, place: number, to: Bytes): number {
    const node = this.#node(buffer, base, page, place);
    const end = node + nodeHeadBytes + buffer.view.getUint16(node + 6, true);
    if (end > base + this.#pageBytes) throw this.#damaged(page, "a key reaches beyond its page");
    return compareBytes(buffer.bytes.subarray(node + nodeHeadBytes, end), to);
  }

  #check(buffer: PageBlock, base: number, page: number, kind: number): void {
    const { view } = buffer;
    if (pageNumber(view, base) !== page || view.getUint16(base + 18, true) !== kind) {
      throw this.#damaged(page, `not page ${page} of kind ${kind}`);
    }
  }

  /** Nodes of a page. */
  #count(buffer: PageBlock, base: number, page: number): number {
    const tableBytes = buffer.view.getUint16(base + 20, true);
    if (headBytes + tableBytes > this.#pageBytes)
      throw this.#damaged(page, "a table beyond its page");
    return tableBytes >>> 1;
  }

  #readLarge(page: number, size: number): Bytes {
    const large = this.#large;
    this.#checkReach(page, headBytes + size);
    large.grow(headBytes + size);
    this.#read(page, large.bytes, headBytes + size);
    this.#check(large, 0, page, largePage);
    return large.bytes;
  }

  /** `size` bytes from the beginning of a page on. */
  #read(page: number, target: Bytes, size: number): void {
    this.#checkReach(page, size);
    if (readSync(this.#file, target, 0, size, page * this.#pageBytes) !== size) {
      throw this.#damaged(page, "the file became shorter");
    }
  }

  #checkReach(page: number, size: number): void {
    if (page > this.#lastPage) throw this.#damaged(page, "a page that is not in use");
    if (page * this.#pageBytes + size > this.#fileBytes) {
      throw this.#damaged(page, "beyond the end of the file");
    }
  }

  #damaged(page: number, what: string): CorruptionError {
    return new CorruptionError(this.#path, page * this.#pageBytes, what);
  }
}

interface Tree {
  readonly root: number;
  /** 0: empty. */
  readonly height: number;
}

interface Meta {
  readonly pageBytes: number;
  readonly buckets: Tree;
  readonly free: Tree;
  readonly lastPage: number;
  readonly transaction: number;
  /** Of the two trees. */
  readonly flags: number;
}

/**
 * Throws `CorruptionError` when LMDB could not work with the file safely: a meta page that is none, pages that are missing
 * at the end, a tree that leads nowhere. `unless`: a bucket that is going to be read through `DataFile` first. A file
 * that does not exist, or is empty, is fine: LMDB makes a new one of it.
 */
export function checkDataFile(path: string, unless: string): void {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return;
    const text = /^[A-Z]+: (.*), open /.exec(message)?.[1] ?? message;
    const kind = code === "EACCES" ? "permission" : "io";
    throw new DiskError(kind, path, `open ${path}: ${text}`, { cause: error });
  }
  let meta: Meta;
  let fileBytes: number;
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) {
      throw new CorruptionError(path, 0, "this is not a file, so no database of LMDB");
    }
    fileBytes = stat.size;
    if (fileBytes === 0) return;
    meta = checkedMeta(path, file, fileBytes);
  } finally {
    closeSync(file);
  }
  const data = DataFile.open(path);
  if (data === undefined) throw new CorruptionError(path, 0, "no meta page of LMDB");
  try {
    // Pages behind the end can be free ones that were never written. Then everything must be looked at.
    const isShort = (meta.lastPage + 1) * meta.pageBytes > fileBytes;
    data.check(isShort ? undefined : unless);
  } finally {
    data.close();
  }
}

/** The meta page that LMDB would take, once both are what they must be. */
function checkedMeta(path: string, file: number, fileBytes: number): Meta {
  const first = checkMeta(path, file, 0, 0, fileBytes);
  const second = checkMeta(path, file, 1, first.pageBytes, fileBytes);
  if (second.pageBytes !== first.pageBytes) {
    throw new CorruptionError(path, first.pageBytes, "the meta pages differ in the size of a page");
  }
  if (second.flags !== first.flags) {
    throw new CorruptionError(
      path,
      first.pageBytes,
      "the meta pages differ in what trees they have",
    );
  }
  return first.transaction > second.transaction ? first : second;
}

function checkMeta(
  path: string,
  file: number,
  number: number,
  position: number,
  fileBytes: number,
): Meta {
  const damaged = (what: string): CorruptionError =>
    new CorruptionError(path, position, `meta page ${number}: ${what}`);
  if (position + metaBytes > fileBytes) throw damaged("the file is cut off");
  const bytes = new Uint8Array(metaBytes);
  readSync(file, bytes, 0, metaBytes, position);
  const view = new DataView(bytes.buffer);
  if (view.getUint32(24, true) !== magic) throw damaged("not one of LMDB");
  if (view.getUint32(28, true) !== version) {
    throw damaged(`version ${view.getUint32(28, true)} of LMDB's format, not ${version}`);
  }
  const meta = readMeta(file, position);
  if (meta === undefined || (meta.pageBytes & (meta.pageBytes - 1)) !== 0) {
    throw damaged(`a page size of ${view.getUint32(48, true)} bytes`);
  }
  if (view.getUint16(18, true) !== metaPage || pageNumber(view, 0) !== number) {
    throw damaged("the page says that it is another");
  }
  const filePages = fileBytes / meta.pageBytes;
  if (meta.lastPage > filePages + Math.max(unwrittenPagesMax, filePages / 4)) {
    throw damaged(`${meta.lastPage + 1} pages, of which the file has ${Math.floor(filePages)}`);
  }
  if (pageNumber(view, 32) !== 0 || pageNumber(view, 40) > mapBytesMax) {
    throw damaged("a map that cannot be");
  }
  return meta;
}

/** Of the two meta pages, the one that was written last. */
function newestMeta(file: number): Meta | undefined {
  const first = readMeta(file, 0);
  const second = first && readMeta(file, first.pageBytes);
  if (first === undefined || second === undefined) return undefined;
  return first.transaction > second.transaction ? first : second;
}

function readMeta(file: number, position: number): Meta | undefined {
  const bytes = new Uint8Array(metaBytes);
  if (readSync(file, bytes, 0, metaBytes, position) !== metaBytes) return undefined;
  const view = new DataView(bytes.buffer);
  if (view.getUint32(24, true) !== magic || view.getUint32(28, true) !== version) return undefined;
  const pageBytes = view.getUint32(48, true);
  if (pageBytes < 256 || pageBytes > 65_536) return undefined;
  return {
    pageBytes,
    free: readTree(view, 48),
    buckets: readTree(view, 96),
    lastPage: pageNumber(view, 144),
    transaction: pageNumber(view, 152),
    flags: view.getUint16(52, true) * 0x1_0000 + view.getUint16(100, true),
  };
}

function readTree(view: DataView, at: number): Tree {
  return { root: pageNumber(view, at + 40), height: view.getUint16(at + 6, true) };
}

function pageNumber(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * two32 + view.getUint32(at, true);
}
