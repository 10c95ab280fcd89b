// The outside world, as one small object. Everything that can happen to a member arrives through a
// `Host`: the real one (`node/`) talks to the operating system, the virtual one (`sim/`) is a
// deterministic world with its own clock, disks and wires. One contract suite runs on both.
//
// Rules that hold for every implementation:
// - callbacks come from the event loop, never from inside the call that asked for them;
// - callbacks of one object come in the order of its calls, and none comes after `close()` returned,
//   except where stated;
// - byte arrays given to `write` belong to the host until it has called back; byte arrays handed out
//   belong to the receiver.

import type { Bytes } from "./bytes.ts";

export interface Host {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly disk: Disk;
  readonly net: Net;
  readonly digests: Digests;
  readonly log: Log;
}

export interface Clock {
  /** Milliseconds with a fraction since some fixed moment; never goes back. For durations. */
  monotonicMs(): number;
  /** Milliseconds since 1970. May jump. For display, certificates and identifiers. */
  wallMs(): number;
}

export interface Timers {
  /** Calls `fire` once, `delayMs` from now or a little later. */
  after(delayMs: number, fire: () => void): Timer;
  /** Calls `run` as soon as the present turn of the event loop has read its input. */
  soon(run: () => void): void;
}

export interface Timer {
  /** Idempotent; `fire` is not called afterwards. */
  cancel(): void;
}

/** Randomness; see `SeededRandom` for the deterministic one. */
export interface Random {
  /** Uniform integer in [0, bound), bound <= 2^32. */
  below(bound: number): number;
  bytes(count: number): Bytes;
}

// --- disk -----------------------------------------------------------------------------------------

/**
 * A file system. Names are paths with `/`. Nothing is durable before the `sync` that covers it has
 * called back: a file's bytes need `DiskFile.sync`, its name needs `syncDirectory` of its folder.
 * Failures are `DiskError`s.
 */
export interface Disk {
  /** Opens for reading, or for reading and writing. */
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  stat(path: string): Promise<DiskEntry | undefined>;
  /** Names in a folder, sorted; throws `DiskError` "not-found" when the folder does not exist. */
  list(path: string): Promise<string[]>;
  /** Creates the folder and its parents with mode 0700; existing ones stay as they are. */
  makeDirectory(path: string): Promise<void>;
  /** Atomic; replaces an existing file. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, or a folder with all that is in it; no error when there is none. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /**
   * Takes the exclusive lock on a file (created when missing), which no other process or holder has
   * until it is released or its process ends, however that happens. Throws `DiskError` "locked".
   */
  lock(path: string): Promise<DiskLock>;
}

/** "create" makes an empty file and fails with "exists" when there is one. */
export type OpenMode = "read" | "write" | "create";

export interface DiskEntry {
  readonly kind: "file" | "directory";
  readonly bytes: number;
}

export interface DiskFile {
  readonly path: string;
  size(): Promise<number>;
  /** Up to `length` bytes from `position`; fewer only at the end of the file. */
  read(position: number, length: number): Promise<Bytes>;
  /**
   * Writes all parts one behind the other at `position`. Hot path, hence a callback instead of a promise.
   * Writes and syncs of one file take effect in the order of the calls.
   */
  write(position: number, parts: readonly Bytes[], done: DiskDone): void;
  /** Calls back when all that was written before is durable (`fdatasync`, and the file's size). */
  sync(done: DiskDone): void;
  truncate(bytes: number): Promise<void>;
  /** Makes the file at least that long, zero-filled, with space reserved where the system can. */
  preallocate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

/** `error` is a `DiskError` when the operation failed. */
export type DiskDone = (error: Error | undefined) => void;

export interface DiskLock {
  release(): Promise<void>;
}

export type DiskErrorCode =
  | "not-found"
  | "exists"
  | "locked"
  | "no-space"
  | "read-only"
  | "permission"
  | "io";

export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: DiskErrorCode;
  readonly path: string;

  constructor(code: DiskErrorCode, path: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.path = path;
  }
}

// --- network --------------------------------------------------------------------------------------

export interface Net {
  /** Rejects with `NetError` when the address is in use or not ours. */
  listen(address: NetAddress, options: ListenOptions): Promise<Listener>;
  /** Never throws: failures arrive at `ConnectionHandler.onClose`. */
  dial(address: NetAddress, options: DialOptions, handler: ConnectionHandler): Connection;
}

