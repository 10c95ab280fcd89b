// The virtual network: ordered byte streams between ports, with a delay for every delivery. Connections
// break when a side crashes or `destroy`s; what was under way to the other side is lost then.

import {
  type Bytes,
  type Connection,
  type ConnectionHandler,
  copyBytes,
  type DialOptions,
  type Listener,
  type ListenOptions,
  type Net,
  type NetAddress,
  NetError,
} from "@etcd-ts/base";
import type { World } from "./world.ts";

const highWaterBytes = 64 * 1024;

export interface NetFaults {
  /** Virtual ms until bytes arrive; never reorders a stream. */
  latencyMs(from: string, to: string): number;
}

/** The wires of the world; each host has a `NetPort` on them. */
export class SimNet {
  readonly #world: World;
  readonly #faults: NetFaults;
  readonly #listeners = new Map<string, SimListener>();
  #nextPort = 10_000;

  constructor(world: World, faults: NetFaults) {
    this.#world = world;
    this.#faults = faults;
  }

  get world(): World {
    return this.#world;
  }

  latencyMs(from: string, to: string): number {
    return this.#faults.latencyMs(from, to);
  }

  bind(address: NetAddress, port: NetPort, options: ListenOptions): SimListener {
    const bound =
      address.kind === "tcp" && address.port === 0
        ? { ...address, port: this.#nextPort++ }
        : address;
    const name = nameOf(bound);
    if (this.#listeners.has(name)) {
      throw new NetError("EADDRINUSE", `listen ${name}: address already in use`);
    }
    const listener = new SimListener(this, bound, port, options);
    this.#listeners.set(name, listener);
    return listener;
  }

  unbind(listener: SimListener): void {
    if (this.#listeners.get(nameOf(listener.address)) === listener) {
      this.#listeners.delete(nameOf(listener.address));
    }
  }

  find(address: NetAddress): SimListener | undefined {
    return this.#listeners.get(nameOf(address));
  }
}

class SimListener implements Listener {
  readonly address: NetAddress;
  readonly port: NetPort;
  readonly options: ListenOptions;
  readonly #net: SimNet;

  constructor(net: SimNet, address: NetAddress, port: NetPort, options: ListenOptions) {
    this.#net = net;
    this.address = address;
    this.port = port;
    this.options = options;
  }

  async close(): Promise<void> {
    this.#net.unbind(this);
  }
}

/** What one run of a host sees of the network. */
export class NetPort implements Net {
  readonly #net: SimNet;
  readonly name: string;
  readonly #listeners = new Set<SimListener>();
  readonly #connections = new Set<SimConnection>();
  #dead = false;

