// Hot: one HTTP/2 connection (RFC 9113), the part that servers and clients share: frames in, frames out,
// settings, flow control, errors. What differs (who may open streams, what a header block means, who
// pings whom) is in the two subclasses.
//
// Input. Frames are parsed where they lie in the socket's chunk; only a frame that is split between
// chunks is copied together. A frame is dispatched when it is complete, at most 16 KiB and 9 bytes are
// ever held back.
//
// Output is the business of `ConnectionOutput`.
//
// Credit. The connection's window is given back as soon as bytes have come; the stream's window only
// while its application wants more. A stream that nobody reads therefore stops itself and no other.
// What may pile up is bounded per connection: incoming by `bufferedBytesMax`, outgoing by
// `queuedBytesMax`, where the answers of calls that run already are the only excess.

import {
  assert,
  type Bytes,
  type Connection,
  type ConnectionHandler,
  IdTable,
  sliceToKey,
} from "@etcd-ts/base";
import { ConnectionOutput } from "./connection-output.ts";
import type { TransportCounters } from "./counters.ts";
import { putReset, putSettingsAck, putWindowUpdate } from "./frame-writer.ts";
import {
  defaultFrameBytes,
  defaultWindow,
  ErrorCode,
  errorCodeNames,
  Flag,
  FrameType,
  frameHeaderBytes,
  readUint31,
  readUint32,
  Setting,
  windowMax,
} from "./frames.ts";
import { HeaderBlock } from "./header-block.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import type { Http2Stream } from "./http2-stream.ts";
import { RateBucket } from "./rate-bucket.ts";
import { ResetMemory } from "./reset-memory.ts";
import type { RpcHost } from "./server-options.ts";
import { frameLength, SplitFrame } from "./split-frame.ts";

export interface ConnectionLimits {
  readonly headerListBytesMax: number;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly bufferedBytesMax: number;
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  readonly idleFrameBurst: number;
  readonly idleFramesPerSecond: number;
}

/** CONTINUATION frames of one block that carry little. */
const smallContinuationsMax = 64;
/** Time for the other side to read why it is left. */
export const errorLingerMs: number = 1000;
/** The same after a peaceful end, when answers may still be under way. */
export const peaceLingerMs: number = 5000;

export abstract class Http2Connection extends ConnectionOutput implements ConnectionHandler {
  readonly limits: ConnectionLimits;
  readonly streams: IdTable<Http2Stream> = new IdTable();
  readonly decoder: HpackDecoder = new HpackDecoder();
  /** Time of the chunk that is being read, or was read last. */
  nowMs: number;
  /** Its SETTINGS. */
  peerStreamWindow: number = defaultWindow;
  peerStreamsMax = 0xffffffff;
  settingsReceived = false;
  /** Incomplete and undelivered messages of all streams. */
  bufferedBytes = 0;
  /** No input is taken any more: the connection failed, ended or is closed. */
  inputClosed = false;
  /** Highest stream that the other side opened. */
  lastPeerStream = 0;
  /** The header block that is coming in several frames, if any. */
  readonly block: HeaderBlock = new HeaderBlock();
  protected readonly host: RpcHost;

  #receiveWindow: number = defaultWindow;
  /** While SETTINGS are read: what the last INITIAL_WINDOW_SIZE said. */
  #newStreamWindow: number = defaultWindow;
  #uncredited = 0;
  readonly #split = new SplitFrame();
  readonly #resets: RateBucket;
  readonly #idleFrames: RateBucket;
  readonly #resetMemory = new ResetMemory();
  #lingering: { cancel(): void } | undefined;

