// A machine of the virtual world with a member on it: what survives a crash of it (the disk, and what the
// backend had committed), and what does not (everything else).
//
//     down ──start()──► starting ──► serving ──stop()──► down
//                          └─────────────┴──crash(), exit()──► down        its own failure: `failure` says why
//
// The wiring is the daemon's: peer listener and links first, then the member, then the client listener.

import type { Disk, Host, NetAddress } from "@etcd-ts/base";
import type { Backend } from "@etcd-ts/machine";
import { Channel, type MethodTable, RpcServer } from "@etcd-ts/rpc";
import {
  createLeasePart,
  createWatchPart,
  Member,
  type MemberContext,
  type MemberOptions,
  type MemberPart,
  PeerLinks,
  PeerRequests,
  type PeerTransport,
} from "@etcd-ts/server";
import { DurableCell, MemoryBackend } from "@etcd-ts/storage";
import { type CrashMode, type DiskFaults, SimDisk } from "./disk.ts";
import { SimHost } from "./host.ts";
import type { SimNet } from "./net.ts";
import type { World } from "./world.ts";

export interface SimNodeOptions {
  readonly world: World;
  readonly net: SimNet;
  readonly member: MemberOptions;
  readonly clientAddress: NetAddress;
  readonly diskFaults: DiskFaults;
  /** Where other members reach this one; a member without is alone. */
  readonly peerAddress?: NetAddress;
  /** Virtual time until a commit of the backend is durable. */
  readonly commitDelayMs?: number;
  readonly clockRate?: number;
  readonly trace?: (line: string) => void;
  readonly seams?: NodeSeams;
}

/**
 * Where a run can put something between the member and its world: to watch it, to make messages suffer, and
 * to plant the bugs that checkers must find. Each is asked once in each life.
 */
export interface NodeSeams {
  /** Further parts of the member. */
  parts?(context: MemberContext, node: SimNode): readonly MemberPart[];
  transport?(links: PeerLinks, host: Host, node: SimNode): PeerTransport;
  methods?(methods: MethodTable, node: SimNode): MethodTable;
  backend?(backend: Backend, node: SimNode): Backend;
  host?(host: Host, node: SimNode): Host;
  disk?(disk: Disk, node: SimNode): Disk;
  /** The member ended by itself. */
  failed?(error: Error, node: SimNode): void;
  removed?(node: SimNode): void;
}

interface Life {
  readonly host: SimHost;
  links: PeerLinks | undefined;
  member: Member | undefined;
  rpc: RpcServer | undefined;
}

export class SimNode {
  readonly name: string;
  readonly disk: SimDisk = new SimDisk();
  readonly #cell: DurableCell = new DurableCell();
  readonly #options: SimNodeOptions;
  /** What the next life is started with. */
  memberOptions: MemberOptions;
  #life: Life | undefined;
  /** Why the member of the present life stopped by itself. */
  failure: Error | undefined;
  /** The member of the present life heard that it was removed from its cluster. */
  wasRemoved = false;
  /** The wall clock of the machine is off by so much. */
  wallOffsetMs = 0;
  lifeCount = 0;
  /** It was asked to stop in good order. */
  isStopping = false;

  constructor(options: SimNodeOptions) {
    this.name = options.member.name;
    this.memberOptions = options.member;
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#life !== undefined;
  }

  /** Clients are served. */
  get isServing(): boolean {
    return this.#life?.rpc !== undefined;
  }

  get member(): Member | undefined {
    return this.#life?.member;
  }

  get clientAddress(): NetAddress {
    return this.#options.clientAddress;
  }