  constructor(net: SimNet, name: string) {
    this.#net = net;
    this.name = name;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** The host crashed: its listeners vanish, and its connections break for the other sides. */
  kill(): void {
    this.#dead = true;
    for (const listener of this.#listeners) this.#net.unbind(listener);
    for (const connection of [...this.#connections]) connection.destroy();
  }

  async listen(address: NetAddress, options: ListenOptions): Promise<Listener> {
    if (options.tls !== undefined) throw new NetError("TLS", "the virtual network has no TLS");
    const listener = this.#net.bind(address, this, options);
    this.#listeners.add(listener);
    return listener;
  }

  dial(address: NetAddress, options: DialOptions, handler: ConnectionHandler): Connection {
    if (options.tls !== undefined) throw new NetError("TLS", "the virtual network has no TLS");
    const near = new SimConnection(this, this.name, nameOf(address));
    near.handler = handler;
    this.#net.world.after(this.#net.latencyMs(this.name, nameOf(address)), () => {
      const listener = this.#net.find(address);
      if (listener === undefined || near.isClosed) {
        near.broken(new NetError("ECONNREFUSED", `connect ${nameOf(address)}: refused`));
        return;
      }
      const far = new SimConnection(listener.port, nameOf(address), this.name);
      near.other = far;
      far.other = near;
      far.handler = listener.options.accept(far);
      near.opened();
    });
    return near;
  }

  add(connection: SimConnection): void {
    this.#connections.add(connection);
  }

  remove(connection: SimConnection): void {
    this.#connections.delete(connection);
  }

  after(from: string, to: string, notBeforeMs: number, run: () => void): number {
    const { world } = this.#net;
    const atMs = Math.max(notBeforeMs, world.nowMs + this.#net.latencyMs(from, to));
    world.after(atMs - world.nowMs, run);
    return atMs;
  }
}

class SimConnection implements Connection {
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly tls = undefined;
  handler: ConnectionHandler | undefined;
  other: SimConnection | undefined;
  readonly #port: NetPort;
  /** Bytes and the end that arrived while paused, in order. */
  #arrived: (Bytes | "end")[] = [];
  #paused = false;
  #open = false;
  #ended = false;
  #closed = false;
  #inFlightBytes = 0;
  #needDrain = false;
  #lastArrivalMs = 0;
  /** Written before the connection was established. */
  #early: (Bytes | "end")[] = [];

  constructor(port: NetPort, localAddress: string, remoteAddress: string) {
    this.#port = port;
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
    port.add(this);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  opened(): void {
    this.#open = true;
    this.handler?.onOpen?.();
    const early = this.#early;
    this.#early = [];
    for (const it of early) this.#transmit(it);
  }

  write(bytes: Bytes): boolean {
    if (this.#ended || this.#closed) return true;
    this.#inFlightBytes += bytes.length;
    // The other side gets bytes of its own, as from a wire.
    this.#transmit(copyBytes(bytes));
    this.#needDrain ||= this.#inFlightBytes > highWaterBytes;
    return !this.#needDrain;
  }

  end(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    this.#transmit("end");
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#later(() => this.#deliver());
  }

  destroy(): void {
    if (this.#closed) return;
    const far = this.other;
    if (far !== undefined) {
      far.#later(() => far.broken(new NetError("ECONNRESET", "connection reset by peer")));
    }
    this.broken(undefined);
  }

  detach(): unknown {
    throw new NetError("UNSUPPORTED", "the virtual network has no foreign sockets");
  }

  /** Ends here, now; `onClose` comes from the event loop. */
  broken(error: NetError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#port.remove(this);
    if (this.#port.isDead) return;
    this.#port.after(this.localAddress, this.localAddress, 0, () => {
      if (!this.#port.isDead) this.handler?.onClose(error);
    });
  }

  #transmit(it: Bytes | "end"): void {
    const far = this.other;
    if (far === undefined || !(this.#open || far.#open)) {
      if (far === undefined) {
        this.#early.push(it);
        return;
      }
    }
    const target = far as SimConnection;
    this.#lastArrivalMs = this.#port.after(
      this.localAddress,
      this.remoteAddress,
      this.#lastArrivalMs,
      () => {
        if (target.#closed || target.#port.isDead) return;
        target.#arrived.push(it);
        target.#deliver();
      },
    );
  }

  #deliver(): void {
    while (!this.#paused && !this.#closed && this.#arrived.length > 0) {
      const it = this.#arrived.shift() as Bytes | "end";
      if (it === "end") {
        this.handler?.onEnd();
        if (this.#ended) this.#finish();
      } else {
        this.other?.acknowledged(it.length);
        this.handler?.onData(it);
      }
    }
  }

  /** The other side has taken that many of our bytes. */
  acknowledged(count: number): void {
    this.#inFlightBytes -= count;
    if (!this.#needDrain || this.#inFlightBytes > 0) return;
    this.#needDrain = false;
    this.#later(() => {
      if (!this.#closed) this.handler?.onDrain();
    });
  }

  /** Both directions ended in peace. */
  #finish(): void {
    const far = this.other;
    this.broken(undefined);
    far?.broken(undefined);
  }

  #later(run: () => void): void {
    this.#port.after(this.localAddress, this.localAddress, 0, () => {
      if (!this.#port.isDead) run();
    });
  }
}

function nameOf(address: NetAddress): string {
  return address.kind === "tcp" ? `${address.host}:${address.port}` : address.path;
}
