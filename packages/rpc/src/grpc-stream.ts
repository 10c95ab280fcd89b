// Hot: a stream that carries gRPC messages, on either side: finds the messages in DATA frames, holds them
// back while the application is paused, and sends messages, at once or through the queue.
//
//     message = compressed flag (1 byte) | length (4, big endian) | bytes
//
// The common case, a frame that holds whole messages, makes views of the socket's chunk.

import { type Bytes, copyBytes } from "@etcd-ts/base";
import {
  ErrorCode,
  FrameType,
  frameHeaderBytes,
  readUint32,
  writeFrameHeader,
  writeUint32,
} from "./frames.ts";
import { quote } from "./grpc-timeout.ts";
import { Http2Stream } from "./http2-stream.ts";
import { PartialMessage } from "./partial-message.ts";
import { SendQueue } from "./send-queue.ts";
import type { GzipCodec } from "./server-types.ts";
import { Status } from "./status.ts";

const prefixBytes = 5;
/** Views of chunks are kept when they are a good part of it, copies else. */
const copyBelowBytes = 4096;

export abstract class GrpcStream extends Http2Stream {
  /** What comes is of no interest any more. */
  discarding = false;
  /** `grpc-encoding` of what comes; "" is identity. */
  receiveEncoding = "";
  /** Messages that we send are compressed. */
  compressing = false;
  #partial: PartialMessage | undefined = undefined;
  /** Pieces of DATA that came while paused. */
  #held: Bytes[] | undefined = undefined;
  #heldEnd = false;

  protected abstract readonly gzip: GzipCodec | undefined;
  protected abstract readonly receiveBytesMax: number;
  /** A message; views of the chunk. */
  protected abstract deliver(message: Bytes): void;
  /** The other side has sent its last message. */
  protected abstract receiveEnd(): void;
  /** The last message is incomplete. */
  protected abstract truncated(insidePrefix: boolean): void;
  /** What came cannot be accepted; the call must end with this. */
  protected abstract refuse(code: number, message: string): void;

  override receiveData(bytes: Bytes, start: number, end: number, endStream: boolean): void {
    if (this.discarding) return;
    if (this.paused || this.#held !== undefined) {
      this.#hold(bytes, start, end, endStream);
      return;
    }
    let position = start;
    while (position < end) {
      if (this.#partial !== undefined) {
        position = this.#continuePartial(this.#partial, bytes, position, end);
      } else {
        const body = position + prefixBytes;
        if (body > end) {
          this.#beginPartial(bytes, position, end, endStream);
          return;
        }
        const length = readUint32(bytes, position + 1);
        if (length > end - body) {
          this.#beginPartial(bytes, position, end, endStream);
          return;
        }
        if (length > this.receiveBytesMax) {
          this.#refuseLength(length);
          return;
        }
        position = body + length;
        this.#message(bytes[body - prefixBytes]!, bytes.subarray(body, position));
      }
      if (this.discarding) return;
      if (this.paused) {
        if (position < end || endStream) this.#hold(bytes, position, end, endStream);
        return;
      }
    }
    if (endStream) this.#end();
  }

