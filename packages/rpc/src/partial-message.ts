// A gRPC message that arrives in pieces: five bytes of prefix, then as many as it says. The buffer grows
// with what has come, not with what was announced, so that an announcement costs the sender its bytes: an eighth of the memory
// that it makes us take. Up to half a megabyte a message is copied once, but for its first 64 KiB.

import { allocateBytes, type Bytes, emptyBytes } from "@etcd-ts/base";
import { readUint32 } from "./frames.ts";

const prefixBytes = 5;
const firstBufferBytes = 64 << 10;
const growth = 8;

export class PartialMessage {
  flag = 0;
  /** Of the message, -1 while the prefix is incomplete. */
  length = -1;
  #buffer: Bytes = emptyBytes;
  #bytes = 0;
  readonly #prefix = new Uint8Array(prefixBytes);
  #prefixCount = 0;

  /** Bytes of memory held. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  get complete(): boolean {
    return this.length >= 0 && this.#bytes === this.length;
  }

  /** Takes what belongs to the prefix; returns the position behind it. */
  takePrefix(bytes: Bytes, start: number, end: number): number {
    let position = start;
    while (this.#prefixCount < prefixBytes && position < end) {
      this.#prefix[this.#prefixCount++] = bytes[position++]!;
    }
    if (this.#prefixCount === prefixBytes && this.length < 0) {
      this.flag = this.#prefix[0]!;
      this.length = readUint32(this.#prefix, 1);
    }
    return position;
  }

  /** Takes what belongs to the message; returns the position behind it. */
  takeBody(bytes: Bytes, start: number, end: number): number {
    const count = Math.min(this.length - this.#bytes, end - start);
    const total = this.#bytes + count;
    if (total > this.#buffer.length) {
      const size = Math.max(total, this.#buffer.length * growth, firstBufferBytes);
      const buffer = allocateBytes(Math.min(this.length, size));
      if (this.#bytes > 0) buffer.set(this.#buffer.subarray(0, this.#bytes));
      this.#buffer = buffer;
    }
    this.#buffer.set(bytes.subarray(start, start + count), this.#bytes);
    this.#bytes = total;
    return start + count;
  }

  get message(): Bytes {
    return this.#buffer;
  }
}
