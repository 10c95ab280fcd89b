// What a server is made of, with the defaults filled in once.

import type { Connection, Host, NetAddress, TlsServerOptions } from "@etcd-ts/base";
import type { MethodStats } from "./counters.ts";
import type {
  GzipCodec,
  HttpExchange,
  HttpHandler,
  MethodTable,
  ServerCall,
} from "./server-types.ts";

export interface RpcServerOptions {
  readonly host: RpcHost;
  readonly methods: MethodTable;
  readonly limits?: ServerLimits;
  readonly keepalive?: ServerKeepalive;
  /** Without it a compressed request is answered with UNIMPLEMENTED. */
  readonly gzip?: GzipCodec;
  /**
   * A connection whose first bytes are not HTTP/2's, or whose TLS client agreed on something else. The
   * receiver takes it over, usually with `connection.detach(firstBytes)`. Without it such connections
   * are cut.
   */
  onHttp1?(connection: Connection, firstBytes: Uint8Array): void;
  /**
   * HTTP/2 requests on TLS connections whose content type is not gRPC's (a browser or curl negotiates
   * HTTP/2 there). Without it, and always on plain connections, they get 415 as from grpc-go.
   */
  onHttp2?(exchange: HttpExchange): HttpHandler;
  /** A handler threw. The call is answered with INTERNAL; the default logs it as an error. */
  onHandlerError?(error: unknown, path: string): void;
  readonly observer?: RpcServerObserver;
}

/** The part of a `Host` that the transport needs. */
export type RpcHost = Pick<Host, "clock" | "timers" | "random" | "net" | "log">;

/** Called once per call of a known method; keep it cheap. */
export interface RpcServerObserver {
  callStarted?(stats: MethodStats, call: ServerCall): void;
  callEnded?(stats: MethodStats, call: ServerCall, code: number): void;
  connectionOpened?(connection: Connection): void;
  connectionClosed?(connection: Connection, error: Error | undefined): void;
}

export interface ServerLimits {
  /** One received message, after decompression. Default 4 MiB, as in grpc-go. */
  readonly receiveBytesMax?: number;
  /** One sent message. Default 2147483647. */
  readonly sendBytesMax?: number;
  /** Streams that one connection may have open. Default 4294967295, which is not advertised. */
  readonly concurrentStreams?: number;
  /**
   * Header list of one request as RFC 9113 counts it. Default 1 MiB: reading a list of 16 MiB, which
   * grpc-go takes, can mean half a million fields and would hold up everybody else for 100 ms.
   */
  readonly headerListBytesMax?: number;
  /** Credit of a stream for request bytes. Default 1 MiB; messages may be larger. */
  readonly streamWindowBytes?: number;
  /** Credit of a connection for request bytes. Default 16 MiB. */
  readonly connectionWindowBytes?: number;
  /** Incomplete or undelivered request bytes of one connection; beyond, streams fail. Default 64 MiB. */
  readonly bufferedBytesMax?: number;
  /**
   * Unary answers of one connection that wait for flow control, each counted with at most a quarter of this;
   * beyond, `ServerCall.admit` lets calls wait. Default 16 MiB.
   */
  readonly answerRoomBytes?: number;
  /** Calls of one connection that are admitted as "long" at a time. Default 8. */
  readonly longCallsMax?: number;
  /** Calls of one connection that wait to be admitted; beyond, new streams are refused. Default 10,000. */
  readonly waitingCallsMax?: number;
  /** All that waits for flow control, counted in the same way; beyond, new streams are refused. Default 64 MiB. */
  readonly queuedBytesMax?: number;
  /** `send` returns false when a stream has this much waiting. Default 64 KiB. */
  readonly highWaterBytes?: number;
  /** Time for the client's first bytes, and for a header block to become complete. Default 20 s. */
  readonly handshakeTimeoutMs?: number;
  /** Resets (by either side) that a connection may have at once, and per second after that. Defaults 5000, 500. */
  readonly resetBurst?: number;
  readonly resetsPerSecond?: number;
  /** Frames that do no work (SETTINGS, PING, PRIORITY, empty DATA). Defaults 5000, 500. */
  readonly idleFrameBurst?: number;
  readonly idleFramesPerSecond?: number;
}

