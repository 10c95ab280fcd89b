// The bytes of a file, page by page; a page that was never written reads as zeros and takes no space. So a
// preallocated segment of 64 MB costs nothing.

import type { Bytes } from "@etcd-ts/base";

const pageBytes = 4096;

export class SparseContent {
  readonly #pages: Map<number, Uint8Array>;
  #size: number;

  constructor(pages: Map<number, Uint8Array> = new Map(), size = 0) {
    this.#pages = pages;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  /** Up to `length` bytes; fewer at the end. The result is the caller's. */
  read(position: number, length: number): Bytes {
    const end = Math.min(position + length, this.#size);
    const result = new Uint8Array(Math.max(0, end - position));
    for (let at = position; at < end; ) {
      const offset = at % pageBytes;
      const piece = Math.min(pageBytes - offset, end - at);
      const page = this.#pages.get((at - offset) / pageBytes);
      if (page !== undefined) result.set(page.subarray(offset, offset + piece), at - position);
      at += piece;
    }
    return result;
  }

  write(position: number, bytes: Bytes): void {
    for (let at = 0; at < bytes.length; ) {
      const offset = (position + at) % pageBytes;
      const piece = Math.min(pageBytes - offset, bytes.length - at);
      const number = (position + at - offset) / pageBytes;
      let page = this.#pages.get(number);
      if (page === undefined) {
        page = new Uint8Array(pageBytes);
        this.#pages.set(number, page);
      }
      page.set(bytes.subarray(at, at + piece), offset);
      at += piece;
    }
    this.#size = Math.max(this.#size, position + bytes.length);
  }

  /** Cuts, or grows with zeros. */
  resize(size: number): void {
    if (size < this.#size) {
      const last = Math.floor(size / pageBytes);
      for (const number of [...this.#pages.keys()]) if (number > last) this.#pages.delete(number);
      this.#pages.get(last)?.fill(0, size % pageBytes);
    }
    this.#size = size;
  }

  /** Up to the last byte that is not zero. */
  writtenBytes(): number {
    const numbers = [...this.#pages.keys()].sort((a, b) => b - a);
    for (const number of numbers) {
      const page = this.#pages.get(number) as Uint8Array;
      for (let i = pageBytes - 1; i >= 0; i--) {
        if (page[i] !== 0) return Math.min(this.#size, number * pageBytes + i + 1);
      }
    }
    return 0;
  }

  clone(): SparseContent {
    const pages = new Map<number, Uint8Array>();
    for (const [number, page] of this.#pages) pages.set(number, page.slice());
    return new SparseContent(pages, this.#size);
  }
}
