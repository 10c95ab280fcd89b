// A channel: calls to one address over one connection at a time, which is made when it is needed, made
// again when it broke, with growing pauses after failures, and replaced when the server asks for it.
//
//     idle ── first call, connect() ──► connecting ── SETTINGS came ──► ready
//       ▲                                 │    ▲                          │ lost, or GOAWAY
//       │ nothing waits                   ▼    │ backoff over             ▼
//       └─────────────────────────────  failed ◄──────────────────  (connecting if calls wait)
//
// What happens to calls:
//
// - none is ready: they wait while the channel is connecting. When that fails, they fail with
//   UNAVAILABLE, except those with `waitForReady`, which wait on until their deadline;
// - the connection breaks: calls that run on it fail with UNAVAILABLE, since nobody knows whether the
//   server has acted on them. Retrying is up to the user, who knows what can be repeated;
// - the server says that it never touched a call (GOAWAY below its id, or REFUSED_STREAM once): it moves
//   to the next connection unnoticed. Streams can as long as nothing has come back and what was sent is
//   not more than 256 KiB.
//
// A channel has one address. Choosing among several is the business of a layer above.

import {
  type Bytes,
  type Connection,
  type ConnectionHandler,
  type NetAddress,
  NetError,
  type Timer,
  type TlsClientOptions,
} from "@etcd-ts/base";
import { type CallOwner, ClientCall } from "./client-call.ts";
import { ClientConnection, type ClientShared } from "./client-connection.ts";
import type {
  CallOptions,
  ChannelOptions,
  ChannelState,
  ClientStream,
  ClientStreamHandler,
  UnaryHandler,
} from "./client-types.ts";
import { TransportCounters } from "./counters.ts";
import { DeadlineWheel } from "./deadline-wheel.ts";
import { connectText } from "./dial-error.ts";
import type { RpcHost } from "./server-options.ts";
import { RpcError, Status } from "./status.ts";

type StateListener = (state: ChannelState, error: Error | undefined) => void;

const noOptions: CallOptions = {};
/** A connection that broke sooner was no success. */
const shortLifeMs = 1000;
const keepaliveMinMs = 10_000;
const closingText = "grpc: the client connection is closing";

interface Settler {
  readonly resolve: (message: Bytes) => void;
  readonly reject: (error: RpcError) => void;
}

const promiseHandler: UnaryHandler = {
  onResult(error, message, tag) {
    if (error === undefined) (tag as Settler).resolve(message!);
    else (tag as Settler).reject(error);
  },
};