/** `port` 0 lets the system choose; `Listener.address` then tells. */
export type NetAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export interface ListenOptions {
  readonly tls?: TlsServerOptions;
  /** A new connection (after its TLS handshake): returns who handles it. */
  accept(connection: Connection): ConnectionHandler;
  /** A connection that failed before it was accepted, or the listener itself failing (`fatal`). */
  onError?(error: Error, fatal: boolean, remoteAddress: string): void;
}

export interface DialOptions {
  readonly tls?: TlsClientOptions;
  readonly timeoutMs?: number;
}

/** PEM texts; protocol names offered by ALPN in order of preference. */
export interface TlsServerOptions {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly trustedCaPem?: string;
  readonly requireClientCertificate?: boolean;
  readonly crlPem?: string;
  readonly alpn: readonly string[];
  readonly cipherSuites?: readonly string[];
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
  readonly maxVersion?: "TLSv1.2" | "TLSv1.3";
}

export interface TlsClientOptions {
  readonly trustedCaPem?: string;
  readonly certificatePem?: string;
  readonly keyPem?: string;
  /** Name to send by SNI and to verify; the host dialled when absent. */
  readonly serverName?: string;
  readonly insecureSkipVerify?: boolean;
  readonly alpn: readonly string[];
}

export interface Listener {
  /** Where it listens, with the port that the system chose. */
  readonly address: NetAddress;
  /** Stops accepting; connections that were accepted live on. */
  close(): Promise<void>;
}

/** An ordered, reliable stream of bytes both ways, which can stall, end and break. */
export interface Connection {
  /** `host:port` of the other side, or `@` for a unix socket. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** Present on TLS connections, once open. */
  readonly tls: TlsInfo | undefined;
  /**
   * Queues bytes; false when more than the high-water mark (64 KiB) now waits in the host: the writer
   * should wait for `onDrain`. Ignored after `end` or `destroy`.
   */
  write(bytes: Bytes): boolean;
  /** The host is done with all bytes that were written: their memory may serve again. */
  readonly isWritten: boolean;
  /** Stops and restarts `onData`: back-pressure to the other side. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then ends our direction. */
  end(): void;
  /** Drops everything at once (a reset, where the system can). `onClose` still comes, once. */
  destroy(): void;
  /**
   * Hands the connection over to a foreign owner, such as the HTTP/1.1 server, with the bytes that were
   * read but not consumed. No callback comes afterwards. The result is the host's own socket object.
   */
  detach(unconsumed: Bytes): unknown;
}

export interface TlsInfo {
  /** The protocol agreed by ALPN, "" when none. */
  readonly alpn: string;
  readonly serverName: string;
  /** Present when the client showed a certificate that was verified. */
  readonly peerCertificate: PeerCertificate | undefined;
}

export interface PeerCertificate {
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

export interface ConnectionHandler {
  /** Dialled connections only: established, TLS included. */
  onOpen?(): void;
  /** Bytes arrived; the receiver owns them. */
  onData(bytes: Bytes): void;
  /** `write` returned false before and the queue is now empty. */
  onDrain(): void;
  /** The other side ended its direction. */
  onEnd(): void;
  /** Exactly once, last. `error` when it did not end in peace. */
  onClose(error: Error | undefined): void;
}

export class NetError extends Error {
  override readonly name = "NetError";
  /** System error code such as EADDRINUSE, ECONNREFUSED, ECONNRESET; "TIMEOUT"; "TLS". */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

// --- digests and logging --------------------------------------------------------------------------

export interface Digests {
  /** 20 bytes. Member and cluster ids. */
  sha1(bytes: Bytes): Bytes;
  /** Snapshot files. */
  sha256(): Hasher;
}

export interface Hasher {
  update(bytes: Bytes): void;
  /** 32 bytes; call once. */
  digest(): Bytes;
}

/** Structured events in etcd's field names; in the simulator they are the trace. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A named sub-logger, such as `raft`. */
  named(name: string): Log;
}

export type LogFields = Readonly<Record<string, unknown>>;

/** Runs a promise in the background; its failure reaches `onError` instead of getting lost. */
export function background(task: Promise<unknown>, onError: (error: Error) => void): void {
  task.then(undefined, (reason: unknown) => {
    onError(reason instanceof Error ? reason : new Error(String(reason)));
  });
}
