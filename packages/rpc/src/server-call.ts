// Hot: one gRPC call on the server. It is the HTTP/2 stream itself: one object per call, of one shape,
// without a closure or a promise. A unary call whose request came in one frame and whose answer goes out
// in one does: construct, `deliver`, `respond` (three frames composed in one go), remove.

import { type Bytes, bytesToBase64, copyBytes, InvariantError, type TlsInfo } from "@etcd-ts/base";
import type { CallWork } from "./answer-room.ts";
import type { DeadlineEntry } from "./deadline-wheel.ts";
import {
  ErrorCode,
  Flag,
  FrameType,
  frameHeaderBytes,
  readUint32,
  writeFrameHeader,
} from "./frames.ts";
import { GrpcStream } from "./grpc-stream.ts";
import { FieldKind } from "./header-field.ts";
import type { MethodEntry } from "./method-table.ts";
import type { RequestHead } from "./request-head.ts";
import type { ServerConnection } from "./server-connection.ts";
import type { FinalStatus, GzipCodec, Lane, ServerCall, StreamHandler } from "./server-types.ts";
import { type Metadata, Status } from "./status.ts";

const noMetadata: Metadata = [];

/** What grpc-go says of a call that streams its answer and has no or several requests. */
const violation = "cardinality violation: received";
const noRequest = `${violation} no request message from non-client-streaming RPC`;
const manyRequests = `${violation} multiple request messages for non-client-streaming RPC`;

export class GrpcServerCall extends GrpcStream implements ServerCall, DeadlineEntry {
  readonly server: ServerConnection;
  readonly head: RequestHead;
  readonly entry: MethodEntry;
  readonly startedMs: number;
  deadlineMs: number | undefined = undefined;
  wheelNext: DeadlineEntry | undefined = undefined;
  wheelPrevious: DeadlineEntry | undefined = undefined;
  wheelSlot = -1;
  cancelled = false;
  ended = false;
  tag: unknown = undefined;
  onCancel: ((call: ServerCall) => void) | undefined = undefined;
  #handler: StreamHandler | undefined = undefined;
  #headersSent = false;
  #messageSeen = false;
  /** The answer may use the templates. */
  #plain: boolean;
  #dataBytes = 0;
  #isLong = false;
  #mayWait = false;
  /** Sent when the queue is empty. */
  #final: FinalStatus | undefined = undefined;

  constructor(
    server: ServerConnection,
    id: number,
    head: RequestHead,
    entry: MethodEntry,
    streamWindowBytes: number,
  ) {
    super(server, id, server.peerStreamWindow, streamWindowBytes);
    this.server = server;
    this.head = head;
    this.entry = entry;
    this.startedMs = server.nowMs;
    this.#plain = head.answerType === "application/grpc";
    this.isAnswer = entry.method.kind === "unary";
  }

  get path(): string {
    return this.head.path;
  }

  get remoteAddress(): string {
    return this.server.io.remoteAddress;
  }

  get localAddress(): string {
    return this.server.io.localAddress;
  }

  get tls(): TlsInfo | undefined {
    return this.server.io.tls;
  }