  constructor(
    io: Connection,
    host: RpcHost,
    limits: ConnectionLimits,
    counters: TransportCounters,
  ) {
    super(io, counters);
    this.host = host;
    this.limits = limits;
    this.nowMs = host.clock.monotonicMs();
    this.#resets = new RateBucket(limits.resetBurst, limits.resetsPerSecond, this.nowMs);
    this.#idleFrames = new RateBucket(
      limits.idleFrameBurst,
      limits.idleFramesPerSecond,
      this.nowMs,
    );
  }

  // --- what the subclasses say ---------------------------------------------------------------------

  /** Has this stream never been opened? Frames on it are then a connection error. */
  protected abstract isIdle(id: number): boolean;
  /** A complete header block. The subclass must decode it, whatever else it thinks of it. */
  protected abstract onHeaderBlock(
    id: number,
    endStream: boolean,
    bytes: Bytes,
    start: number,
    end: number,
  ): void;
  protected abstract onPing(): void;
  protected abstract onPingAck(high: number, low: number): void;
  protected abstract onGoaway(lastStream: number, code: number, debug: string): void;
  protected abstract onPushSetting(value: number): void;
  protected abstract onTableSetting(value: number): void;
  protected abstract onSettingsDone(): void;
  /** A stream left the table. */
  protected abstract onStreamRemoved(): void;
  /** Gone for good. All streams have been told. */
  protected abstract onClosed(error: Error | undefined): void;

  // --- input ---------------------------------------------------------------------------------------

  onData(chunk: Bytes): void {
    this.nowMs = this.host.clock.monotonicMs();
    this.counters.bytesReceived += chunk.length;
    if (!this.inputClosed) this.readFrames(chunk, 0);
  }

  protected readFrames(chunk: Bytes, from: number): void {
    let position = from;
    const end = chunk.length;
    const split = this.#split;
    while (split.count > 0 && position < end) {
      position = split.fill(chunk, position);
      if (split.count < split.bytes.length) continue;
      const frame = split.take();
      const length = frameLength(frame, 0);
      if (length > defaultFrameBytes) {
        this.fail(ErrorCode.frameSizeError, "frame too large");
        return;
      }
      this.#frame(frame, frameHeaderBytes, length, frame[3]!, frame[4]!, 5);
      if (this.inputClosed) return;
    }
    while (end - position >= frameHeaderBytes) {
      const length = frameLength(chunk, position);
      if (length > defaultFrameBytes) {
        this.fail(ErrorCode.frameSizeError, "frame too large");
        return;
      }
      const payload = position + frameHeaderBytes;
      if (end - payload < length) break;
      this.#frame(chunk, payload, length, chunk[position + 3]!, chunk[position + 4]!, position + 5);
      if (this.inputClosed) return;
      position = payload + length;
    }
    if (position < end) split.begin(chunk, position);
  }

  #frame(
    bytes: Bytes,
    payload: number,
    length: number,
    type: number,
    flags: number,
    idPosition: number,
  ): void {
    const id = readUint31(bytes, idPosition);
    if (this.block.stream !== 0 && (type !== FrameType.continuation || id !== this.block.stream)) {
      this.fail(ErrorCode.protocolError, "header block interrupted");
      return;
    }
    if (!this.settingsReceived && type !== FrameType.settings) {
      this.fail(ErrorCode.protocolError, "first frame is not SETTINGS");
      return;
    }
    switch (type) {
      case FrameType.data:
        this.#data(bytes, payload, length, flags, id);
        return;
      case FrameType.headers:
        this.#headers(bytes, payload, length, flags, id);
        return;
      case FrameType.windowUpdate:
        this.#windowUpdate(bytes, payload, length, id);
        return;
      case FrameType.rstStream:
        this.#rstStream(bytes, payload, length, id);
        return;
      case FrameType.ping:
        this.#ping(bytes, payload, length, flags, id);
        return;
      case FrameType.settings:
        this.#settings(bytes, payload, length, flags, id);
        return;
      case FrameType.continuation:
        this.#continuation(bytes, payload, length, flags, id);
        return;
      case FrameType.goaway:
        if (id !== 0) this.fail(ErrorCode.protocolError, "GOAWAY on a stream");
        else if (length < 8) this.fail(ErrorCode.frameSizeError, "GOAWAY too short");
        else {
          this.counters.goawaysReceived++;
          this.onGoaway(
            readUint31(bytes, payload),
            readUint32(bytes, payload + 4),
            sliceToKey(bytes, payload + 8, payload + Math.min(length, 1024)),
          );
        }
        return;
      case FrameType.priority:
        // Ignored (RFC 9113 §5.3.2), but for its form.
        if (id === 0) this.fail(ErrorCode.protocolError, "PRIORITY on stream 0");
        else if (length !== 5) this.resetUnknown(id, ErrorCode.frameSizeError);
        else this.idleFrame();
        return;
      case FrameType.pushPromise:
        this.fail(ErrorCode.protocolError, "PUSH_PROMISE");
        return;
      default:
        // Unknown types are ignored (§4.1, §5.5).
        this.idleFrame();
    }
  }

  #data(bytes: Bytes, payload: number, length: number, flags: number, id: number): void {
    let start = payload;
    let end = payload + length;
    if ((flags & Flag.padded) !== 0) {
      if (length === 0) {
        this.fail(ErrorCode.frameSizeError, "no pad length");
        return;
      }
      end -= bytes[start]!;
      start++;
      if (end < start) {
        this.fail(ErrorCode.protocolError, "padding too long");
        return;
      }
    }
    if (id === 0) {
      this.fail(ErrorCode.protocolError, "DATA on stream 0");
      return;
    }
    // The whole payload counts, padding included (§6.9.1), on whatever stream it came.
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) {
      this.fail(ErrorCode.flowControlError, "connection window exceeded");
      return;
    }
    this.#uncredited += length;
    if (this.#uncredited >= this.limits.connectionWindowBytes >>> 1) this.#creditConnection();

    const endStream = (flags & Flag.endStream) !== 0;
    const stream = this.streams.get(id);
    if (stream === undefined) {
      this.#strayFrame(id, "DATA");
      return;
    }
    if (stream.remoteClosed) {
      this.resetStream(stream, ErrorCode.streamClosed, "DATA after END_STREAM");
      return;
    }
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) {
      this.resetStream(stream, ErrorCode.flowControlError, "stream window exceeded");
      return;
    }
    if (endStream) stream.remoteClosed = true;
    else if (start === end) this.idleFrame();
    stream.receiveData(bytes, start, end, endStream);
    if (stream.remoteClosed || stream.removed) {
      if (stream.localClosed && !stream.removed) this.removeStream(stream);
      return;
    }
    stream.uncredited += length;
    if (!stream.paused) this.creditStream(stream);
  }

  #headers(bytes: Bytes, payload: number, length: number, flags: number, id: number): void {
    let start = payload;
    let end = payload + length;
    if (id === 0) {
      this.fail(ErrorCode.protocolError, "HEADERS on stream 0");
      return;
    }
    if ((flags & (Flag.padded | Flag.priority)) !== 0) {
      const fixed = ((flags & Flag.padded) !== 0 ? 1 : 0) + ((flags & Flag.priority) !== 0 ? 5 : 0);
      if (length < fixed) {
        this.fail(ErrorCode.frameSizeError, "HEADERS too short");
        return;
      }
      if ((flags & Flag.padded) !== 0) end -= bytes[start]!;
      start += fixed;
      if (end < start) {
        this.fail(ErrorCode.protocolError, "padding too long");
        return;
      }
    }
    if ((flags & Flag.endHeaders) !== 0) {
      this.onHeaderBlock(id, (flags & Flag.endStream) !== 0, bytes, start, end);
      return;
    }
    this.block.begin(id, flags, this.nowMs);
    this.#appendBlock(bytes, start, end);
  }

  #continuation(bytes: Bytes, payload: number, length: number, flags: number, id: number): void {
    const { block } = this;
    if (block.stream === 0) {
      this.fail(ErrorCode.protocolError, "CONTINUATION without HEADERS");
      return;
    }
    if (length < 1024 && ++block.smallFrames > smallContinuationsMax) {
      this.fail(ErrorCode.enhanceYourCalm, "too many CONTINUATION frames");
      return;
    }
    if (!this.#appendBlock(bytes, payload, payload + length)) return;
    if ((flags & Flag.endHeaders) === 0) return;
    const endStream = (block.flags & Flag.endStream) !== 0;
    this.onHeaderBlock(id, endStream, block.take(), 0, block.length);
  }

  #appendBlock(bytes: Bytes, start: number, end: number): boolean {
    // Huffman code and indexes only make lists larger than their blocks, except for literals that are
    // spelled wastefully; nobody does that by more than the slack.
    if (this.block.length + end - start > this.limits.headerListBytesMax + 65_536) {
      this.fail(ErrorCode.enhanceYourCalm, "header block too large");
      return false;
    }
    this.block.append(bytes, start, end);
    return true;
  }

  #windowUpdate(bytes: Bytes, payload: number, length: number, id: number): void {
    if (length !== 4) {
      this.fail(ErrorCode.frameSizeError, "WINDOW_UPDATE");
      return;
    }
    const increment = readUint31(bytes, payload);
    if (id === 0) {
      if (increment === 0) {
        this.fail(ErrorCode.protocolError, "WINDOW_UPDATE of 0");
        return;
      }
      this.sendWindow += increment;
      if (this.sendWindow > windowMax) {
        this.fail(ErrorCode.flowControlError, "connection window too large");
        return;
      }
      this.sendMore();
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (id <= this.goawayLast && this.isIdle(id)) {
        this.fail(ErrorCode.protocolError, "WINDOW_UPDATE on an idle stream");
      }
      return;
    }
    if (increment === 0) {
      this.resetStream(stream, ErrorCode.protocolError, "WINDOW_UPDATE of 0");
      return;
    }
    stream.sendWindow += increment;
    if (stream.sendWindow > windowMax) {
      this.resetStream(stream, ErrorCode.flowControlError, "stream window too large");
      return;
    }
    if (stream.queue !== undefined && stream.queue.bytes > 0) this.listStream(stream);
  }

  #rstStream(bytes: Bytes, payload: number, length: number, id: number): void {
    if (id === 0) {
      this.fail(ErrorCode.protocolError, "RST_STREAM on stream 0");
      return;
    }
    if (length !== 4) {
      this.fail(ErrorCode.frameSizeError, "RST_STREAM");
      return;
    }
    this.counters.resetsReceived++;
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (id <= this.goawayLast && this.isIdle(id)) {
        this.fail(ErrorCode.protocolError, "RST_STREAM on an idle stream");
      } else {
        this.idleFrame();
      }
      return;
    }
    if (!this.#resets.take(this.nowMs)) {
      this.fail(ErrorCode.enhanceYourCalm, "too many resets");
      return;
    }
    const code = readUint32(bytes, payload);
    stream.remoteClosed = true;
    stream.localClosed = true;
    this.removeStream(stream);
    stream.onGone(code, resetText(code), true);
  }

  #ping(bytes: Bytes, payload: number, length: number, flags: number, id: number): void {
    if (id !== 0) {
      this.fail(ErrorCode.protocolError, "PING on a stream");
      return;
    }
    if (length !== 8) {
      this.fail(ErrorCode.frameSizeError, "PING");
      return;
    }
    if ((flags & Flag.ack) !== 0) {
      this.idleFrame();
      if (this.inputClosed) return;
      this.onPingAck(readUint32(bytes, payload), readUint32(bytes, payload + 4));
      return;
    }
    this.counters.pingsReceived++;
    this.idleFrame();
    if (this.inputClosed) return;
    this.writePing(readUint32(bytes, payload), readUint32(bytes, payload + 4), Flag.ack);
    this.onPing();
  }

  #settings(bytes: Bytes, payload: number, length: number, flags: number, id: number): void {
    if (id !== 0) {
      this.fail(ErrorCode.protocolError, "SETTINGS on a stream");
      return;
    }
    if ((flags & Flag.ack) !== 0) {
      if (length !== 0) this.fail(ErrorCode.frameSizeError, "SETTINGS acknowledgement");
      else if (!this.settingsReceived) {
        this.fail(ErrorCode.protocolError, "first frame is not SETTINGS");
      } else this.idleFrame();
      return;
    }
    if (length % 6 !== 0) {
      this.fail(ErrorCode.frameSizeError, "SETTINGS");
      return;
    }
    if (this.settingsReceived) this.idleFrame();
    this.#newStreamWindow = this.peerStreamWindow;
    for (let i = payload; i < payload + length && !this.inputClosed; i += 6) {
      this.#setting((bytes[i]! << 8) | bytes[i + 1]!, readUint32(bytes, i + 2));
    }
    if (this.inputClosed) return;
    this.#changeWindows(this.#newStreamWindow - this.peerStreamWindow);
    if (this.inputClosed) return;
    putSettingsAck(this.out);
    this.scheduleFlush();
    this.settingsReceived = true;
    this.onSettingsDone();
  }

  #setting(name: number, value: number): void {
    switch (name) {
      case Setting.headerTableSize:
        this.onTableSetting(value);
        return;
      case Setting.enablePush:
        if (value > 1) this.fail(ErrorCode.protocolError, "ENABLE_PUSH");
        else this.onPushSetting(value);
        return;
      case Setting.maxConcurrentStreams:
        this.peerStreamsMax = value;
        return;
      case Setting.initialWindowSize: {
        if (value > windowMax) {
          this.fail(ErrorCode.flowControlError, "INITIAL_WINDOW_SIZE");
          return;
        }
        this.#newStreamWindow = value;
        return;
      }
      case Setting.maxFrameSize:
        if (value < defaultFrameBytes || value > 0xffffff) {
          this.fail(ErrorCode.protocolError, "MAX_FRAME_SIZE");
          return;
        }
        // Larger frames would only make others wait longer.
        this.peerFrameBytesMax = Math.min(value, defaultFrameBytes);
        return;
      default: // MAX_HEADER_LIST_SIZE is advice; unknown ones are ignored (§6.5.2).
    }
  }

  /**
   * A new INITIAL_WINDOW_SIZE moves the windows of all streams (§6.9.2): once for a frame, whatever it says in
   * between, and counted like so many frames without content, because it costs as much.
   */
  #changeWindows(change: number): void {
    if (change === 0) return;
    this.peerStreamWindow += change;
    for (let cost = this.streams.size >>> 8; cost > 0 && !this.inputClosed; cost--)
      this.idleFrame();
    if (this.inputClosed) return;
    for (const stream of this.streams.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > windowMax) {
        this.fail(ErrorCode.flowControlError, "INITIAL_WINDOW_SIZE");
        return;
      }
      if (stream.queue !== undefined && stream.queue.bytes > 0) this.listStream(stream);
    }
  }

  /** A frame on a stream that is not open (§5.1, idle and closed). */
  #strayFrame(id: number, what: string): void {
    if (id > this.goawayLast) return; // it will learn that this was not processed
    if (this.isIdle(id)) {
      this.fail(ErrorCode.protocolError, `${what} on an idle stream`);
      return;
    }
    const known = this.#resetMemory.knows(id);
    if (known === "not-reset") {
      this.fail(ErrorCode.streamClosed, `${what} on a closed stream`);
      return;
    }
    if (known === "unknown") this.resetUnknown(id, ErrorCode.streamClosed);
  }

  /** HEADERS on a stream that is not open and cannot be opened. The block is decoded already. */
  protected strayHeaders(id: number): void {
    this.#strayFrame(id, "HEADERS");
  }

  /** A frame that does no work: allowed, but not in masses. */
  protected idleFrame(): void {
    if (!this.#idleFrames.take(this.nowMs)) {
      this.fail(ErrorCode.enhanceYourCalm, "too many frames without content");
    }
  }

  // --- credit --------------------------------------------------------------------------------------

  /** Gives a stream's credit back when half of it is used. */
  override creditStream(stream: Http2Stream): void {
    if (stream.uncredited < this.limits.streamWindowBytes >>> 1) return;
    this.#writeWindowUpdate(stream.id, stream.uncredited);
    stream.receiveWindow += stream.uncredited;
    stream.uncredited = 0;
  }

  /** The rest of the credit that the connection has beyond the protocol's initial 65,535. */
  protected openConnectionWindow(): void {
    this.#uncredited += this.limits.connectionWindowBytes - defaultWindow;
    if (this.#uncredited > 0) this.#creditConnection();
  }

  #creditConnection(): void {
    this.#writeWindowUpdate(0, this.#uncredited);
    this.#receiveWindow += this.#uncredited;
    this.#uncredited = 0;
  }

  #writeWindowUpdate(id: number, increment: number): void {
    putWindowUpdate(this.out, id, increment);
    this.scheduleFlush();
  }

  /** Counts bytes that a stream holds back; false (and the stream is reset) when that is too much. */
  buffer(stream: Http2Stream, bytes: number): boolean {
    if (stream.removed) return true;
    stream.bufferedBytes += bytes;
    this.bufferedBytes += bytes;
    if (bytes <= 0 || this.bufferedBytes <= this.limits.bufferedBytesMax) return true;
    this.resetStream(stream, ErrorCode.enhanceYourCalm, "too many bytes buffered");
    return false;
  }

  // --- ends ----------------------------------------------------------------------------------------

  /** Takes a stream out of the table. Idempotent. */
  removeStream(stream: Http2Stream): void {
    if (stream.removed) return;
    stream.removed = true;
    this.bufferedBytes -= stream.bufferedBytes;
    stream.bufferedBytes = 0;
    stream.dropQueue();
    this.streams.delete(stream.id);
    this.counters.streamsOpen--;
    this.onStreamRemoved();
  }

  /** A stream error (§5.4.2), which counts as provoked by the other side. */
  resetStream(stream: Http2Stream, code: number, reason: string): void {
    if (stream.removed) return;
    this.cancelStream(stream, code);
    stream.onGone(code, reason, false);
    if (!this.#resets.take(this.nowMs)) this.fail(ErrorCode.enhanceYourCalm, "too many resets");
  }

  /** RST_STREAM on our own account; the stream itself is not told. */
  cancelStream(stream: Http2Stream, code: number): void {
    if (stream.removed) return;
    this.#writeReset(stream.id, code);
    stream.localClosed = true;
    this.removeStream(stream);
  }

  /** RST_STREAM for a stream that is not in the table. */
  resetUnknown(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) {
      this.resetStream(stream, code, "");
      return;
    }
    this.#writeReset(id, code);
    if (!this.#resets.take(this.nowMs)) this.fail(ErrorCode.enhanceYourCalm, "too many resets");
  }

  #writeReset(id: number, code: number): void {
    putReset(this.out, id, code);
    this.counters.resetsSent++;
    this.#resetMemory.add(id);
    this.scheduleFlush();
  }

  /** A connection error (§5.4.1): GOAWAY, then the end. */
  fail(code: ErrorCode, debug: string): void {
    if (this.inputClosed) return;
    this.counters.connectionErrors++;
    this.writeGoaway(this.lastPeerStream, code, debug);
    this.finish(new Error(`HTTP/2 ${errorCodeNames[code]}: ${debug}`), errorLingerMs);
  }

  /**
   * Takes no more input, ends all streams, writes what is there and closes. The other side has `lingerMs`
   * to read it and to end its direction; then the connection is cut.
   */
  finish(error: Error | undefined, lingerMs: number): void {
    if (this.inputClosed) return;
    this.inputClosed = true;
    this.#endStreams(error?.message ?? "connection closed");
    this.#writeLast();
    this.#lingering = this.host.timers.after(lingerMs, () => this.io.destroy());
  }

  /** Whatever the host thinks of it: nothing comes after. */
  #writeLast(): void {
    this.counters.bytesSent += this.out.pendingBytes;
    this.out.flush(this.io);
    this.io.end();
  }

  /** Takes no more input and ends all streams; the transport is being destroyed. */
  protected abandonStreams(reason: string): void {
    this.inputClosed = true;
    this.#endStreams(reason);
  }

  /** The other side ended its direction: nothing more can be asked, nor answered for long. */
  onEnd(): void {
    if (this.inputClosed) return;
    this.inputClosed = true;
    this.#endStreams("EOF");
    this.#writeLast();
    this.#lingering = this.host.timers.after(errorLingerMs, () => this.io.destroy());
  }

  onClose(error: Error | undefined): void {
    assert(!this.closed, "a connection closes once");
    this.closed = true;
    this.inputClosed = true;
    this.#lingering?.cancel();
    this.#endStreams(error?.message ?? "EOF");
    this.discardOutput();
    this.#split.clear();
    this.block.take();
    this.onClosed(error);
  }

  #endStreams(reason: string): void {
    for (const stream of this.streams.values()) {
      stream.localClosed = true;
      stream.remoteClosed = true;
      this.removeStream(stream);
      stream.onGone(ErrorCode.cancel, reason, true);
    }
  }
}

/** The text that grpc-go gives to a reset. */
export function resetText(code: number): string {
  return `stream terminated by RST_STREAM with error code: ${errorCodeNames[code] ?? `unknown error code 0x${code.toString(16)}`}`;
}
