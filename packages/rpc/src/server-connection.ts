// One connection of a server: tells HTTP/2 from HTTP/1 by the first bytes, opens calls, watches over
// pings, and ends gracefully.
//
//     detecting ── 24 bytes of preface ──► serving ──► draining (GOAWAY sent) ──► closed
//         └── anything else ──► handed over to onHttp1
//
// A call whose answer is complete before its request is (a client that has not ended its direction yet)
// stays in the table until the flush at the end of the turn; if the end of the request has not come by
// then, RST_STREAM(NO_ERROR) tells the client to stop (RFC 9113 §8.1).

import { type Bytes, type Connection, concatBytes } from "@etcd-ts/base";
import { AnswerRoom, type CallWork } from "./answer-room.ts";
import type { TransportCounters } from "./counters.ts";
import type { DeadlineWheel } from "./deadline-wheel.ts";
import { clientPreface, ErrorCode, Setting } from "./frames.ts";
import { noDecompressor } from "./grpc-stream.ts";
import { HeadCache } from "./head-cache.ts";
import { FieldKind, type HeaderField } from "./header-field.ts";
import { Http2Exchange } from "./http-exchange.ts";
import { errorLingerMs, Http2Connection, peaceLingerMs } from "./http2-connection.ts";
import type { Http2Stream } from "./http2-stream.ts";
import { MethodEntry, type MethodIndex } from "./method-table.ts";
import { RefusedStream } from "./refused-stream.ts";
import { type Refusal, RequestHead } from "./request-head.ts";
import { ResponseEncoder } from "./response-templates.ts";
import { GrpcServerCall } from "./server-call.ts";
import {
  defaultHeaderListBytes,
  type ResolvedServerOptions,
  type RpcHost,
  type RpcServerObserver,
  type RpcServerOptions,
} from "./server-options.ts";
import type { GzipCodec, Lane, ServerCall } from "./server-types.ts";
import { Status } from "./status.ts";

/** What the connections of a server share. */
export interface ServerShared {
  readonly host: RpcHost;
  readonly options: ResolvedServerOptions;
  readonly given: RpcServerOptions;
  readonly methods: MethodIndex;
  readonly wheel: DeadlineWheel;
  readonly counters: TransportCounters;
  requestFlush(connection: ServerConnection): void;
  connectionClosed(connection: ServerConnection, error: Error | undefined): void;
  onHandlerError(error: unknown, path: string): void;
}

/** Pings that came too early, before the connection is closed. */
const pingStrikesMax = 2;
const forgivingFrameBytes = 16_384;
const pingsForgivenMax = 65_536;
/** Least time between pings while no stream is open. */
const idlePingMs = 7_200_000;
/** Header lists above this count as buffered while their stream lives. */
const smallListBytes = 8192;
/** Payload of the ping whose answer shows that the first GOAWAY has arrived. */
const drainPing = 0x64726169;
/** Time for that answer; then it is taken for granted. */
const drainAnswerMs = 5000;
const keepalivePing = 0x6b656570;

export class ServerConnection extends Http2Connection {
  readonly options: ResolvedServerOptions;
  readonly wheel: DeadlineWheel;
  readonly observer: RpcServerObserver | undefined;
  readonly gzip: GzipCodec | undefined;
  readonly responses: ResponseEncoder = new ResponseEncoder();
  readonly room: AnswerRoom;
  readonly #streamWeightMax: number;
  readonly #shared: ServerShared;
  readonly #heads = new HeadCache<RequestHead>();
  readonly #openedMs: number;
  readonly #enforcesPings: boolean;
  #phase: "detecting" | "serving" | "handed-over" = "detecting";
  #firstBytes: Bytes | undefined;
  #lingering: Http2Stream[] = [];
  /** Open gRPC calls whose handler has not ended; what a graceful stop waits for. */
  #draining = false;
  #drainingMs = 0;
  #pingStrikes = 0;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  /** We sent headers or data since the last ping. */
  #pingsForgiven = 0;
  #keepaliveSentMs = 0;

