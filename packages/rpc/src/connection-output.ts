// Hot: the sending half of an HTTP/2 connection. Frames are composed into `out` and written by `flush`,
// once per turn: the owner calls it at the end of the turn after `requestFlush`. What flow control
// withholds stays in the queues of the streams; those that may send something stand in a row, and each
// gets one frame a round, so that a large answer does not block small ones.

import type { Bytes, Connection } from "@etcd-ts/base";
import type { TransportCounters } from "./counters.ts";
import {
  putEnd,
  putGoaway,
  putHeaders,
  putPing,
  putSettings,
  type SettingPairs,
} from "./frame-writer.ts";
import { defaultFrameBytes, defaultWindow } from "./frames.ts";
import type { Http2Stream } from "./http2-stream.ts";
import { Output } from "./output.ts";

/** Output of one flush before other connections get their turn. */
const flushBytesMax = 1 << 20;
/** Frames go straight to the output while less than this waits there. */
const outputBytesMax = 256 << 10;
/** A stream that was over its mark tells its application to go on below this. */
const drainBytes = 32 << 10;

export abstract class ConnectionOutput {
  readonly io: Connection;
  readonly out: Output = new Output();
  readonly counters: TransportCounters;
  /** Credit that the other side gave us for the whole connection. */
  sendWindow: number = defaultWindow;
  /** Its SETTINGS, as far as we make use of it. */
  peerFrameBytesMax: number = defaultFrameBytes;
  /** Waiting in the queues of all streams. */
  queuedBytes = 0;
  /** The host said that enough is waiting; nothing is written until it drains. */
  blocked = false;
  /** The connection is gone. */
  closed = false;
  flushScheduled = false;
  /** Streams above this are none of ours any more, because of the GOAWAY that we sent. */
  goawayLast = 0x7fffffff;
  /** Streams that may have something to send, in order. */
  #ready: Http2Stream[] = [];
  #resumed: Http2Stream[] = [];

  constructor(io: Connection, counters: TransportCounters) {
    this.io = io;
    this.counters = counters;
  }

  /** Asks the owner to call `flush` at the end of the turn. */
  protected abstract requestFlush(): void;
  /** Streams that ended here but not there are dealt with before a flush. */
  protected abstract beforeFlush(): void;
  protected abstract onBlocked(): void;
  protected abstract onUnblocked(): void;
  /** After everything else. */
  protected afterFlush(): void {}
  /** Gives a stream's credit back when it is due. */
  abstract creditStream(stream: Http2Stream): void;
  /** The queue of a stream has changed. */
  weigh(_stream: Http2Stream): void {}

  scheduleFlush(): void {
    if (this.flushScheduled || this.closed) return;
    this.flushScheduled = true;
    this.requestFlush();
  }

  /** Whether a DATA frame of this length may go out at once. */
  maySend(stream: Http2Stream, length: number): boolean {
    return (
      length <= this.sendWindow &&
      length <= stream.sendWindow &&
      length <= this.peerFrameBytesMax &&
      !this.blocked &&
      this.out.pendingBytes < outputBytesMax
    );
  }

  /** The stream has something to send, flow control permitting. */
  listStream(stream: Http2Stream): void {
    if (!stream.listed) {
      stream.listed = true;
      this.#ready.push(stream);
    }
    this.scheduleFlush();
  }

  /** `stream.onResumed` is called at the end of the turn. */
  scheduleResume(stream: Http2Stream): void {
    this.#resumed.push(stream);
    this.scheduleFlush();
  }

  /** HEADERS, and CONTINUATION where the block is longer than a frame. */
  writeHeaders(id: number, block: Bytes, length: number, endStream: boolean): void {
    putHeaders(this.out, this.peerFrameBytesMax, id, block, length, endStream);
    this.scheduleFlush();
  }

  /** An empty DATA frame that ends the stream. */
  writeEnd(id: number): void {
    putEnd(this.out, id);
    this.scheduleFlush();
  }

  writePing(high: number, low: number, flags: number): void {
    putPing(this.out, high, low, flags);
    this.scheduleFlush();
  }

  writeSettings(settings: SettingPairs): void {
    putSettings(this.out, settings);
    this.scheduleFlush();
  }

  writeGoaway(lastStream: number, code: number, debug: string): void {
    putGoaway(this.out, lastStream, code, debug);
    this.goawayLast = Math.min(this.goawayLast, lastStream);
    this.counters.goawaysSent++;
    this.scheduleFlush();
  }

  /** Writes what has gathered. Called by the owner after `requestFlush`. */
  flush(): void {
    this.flushScheduled = false;
    if (this.closed) return;
    if (this.#resumed.length > 0) this.#resumeStreams();
    this.beforeFlush();
    if (this.blocked) return;
    this.#writeOut();
    this.afterFlush();
  }

  #writeOut(): void {
    let written = 0;
    for (;;) {
      if (this.#ready.length > 0) this.#sendQueued();
      const pending = this.out.pendingBytes;
      if (pending === 0) return;
      written += pending;
      this.counters.bytesSent += pending;
      this.counters.writes++;
      if (!this.out.flush(this.io)) {
        this.blocked = true;
        this.onBlocked();
        return;
      }
      if (this.#ready.length === 0 || this.sendWindow <= 0) return;
      if (written >= flushBytesMax) {
        this.scheduleFlush();
        return;
      }
    }
  }

  onDrain(): void {
    if (this.closed) return;
    this.blocked = false;
    this.onUnblocked();
    this.flush();
  }

  #resumeStreams(): void {
    const resumed = this.#resumed;
    this.#resumed = [];
    for (let i = 0; i < resumed.length; i++) {
      const stream = resumed[i]!;
      stream.onResumed();
      if (!stream.paused && !stream.removed && !stream.remoteClosed) this.creditStream(stream);
    }
  }

  /** The connection's window has grown. */
  protected sendMore(): void {
    if (this.#ready.length > 0) this.scheduleFlush();
  }

  /** Nothing goes out any more. */
  protected discardOutput(): void {
    this.out.discard();
    this.#ready = [];
    this.#resumed = [];
  }

  /** A frame from each stream in turn, until credit, queues or the output's bound end it. */
  #sendQueued(): void {
    let ready = this.#ready;
    let drained: Http2Stream[] | undefined;
    let index = 0;
    const out = this.out;
    while (index < ready.length && out.pendingBytes < outputBytesMax && this.sendWindow > 0) {
      const stream = ready[index++]!;
      if (stream.removed || !stream.sendPiece()) {
        stream.listed = false;
      } else {
        if (stream.queue!.bytes === 0) {
          stream.listed = false;
          stream.onQueueEmpty();
        } else {
          ready.push(stream);
        }
        if (stream.wantsDrain && stream.queue!.bytes <= drainBytes) {
          stream.wantsDrain = false;
          if (drained === undefined) drained = [];
          drained.push(stream);
        }
      }
      if (index >= 1024) {
        // Kept in step: what ends here may let others begin.
        ready = ready.slice(index);
        this.#ready = ready;
        index = 0;
      }
    }
    this.#ready = index === ready.length ? [] : ready.slice(index);
    if (drained !== undefined) {
      for (const stream of drained) if (!stream.removed) stream.onDrained();
    }
  }
}
