// What a service sees of the transport.
//
// Ownership: a message handed to a handler belongs to it for ever, but it is usually a view of a whole
// socket chunk (up to 64 KiB): copy what is stored. A message given to `respond` or `send` is copied
// into the output, or kept until flow control lets it go; it must not change afterwards.
//
// Order: everything happens synchronously inside a turn of the event loop. Messages of a call come in
// the order of the wire. Calls of one connection start in the order in which their requests were
// complete, so a client that sends A before B sees A's handler run first. No callback comes from within
// a method of `ServerCall`. After the call ended (answered, failed, cancelled) nothing is called any
// more, and every method of the call is ignored.

import type { Bytes, TlsInfo } from "@etcd-ts/base";
import type { CallWork } from "./answer-room.ts";
import type { Metadata } from "./status.ts";

/** Methods by path, such as `/etcdserverpb.KV/Put`. Read once, when the server is made. */
export interface MethodTable {
  readonly [path: string]: Method;
}

export type Method = UnaryMethod | StreamMethod;

/** One request, one answer. */
export interface UnaryMethod {
  readonly kind: "unary";
  /**
   * Must answer now or later with `call.respond` or `call.fail`. Exceptions become INTERNAL and go to
   * `onHandlerError`.
   */
  handle(call: ServerCall, message: Bytes): void;
}

/** Everything else: client-, server- and bidirectional streaming. */
export interface StreamMethod {
  readonly kind: "stream";
  /** For the counters only: what the service definition says. */
  readonly type: "client_stream" | "server_stream" | "bidi_stream";
  /** Called when the headers have come, before any message. */
  open(call: ServerCall): StreamHandler;
}

export interface StreamHandler {
  onMessage(message: Bytes): void;
  /** The client has sent its last message. */
  onHalfClose(): void;
  /** The client went away, reset the stream, or the deadline passed: the call has ended. */
  onCancel(): void;
  /** `send` returned false before; there is room again. */
  onDrain(): void;
}

export interface ServerCall {
  /** `/package.Service/Method` */
  readonly path: string;
  /** `host:port`, or `@` for a unix socket. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly tls: TlsInfo | undefined;
  /** By `clock.monotonicMs()`, when the client gave a timeout. The transport enforces it. */
  readonly deadlineMs: number | undefined;
  /** By `clock.monotonicMs()`, when the request's first bytes came. */
  readonly startedMs: number;
  /** True as soon as the call has ended in any way but by its handler. */
  readonly cancelled: boolean;
  /** True as soon as the call has ended in any way. */
  readonly ended: boolean;
  /** The owner's slot, so that no closure is needed: undefined until the service sets it. */
  tag: unknown;
  /** Unary calls: called once when the client went away or the deadline passed, after `cancelled` is set. */
  onCancel: ((call: ServerCall) => void) | undefined;

  /**
   * Lets `work` begin, at once or when there is room for its answer: to be asked by whoever is about to make
   * an answer that may be large, before anything is done for it. False when it has to wait; it then
   * should not keep alive more than it needs. While it waits the call is cancelled as any other, and `work` forgotten.
   */
  admit(lane: Lane, work: CallWork): boolean;

  /** First value of a request header, as latin1 text (binary ones, `-bin`, as base64). */
  metadata(name: string): string | undefined;
  /** All request metadata, without pseudo-headers and without what belongs to gRPC itself. */
  metadataList(): Metadata;

  /** Unary: the answer and OK. Streams: one last message and OK. */
  respond(message: Bytes): void;
  /** Streams: sends initial metadata now instead of with the first message. Once, before any message. */
  sendHeaders(metadata?: Metadata): void;
  /**
   * Streams: queues a message. False when more than the high-water mark (64 KiB) now waits for the
   * client; the message is taken all the same, and `onDrain` tells when to go on.
   */
  send(message: Bytes): boolean;
  /**
   * Streams: queues `count` messages that stand one behind the other, each with its prefix (a zero byte, and the
   * length in four). Answers as `send` does. The bytes are copied and remain the caller's.
   */
  sendPrefixed(messages: Bytes, count: number): boolean;
  /** Streams: bytes of this call that wait for flow control. */
  readonly queuedBytes: number;
  /** Streams: ends the call, by default with OK, after all that was sent. */
  finish(status?: FinalStatus): void;
  /** Ends the call with an error. What was sent before still goes out first. */
  fail(code: number, message: string): void;
  /** Streams: no `onMessage` until `resume`; the client is held back by flow control. */
  pause(): void;
  /** May deliver messages that wait already, from a later turn. */
  resume(): void;
}

export interface FinalStatus {
  readonly code: number;
  readonly message: string;
  /** Serialized google.rpc.Status, sent as grpc-status-details-bin. */
  readonly details?: Bytes;
  readonly trailers?: Metadata;
}

/** A plain HTTP/2 request that is no gRPC call, for the JSON gateway and the health pages behind TLS. */
export interface HttpExchange {
  readonly method: string;
  /** Path with query. */
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: Metadata;
  readonly remoteAddress: string;
  readonly tls: TlsInfo | undefined;
  tag: unknown;
  readonly ended: boolean;
  /** Status and headers, once. `end` true: there is no body. */
  respondHead(status: number, headers: Metadata, end: boolean): void;
  /** A piece of the body; false over the high-water mark. */
  write(bytes: Bytes): boolean;
  end(): void;
  /** Breaks the exchange off with RST_STREAM. */
  abort(): void;
}

export interface HttpHandler {
  /** A piece of the request's body. */
  onBody(bytes: Bytes): void;
  onEnd(): void;
  /** The client went away. */
  onCancel(): void;
  onDrain(): void;
}

/**
 * What is about to be made: an answer from little reading, one from much (in slices, a few of which a
 * connection may have under way), or the next piece of a stream.
 */
export type Lane = "answer" | "long" | "stream";

/** Message compression, injected because a pure package has none of its own. Synchronous. */
export interface GzipCodec {
  gzip(bytes: Bytes): Bytes;
  /** Undefined when the result would be larger than `bytesMax`; throws on damaged input. */
  gunzip(bytes: Bytes, bytesMax: number): Bytes | undefined;
}
