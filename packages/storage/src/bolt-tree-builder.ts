// Builds one B+ tree of a bbolt file from items in key order, page by page, in constant memory.
//
// A page is handed out as soon as it cannot grow any more, and gets the next page id then; a parent always
// follows its children. Per level only the open page is held, and one more: the page before it waits until
// the open one has two children, and gives it its own last child when the level ends with a single one,
// since a branch page with one child is nothing that bbolt would write.
//
//      level 2            ┌ open ┐
//      level 1   ┌ held ┐ ┌ open ┐
//      leaves                       ┌ open ┐      … everything else has left
//
// The same code runs twice over the same items: first to learn how many pages there will be (`pages` is
// undefined then), then to write them. That is why sizes and contents cannot disagree.

import { type Bytes, copyBytes } from "@etcd-ts/base";
import {
  bucketHeadBytes,
  elementBytes,
  PageFlag,
  pageHeadBytes,
  writePageHead,
} from "./bolt-format.ts";

/** Takes finished pages, padded to whole pages, in the order of their ids. */
export interface PageSink {
  page(bytes: Bytes): void;
}

export class PageNumbers {
  readonly pageSize: number;
  next = 2;

  constructor(pageSize: number) {
    this.pageSize = pageSize;
  }

  /** First of the pages that `bytes` take. */
  take(bytes: number): number {
    const id = this.next;
    this.next += Math.ceil(bytes / this.pageSize);
    return id;
  }
}

interface Child {
  readonly key: Bytes;
  readonly id: number;
}

class BranchPage {
  readonly children: Child[] = [];
  bytes = pageHeadBytes;

  add(child: Child): void {
    this.children.push(child);
    this.bytes += elementBytes + child.key.length;
  }

  addFirst(child: Child): void {
    this.children.unshift(child);
    this.bytes += elementBytes + child.key.length;
  }

  removeLast(): Child {
    const child = this.children.pop() as Child;
    this.bytes -= elementBytes + child.key.length;
    return child;
  }
}

interface Level {
  held: BranchPage | undefined;
  open: BranchPage;
}

export class BoltTreeBuilder {
  readonly #numbers: PageNumbers;
  readonly #sink: PageSink | undefined;
  readonly #itemFlags: number;
  readonly #levels: Level[] = [];
  /** The open leaf. Its items' bytes are only kept when pages are written. */
  #leafBytes = pageHeadBytes;
  #leafCount = 0;
  #leafFirstKey: Bytes | undefined;
  readonly #keyLengths: number[] = [];
  readonly #valueLengths: number[] = [];
  #data: Bytes = new Uint8Array(8192);
  #dataLength = 0;

  /** Without a sink pages are only counted. `itemFlags` go into each leaf element. */
  constructor(numbers: PageNumbers, sink: PageSink | undefined, itemFlags = 0) {
    this.#numbers = numbers;
    this.#sink = sink;
    this.#itemFlags = itemFlags;
  }