  metadata(name: string): string | undefined {
    const { fields } = this.head;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!;
      if (field.name === name) return field.value;
    }
    return undefined;
  }

  metadataList(): Metadata {
    return metadataOf(this.head);
  }

  protected override get gzip(): GzipCodec | undefined {
    return this.server.gzip;
  }

  protected override get receiveBytesMax(): number {
    return this.server.options.receiveBytesMax;
  }

  // --- request -------------------------------------------------------------------------------------

  /** The headers have come. */
  start(): void {
    const { server, head, entry } = this;
    entry.stats.started++;
    server.observer?.callStarted?.(entry.stats, this);
    if (head.timeoutMs >= 0) {
      this.deadlineMs = this.startedMs + head.timeoutMs;
      if (head.timeoutMs < 1 && this.#hasExpired(head.timeoutMs)) {
        this.onDeadline();
        return;
      }
      server.wheel.add(this);
    }
    if (head.encoding !== "") {
      this.receiveEncoding = head.encoding;
      this.compressing = head.encoding === "gzip";
      if (this.compressing) this.#plain = false;
    }
    const { method } = entry;
    if (method.kind === "stream") {
      try {
        this.#handler = method.open(this);
      } catch (error) {
        this.#handlerFailed(error);
      }
    }
  }

  /** A time shorter than a look at the clock takes is over at arrival, and so may be one below 1 ms. */
  #hasExpired(timeoutMs: number): boolean {
    return timeoutMs < 0.001 || this.server.currentMs() - this.startedMs >= timeoutMs;
  }

  override receiveData(bytes: Bytes, start: number, end: number, endStream: boolean): void {
    if (this.head.contentLength >= 0 && !this.#lengthHolds(end - start, endStream)) return;
    super.receiveData(bytes, start, end, endStream);
  }

  /** A `content-length` must be true (RFC 9113 §8.1.1). Hardly any gRPC client sends one. */
  #lengthHolds(length: number, endStream: boolean): boolean {
    this.#dataBytes += length;
    const expected = this.head.contentLength;
    if (this.#dataBytes === expected || (this.#dataBytes < expected && !endStream)) return true;
    this.server.resetStream(this, ErrorCode.protocolError, "content-length");
    return false;
  }

  protected override deliver(message: Bytes): void {
    this.entry.stats.messagesReceived++;
    const { method } = this.entry;
    try {
      if (method.kind === "unary") {
        // Further messages of a unary call are ignored, as grpc-go does.
        if (this.#messageSeen) return;
        this.#messageSeen = true;
        method.handle(this, message);
      } else if (method.type === "server_stream" && this.#messageSeen) {
        this.refuse(Status.internal, manyRequests);
      } else {
        this.#messageSeen = true;
        this.#handler!.onMessage(message);
      }
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  protected override receiveEnd(): void {
    const { method } = this.entry;
    if (method.kind === "stream" && method.type === "server_stream" && !this.#messageSeen) {
      this.refuse(Status.internal, noRequest);
    } else if (this.#handler !== undefined) {
      try {
        this.#handler.onHalfClose();
      } catch (error) {
        this.#handlerFailed(error);
      }
    } else if (!this.#messageSeen && !this.ended) {
      this.fail(Status.unknown, "EOF");
    }
  }

  protected override truncated(insidePrefix: boolean): void {
    if (this.#handler !== undefined) this.refuse(Status.internal, "unexpected EOF");
    else if (this.#messageSeen) return;
    else this.fail(Status.unknown, insidePrefix ? "EOF" : "unexpected EOF");
  }

  protected override refuse(code: number, message: string): void {
    // The handler of a stream has seen a call that is now over for reasons of its client.
    this.#endByTransport(code, message);
  }

  // --- room for the answer -------------------------------------------------------------------------

  admit(lane: Lane, work: CallWork): boolean {
    if (this.ended) return true;
    const { room } = this.server;
    if (!room.admits(lane)) {
      this.#mayWait = true;
      room.wait(lane, this, work);
      return false;
    }
    if (lane === "long") this.#enterLong();
    work.begin();
    return true;
  }

  /** There is room for what waited. */
  begin(lane: Lane, work: CallWork): void {
    if (lane === "long") this.#enterLong();
    try {
      work.begin();
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  #enterLong(): void {
    if (this.#isLong) return;
    this.#isLong = true;
    this.server.room.longCalls++;
  }

  #leaveRoom(): void {
    const { room } = this.server;
    if (this.#mayWait) room.forget(this);
    if (this.#isLong) room.longCalls--;
    this.server.roomChanged();
  }

  // --- answer --------------------------------------------------------------------------------------

  respond(message: Bytes): void {
    if (this.ended) return;
    const { server } = this;
    const length = message.length + 5;
    if (
      !this.#plain ||
      this.#headersSent ||
      !server.responses.primed ||
      message.length > server.options.sendBytesMax ||
      !server.maySend(this, length)
    ) {
      if (this.#trySend(message)) this.#finish(okStatus);
      return;
    }
    // 11 bytes of headers, the message, 10 bytes of trailers.
    const { out, counters } = server;
    const at = out.reserve(11 + frameHeaderBytes + length + 10);
    const { buffer } = out;
    let position = writeFrameHeader(buffer, at, 2, FrameType.headers, Flag.endHeaders, this.id);
    buffer[position] = 0x88;
    buffer[position + 1] = 0xbf;
    position = this.writeMessage(buffer, position + 2, message, 0);
    position = writeFrameHeader(
      buffer,
      position,
      1,
      FrameType.headers,
      Flag.endHeaders | Flag.endStream,
      this.id,
    );
    buffer[position] = 0xbe;
    out.position = position + 1;
    this.#headersSent = true;
    this.entry.stats.messagesSent++;
    counters.messagesSent++;
    counters.messageBytesSent += message.length;
    server.forgivePings(message.length);
    server.scheduleFlush();
    this.#bookEnd(Status.ok);
    this.#closeLocal();
  }

  sendHeaders(metadata?: Metadata): void {
    if (this.ended || this.#headersSent) return;
    this.#headersSent = true;
    const extra = this.compressing
      ? [["grpc-encoding", "gzip"] as const, ...(metadata ?? noMetadata)]
      : metadata;
    const block = this.server.responses.headers(this.head.answerType, extra);
    this.server.writeHeaders(this.id, block, block.length, false);
    this.server.forgivePings();
  }

  send(message: Bytes): boolean {
    if (this.ended) return true;
    if (!this.#trySend(message)) return true;
    return this.#hasRoom();
  }

  sendPrefixed(messages: Bytes, count: number): boolean {
    if (this.ended) return true;
    if (this.compressing || messages.length > this.server.options.sendBytesMax) {
      return this.#sendEach(messages);
    }
    if (!this.#headersSent) this.sendHeaders();
    this.entry.stats.messagesSent += count;
    this.sendPrefixedMessages(messages, count);
    this.server.forgivePings(messages.length);
    return this.#hasRoom();
  }

  #sendEach(messages: Bytes): boolean {
    for (let at = 0; at < messages.length && !this.ended; ) {
      const start = at + 5;
      at = start + readUint32(messages, start - 4);
      // What waits for flow control is kept, and these bytes are the caller's.
      this.#trySend(copyBytes(messages.subarray(start, at)));
    }
    return this.ended || this.#hasRoom();
  }

  #hasRoom(): boolean {
    const { queue } = this;
    if (queue === undefined || queue.bytes <= this.server.options.highWaterBytes) return true;
    this.wantsDrain = true;
    return false;
  }

  #trySend(message: Bytes): boolean {
    const max = this.server.options.sendBytesMax;
    if (message.length > max) {
      this.#finish({
        code: Status.resourceExhausted,
        message: `grpc: trying to send message larger than max (${message.length} vs. ${max})`,
      });
      return false;
    }
    if (!this.#headersSent) this.sendHeaders();
    this.entry.stats.messagesSent++;
    this.sendMessage(message);
    this.server.forgivePings(message.length);
    return true;
  }

  finish(status: FinalStatus = okStatus): void {
    if (!this.ended) this.#finish(status);
  }

  fail(code: number, message: string): void {
    if (!this.ended) this.#finish({ code, message });
  }

  #finish(status: FinalStatus): void {
    this.#bookEnd(status.code);
    if (this.queue !== undefined && this.queue.bytes > 0) this.#final = status;
    else this.#writeFinal(status);
  }

  #writeFinal(status: FinalStatus): void {
    const { responses } = this.server;
    let extra = status.trailers ?? noMetadata;
    if (status.details !== undefined) {
      const details = bytesToBase64(status.details).replace(/=+$/, "");
      extra = [["grpc-status-details-bin", details], ...extra];
    }
    const { code, message } = status;
    const block = !this.#headersSent
      ? responses.trailersOnly(200, this.head.answerType, status, extra)
      : code === Status.ok && message === "" && extra.length === 0
        ? responses.okTrailers()
        : responses.trailers(code, message, extra);
    this.#headersSent = true;
    this.server.writeHeaders(this.id, block, block.length, true);
    this.server.forgivePings();
    this.#closeLocal();
  }

  override onQueueEmpty(): void {
    if (this.#final !== undefined && !this.localClosed) this.#writeFinal(this.#final);
  }

  override onDrained(): void {
    if (this.ended || this.#handler === undefined) return;
    try {
      this.#handler.onDrain();
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  /** END_STREAM is written. If the client has not ended its side yet, it may until the flush. */
  #closeLocal(): void {
    this.localClosed = true;
    this.discarding = true;
    if (this.remoteClosed) this.server.removeStream(this);
    else this.server.linger(this);
  }

  // --- ends ----------------------------------------------------------------------------------------

  onDeadline(): void {
    if (this.ended) return;
    this.server.counters.deadlinesExceeded++;
    this.#endByTransport(Status.deadlineExceeded, "context deadline exceeded");
  }

  /** Ends the call with an error that its handler did not give; what is queued is dropped. */
  #endByTransport(code: number, message: string): void {
    if (this.ended) return;
    this.cancelled = true;
    this.#bookEnd(code);
    this.dropQueue();
    this.#writeFinal({ code, message });
    this.#tellCancelled();
  }

  /** The server stops. */
  stop(): void {
    this.#endByTransport(Status.unavailable, "transport is closing");
  }

  override onGone(): void {
    this.discarding = true;
    if (this.ended) return;
    this.cancelled = true;
    this.#bookEnd(Status.cancelled);
    this.#tellCancelled();
  }

  #tellCancelled(): void {
    const handler = this.#handler;
    const { onCancel } = this;
    this.onCancel = undefined;
    try {
      if (handler !== undefined) handler.onCancel();
      if (onCancel !== undefined) onCancel(this);
    } catch (error) {
      this.#reportFailure(error);
    }
  }

  /** Books the end; nothing more is asked of the handler. */
  #bookEnd(code: number): void {
    this.ended = true;
    this.discarding = true;
    const { server, entry } = this;
    if (this.wheelSlot >= 0) server.wheel.remove(this);
    if (this.#isLong || this.#mayWait) this.#leaveRoom();
    const { handled } = entry.stats;
    handled[code >= 0 && code < handled.length ? code : Status.unknown]!++;
    server.observer?.callEnded?.(entry.stats, this, code);
  }

  #handlerFailed(error: unknown): void {
    this.#reportFailure(error);
    if (!this.ended) this.#finish({ code: Status.internal, message: "internal error" });
  }

  #reportFailure(error: unknown): void {
    // A broken invariant is nobody's to catch.
    if (error instanceof InvariantError) throw error;
    this.server.onHandlerError(error, this.path);
  }
}

const okStatus: FinalStatus = { code: Status.ok, message: "" };

/** What belongs to the application: no pseudo-headers, nothing of gRPC's own. */
export function metadataOf(head: RequestHead): Metadata {
  const list: (readonly [string, string])[] = [];
  for (const field of head.fields) {
    if (field.kind === FieldKind.ordinary || field.kind === FieldKind.userAgent) {
      list.push([field.name, field.value]);
    }
  }
  return list;
}
