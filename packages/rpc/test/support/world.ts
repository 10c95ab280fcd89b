// A small deterministic world: virtual clock, timers, and byte streams in memory that can be cut into
// pieces, held back and broken. Nothing happens until `settle` or `advance` lets it.

import {
  type Bytes,
  type Connection,
  type ConnectionHandler,
  copyBytes,
  type ListenOptions,
  type NetAddress,
  NetError,
  SeededRandom,
  type TlsInfo,
} from "@etcd-ts/base";
import type { RpcHost } from "../../src/index.ts";
import { silentLog } from "./node-host.ts";

interface PendingTimer {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
}

export class World {
  nowMs = 1000;
  readonly random: SeededRandom;
  readonly host: RpcHost;
  /** Largest piece in which bytes arrive; pieces are of random size up to this. */
  pieceBytesMax: number = Number.POSITIVE_INFINITY;
  readonly #listeners = new Map<string, ListenOptions>();
  #soon: (() => void)[] = [];
  #tasks: (() => void)[] = [];
  #timers: PendingTimer[] = [];
  #order = 0;
  #nextPort = 1;
  /** Connections that clients dialled, in order. */
  readonly dialled: MemoryConnection[] = [];

  constructor(seed = 1) {
    this.random = new SeededRandom(seed);
    this.host = {
      clock: { monotonicMs: () => this.nowMs, wallMs: () => this.nowMs },
      timers: {
        after: (delayMs, fire) => {
          const timer = { atMs: this.nowMs + delayMs, order: this.#order++, fire };
          this.#timers.push(timer);
          return {
            cancel: () => {
              this.#timers = this.#timers.filter((other) => other !== timer);
            },
          };
        },
        soon: (run) => {
          this.#soon.push(run);
        },
      },
      random: this.random,
      net: {
        listen: async (address, options) => {
          const chosen: NetAddress =
            address.kind === "tcp" && address.port === 0
              ? { ...address, port: this.#nextPort++ }
              : address;
          this.#listeners.set(JSON.stringify(chosen), options);
          return {
            address: chosen,
            close: async () => {
              this.#listeners.delete(JSON.stringify(chosen));
            },
          };
        },
        dial: (address, options, handler) => {
          const [near, far] = this.pair(options.tls === undefined ? undefined : tlsInfo);
          near.handler = handler;
          this.dialled.push(near);
          this.task(() => {
            const listener = this.#listeners.get(JSON.stringify(address));
            if (listener === undefined) {
              near.break(new NetError("ECONNREFUSED", "refused"));
              return;
            }
            far.handler = listener.accept(far);
            handler.onOpen?.();
          });
          return near;
        },
      },
      log: silentLog,
    };
  }

  get timerCount(): number {
    return this.#timers.length;
  }

  task(run: () => void): void {
    this.#tasks.push(run);
  }

  /** Two ends of one stream. */
  pair(tls?: TlsInfo): [MemoryConnection, MemoryConnection] {
    const near = new MemoryConnection(this, tls);
    const far = new MemoryConnection(this, tls);
    near.other = far;
    far.other = near;
    return [near, far];
  }

  /** Runs until nothing is left to do at this moment of time, promises included. */
  async settle(): Promise<void> {
    for (;;) {
      for (let i = 0; i < 5; i++) await Promise.resolve();
      if (!this.#turn()) return;
    }
  }

  /** The same without promises. */
  run(): void {
    while (this.#turn()) {
      // until nothing is left
    }
  }

  /** Lets time pass, timer by timer. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    await this.settle();
    for (;;) {
      const due = this.#timers
        .filter((timer) => timer.atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.nowMs = Math.max(this.nowMs, due.atMs);
      due.fire();
      await this.settle();
    }
    this.nowMs = untilMs;
  }

  /** Input first, then what was asked for the end of the turn. */
  #turn(): boolean {
    if (this.#tasks.length > 0) {
      const tasks = this.#tasks;
      this.#tasks = [];
      for (const run of tasks) run();
      return true;
    }
    if (this.#soon.length > 0) {
      const soon = this.#soon;
      this.#soon = [];
      for (const run of soon) run();
      return true;
    }
    return false;
  }
}

const tlsInfo: TlsInfo = { alpn: "h2", serverName: "", peerCertificate: undefined };
const highWaterBytes = 65_536;

export class MemoryConnection implements Connection {
  readonly world: World;
  readonly remoteAddress = "10.0.0.1:1234";
  readonly localAddress = "10.0.0.2:2379";
  readonly tls: TlsInfo | undefined;
  handler: ConnectionHandler | undefined;
  other!: MemoryConnection;
  /** Bytes on the way to this end. */
  #incoming: Bytes[] = [];
  #incomingBytes = 0;
  #endComes = false;
  #paused = false;
  #writerWaits = false;
  #ended = false;
  closed = false;
  detached: Bytes | undefined;
  writes = 0;
  /** Nothing arrives at this end while set. */
  stalled = false;

  constructor(world: World, tls: TlsInfo | undefined) {
    this.world = world;
    this.tls = tls;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  write(bytes: Bytes): boolean {
    if (this.closed || this.#ended) return true;
    this.writes++;
    // The other side gets bytes of its own, as from a wire.
    return this.other.#arrive(copyBytes(bytes));
  }

  get isWritten(): boolean {
    return true;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.world.task(() => this.deliver());
  }

  end(): void {
    if (this.closed || this.#ended) return;
    this.#ended = true;
    this.other.#endComes = true;
    this.world.task(() => this.other.deliver());
  }

  destroy(): void {
    if (this.closed) return;
    this.break(undefined);
    const { other } = this;
    this.world.task(() => {
      other.deliver();
      other.break(new NetError("ECONNRESET", "connection reset by peer"));
    });
  }

  detach(unconsumed: Bytes): unknown {
    this.detached = unconsumed;
    this.handler = undefined;
    return this;
  }

  break(error: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.world.task(() => {
      const { handler } = this;
      this.handler = undefined;
      handler?.onClose(error);
    });
  }

  #arrive(bytes: Bytes): boolean {
    if (this.closed) return true;
    this.#incoming.push(bytes);
    this.#incomingBytes += bytes.length;
    this.world.task(() => this.deliver());
    if (this.#incomingBytes <= highWaterBytes) return true;
    this.#writerWaits = true;
    return false;
  }

  deliver(): void {
    while (!this.#paused && !this.stalled && !this.closed && this.#incoming.length > 0) {
      let piece = this.#incoming[0]!;
      const { pieceBytesMax, random } = this.world;
      if (piece.length > pieceBytesMax) {
        const length = 1 + random.below(pieceBytesMax);
        this.#incoming[0] = piece.subarray(length);
        piece = piece.subarray(0, length);
      } else {
        this.#incoming.shift();
      }
      this.#incomingBytes -= piece.length;
      // The receiver owns what it gets. Until now it was the sender's: it shows when that goes on writing into it.
      if (piece.length > 0) this.handler?.onData(copyBytes(piece));
    }
    if (this.#writerWaits && this.#incomingBytes === 0) {
      this.#writerWaits = false;
      const { other } = this;
      this.world.task(() => {
        if (!other.closed) other.handler?.onDrain();
      });
    }
    if (this.#endComes && this.#incoming.length === 0 && !this.closed && !this.#paused) {
      this.#endComes = false;
      this.handler?.onEnd();
      if (this.#ended || this.other.closed) this.#finish();
      else if (this.other.#ended && this.handler === undefined) this.#finish();
      if (!this.closed && this.#ended === false) this.world.task(() => this.#maybeFinish());
    }
  }

  #maybeFinish(): void {
    if (this.#ended && this.other.#ended) this.#finish();
  }

  /** Both directions have ended; what is on the way arrives first. */
  #finish(): void {
    this.world.task(() => {
      this.break(undefined);
      this.other.break(undefined);
    });
  }
}
