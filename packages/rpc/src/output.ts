// Hot: gathers what one connection writes in one turn, so that it goes out with one write.
//
// Frames are composed in place: `reserve(n)` makes room, the caller writes at `position` and moves it.
// The memory that a flush hands to the host is not written again, but for this: when the host was full then and
// has drained now, it is done with all of it, and large segments serve again. (The engine counts memory outside
// its heap, so a busy connection that takes new segments all the time has it collect garbage all the time.) What
// is left of a segment serves the next turn. Everything is copied in, long messages too: frames are 16 KiB for all known peers, and copying
// such a piece costs 1 to 2 µs, less than handing it to the socket on its own.

import { allocateBytes, type Bytes, type Connection, emptyBytes } from "@etcd-ts/base";

const smallest = 512;
const largest = 65_536;
/** Segments of the largest size that nobody uses. */
const spare: Bytes[] = [];
const spareMax = 64;

export class Output {
  /** Current segment; `[#start, position)` waits to be flushed. */
  buffer: Bytes = emptyBytes;
  position = 0;
  #start = 0;
  /** Full segments before the current one. */
  #parts: Bytes[] = [];
  /** Segments of the largest size that the parts are all of. */
  #segments: Bytes[] = [];
  #partBytes = 0;
  /** Segments of the largest size among those that the host holds since it was full. */
  #handed: Bytes[] = [];
  /** Size of the next segment: what the last turns needed. */
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
    let handed: Bytes[] | undefined;
    for (let i = 0; i < parts.length; i++) open = connection.write(parts[i]!);
    if (parts.length > 0) {
      handed = this.#segments;
      this.#segments = [];
      this.#parts = [];
      this.#partBytes = 0;
    }
    if (this.position > this.#start) {
      open = connection.write(this.buffer.subarray(this.#start, this.position));
      this.#start = this.position;
      if (this.buffer.length - this.position < 128 || this.buffer.length > 16_384) {
        if (this.buffer.length === largest) {
          if (handed === undefined) handed = [];
          handed.push(this.buffer);
        }
        this.buffer = emptyBytes;
        this.position = 0;
        this.#start = 0;
      }
    }
    if (!open && handed !== undefined) this.#handed = handed;
    if (total > this.#hint) {
      while (this.#hint < total && this.#hint < largest) this.#hint *= 2;
    } else if (total < this.#hint >>> 2 && this.#hint > smallest) {
      this.#hint >>>= 1;
    }
    return open;
  }

  /** The host was full when it was last written to, and holds nothing any more. */
  drained(): void {
    const handed = this.#handed;
    if (handed.length === 0) return;
    this.#handed = [];
    for (let i = 0; i < handed.length && spare.length < spareMax; i++) spare.push(handed[i]!);
  }

  /** Forgets everything, when the connection is gone. */
  discard(): void {
    this.buffer = emptyBytes;
    this.position = 0;
    this.#start = 0;
    this.#parts = [];
    this.#partBytes = 0;
    this.#segments = [];
    this.#handed = [];
  }

  #extend(bytes: number): void {
    const pending = this.position - this.#start;
    if (pending > 0 && pending + bytes > largest) {
      this.#parts.push(this.buffer.subarray(this.#start, this.position));
      this.#partBytes += pending;
      if (this.buffer.length === largest) this.#segments.push(this.buffer);
      this.buffer = segment(Math.max(largest, bytes));
      this.position = 0;
      this.#start = 0;
      return;
    }
    let size = Math.max(this.#hint, smallest);
    while (size < (pending + bytes) * (pending > 0 ? 1.5 : 1)) size *= 2;
    const buffer = segment(size);
    if (pending > 0) buffer.set(this.buffer.subarray(this.#start, this.position));
    this.buffer = buffer;
    this.position = pending;
    this.#start = 0;
  }
}

function segment(bytes: number): Bytes {
  return (bytes === largest ? spare.pop() : undefined) ?? allocateBytes(bytes);
}
