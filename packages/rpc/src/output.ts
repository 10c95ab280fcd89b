// Hot: gathers what one connection writes in one turn, so that it goes out with one write.
//
// Frames are composed in place: `reserve(n)` makes room, the caller writes at `position` and moves it.
// The memory that a flush hands to the host is not written again before the host is done with it (`segments.ts`). What is
// left of a small piece serves the next turn. Everything is copied in, long messages too: frames are 16 KiB for all known peers, and copying
// such a piece costs 1 to 2 µs, less than handing it to the socket on its own.

import { allocateBytes, type Bytes, type Connection, emptyBytes } from "@etcd-ts/base";
import { lendSegment, segmentBytes, takeSegment } from "./segments.ts";

const smallest = 512;
/** Up to here a connection keeps what is left of its piece; longer ones are segments. */
const keptMax = 16_384;

export class Output {
  /** Current piece; `[#start, position)` waits to be flushed. */
  buffer: Bytes = emptyBytes;
  position = 0;
  #start = 0;
  /** Full pieces before the current one. */
  #parts: Bytes[] = [];
  /** The segments that the parts are all of. */
  #segments: Bytes[] = [];
  #partBytes = 0;
  /** Size of the next piece: what the last turns needed. */
  #hint = smallest;

  /** Bytes that wait for a flush. */
  get pendingBytes(): number {
    return this.#partBytes + this.position - this.#start;
  }

  /** Makes room for `bytes` at `position` and returns that. */
  reserve(bytes: number): number {
    if (this.buffer.length - this.position < bytes) this.#extend(bytes);
    return this.position;
  }

  /** Writes everything to the connection; false when the last `write` said so. */
  flush(connection: Connection): boolean {
    let open = true;
    const parts = this.#parts;
    const total = this.pendingBytes;
    for (let i = 0; i < parts.length; i++) open = connection.write(parts[i]!);
    if (parts.length > 0) {
      for (let i = 0; i < this.#segments.length; i++) lendSegment(this.#segments[i]!, connection);
      this.#segments = [];
      this.#parts = [];
      this.#partBytes = 0;
    }
    if (this.position > this.#start) {
      open = connection.write(this.buffer.subarray(this.#start, this.position));
      this.#start = this.position;
      if (this.buffer.length - this.position < 128 || this.buffer.length > keptMax) {
        if (this.buffer.length === segmentBytes) lendSegment(this.buffer, connection);
        this.buffer = emptyBytes;
        this.position = 0;
        this.#start = 0;
      }
    }
    if (total > this.#hint) {
      while (this.#hint < total && this.#hint < segmentBytes) this.#hint *= 2;
    } else if (total < this.#hint >>> 2 && this.#hint > smallest) {
      this.#hint >>>= 1;
    }
    return open;
  }

  /** Forgets everything, when the connection is gone. */
  discard(): void {
    this.buffer = emptyBytes;
    this.position = 0;
    this.#start = 0;
    this.#parts = [];
    this.#partBytes = 0;
    this.#segments = [];
  }

  #extend(bytes: number): void {
    const pending = this.position - this.#start;
    if (pending > 0 && pending + bytes > segmentBytes) {
      this.#parts.push(this.buffer.subarray(this.#start, this.position));
      this.#partBytes += pending;
      if (this.buffer.length === segmentBytes) this.#segments.push(this.buffer);
      this.buffer = newBuffer(Math.max(segmentBytes, bytes));
      this.position = 0;
      this.#start = 0;
      return;
    }
    let size = Math.max(this.#hint, smallest);
    while (size < (pending + bytes) * (pending > 0 ? 1.5 : 1)) size *= 2;
    if (size > keptMax) size = Math.max(size, segmentBytes);
    const buffer = newBuffer(size);
    if (pending > 0) buffer.set(this.buffer.subarray(this.#start, this.position));
    this.buffer = buffer;
    this.position = pending;
    this.#start = 0;
  }
}

function newBuffer(bytes: number): Bytes {
  return bytes === segmentBytes ? takeSegment() : allocateBytes(bytes);
}
