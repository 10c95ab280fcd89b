// What all streams have in common, whatever they carry: state (RFC 9113 §5.1), credit both ways (§5.2),
// and a queue of what flow control does not let go yet. The states are two booleans:
//
//     open: neither · half-closed (local): localClosed · half-closed (remote): remoteClosed · closed: both
//
// Fields are public because stream and connection work hand in hand; the class is not exported from the
// package.

import type { Bytes } from "@etcd-ts/base";
import { defaultWindow, Flag, FrameType, frameHeaderBytes, writeFrameHeader } from "./frames.ts";
import type { Http2Connection } from "./http2-connection.ts";
import type { SendQueue } from "./send-queue.ts";

export abstract class Http2Stream {
  readonly connection: Http2Connection;
  id: number;
  /** We sent END_STREAM or RST_STREAM. */
  localClosed = false;
  /** END_STREAM or RST_STREAM came. */
  remoteClosed = false;
  /** Out of the connection's table: nothing is sent or received any more. */
  removed = false;
  /** Credit that the other side gave us. May be negative after a change of its settings (§6.9.2). */
  sendWindow: number;
  /** Credit that the other side has left; never less than what it may assume before our SETTINGS come. */
  receiveWindow: number;
  /** Received, consumed, and not yet given back as credit. */
  uncredited = 0;
  /** Credit is withheld while the application does not want more. */
  paused = false;
  /** What waits to be sent; undefined until something had to wait. */
  queue: SendQueue | undefined = undefined;
  /** In the connection's list of streams that may have something to send. */
  listed = false;
  /** The last piece of the queue ends the stream. */
  endsWithQueue = false;
  /** The application was told to wait. */
  wantsDrain = false;
  /** Bytes that count against the connection's `bufferedBytesMax`. */
  bufferedBytes = 0;
  /** What its queue counts among the answers that wait; see `AnswerRoom`. */
  weight = 0;
  /** It carries one answer: a client that waits for it reads it whatever else it does. */
  isAnswer = false;

  constructor(connection: Http2Connection, id: number, sendWindow: number, receiveWindow: number) {
    this.connection = connection;
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = Math.max(receiveWindow, defaultWindow);
  }

  /** DATA came. `remoteClosed` is set already when it was the last. */
  abstract receiveData(bytes: Bytes, start: number, end: number, endStream: boolean): void;
  /** The stream is gone: RST_STREAM came or was sent, or the connection broke. Called once, last. */
  abstract onGone(code: number, reason: string, byPeer: boolean): void;
  /** The queue became empty; the stream may end now, or has ended (`endsWithQueue`). */
  abstract onQueueEmpty(): void;
  /** There is room again after `wantsDrain`. */
  abstract onDrained(): void;
  /** `resume` was called in an earlier turn. */
  abstract onResumed(): void;

  /** Sends the next piece of the queue as one DATA frame; false when flow control or the queue says no. */
  sendPiece(): boolean {
    const { connection, queue } = this;
    if (queue === undefined || this.localClosed) return false;
    let length = queue.bytes;
    if (length > connection.peerFrameBytesMax) length = connection.peerFrameBytesMax;
    if (length > this.sendWindow) length = this.sendWindow;
    if (length > connection.sendWindow) length = connection.sendWindow;
    if (length <= 0) return false;
    const out = connection.out;
    const at = out.reserve(frameHeaderBytes + length);
    const last = this.endsWithQueue && length === queue.bytes;
    const flags = last ? Flag.endStream : 0;
    const payload = writeFrameHeader(out.buffer, at, length, FrameType.data, flags, this.id);
    queue.take(out.buffer, payload, length);
    out.position = payload + length;
    this.sendWindow -= length;
    connection.sendWindow -= length;
    connection.queuedBytes -= length;
    connection.weigh(this);
    if (last) this.localClosed = true;
    return true;
  }

  /** Drops what waits to be sent. */
  dropQueue(): void {
    if (this.queue !== undefined) {
      this.connection.queuedBytes -= this.queue.bytes;
      this.queue.clear();
      this.connection.weigh(this);
    }
  }
}