  #beginPartial(bytes: Bytes, start: number, end: number, endStream: boolean): void {
    const partial = new PartialMessage();
    this.#partial = partial;
    this.#continuePartial(partial, bytes, start, end);
    if (endStream && !this.discarding) this.#end();
  }

  #continuePartial(partial: PartialMessage, bytes: Bytes, start: number, end: number): number {
    let position = partial.takePrefix(bytes, start, end);
    if (partial.length < 0) return position;
    if (partial.length > this.receiveBytesMax) {
      this.#refuseLength(partial.length);
      return end;
    }
    const before = partial.heldBytes;
    position = partial.takeBody(bytes, position, end);
    if (partial.heldBytes !== before) {
      if (!this.connection.buffer(this, partial.heldBytes - before)) return end;
    }
    if (partial.complete) {
      this.#partial = undefined;
      this.connection.buffer(this, -partial.heldBytes);
      this.#message(partial.flag, partial.message);
    }
    return position;
  }

  #end(): void {
    if (this.#partial !== undefined) {
      const insidePrefix = this.#partial.length < 0;
      this.#partial = undefined;
      this.truncated(insidePrefix);
    } else {
      this.receiveEnd();
    }
  }

  #message(flag: number, bytes: Bytes): void {
    const { counters } = this.connection;
    counters.messagesReceived++;
    counters.messageBytesReceived += bytes.length;
    if (flag === 0) this.deliver(bytes);
    else this.#compressed(flag, bytes);
  }

  #compressed(flag: number, bytes: Bytes): void {
    if (flag !== 1) {
      this.refuse(Status.internal, `grpc: received unexpected payload format ${flag}`);
      return;
    }
    if (this.receiveEncoding === "") {
      this.refuse(Status.internal, "grpc: compressed flag set with identity or empty encoding");
      return;
    }
    if (this.gzip === undefined || this.receiveEncoding !== "gzip") {
      this.refuse(Status.unimplemented, noDecompressor(this.receiveEncoding));
      return;
    }
    let message: Bytes | undefined;
    try {
      message = this.gzip.gunzip(bytes, this.receiveBytesMax);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.refuse(Status.internal, `grpc: failed to decompress the received message: ${text}`);
      return;
    }
    if (message === undefined) {
      this.refuse(
        Status.resourceExhausted,
        `grpc: received message after decompression larger than max ${this.receiveBytesMax}`,
      );
      return;
    }
    this.deliver(message);
  }

  #refuseLength(length: number): void {
    this.refuse(
      Status.resourceExhausted,
      `grpc: received message larger than max (${length} vs. ${this.receiveBytesMax})`,
    );
  }

  // --- pausing -------------------------------------------------------------------------------------

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    if (!this.removed) this.connection.scheduleResume(this);
  }

  #hold(bytes: Bytes, start: number, end: number, endStream: boolean): void {
    if (this.#held === undefined) this.#held = [];
    if (endStream) this.#heldEnd = true;
    if (start === end) return;
    const piece = bytes.subarray(start, end);
    this.#held.push(piece.length < copyBelowBytes ? copyBytes(piece) : piece);
    this.connection.buffer(this, piece.length);
  }

  override onResumed(): void {
    if (this.paused || this.#held === undefined) return;
    const held = this.#held;
    const end = this.#heldEnd;
    this.#held = undefined;
    this.#heldEnd = false;
    for (let i = 0; i < held.length; i++) {
      const piece = held[i]!;
      this.connection.buffer(this, -piece.length);
      // When the application pauses again, this holds the rest once more, in order.
      this.receiveData(piece, 0, piece.length, end && i === held.length - 1);
      if (this.discarding) return;
    }
    if (held.length === 0 && end) this.receiveData(emptyPiece, 0, 0, true);
    if (this.remoteClosed && this.localClosed && !this.removed) this.connection.removeStream(this);
  }

  // --- sending -------------------------------------------------------------------------------------

  /** Sends a message at once when nothing is in its way, else queues it. */
  protected sendMessage(message: Bytes): void {
    const { connection } = this;
    const body = this.compressing ? this.gzip!.gzip(message) : message;
    connection.counters.messagesSent++;
    connection.counters.messageBytesSent += body.length;
    const length = body.length + prefixBytes;
    if ((this.queue === undefined || this.queue.bytes === 0) && connection.maySend(this, length)) {
      const out = connection.out;
      const at = out.reserve(frameHeaderBytes + length);
      out.position = this.writeMessage(out.buffer, at, body, 0);
      connection.scheduleFlush();
      return;
    }
    if (this.queue === undefined) {
      this.queue = new SendQueue(this.compressing ? "grpc-compressed" : "grpc");
    }
    this.queue.push(body);
    connection.queuedBytes += length;
    connection.weigh(this);
    connection.listStream(this);
  }

  /**
   * Sends whole messages that stand in `bytes` one behind the other, each with its prefix (uncompressed); as many
   * as fit share a DATA frame. The bytes are copied.
   */
  protected sendPrefixedMessages(bytes: Bytes, count: number): void {
    const { connection } = this;
    const { counters, out } = connection;
    counters.messagesSent += count;
    counters.messageBytesSent += bytes.length - count * prefixBytes;
    let from = 0;
    if (this.queue === undefined || this.queue.bytes === 0) {
      while (from < bytes.length) {
        const length = this.#framePiece(bytes, from);
        if (length === 0 || !connection.maySend(this, length)) break;
        const at = out.reserve(frameHeaderBytes + length);
        const body = writeFrameHeader(out.buffer, at, length, FrameType.data, 0, this.id);
        out.buffer.set(bytes.subarray(from, from + length), body);
        out.position = body + length;
        this.sendWindow -= length;
        connection.sendWindow -= length;
        from += length;
      }
      connection.scheduleFlush();
      if (from === bytes.length) return;
    }
    if (this.queue === undefined) this.queue = new SendQueue("grpc");
    this.queue.pushPrefixed(bytes.subarray(from));
    connection.queuedBytes += bytes.length - from;
    connection.weigh(this);
    connection.listStream(this);
  }

  /** Length of so many whole messages as a frame holds; 0 when not even the first one fits. */
  #framePiece(bytes: Bytes, from: number): number {
    const max = this.connection.peerFrameBytesMax;
    if (bytes.length - from <= max) return bytes.length - from;
    let end = from;
    for (;;) {
      const next = end + prefixBytes + readUint32(bytes, end + 1);
      if (next - from > max) break;
      end = next;
    }
    return end - from;
  }

  /** A DATA frame with one message, whose credit was checked; returns the position behind it. */
  protected writeMessage(buffer: Bytes, at: number, body: Bytes, flags: number): number {
    const size = body.length;
    const length = size + prefixBytes;
    this.sendWindow -= length;
    this.connection.sendWindow -= length;
    const prefix = writeFrameHeader(buffer, at, length, FrameType.data, flags, this.id);
    buffer[prefix] = this.compressing ? 1 : 0;
    const position = writeUint32(buffer, prefix + 1, size);
    if (size > 64) {
      buffer.set(body, position);
    } else {
      for (let i = 0; i < size; i++) buffer[position + i] = body[i]!;
    }
    return position + size;
  }

  /** Part of a message has come. */
  get hasPartial(): boolean {
    return this.#partial !== undefined;
  }

  /** Something that came is held back. */
  get holding(): boolean {
    return this.paused || this.#held !== undefined;
  }

  get queuedBytes(): number {
    return this.queue === undefined ? 0 : this.queue.bytes;
  }
}

const emptyPiece = new Uint8Array(0);

export function noDecompressor(encoding: string): string {
  return `grpc: Decompressor is not installed for grpc-encoding ${quote(encoding)}`;
}

/** What a call ends with when its stream was reset, as gRPC maps HTTP/2's codes. */
export function statusOfReset(code: number): number {
  switch (code) {
    case ErrorCode.refusedStream:
      return Status.unavailable;
    case ErrorCode.cancel:
      return Status.cancelled;
    case ErrorCode.enhanceYourCalm:
      return Status.resourceExhausted;
    case ErrorCode.inadequateSecurity:
      return Status.permissionDenied;
    default:
      return Status.internal;
  }
}
