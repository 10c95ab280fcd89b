// The virtual network: ordered byte streams between machines, as TCP makes them of a network that delays,
// loses and cuts.
//
//     write ──► wire (bandwidth, delay) ──► arrives ──► handler        the stream keeps its order; streams do not
//                                             │ cut?                    wait for one another
//                                             ▼
//                                           held ──cut ends──► sent again ──► arrives
//                                             └── unacknowledged too long ──► the writer's side breaks (ETIMEDOUT)
//
// A network that loses packets shows in a stream as delay, and in the end as a broken connection; nothing is
// lost, doubled or reordered within one. What is under way when a side breaks is lost. A process that ends resets
// its connections; a machine that loses power tells nobody: others find out when what they send is not
// acknowledged, or, once the machine is back, is answered by a reset (half-open connections).

import type {
  Connection,
  ConnectionHandler,
  DialOptions,
  Listener,
  ListenOptions,
  Net,
  NetAddress,
} from "@etcd-ts/base";
import { netError, SimConnection } from "./sim-connection.ts";
import type { Gate, World } from "./world.ts";

/** How often a connection request is repeated on a wire that is cut. */
const dialRepeatMs = 1000;
const dialTimeoutMs = 30_000;

/** The names are those of machines. */
export interface NetFaults {
  /** Virtual ms until bytes arrive; never reorders a stream. */
  latencyMs(from: string, to: string): number;
  /** Nothing gets through in this direction. After it changed: `SimNet.cutsChanged`. */
  isCut?(from: string, to: string): boolean;
  /** What the wire carries per ms; no limit when absent or 0. */
  bytesPerMs?(from: string, to: string): number;
  /** A writer whose bytes are not acknowledged for so long gives the connection up. */
  readonly unacknowledgedMsMax?: number;
}

/** One direction between two machines. */
export interface Wire {
  readonly from: string;
  readonly to: string;
  /** When the last byte will have left. */
  freeAtMs: number;
}

/** The wires of the world; each host has a `NetPort` on them. */
export class SimNet {
  readonly #world: World;
  readonly faults: NetFaults;
  readonly #listeners = new Map<string, SimListener>();
  readonly #wires = new Map<string, Wire>();
  /** Machines without power: nobody answers there, not even with a reset. */
  readonly #dark = new Set<string>();
  /** Streams with something that did not get through, in the order in which that began. */
  #stuck: SimConnection[] = [];
  readonly connections: Set<SimConnection> = new Set();
  #nextPort = 10_000;

  constructor(world: World, faults: NetFaults) {
    this.#world = world;
    this.faults = faults;
  }

  get world(): World {
    return this.#world;
  }

  latencyMs(from: string, to: string): number {
    return this.faults.latencyMs(from, to);
  }

  isCut(from: string, to: string): boolean {
    return this.faults.isCut?.(from, to) === true;
  }

  isDark(name: string): boolean {
    return this.#dark.has(name);
  }

  /** A machine lost power, or has it again. */
  setDark(name: string, dark: boolean): void {
    if (dark) this.#dark.add(name);
    else this.#dark.delete(name);
    this.cutsChanged();
  }

  /** What is held may get through now. */
  cutsChanged(): void {
    const stuck = this.#stuck;
    this.#stuck = [];
    for (const connection of stuck) connection.retry();
  }

  /** Breaks a connection for both sides, as a middle box does that forgot it. */
  reset(connection: SimConnection): void {
    const error = netError("ECONNRESET", "connection reset by peer");
    connection.other?.broken(error);
    connection.broken(error);
  }

  hold(connection: SimConnection): void {
    this.#stuck.push(connection);
  }

  wire(from: string, to: string): Wire {
    const name = `${from}>${to}`;
    let wire = this.#wires.get(name);
    if (wire === undefined) {
      wire = { from, to, freeAtMs: 0 };
      this.#wires.set(name, wire);
    }
    return wire;
  }