  /** Keys must ascend. Both arrays are copied. */
  add(key: Bytes, value: Bytes): void {
    const size = elementBytes + key.length + value.length;
    if (this.#leafCount > 0 && this.#leafBytes + size > this.#numbers.pageSize) this.#endLeaf();
    if (this.#leafCount === 0) this.#leafFirstKey = copyBytes(key);
    this.#leafCount++;
    this.#leafBytes += size;
    if (this.#sink === undefined) return;
    this.#keyLengths.push(key.length);
    this.#valueLengths.push(value.length);
    this.#reserve(key.length + value.length);
    this.#data.set(key, this.#dataLength);
    this.#data.set(value, this.#dataLength + key.length);
    this.#dataLength += key.length + value.length;
  }

  /** What stands for the bucket in the root tree: the page of its root, or its only, small leaf itself. */
  finishBucket(): Bytes {
    const inlineMax = this.#numbers.pageSize >> 2;
    if (this.#levels.length === 0 && this.#leafBytes <= inlineMax) {
      const value = new Uint8Array(bucketHeadBytes + this.#leafBytes);
      this.#writeLeaf(value.subarray(bucketHeadBytes), 0);
      return value;
    }
    const value = new DataView(new ArrayBuffer(bucketHeadBytes));
    value.setBigUint64(0, BigInt(this.finish()), true);
    return new Uint8Array(value.buffer);
  }

  /** Hands out what is left and returns the page of the root. */
  finish(): number {
    if (this.#leafCount > 0 || this.#levels.length === 0) this.#endLeaf();
    for (let depth = 0; ; depth++) {
      const level = this.#levels[depth] as Level;
      const { held, open } = level;
      const alone = open.children.length === 1 ? (open.children[0] as Child) : undefined;
      if (held === undefined) {
        if (alone !== undefined) return alone.id;
      } else if (alone !== undefined && held.children.length === 2) {
        // Long keys: it has none to give, and grows beyond a page instead.
        held.add(alone);
        this.#endBranch(held, depth);
        continue;
      } else {
        if (alone !== undefined) open.addFirst(held.removeLast());
        this.#endBranch(held, depth);
      }
      this.#endBranch(open, depth);
    }
  }

  #endLeaf(): void {
    const bytes = this.#leafBytes;
    const id = this.#numbers.take(bytes);
    if (this.#sink !== undefined) {
      const page = new Uint8Array((this.#numbers.next - id) * this.#numbers.pageSize);
      this.#writeLeaf(page, id);
      this.#sink.page(page);
    }
    this.#addChild(0, { key: this.#leafFirstKey ?? new Uint8Array(0), id });
    this.#leafBytes = pageHeadBytes;
    this.#leafCount = 0;
    this.#keyLengths.length = 0;
    this.#valueLengths.length = 0;
    this.#dataLength = 0;
  }

  #addChild(depth: number, child: Child): void {
    let level = this.#levels[depth];
    if (level === undefined) {
      level = { held: undefined, open: new BranchPage() };
      this.#levels.push(level);
    }
    const size = elementBytes + child.key.length;
    const { open } = level;
    // At least two children, however long their keys are.
    if (open.children.length >= 2 && open.bytes + size > this.#numbers.pageSize) {
      level.held = open;
      level.open = new BranchPage();
    }
    level.open.add(child);
    const { held } = level;
    if (held !== undefined && level.open.children.length >= 2) {
      level.held = undefined;
      this.#endBranch(held, depth);
    }
  }

  #endBranch(branch: BranchPage, depth: number): void {
    const id = this.#numbers.take(branch.bytes);
    if (this.#sink !== undefined) {
      const page = new Uint8Array((this.#numbers.next - id) * this.#numbers.pageSize);
      this.#writeBranch(branch, page, id);
      this.#sink.page(page);
    }
    this.#addChild(depth + 1, { key: (branch.children[0] as Child).key, id });
  }

  #writeBranch(branch: BranchPage, page: Bytes, id: number): void {
    const view = new DataView(page.buffer, page.byteOffset, page.length);
    const { children } = branch;
    writePageHead(view, id, PageFlag.branch, children.length, this.#overflow(page));
    let element = pageHeadBytes;
    let data = pageHeadBytes + children.length * elementBytes;
    for (const child of children) {
      view.setUint32(element, data - element, true);
      view.setUint32(element + 4, child.key.length, true);
      view.setBigUint64(element + 8, BigInt(child.id), true);
      page.set(child.key, data);
      data += child.key.length;
      element += elementBytes;
    }
  }

  #writeLeaf(page: Bytes, id: number): void {
    const view = new DataView(page.buffer, page.byteOffset, page.length);
    const count = this.#leafCount;
    writePageHead(view, id, PageFlag.leaf, count, id === 0 ? 0 : this.#overflow(page));
    let element = pageHeadBytes;
    let data = pageHeadBytes + count * elementBytes;
    if (this.#sink === undefined) return;
    page.set(this.#data.subarray(0, this.#dataLength), data);
    for (let i = 0; i < count; i++) {
      const keyLength = this.#keyLengths[i] as number;
      const valueLength = this.#valueLengths[i] as number;
      view.setUint32(element, this.#itemFlags, true);
      view.setUint32(element + 4, data - element, true);
      view.setUint32(element + 8, keyLength, true);
      view.setUint32(element + 12, valueLength, true);
      data += keyLength + valueLength;
      element += elementBytes;
    }
  }

  #overflow(page: Bytes): number {
    return page.length / this.#numbers.pageSize - 1;
  }

  #reserve(bytes: number): void {
    const needed = this.#dataLength + bytes;
    if (needed <= this.#data.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#data.length));
    larger.set(this.#data.subarray(0, this.#dataLength));
    this.#data = larger;
  }
}
