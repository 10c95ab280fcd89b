// What a user of the client side sees: options of a channel and of a call, and streams.

import type { Bytes, NetAddress, TlsClientOptions } from "@etcd-ts/base";
import type { RpcHost } from "./server-options.ts";
import type { GzipCodec } from "./server-types.ts";
import type { Metadata, RpcError } from "./status.ts";

export interface ChannelOptions {
  readonly host: RpcHost;
  readonly address: NetAddress;
  /** TLS when present; `alpn` is always h2. */
  readonly tls?: Omit<TlsClientOptions, "alpn">;
  /** The `:authority` of calls. Default: `host:port`, or `localhost` for a unix socket. */
  readonly authority?: string;
  readonly userAgent?: string;
  /** One received message. Default 4 MiB; etcd's clients use 2147483647. */
  readonly receiveBytesMax?: number;
  /** One sent message. Default 2147483647; etcd's clients use 2 MiB. */
  readonly sendBytesMax?: number;
  readonly keepalive?: ClientKeepalive;
  /** Time to get a connection ready, handshakes included. Default 20 s. */
  readonly connectTimeoutMs?: number;
  /** Waiting time after failed connects: grpc's 1 s, times 1.6 each, at most 120 s, plus or minus 20 %. */
  readonly backoff?: {
    readonly baseMs?: number;
    readonly factor?: number;
    readonly maxMs?: number;
    readonly jitter?: number;
  };
  /** Credit of a stream for response bytes. Default 4 MiB. */
  readonly streamWindowBytes?: number;
  /** Credit of a connection. Default 16 MiB. */
  readonly connectionWindowBytes?: number;
  readonly gzip?: GzipCodec;
}

export interface ClientKeepalive {
  /** A connection that was silent this long is pinged. At least 10 s, as in grpc-go. */
  readonly timeMs: number;
  /** And given up when no answer comes for this long. Default 20 s. */
  readonly timeoutMs?: number;
  /** Also while no call runs. Default false. */
  readonly permitWithoutStream?: boolean;
}

/**
 * idle: no connection, none wanted · connecting · ready · failed: the last attempt failed, the next
 * comes after the backoff · closed: for good
 */
export type ChannelState = "idle" | "connecting" | "ready" | "failed" | "closed";

export interface CallOptions {
  /** From now. Sent as `grpc-timeout` and enforced on this side too (DEADLINE_EXCEEDED). */
  readonly timeoutMs?: number;
  readonly metadata?: Metadata;
  /** Fails the call with CANCELLED `context canceled`. */
  readonly signal?: CancelSignal;
  /** Wait through failed connection attempts instead of failing with UNAVAILABLE. Default false. */
  readonly waitForReady?: boolean;
  /** Compress the messages of this call. Needs the channel's codec. */
  readonly compress?: boolean;
}

/** The part of an `AbortSignal` that is used. */
export interface CancelSignal {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/**
 * The callbacks of a call without promises. They come from the event loop or from `cancel`, never from
 * within the method that started the call. `onEnd` comes exactly once, last.
 */
export interface ClientStreamHandler {
  /** Initial metadata. */
  onHeaders?(metadata: Metadata): void;
  onMessage(message: Bytes): void;
  /** `send` returned false before; there is room again. */
  onDrain?(): void;
  /** `error` undefined: the call ended with OK. */
  onEnd(error: RpcError | undefined, trailers: Metadata): void;
}

export interface ClientStream {
  /** Queues a message; false over the high-water mark (64 KiB): wait for `onDrain`. */
  send(message: Bytes): boolean;
  /** No more messages from this side. */
  closeSend(): void;
  /** Ends the call with CANCELLED, unless it has ended. */
  cancel(message?: string): void;
  /** No `onMessage` until `resume`; the server is held back by flow control. */
  pause(): void;
  resume(): void;
  readonly ended: boolean;
  readonly queuedBytes: number;
}

/** The callbacks of a unary call without a promise, for load generators and proxies. */
export interface UnaryHandler {
  /** `message` is present exactly when `error` is not. */
  onResult(error: RpcError | undefined, message: Bytes | undefined, tag: unknown): void;
}
