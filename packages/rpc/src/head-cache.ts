// Hot: remembers what header blocks meant. A client repeats the same few blocks (indexes into the dynamic
// table) with every call; as long as the table has not changed, equal bytes are equal lists, and decoding
// and checking them again is saved: 10–20 compared bytes instead of ten fields.

import { type Bytes, copyBytes } from "@etcd-ts/base";

const entries = 4;
const blockBytesMax = 64;

export class HeadCache<Head> {
  readonly #blocks: Bytes[] = [];
  readonly #heads: Head[] = [];
  #next = 0;
  #tableVersion = -1;

  find(bytes: Bytes, start: number, end: number, tableVersion: number): Head | undefined {
    if (tableVersion !== this.#tableVersion) return undefined;
    const blocks = this.#blocks;
    const length = end - start;
    for (let i = 0; i < blocks.length; i++) {
      const block = blocks[i]!;
      if (block.length !== length) continue;
      let at = 0;
      while (at < length && block[at] === bytes[start + at]) at++;
      if (at === length) return this.#heads[i];
    }
    return undefined;
  }

  /** Only for blocks that did not change the table. */
  store(bytes: Bytes, start: number, end: number, tableVersion: number, head: Head): void {
    if (end - start > blockBytesMax) return;
    if (tableVersion !== this.#tableVersion) {
      this.#tableVersion = tableVersion;
      this.#blocks.length = 0;
      this.#heads.length = 0;
      this.#next = 0;
    }
    this.#blocks[this.#next] = copyBytes(bytes.subarray(start, end));
    this.#heads[this.#next] = head;
    this.#next = (this.#next + 1) % entries;
  }
}
