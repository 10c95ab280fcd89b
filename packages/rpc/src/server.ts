// A server: listens, keeps its connections, writes once per turn, keeps time, stops gracefully.

import type { Connection, ConnectionHandler, NetAddress, Timer } from "@etcd-ts/base";
import { type MethodStats, TransportCounters } from "./counters.ts";
import { DeadlineWheel } from "./deadline-wheel.ts";
import { MethodIndex } from "./method-table.ts";
import { ServerConnection, type ServerShared } from "./server-connection.ts";
import {
  type ResolvedServerOptions,
  type RpcServerOptions,
  resolveServerOptions,
  type ServedAddress,
  type ServeOptions,
} from "./server-options.ts";

export class RpcServer {
  readonly counters: TransportCounters = new TransportCounters();
  readonly #given: RpcServerOptions;
  readonly #options: ResolvedServerOptions;
  readonly #methods: MethodIndex;
  readonly #wheel: DeadlineWheel;
  readonly #shared: ServerShared;
  readonly #connections = new Set<ServerConnection>();
  readonly #listeners = new Set<ServedAddress>();
  /** Connections with output of this turn. */
  #dirty: ServerConnection[] = [];
  #flushAsked = false;
  readonly #flushNow: () => void = () => {
    this.#flushAsked = false;
    this.flush();
  };
  #sweep: Timer | undefined;
  readonly #sweepMs: number;
  readonly #sweepNow: () => void = () => this.#checkTime();
  #closing: Promise<void> | undefined;
  #closed: (() => void) | undefined;
  #graceTimer: Timer | undefined;
  #done = false;
  #graceEndsMs = Number.POSITIVE_INFINITY;

  constructor(options: RpcServerOptions) {
    this.#given = options;
    this.#options = resolveServerOptions(options);
    this.#methods = new MethodIndex(options.methods);
    this.#wheel = new DeadlineWheel(options.host.clock, options.host.timers);
    const { handshakeTimeoutMs, keepaliveIntervalMs, keepaliveTimeoutMs } = this.#options;
    const shortest = Math.min(handshakeTimeoutMs, keepaliveIntervalMs, keepaliveTimeoutMs);
    this.#sweepMs = Math.max(10, Math.min(1000, shortest / 4));
    this.#shared = {
      host: options.host,
      options: this.#options,
      given: options,
      methods: this.#methods,
      wheel: this.#wheel,
      counters: this.counters,
      requestFlush: (connection) => this.#requestFlush(connection),
      connectionClosed: (connection, error) => this.#connectionClosed(connection, error),
      onHandlerError: (error, path) => this.#handlerError(error, path),
    };
  }

  /** By path, in the order of the method table. */
  get methodStats(): ReadonlyMap<string, MethodStats> {
    return this.#methods.stats;
  }

  /** Listens on an address. Rejects with `NetError`. */
  async serve(address: NetAddress, options: ServeOptions = {}): Promise<ServedAddress> {
    const connectionsMax = options.connectionsMax ?? Number.POSITIVE_INFINITY;
    const listener = await this.#given.host.net.listen(address, {
      ...(options.tls === undefined ? {} : { tls: options.tls }),
      accept: (connection) => {
        const handler = this.attach(connection);
        if (this.#connections.size > connectionsMax) connection.destroy();
        return handler;
      },
      ...(options.onError === undefined ? {} : { onError: options.onError }),
    });
    const served: ServedAddress = {
      address: listener.address,
      close: () => {
        this.#listeners.delete(served);
        return listener.close();
      },
    };
    if (this.#closing !== undefined) await listener.close();
    else this.#listeners.add(served);
    return served;
  }

  /**
   * Serves a connection that somebody else accepted: returns who handles it. What was read from it
   * already is handed to `onData` first.
   */
  attach(connection: Connection): ConnectionHandler {
    const served = new ServerConnection(connection, this.#shared);
    this.#connections.add(served);
    this.counters.connectionsOpened++;
    this.counters.connectionsOpen++;
    this.#given.observer?.connectionOpened?.(connection);
    if (this.#sweep === undefined) {
      this.#sweep = this.#given.host.timers.after(this.#sweepMs, this.#sweepNow);
    }
    if (this.#closing !== undefined) served.drain();
    return served;
  }

  /**
   * Writes out what this turn has produced, at once. Whoever answers calls in batches (the replica loop)
   * calls this at the end of its batch; without it everything is written at the end of the turn. May
   * call handlers (`onDrain`, and `onMessage` after `resume`).
   */
  flush(): void {
    const dirty = this.#dirty;
    if (dirty.length === 0) return;
    this.#dirty = [];
    for (let i = 0; i < dirty.length; i++) dirty[i]!.flush();
  }

  /**
   * Stops: listeners close, clients get GOAWAY, running calls have `graceMs` (default: no limit) to end,
   * then what is left is failed with UNAVAILABLE and cut. Resolves when the last connection is closed.
   * Idempotent; a later call may shorten the time.
   */
  close(options: { readonly graceMs?: number } = {}): Promise<void> {
    if (options.graceMs !== undefined) this.#limitGrace(options.graceMs);
    if (this.#closing !== undefined) return this.#closing;
    const connections = new Promise<void>((resolve) => {
      this.#closed = resolve;
    });
    const listeners = Promise.all([...this.#listeners].map((listener) => listener.close()));
    this.#closing = Promise.all([listeners, connections]).then(() => {});
    for (const connection of [...this.#connections]) connection.drain();
    this.#finishClose();
    return this.#closing;
  }

  #limitGrace(graceMs: number): void {
    const { clock, timers } = this.#given.host;
    const endsMs = clock.monotonicMs() + graceMs;
    if (endsMs >= this.#graceEndsMs || this.#done) return;
    this.#graceEndsMs = endsMs;
    this.#graceTimer?.cancel();
    this.#graceTimer = timers.after(graceMs, () => {
      for (const connection of [...this.#connections]) connection.stop();
    });
  }

  #finishClose(): void {
    if (this.#closed === undefined || this.#connections.size > 0) return;
    this.#graceTimer?.cancel();
    this.#wheel.close();
    this.#done = true;
    this.#closed();
    this.#closed = undefined;
  }

  #requestFlush(connection: ServerConnection): void {
    this.#dirty.push(connection);
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#given.host.timers.soon(this.#flushNow);
  }

  #connectionClosed(connection: ServerConnection, error: Error | undefined): void {
    if (!this.#connections.delete(connection)) return;
    this.counters.connectionsOpen--;
    this.#given.observer?.connectionClosed?.(connection.io, error);
    if (this.#connections.size === 0) {
      this.#sweep?.cancel();
      this.#sweep = undefined;
      this.#finishClose();
    }
  }

  #checkTime(): void {
    this.#sweep = undefined;
    const nowMs = this.#given.host.clock.monotonicMs();
    for (const connection of [...this.#connections]) connection.checkTime(nowMs);
    if (this.#connections.size > 0) {
      this.#sweep = this.#given.host.timers.after(this.#sweepMs, this.#sweepNow);
    }
  }

  #handlerError(error: unknown, path: string): void {
    if (this.#given.onHandlerError !== undefined) this.#given.onHandlerError(error, path);
    else {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#given.host.log.error("rpc handler failed", { path, error: text });
    }
  }
}
