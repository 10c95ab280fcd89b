// How a client is made and how a call is made.

import type { Host, Log, TlsClientOptions } from "@etcd-ts/base";
import type { CancelSignal } from "@etcd-ts/rpc";

export interface ClientOptions {
  /**
   * Addresses of members: `host:port`, `http://host:port`, `https://host:port`, `unix:path`, `unixs:path`.
   * Without a scheme TLS is used exactly when `tls` is given. Default: `127.0.0.1:2379`.
   */
  readonly endpoints?: readonly string[];
  /** Certificates as PEM texts. `{}` is TLS with the system's authorities. */
  readonly tls?: ClientTlsOptions;
  /** A user of a cluster with authentication; tokens are fetched and renewed as needed. */
  readonly credentials?: { readonly name: string; readonly password: string };
  /** A ready-made token; with `credentials` too, the first one only. */
  readonly token?: string;
  /** Time for one call with its retries, unless the call says otherwise. Default: no limit. */
  readonly callTimeoutMs?: number;
  /** Time for one attempt to connect. Default 5 s. */
  readonly connectTimeoutMs?: number;
  /** Silence after which a connection is pinged, and time for the answer. Default 10 s and 6 s. */
  readonly keepaliveTimeMs?: number;
  readonly keepaliveTimeoutMs?: number;
  /** Size of one request. Default 2 MiB. */
  readonly sendBytesMax?: number;
  /** Size of one response. Default 2147483647. */
  readonly receiveBytesMax?: number;
  /** Where clock, timers and network come from. Default: the real ones, `nodeHost()`. */
  readonly host?: ClientHost;
  /** Told of failed attempts and reconnects. Default: nothing is logged. */
  readonly log?: Log;
}

/** The part of a `Host` that a client needs. */
export type ClientHost = Pick<Host, "clock" | "timers" | "random" | "net" | "log">;

export type ClientTlsOptions = Omit<TlsClientOptions, "alpn">;

export interface CallOptions {
  /** Time for the call with its retries; DEADLINE_EXCEEDED when it passes. */
  readonly timeoutMs?: number;
  /** Rejects the call with the signal's reason. */
  readonly signal?: AbortSignalLike;
}

/** An `AbortSignal`, as far as it is used here. */
export interface AbortSignalLike extends CancelSignal {
  readonly reason: unknown;
}
