// Bytes that have arrived and were not understood yet. Frames are taken off as copies of their own: what raft
// keeps of them (entries live in the log for a while) must not keep socket chunks alive.

import { allocateKept, type Bytes } from "@etcd-ts/base";
import { readUint64 } from "./wire-numbers.ts";

export class ByteQueue {
  #parts: Bytes[] = [];
  /** Parts before this one are used up. */
  #first = 0;
  /** Position in the first part. */
  #position = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(bytes: Bytes): void {
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  /** The next byte, taken off; undefined when there is none. */
  takeByte(): number | undefined {
    if (this.#length === 0) return undefined;
    const byte = this.#parts[this.#first]![this.#position]!;
    this.#skip(1);
    return byte;
  }

  /** The next 8 bytes as a number, taken off; undefined when they are not there yet. */
  takeUint64(): number | undefined {
    if (this.#length < 8) return undefined;
    const part = this.#parts[this.#first]!;
    if (part.length - this.#position < 8) return readUint64(this.take(8)!, 0);
    const value = readUint64(part, this.#position);
    this.#skip(8);
    return value;
  }

  /** A copy of the next bytes, taken off; undefined when they are not there yet. */
  take(count: number): Bytes | undefined {
    if (this.#length < count) return undefined;
    const taken = allocateKept(count);
    let at = 0;
    while (at < count) {
      const part = this.#parts[this.#first]!;
      const end = Math.min(part.length, this.#position + count - at);
      taken.set(part.subarray(this.#position, end), at);
      at += end - this.#position;
      this.#skip(end - this.#position);
    }
    return taken;
  }

  /** All that is there, as it came. */
  takeAll(): Bytes[] {
    const all = this.#parts.slice(this.#first);
    if (this.#position > 0) all[0] = all[0]!.subarray(this.#position);
    this.#parts = [];
    this.#first = 0;
    this.#position = 0;
    this.#length = 0;
    return all;
  }

  #skip(count: number): void {
    this.#position += count;
    this.#length -= count;
    if (this.#position < this.#parts[this.#first]!.length) return;
    this.#position = 0;
    if (this.#parts.length === 1) {
      this.#parts.pop(); // the usual case, without making an array
      return;
    }
    this.#first++;
    if (this.#first === this.#parts.length || this.#first >= 1024) {
      this.#parts.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
