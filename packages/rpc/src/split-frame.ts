// A frame that is split between chunks of the socket. Only such frames are copied: into a buffer of
// their own size, however small the pieces, so that putting one together costs each byte once or twice.

import { allocateBytes, type Bytes, emptyBytes } from "@etcd-ts/base";
import { defaultFrameBytes, frameHeaderBytes } from "./frames.ts";

export class SplitFrame {
  /** The frame, header included; complete when `count` is its length. */
  bytes: Bytes = emptyBytes;
  count = 0;

  /** Begins with what is left of a chunk, which is no whole frame. */
  begin(chunk: Bytes, from: number): void {
    const count = chunk.length - from;
    const total =
      count >= frameHeaderBytes ? frameHeaderBytes + frameLength(chunk, from) : frameHeaderBytes;
    this.bytes = allocateBytes(total);
    this.bytes.set(from === 0 ? chunk : chunk.subarray(from));
    this.count = count;
  }

  /**
   * Takes what belongs to the frame and returns the position behind it. Ends early where the header is
   * complete, so that the caller can look at the length.
   */
  fill(chunk: Bytes, from: number): number {
    const count = Math.min(this.bytes.length - this.count, chunk.length - from);
    this.bytes.set(chunk.subarray(from, from + count), this.count);
    this.count += count;
    if (this.count === frameHeaderBytes && this.bytes.length === frameHeaderBytes) {
      const length = frameLength(this.bytes, 0);
      if (length > 0 && length <= defaultFrameBytes) {
        const whole = allocateBytes(frameHeaderBytes + length);
        whole.set(this.bytes);
        this.bytes = whole;
      }
    }
    return from + count;
  }

  /** Gives the bytes away. */
  take(): Bytes {
    const { bytes } = this;
    this.clear();
    return bytes;
  }

  clear(): void {
    this.bytes = emptyBytes;
    this.count = 0;
  }
}

/** The length field of a frame header. */
export function frameLength(bytes: Bytes, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
}