export class Channel {
  readonly counters: TransportCounters = new TransportCounters();
  readonly #host: RpcHost;
  readonly #options: ChannelOptions;
  readonly #wheel: DeadlineWheel;
  readonly #shared: ClientShared;
  readonly #owner: CallOwner;
  #state: ChannelState = "idle";
  #lastError: Error | undefined;
  readonly #listeners = new Set<StateListener>();
  /** What waits for a connection, or for the server to allow another stream, in order. */
  #waiting: ClientCall[] = [];
  /** The transport that is being opened, or the connection in use. */
  #transport: Transport | undefined;
  #current: ClientConnection | undefined;
  /** All that are not closed, draining ones included. */
  readonly #transports = new Set<Transport>();
  /** Attempts that failed, one after the other. */
  #failures = 0;
  /** Connections that broke in their first second, one after the other. */
  #shortLives = 0;
  #readyMs = 0;
  /** Length of `#waiting` at which ended calls are taken out. */
  #tidyAt = 64;
  #backoff: Timer | undefined;
  #dirty: ClientConnection[] = [];
  #flushAsked = false;
  readonly #flushNow: () => void = () => {
    this.#flushAsked = false;
    this.flush();
  };

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#host = options.host;
    const { clock, timers } = options.host;
    this.#wheel = new DeadlineWheel(clock, timers);
    const { keepalive } = options;
    this.#shared = {
      host: options.host,
      limits: {
        headerListBytesMax: 16 << 20,
        streamWindowBytes: options.streamWindowBytes ?? 4 << 20,
        connectionWindowBytes: options.connectionWindowBytes ?? 16 << 20,
        bufferedBytesMax: Number.POSITIVE_INFINITY,
        // Every stream is our own doing, so a server may reset as many as there are.
        resetBurst: Number.POSITIVE_INFINITY,
        resetsPerSecond: 1,
        idleFrameBurst: 20_000,
        idleFramesPerSecond: 2000,
      },
      counters: this.counters,
      gzip: options.gzip,
      receiveBytesMax: options.receiveBytesMax ?? 4 << 20,
      scheme: options.tls === undefined ? "http" : "https",
      authority: options.authority ?? authorityOf(options.address),
      userAgent: options.userAgent ?? "etcd-ts",
      keepalive:
        keepalive === undefined
          ? undefined
          : { ...keepalive, timeMs: Math.max(keepaliveMinMs, keepalive.timeMs) },
      requestFlush: (connection) => this.#requestFlush(connection),
      connectionReady: (connection) => this.#connectionReady(connection),
      connectionDraining: (connection, reason) => this.#connectionDraining(connection, reason),
      connectionClosed: (connection, error) => this.#connectionClosed(connection, error),
      streamEnded: (connection) => {
        if (this.#waiting.length > 0 && connection === this.#current) this.#startWaiting();
      },
      tooManyPings: () => this.#slowPings(),
    };
    this.#owner = {
      wheel: this.#wheel,
      sendBytesMax: options.sendBytesMax ?? 0x7fffffff,
      soon: (run) => timers.soon(run),
      nowMs: () => clock.monotonicMs(),
      submit: (call) => this.#submit(call),
    };
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** Why the last connection failed or broke. */
  get lastError(): Error | undefined {
    return this.#lastError;
  }

  /** Starts connecting when idle; calls do so by themselves. */
  connect(): void {
    if (this.#state === "idle") this.#redial();
  }

  /** Tells of every change of state. The result stops it. */
  onStateChange(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** One request, one answer. Rejects with `RpcError`. */
  unary(path: string, message: Bytes, options: CallOptions = noOptions): Promise<Bytes> {
    return new Promise((resolve, reject) => {
      this.startUnary(path, message, options, promiseHandler, { resolve, reject });
    });
  }

  /** The same without a promise. `handler` may be shared; `tag` tells the calls apart. */
  startUnary(
    path: string,
    message: Bytes,
    options: CallOptions,
    handler: UnaryHandler,
    tag?: unknown,
  ): void {
    const call = new ClientCall(this.#owner, path, options, handler, undefined, tag);
    call.start(options, message);
  }

  /** A stream of any kind. Never throws: failures arrive at `handler.onEnd`. */
  stream(path: string, options: CallOptions, handler: ClientStreamHandler): ClientStream {
    const call = new ClientCall(this.#owner, path, options, undefined, handler, undefined);
    call.start(options, undefined);
    return call;
  }

  /** Writes out what this turn has produced, at once, instead of at its end. */
  flush(): void {
    const dirty = this.#dirty;
    if (dirty.length === 0) return;
    this.#dirty = [];
    for (let i = 0; i < dirty.length; i++) dirty[i]!.flush();
  }

  /** Fails all calls with CANCELLED and closes the connection. Idempotent. */
  close(): void {
    if (this.#state === "closed") return;
    this.#backoff?.cancel();
    this.#current = undefined;
    this.#transport = undefined;
    this.#setState("closed", undefined);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call.cancel(closingText);
    for (const transport of [...this.#transports]) transport.close();
    this.#wheel.close();
    this.#listeners.clear();
  }

  // --- calls ---------------------------------------------------------------------------------------

  #submit(call: ClientCall): void {
    const current = this.#current;
    if (current?.mayOpen === true && this.#waiting.length === 0) {
      current.open(call);
      return;
    }
    if (this.#state === "closed") {
      call.failSoon(Status.cancelled, closingText);
      return;
    }
    if (this.#state === "failed" && !call.waitForReady) {
      call.failSoon(Status.unavailable, connectText(this.#options.address, this.#lastError));
      return;
    }
    if (this.#waiting.length >= this.#tidyAt) {
      // Calls that were cancelled while they waited.
      this.#waiting = this.#waiting.filter((other) => !other.ended);
      this.#tidyAt = Math.max(64, 2 * this.#waiting.length);
    }
    this.#waiting.push(call);
    if (this.#state === "idle") this.#redial();
  }

  #startWaiting(): void {
    const waiting = this.#waiting;
    let started = 0;
    while (started < waiting.length) {
      const call = waiting[started]!;
      if (!call.ended) {
        if (this.#current?.mayOpen !== true) break;
        this.#current.open(call);
      }
      started++;
    }
    if (started === waiting.length) this.#waiting = [];
    else if (started > 0) this.#waiting = waiting.slice(started);
  }

  // --- connections ---------------------------------------------------------------------------------

  #dial(): void {
    this.#backoff?.cancel();
    this.#backoff = undefined;
    this.#setState("connecting", undefined);
    const { address, tls, connectTimeoutMs } = this.#options;
    const transport = new Transport(this.#shared, connectTimeoutMs ?? 20_000, (error) =>
      this.#dialFailed(transport, error),
    );
    this.#transport = transport;
    this.#transports.add(transport);
    transport.open(address, tls === undefined ? undefined : { ...tls, alpn: ["h2"] });
  }

  #connectionReady(connection: ClientConnection): void {
    if (this.#transport?.connection !== connection) return;
    this.#transport.ready();
    this.#current = connection;
    this.#failures = 0;
    this.#readyMs = this.#host.clock.monotonicMs();
    this.counters.connectionsOpened++;
    this.#setState("ready", undefined);
    this.#startWaiting();
  }

  #dialFailed(transport: Transport, error: Error): void {
    this.#transports.delete(transport);
    if (this.#transport !== transport || this.#state === "closed") return;
    this.#transport = undefined;
    this.#lastError = error;
    const delayMs = this.#backoffMs(this.#failures++);
    this.#setState("failed", error);
    if (this.#state !== "failed") return; // a listener has closed the channel
    this.#backoff = this.#host.timers.after(delayMs, () => this.#dial());
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((call) => call.waitForReady && !call.ended);
    const text = connectText(this.#options.address, error);
    for (const call of waiting) {
      if (!call.waitForReady) call.end(new RpcError(Status.unavailable, text), []);
    }
  }

  /** grpc's: base * factor^n, at most max, with jitter. */
  #backoffMs(failures: number): number {
    const {
      baseMs = 1000,
      factor = 1.6,
      maxMs = 120_000,
      jitter = 0.2,
    } = this.#options.backoff ?? {};
    const plain = Math.min(maxMs, baseMs * factor ** failures);
    const dice = this.#host.random.below(0x1_0000_0000) / 0x1_0000_0000;
    return plain * (1 + jitter * (2 * dice - 1));
  }

  #connectionDraining(connection: ClientConnection, reason: string): void {
    if (this.#transport?.connection === connection) this.#lost(new Error(reason));
  }

  /** There is no connection for new calls any more. */
  #lost(error: Error): void {
    this.#transport = undefined;
    this.#current = undefined;
    if (this.#state === "closed") return;
    this.#lastError = error;
    const lifeMs = this.#host.clock.monotonicMs() - this.#readyMs;
    this.#shortLives = lifeMs < shortLifeMs ? this.#shortLives + 1 : 0;
    this.#setState("idle", error);
    if (this.#waiting.length > 0) this.#redial();
  }

  /** At once, unless connections break as soon as they are made: then with growing pauses. */
  #redial(): void {
    if (this.#state !== "idle") return;
    if (this.#shortLives < 2) {
      this.#dial();
      return;
    }
    this.#setState("connecting", undefined);
    const delayMs = this.#backoffMs(this.#shortLives - 2);
    this.#backoff = this.#host.timers.after(delayMs, () => this.#dial());
  }

  #connectionClosed(connection: ClientConnection, error: Error | undefined): void {
    for (const transport of this.#transports) {
      if (transport.connection === connection) {
        this.#transports.delete(transport);
        if (transport.wasReady) this.counters.connectionsOpen--;
      }
    }
    if (this.#transport?.connection !== connection) return;
    if (this.#current !== connection) {
      // It never became ready.
      const transport = this.#transport;
      this.#dialFailed(transport, error ?? new Error("EOF"));
      return;
    }
    this.#lost(error ?? new Error("EOF"));
  }

  #slowPings(): void {
    const { keepalive } = this.#shared;
    if (keepalive !== undefined) {
      this.#shared.keepalive = { ...keepalive, timeMs: keepalive.timeMs * 2 };
    }
  }

  #setState(state: ChannelState, error: Error | undefined): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state, error);
  }

  #requestFlush(connection: ClientConnection): void {
    this.#dirty.push(connection);
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#host.timers.soon(this.#flushNow);
  }
}

/**
 * Stands between the host and the connection: dials, watches the time until the connection is ready, and
 * passes events on.
 */
class Transport implements ConnectionHandler {
  connection: ClientConnection | undefined;
  wasReady = false;
  readonly #shared: ClientShared;
  readonly #timeoutMs: number;
  readonly #onFailure: (error: Error) => void;
  #io: Connection | undefined;
  #timer: Timer | undefined;
  #failed = false;

  constructor(shared: ClientShared, timeoutMs: number, onFailure: (error: Error) => void) {
    this.#shared = shared;
    this.#timeoutMs = timeoutMs;
    this.#onFailure = onFailure;
  }

  open(address: NetAddress, tls: TlsClientOptions | undefined): void {
    const { host } = this.#shared;
    const timeoutMs = this.#timeoutMs;
    this.#timer = host.timers.after(timeoutMs, () => this.#giveUp("i/o timeout"));
    this.#io = host.net.dial(address, tls === undefined ? { timeoutMs } : { timeoutMs, tls }, this);
  }

  ready(): void {
    this.#timer?.cancel();
    this.wasReady = true;
    this.#shared.counters.connectionsOpen++;
  }

  close(): void {
    this.#timer?.cancel();
    if (this.connection !== undefined) this.connection.cancelCalls(closingText);
    else this.#io?.destroy();
  }

  #giveUp(reason: string): void {
    if (this.connection === undefined) {
      this.#fail(new NetError("TIMEOUT", reason));
      this.#io?.destroy();
    } else {
      this.connection.lose(reason);
    }
  }

  #fail(error: Error): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#timer?.cancel();
    this.#onFailure(error);
  }

  onOpen(): void {
    if (this.#failed) return;
    const io = this.#io!;
    if (io.tls !== undefined && io.tls.alpn !== "h2") {
      this.#fail(
        new NetError("TLS", "credentials: cannot check peer: missing selected ALPN property"),
      );
      io.destroy();
      return;
    }
    this.connection = new ClientConnection(io, this.#shared);
    this.connection.greet();
  }

  onData(bytes: Bytes): void {
    this.connection?.onData(bytes);
  }

  onDrain(): void {
    this.connection?.onDrain();
  }

  onEnd(): void {
    this.connection?.onEnd();
  }

  onClose(error: Error | undefined): void {
    this.#timer?.cancel();
    if (this.connection !== undefined) this.connection.onClose(error);
    else this.#fail(error ?? new NetError("EOF", "connection closed"));
  }
}

function authorityOf(address: NetAddress): string {
  if (address.kind === "unix") return "localhost";
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}