  constructor(io: Connection, shared: ServerShared) {
    super(io, shared.host, shared.options, shared.counters);
    this.#shared = shared;
    this.options = shared.options;
    this.wheel = shared.wheel;
    this.observer = shared.given.observer;
    this.gzip = shared.given.gzip;
    const { answerRoomBytes, longCallsMax } = shared.options;
    this.room = new AnswerRoom(answerRoomBytes, longCallsMax);
    this.#streamWeightMax = answerRoomBytes >>> 2;
    this.#openedMs = this.nowMs;
    this.#enforcesPings = io.tls === undefined || shared.options.pingEnforceOnTls;
  }

  /** `nowMs` is the time of the chunk that is being read. */
  currentMs(): number {
    return this.host.clock.monotonicMs();
  }

  onHandlerError(error: unknown, path: string): void {
    this.#shared.onHandlerError(error, path);
  }

  // --- first bytes ---------------------------------------------------------------------------------

  override onData(chunk: Bytes): void {
    if (this.#phase === "serving") {
      super.onData(chunk);
    } else if (this.#phase === "detecting" && !this.inputClosed) {
      this.nowMs = this.host.clock.monotonicMs();
      this.#detect(chunk);
    }
  }

  #detect(chunk: Bytes): void {
    const bytes = this.#firstBytes === undefined ? chunk : concatBytes([this.#firstBytes, chunk]);
    const length = Math.min(bytes.length, clientPreface.length);
    for (let i = 0; i < length; i++) {
      if (bytes[i] !== clientPreface.charCodeAt(i)) {
        this.#handOver(bytes);
        return;
      }
    }
    if (length < clientPreface.length) {
      this.#firstBytes = bytes;
      return;
    }
    this.#phase = "serving";
    this.#firstBytes = undefined;
    this.counters.bytesReceived += bytes.length;
    this.#greet();
    this.readFrames(bytes, clientPreface.length);
  }

  #handOver(bytes: Bytes): void {
    const { onHttp1 } = this.#shared.given;
    if (onHttp1 === undefined) {
      this.counters.connectionErrors++;
      this.inputClosed = true;
      this.io.destroy();
      return;
    }
    this.#phase = "handed-over";
    this.inputClosed = true;
    this.closed = true;
    this.#shared.connectionClosed(this, undefined);
    onHttp1(this.io, bytes);
  }

  #greet(): void {
    const { options } = this;
    const settings: [number, number][] = [];
    if (options.concurrentStreams < 0xffffffff) {
      settings.push([Setting.maxConcurrentStreams, options.concurrentStreams]);
    }
    settings.push([Setting.initialWindowSize, options.streamWindowBytes]);
    if (options.headerListBytesMax !== defaultHeaderListBytes) {
      settings.push([Setting.maxHeaderListSize, options.headerListBytesMax]);
    }
    this.writeSettings(settings);
    this.openConnectionWindow();
    // The server may be stopping already.
    if (this.#draining) this.#sayGoodbye();
  }

  override onClose(error: Error | undefined): void {
    // Who took the connection over without `detach` may still cause this.
    if (this.#phase !== "handed-over") super.onClose(error);
  }

  // --- requests ------------------------------------------------------------------------------------

  protected override isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.lastPeerStream;
  }

  protected override onHeaderBlock(
    id: number,
    endStream: boolean,
    bytes: Bytes,
    start: number,
    end: number,
  ): void {
    const { decoder } = this;
    const version = decoder.tableVersion;
    let head = this.#heads.find(bytes, start, end, version);
    if (head === undefined) {
      const fields: HeaderField[] = [];
      const outcome = decoder.decode(bytes, start, end, this.options.headerListBytesMax, fields);
      if (outcome === "invalid") {
        this.fail(ErrorCode.compressionError, "header block");
        return;
      }
      const stream = this.streams.get(id);
      if (stream !== undefined) {
        this.#trailers(stream, endStream, fields, outcome !== "ok");
        return;
      }
      if (id <= this.lastPeerStream) {
        this.strayHeaders(id);
        return;
      }
      if ((id & 1) === 0) {
        this.fail(ErrorCode.protocolError, "stream of a client is even");
        return;
      }
      if (outcome === "too-large") {
        this.lastPeerStream = id;
        this.resetUnknown(id, ErrorCode.frameSizeError);
        return;
      }
      head = new RequestHead(fields, decoder.listBytes);
      if (decoder.tableVersion === version) this.#heads.store(bytes, start, end, version, head);
    } else {
      const stream = this.streams.get(id);
      // Equal blocks are equal lists, and this one is no list of trailers.
      if (stream !== undefined) {
        this.#trailers(stream, endStream, head.fields, false);
        return;
      }
      if (id <= this.lastPeerStream) {
        this.strayHeaders(id);
        return;
      }
      if ((id & 1) === 0) {
        this.fail(ErrorCode.protocolError, "stream of a client is even");
        return;
      }
    }
    this.#open(id, endStream, head);
  }

  #open(id: number, endStream: boolean, head: RequestHead): void {
    if (id > this.goawayLast) return; // the client will see that it was not processed
    this.lastPeerStream = id;
    if (head.malformed) {
      this.resetUnknown(id, ErrorCode.protocolError);
      return;
    }
    const { options } = this;
    if (
      this.streams.size >= options.concurrentStreams ||
      this.room.queuedWeight > options.queuedBytesMax ||
      this.room.waitingCount >= options.waitingCallsMax ||
      this.bufferedBytes > options.bufferedBytesMax
    ) {
      this.resetUnknown(id, ErrorCode.refusedStream);
      return;
    }
    const { onHttp2 } = this.#shared.given;
    if (!head.isGrpc && onHttp2 !== undefined && this.io.tls !== undefined) {
      const exchange = new Http2Exchange(this, id, head, options.streamWindowBytes);
      this.#register(exchange, head, endStream);
      exchange.start(onHttp2);
      return;
    }
    const entry = head.refusal ?? this.#findMethod(head);
    if (!(entry instanceof MethodEntry)) {
      this.#refuse(id, endStream, head, entry);
      return;
    }
    if (head.encoding !== "" && (head.encoding !== "gzip" || this.gzip === undefined)) {
      const message = noDecompressor(head.encoding);
      this.#refuse(id, endStream, head, { httpStatus: 200, code: Status.unimplemented, message });
      return;
    }
    const call = new GrpcServerCall(this, id, head, entry, options.streamWindowBytes);
    this.#register(call, head, endStream);
    call.start();
    if (endStream && !call.removed) call.receiveData(bytesOfNothing, 0, 0, true);
  }

  #register(stream: Http2Stream, head: RequestHead, endStream: boolean): void {
    this.streams.set(stream.id, stream);
    this.counters.streamsOpened++;
    this.counters.streamsOpen++;
    stream.remoteClosed = endStream;
    if (head.listBytes > smallListBytes) {
      // Cannot fail: the sum was checked above, and one list is bounded.
      stream.bufferedBytes += head.listBytes;
      this.bufferedBytes += head.listBytes;
    }
  }

  #findMethod(head: RequestHead): MethodEntry | Refusal {
    const field = head.pathField!;
    // Found once per field object, which the dynamic table hands out again and again.
    if (field.memo === undefined) field.memo = this.#shared.methods.find(head.path);
    return field.memo as MethodEntry | Refusal;
  }

  #refuse(id: number, endStream: boolean, head: RequestHead, refusal: Refusal): void {
    const { httpStatus } = refusal;
    const type = httpStatus === 200 ? head.answerType : "application/grpc";
    const block = this.responses.trailersOnly(httpStatus, type, refusal, []);
    this.writeHeaders(id, block, block.length, true);
    this.forgivePings();
    if (endStream) return;
    const stream = new RefusedStream(this, id, 0, this.options.streamWindowBytes);
    this.streams.set(id, stream);
    this.counters.streamsOpened++;
    this.counters.streamsOpen++;
    stream.localClosed = true;
    this.linger(stream);
  }

  /** A second header block of a request ends it (RFC 9113 §8.1). */
  #trailers(
    stream: Http2Stream,
    endStream: boolean,
    fields: readonly HeaderField[],
    tooLarge: boolean,
  ): void {
    if (stream.remoteClosed) {
      this.resetStream(stream, ErrorCode.streamClosed, "HEADERS after END_STREAM");
      return;
    }
    const malformed =
      !endStream ||
      tooLarge ||
      fields.some(
        (field) =>
          field.kind <= FieldKind.unknownPseudo || field.kind >= FieldKind.connectionSpecific,
      );
    if (malformed) {
      this.resetStream(stream, ErrorCode.protocolError, "malformed trailers");
      return;
    }
    stream.remoteClosed = true;
    stream.receiveData(bytesOfNothing, 0, 0, true);
    if (stream.localClosed && !stream.removed) this.removeStream(stream);
  }

  // --- pings and time ------------------------------------------------------------------------------

  /**
   * Headers, or a message of that many bytes, are sent: as many pings as that makes frames are not held
   * against the client. gRPC's clients measure the path with a ping for every DATA frame that they get (one
   * at a time), and a long message leaves us in one go, before the first of these pings arrives.
   */
  forgivePings(messageBytes = 0): void {
    const frames = 1 + Math.ceil(messageBytes / forgivingFrameBytes);
    this.#pingsForgiven = Math.min(pingsForgivenMax, this.#pingsForgiven + frames);
  }

  protected override onPing(): void {
    if (!this.#enforcesPings) return;
    const sincePingMs = this.nowMs - this.#lastPingMs;
    this.#lastPingMs = this.nowMs;
    if (this.#pingsForgiven > 0) {
      this.#pingsForgiven -= 1;
      this.#pingStrikes = 0;
      return;
    }
    const { options } = this;
    const leastMs =
      this.streams.size === 0 && !options.pingPermitWithoutStream
        ? idlePingMs
        : options.pingMinTimeMs;
    if (sincePingMs < leastMs && ++this.#pingStrikes > pingStrikesMax) {
      this.fail(ErrorCode.enhanceYourCalm, "too_many_pings");
    }
  }

  protected override onPingAck(high: number): void {
    if (high === drainPing && this.#draining) this.#sayGoodbyeAgain();
  }

  /** Called about once a second, and more often when a timeout is short. */
  checkTime(nowMs: number): void {
    const { options } = this;
    if (this.inputClosed) return;
    if (!this.settingsReceived) {
      if (nowMs - this.#openedMs >= options.handshakeTimeoutMs) this.#cut("no preface in time");
      return;
    }
    if (this.block.stream !== 0 && nowMs - this.block.sinceMs >= options.handshakeTimeoutMs) {
      this.fail(ErrorCode.enhanceYourCalm, "header block not complete in time");
      return;
    }
    if (this.#draining && nowMs - this.#drainingMs >= drainAnswerMs) this.#sayGoodbyeAgain();
    if (this.inputClosed) return;
    if (this.#keepaliveSentMs !== 0) {
      if (this.nowMs > this.#keepaliveSentMs) this.#keepaliveSentMs = 0;
      else if (nowMs - this.#keepaliveSentMs >= options.keepaliveTimeoutMs) {
        this.#cut("keepalive ping not answered");
      }
    } else if (nowMs - this.nowMs >= options.keepaliveIntervalMs) {
      this.#keepaliveSentMs = nowMs;
      this.writePing(keepalivePing, 0, 0);
    }
  }

  #cut(reason: string): void {
    this.counters.connectionErrors++;
    this.host.log.debug("closing connection", { reason, "remote-addr": this.io.remoteAddress });
    this.io.destroy();
  }

  protected override onBlocked(): void {
    // Whoever does not read answers may not send requests, nor pings and settings to be acknowledged.
    this.io.pause();
  }

  protected override onUnblocked(): void {
    this.io.resume();
  }

  // --- settings ------------------------------------------------------------------------------------

  protected override onPushSetting(): void {}

  protected override onTableSetting(value: number): void {
    this.responses.setTableBytesMax(value);
  }

  protected override onSettingsDone(): void {}

  protected override onGoaway(): void {
    // The client opens no more streams; it closes when its calls have ended.
  }

  // --- ends ----------------------------------------------------------------------------------------

  /** END_STREAM is sent, but has not come. */
  linger(stream: Http2Stream): void {
    this.#lingering.push(stream);
    this.scheduleFlush();
  }

  /** See `AnswerRoom`: a stream counts with at most a quarter of the room. */
  override weigh(stream: Http2Stream): void {
    const weight = Math.min(stream.queue!.bytes, this.#streamWeightMax);
    const change = weight - stream.weight;
    if (change === 0) return;
    stream.weight = weight;
    this.room.queuedWeight += change;
    if (stream.isAnswer) this.room.answerWeight += change;
  }

  /** There may be room for calls that wait. */
  roomChanged(): void {
    if (this.room.waitingCount > 0) this.scheduleFlush();
  }

  protected override afterFlush(): void {
    if (this.room.canAdmit) this.scheduleFlush();
  }

  protected override beforeFlush(): void {
    if (this.room.waitingCount > 0) this.room.admit(beginWork);
    if (this.#lingering.length === 0) return;
    const lingering = this.#lingering;
    this.#lingering = [];
    for (let i = 0; i < lingering.length; i++) {
      const stream = lingering[i]!;
      if (!stream.removed) this.cancelStream(stream, ErrorCode.noError);
    }
  }

  /** No new calls; closes when the running ones have ended. */
  drain(): void {
    if (this.#draining || this.inputClosed) return;
    this.#draining = true;
    this.#drainingMs = this.host.clock.monotonicMs();
    if (this.#phase === "serving") this.#sayGoodbye();
    // Whoever has not even said what it speaks has nothing to lose.
    else this.io.destroy();
  }

  /**
   * The first GOAWAY names no stream, since requests may be under way; a second one does when the answer
   * to a ping shows that the client has seen the first.
   */
  #sayGoodbye(): void {
    this.writeGoaway(0x7fffffff, ErrorCode.noError, "graceful_stop");
    this.writePing(drainPing, 0, 0);
  }

  #sayGoodbyeAgain(): void {
    if (this.goawayLast < 0x7fffffff) return;
    this.writeGoaway(this.lastPeerStream, ErrorCode.noError, "graceful_stop");
    this.#closeWhenDone();
  }

  #closeWhenDone(): void {
    if (this.#draining && this.goawayLast < 0x7fffffff && this.streams.size === 0) {
      this.finish(undefined, peaceLingerMs);
    }
  }

  protected override onStreamRemoved(): void {
    this.roomChanged();
    if (this.#draining) this.#closeWhenDone();
  }

  /** The time of grace is over. */
  stop(): void {
    if (!this.inputClosed) {
      for (const stream of this.streams.values()) {
        if (stream instanceof GrpcServerCall) stream.stop();
      }
    }
    if (this.inputClosed) {
      // It is ending already; whoever reads so slowly loses the rest.
      this.io.destroy();
      return;
    }
    if (this.goawayLast === 0x7fffffff && this.#phase === "serving") {
      this.writeGoaway(this.lastPeerStream, ErrorCode.noError, "graceful_stop");
    }
    this.beforeFlush();
    this.finish(undefined, errorLingerMs);
  }

  protected override requestFlush(): void {
    this.#shared.requestFlush(this);
  }

  protected override onClosed(error: Error | undefined): void {
    this.#lingering = [];
    this.#shared.connectionClosed(this, error);
  }
}

/** Only calls of this transport wait for room. */
function beginWork(call: ServerCall, lane: Lane, work: CallWork): void {
  (call as GrpcServerCall).begin(lane, work);
}

const bytesOfNothing = new Uint8Array(0);
