// A header block that comes in several frames (RFC 9113 §6.2, §6.10).

import { allocateBytes, type Bytes, emptyBytes } from "@etcd-ts/base";

export class HeaderBlock {
  /** Stream that it belongs to; 0: there is none in progress. */
  stream = 0;
  /** Of its HEADERS frame. */
  flags = 0;
  /** When it began. */
  sinceMs = 0;
  bytes: Bytes = emptyBytes;
  length = 0;
  /** CONTINUATION frames with little in them. */
  smallFrames = 0;

  begin(stream: number, flags: number, nowMs: number): void {
    this.stream = stream;
    this.flags = flags;
    this.sinceMs = nowMs;
    this.bytes = emptyBytes;
    this.length = 0;
    this.smallFrames = 0;
  }

  append(bytes: Bytes, start: number, end: number): void {
    const total = this.length + end - start;
    if (total > this.bytes.length) {
      const larger = allocateBytes(Math.max(total, this.bytes.length * 2, 1024));
      larger.set(this.bytes.subarray(0, this.length));
      this.bytes = larger;
    }
    this.bytes.set(bytes.subarray(start, end), this.length);
    this.length = total;
  }

  /** Complete: gives the bytes away. `length` and `flags` stay. */
  take(): Bytes {
    const { bytes } = this;
    this.stream = 0;
    this.bytes = emptyBytes;
    return bytes;
  }
}