  /** Starts a life on what the disk holds; settles when clients are served. */
  async start(): Promise<void> {
    const { world, net, diskFaults, trace, seams, clockRate, peerAddress } = this.#options;
    const machine = new SimHost({
      name: this.name,
      world,
      net,
      disk: this.disk,
      diskFaults,
      ...(trace === undefined ? {} : { trace }),
      ...(clockRate === undefined ? {} : { clockRate }),
    });
    machine.wallOffsetMs = this.wallOffsetMs;
    if (net.isDark(this.name)) net.setDark(this.name, false);
    const life: Life = { host: machine, links: undefined, member: undefined, rpc: undefined };
    this.#life = life;
    this.lifeCount++;
    this.failure = undefined;
    this.wasRemoved = false;
    this.isStopping = false;
    const host = this.#host(machine);
    const peers = await this.#listenForPeers(life, host, peerAddress);
    const member = await Member.open({
      host,
      options: this.memberOptions,
      openBackend: async () => {
        const backend = new MemoryBackend({
          timers: machine.timers,
          cell: this.#cell,
          commitDelayMs: this.#options.commitDelayMs ?? 5,
        });
        return seams?.backend?.(backend, this) ?? backend;
      },
      createParts: (context) => [
        createWatchPart(context),
        createLeasePart(context),
        ...(seams?.parts?.(context, this) ?? []),
      ],
      ...peers,
      onFailed: (error) => {
        if (this.#life !== life) return;
        this.failure = error;
        seams?.failed?.(error, this);
      },
      onRemoved: () => {
        if (this.#life !== life) return;
        this.wasRemoved = true;
        seams?.removed?.(this);
      },
    });
    life.member = member;
    await member.ready();
    const methods = seams?.methods?.(member.methods, this) ?? member.methods;
    const rpc = new RpcServer({ host, methods });
    await rpc.serve(this.#options.clientAddress);
    life.rpc = rpc;
  }

  /** Pulls the plug: what was not synced is at the mercy of `mode`, and nobody is told. */
  crash(mode: CrashMode): void {
    const { random } = this.#options.world;
    this.#end(this.#options.peerAddress === undefined ? "process" : "machine");
    this.disk.crash(mode, random);
    this.#cell.crash(random.below(this.#cell.inFlightCount + 1));
  }

  /** Ends the process alone, as `kill -9` does: the system still writes everything, and closes connections. */
  exit(): void {
    const { random } = this.#options.world;
    this.#end("process");
    this.disk.crash("keep", random);
    this.#cell.crash(random.below(this.#cell.inFlightCount + 1));
  }

  /** Ends in good order. */
  async stop(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    this.isStopping = true;
    await life.rpc?.close({ graceMs: 0 });
    await life.member?.stop();
    if (this.#life === life) this.exit();
  }

  /** As SIGSTOP does, for so long. */
  freeze(ms: number): void {
    this.#life?.host.freeze(ms);
  }

  /** As SIGCONT does. */
  thaw(): void {
    this.#life?.host.thaw();
  }

  setWallOffset(ms: number): void {
    this.wallOffsetMs = ms;
    if (this.#life !== undefined) this.#life.host.wallOffsetMs = ms;
  }

  /** A client's connection from a host of its own. */
  connect(client: SimHost): Channel {
    return new Channel({ host: client, address: this.#options.clientAddress });
  }

  #end(what: "process" | "machine"): void {
    const { net } = this.#options;
    if (this.#life === undefined) return;
    this.#life.host.kill(what);
    this.#life = undefined;
    if (what === "machine") net.setDark(this.name, true);
  }

  #host(machine: SimHost): Host {
    const { seams } = this.#options;
    let host: Host = machine;
    if (seams?.disk !== undefined) {
      const { clock, timers, random, net, digests, log } = machine;
      host = { clock, timers, random, net, digests, log, disk: seams.disk(machine.disk, this) };
    }
    return seams?.host?.(host, this) ?? host;
  }

  async #listenForPeers(
    life: Life,
    host: Host,
    address: NetAddress | undefined,
  ): Promise<{ transport?: PeerTransport; requests?: PeerRequests }> {
    if (address === undefined) return {};
    const electionMs = this.memberOptions.electionMs ?? 1000;
    const peerUrls = this.memberOptions.initialAdvertisePeerUrls;
    const links = new PeerLinks({ host, peerUrls, electionMs });
    life.links = links;
    await host.net.listen(address, { accept: (connection) => links.accept(connection) });
    return {
      transport: this.#options.seams?.transport?.(links, host, this) ?? links,
      requests: new PeerRequests({ host, electionMs }),
    };
  }
}