/** Times in milliseconds; the defaults are etcd's. */
export interface ServerKeepalive {
  /** Clients may not ping more often than this. Default 5 s. */
  readonly minTimeMs?: number;
  /** Whether that also goes without an open stream (else once in two hours). Default false. */
  readonly permitWithoutStream?: boolean;
  /** Whether the two rules above hold on TLS connections; in etcd they do not. Default false. */
  readonly enforceOnTls?: boolean;
  /** A connection that was silent this long is pinged. Default 2 h. */
  readonly intervalMs?: number;
  /** And is cut when no answer comes for this long. Default 20 s. */
  readonly timeoutMs?: number;
}

export interface ServeOptions {
  readonly tls?: TlsServerOptions;
  /** Connections beyond this many wait in the system's queue or are cut. Default: no limit. */
  readonly connectionsMax?: number;
  onError?(error: Error, fatal: boolean, remoteAddress: string): void;
}

/** Where a server listens. */
export interface ServedAddress {
  readonly address: NetAddress;
  /** Stops accepting; connections that were accepted live on. */
  close(): Promise<void>;
}

export interface ResolvedServerOptions {
  readonly receiveBytesMax: number;
  readonly sendBytesMax: number;
  readonly concurrentStreams: number;
  readonly headerListBytesMax: number;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly bufferedBytesMax: number;
  readonly queuedBytesMax: number;
  readonly answerRoomBytes: number;
  readonly longCallsMax: number;
  readonly waitingCallsMax: number;
  readonly highWaterBytes: number;
  readonly handshakeTimeoutMs: number;
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  readonly idleFrameBurst: number;
  readonly idleFramesPerSecond: number;
  readonly pingMinTimeMs: number;
  readonly pingPermitWithoutStream: boolean;
  readonly pingEnforceOnTls: boolean;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
}

export const defaultHeaderListBytes: number = 1 << 20;

export function resolveServerOptions(options: RpcServerOptions): ResolvedServerOptions {
  const limits = options.limits ?? {};
  const keepalive = options.keepalive ?? {};
  return {
    receiveBytesMax: limits.receiveBytesMax ?? 4 << 20,
    sendBytesMax: limits.sendBytesMax ?? 0x7fffffff,
    concurrentStreams: limits.concurrentStreams ?? 0xffffffff,
    headerListBytesMax: limits.headerListBytesMax ?? defaultHeaderListBytes,
    streamWindowBytes: limits.streamWindowBytes ?? 1 << 20,
    connectionWindowBytes: limits.connectionWindowBytes ?? 16 << 20,
    bufferedBytesMax: limits.bufferedBytesMax ?? 64 << 20,
    queuedBytesMax: limits.queuedBytesMax ?? 64 << 20,
    answerRoomBytes: limits.answerRoomBytes ?? 16 << 20,
    longCallsMax: limits.longCallsMax ?? 8,
    waitingCallsMax: limits.waitingCallsMax ?? 10_000,
    highWaterBytes: limits.highWaterBytes ?? 64 << 10,
    handshakeTimeoutMs: limits.handshakeTimeoutMs ?? 20_000,
    resetBurst: limits.resetBurst ?? 5000,
    resetsPerSecond: limits.resetsPerSecond ?? 500,
    idleFrameBurst: limits.idleFrameBurst ?? 5000,
    idleFramesPerSecond: limits.idleFramesPerSecond ?? 500,
    pingMinTimeMs: keepalive.minTimeMs ?? 5_000,
    pingPermitWithoutStream: keepalive.permitWithoutStream ?? false,
    pingEnforceOnTls: keepalive.enforceOnTls ?? false,
    keepaliveIntervalMs: keepalive.intervalMs ?? 7_200_000,
    keepaliveTimeoutMs: keepalive.timeoutMs ?? 20_000,
  };
}