  /** When bytes that are sent now arrive. */
  arrivalMs(wire: Wire, bytes: number): number {
    const { nowMs } = this.#world;
    const rate = this.faults.bytesPerMs?.(wire.from, wire.to) ?? 0;
    let leftMs = nowMs;
    if (rate > 0) {
      leftMs = Math.max(nowMs, wire.freeAtMs) + bytes / rate;
      wire.freeAtMs = leftMs;
    }
    return leftMs + this.latencyMs(wire.from, wire.to);
  }

  bind(address: NetAddress, port: NetPort, options: ListenOptions): SimListener {
    const bound =
      address.kind === "tcp" && address.port === 0
        ? { ...address, port: this.#nextPort++ }
        : address;
    const name = nameOf(bound);
    if (this.#listeners.has(name)) {
      throw netError("EADDRINUSE", `listen ${name}: address already in use`);
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
  readonly net: SimNet;
  readonly name: string;
  readonly gate: Gate | undefined;
  readonly #listeners = new Set<SimListener>();
  readonly #connections = new Set<SimConnection>();
  #dead = false;

  constructor(net: SimNet, name: string, gate?: Gate) {
    this.net = net;
    this.name = name;
    this.gate = gate;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** The host crashed: its listeners vanish; unless silently, its connections break for the other sides. */
  kill(silently = false): void {
    this.#dead = true;
    for (const listener of this.#listeners) this.net.unbind(listener);
    for (const connection of [...this.#connections]) {
      if (silently) connection.abandon();
      else connection.destroy();
    }
  }

  async listen(address: NetAddress, options: ListenOptions): Promise<Listener> {
    if (options.tls !== undefined) throw netError("TLS", "the virtual network has no TLS");
    const listener = this.net.bind(address, this, options);
    this.#listeners.add(listener);
    return listener;
  }

  dial(address: NetAddress, options: DialOptions, handler: ConnectionHandler): Connection {
    if (options.tls !== undefined) throw netError("TLS", "the virtual network has no TLS");
    const near = new SimConnection(this, hostOf(address), this.name, nameOf(address));
    near.handler = handler;
    const { net } = this;
    const { world } = net;
    const attempt = (): void => {
      if (near.isClosed) return;
      const there = near.remoteHost;
      if (net.isCut(this.name, there) || net.isCut(there, this.name) || net.isDark(there)) {
        world.after(dialRepeatMs, attempt, this.gate);
        return;
      }
      const listener = net.find(address);
      if (listener === undefined) {
        near.broken(netError("ECONNREFUSED", `connect ${nameOf(address)}: refused`));
        return;
      }
      // Its process takes the connection when it runs, which need not be now.
      world.after(0, () => this.#accept(near, listener, address), listener.port.gate);
    };
    world.after(net.latencyMs(this.name, near.remoteHost), attempt, this.gate);
    const giveUp = (): void => {
      if (near.other === undefined) {
        near.broken(netError("TIMEOUT", `connect ${nameOf(address)}: i/o timeout`));
      }
    };
    world.after(options.timeoutMs ?? dialTimeoutMs, giveUp, this.gate);
    return near;
  }

  #accept(near: SimConnection, listener: SimListener, address: NetAddress): void {
    if (near.isClosed) return;
    const far = new SimConnection(listener.port, this.name, nameOf(address), this.name);
    near.other = far;
    far.other = near;
    far.handler = listener.options.accept(far);
    this.net.world.after(0, () => near.opened(), this.gate);
  }

  add(connection: SimConnection): void {
    this.#connections.add(connection);
    this.net.connections.add(connection);
  }

  remove(connection: SimConnection): void {
    this.#connections.delete(connection);
    this.net.connections.delete(connection);
  }
}

/** The machine that an address names. */
function hostOf(address: NetAddress): string {
  return address.kind === "tcp" ? address.host : address.path;
}

function nameOf(address: NetAddress): string {
  return address.kind === "tcp" ? `${address.host}:${address.port}` : address.path;
}
