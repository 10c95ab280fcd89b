// Members that are nothing but their links, in the virtual world: what they receive and report is written
// down, and the wires between them can be cut, silenced and refused.

import { LeaseTimeToLiveResponse } from "@etcd-ts/api";
import {
  type Bytes,
  type Connection,
  type ConnectionHandler,
  concatBytes,
  type DialOptions,
  type Host,
  type Listener,
  type ListenOptions,
  type Net,
  type NetAddress,
} from "@etcd-ts/base";
import type { Member } from "@etcd-ts/machine";
import { ConfState, Message, MessageType } from "@etcd-ts/raft";
import { SimDisk, SimHost, SimNet, World } from "@etcd-ts/sim";
import { PeerLinks } from "../../../src/peers/peer-links.ts";
import type { OutgoingSnapshot, PeerAnswers, PeerSeams } from "../../../src/peers/seams.ts";

export class LinksWorld {
  readonly world: World;
  readonly net: SimNet;
  /** `from>to` of directions in which nothing arrives. */
  readonly silenced: Set<string> = new Set();
  latencyMs = 0.1;
  readonly trace: string[] = [];

  constructor(seed = 1) {
    this.world = new World(seed);
    this.net = new SimNet(this.world, {
      latencyMs: (from, to) =>
        this.silenced.has(`${nameOf(from)}>${nameOf(to)}`) ? 1e9 : this.latencyMs,
    });
  }

  node(id: bigint, options: Partial<NodeOptions> = {}): Promise<TestNode> {
    return TestNode.start(this, { id, clusterId: 0xc1n, serverVersion: "3.7.1", ...options });
  }

  run(ms: number): Promise<void> {
    return this.world.run(ms);
  }

  /** Fails unless `condition` comes true within so many virtual milliseconds. */
  async until(condition: () => boolean, ms: number, what: string): Promise<void> {
    if (await this.world.runUntil(condition, ms)) return;
    throw new Error(`not within ${ms} ms: ${what}\n${this.trace.slice(-40).join("\n")}`);
  }
}

function nameOf(place: string): string {
  return place.split(":")[0]!;
}

export interface NodeOptions {
  readonly id: bigint;
  readonly clusterId: bigint;
  readonly serverVersion: string;
  /** Name on the net; `n<id>`. */
  readonly name?: string;
  readonly answers?: PeerAnswers;
  /** How far its clock is ahead. */
  readonly wallOffsetMs?: number;
}

export function urlOf(id: bigint): string {
  return `http://n${id}:2380`;
}

export class TestNode implements PeerSeams {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly host: Host;
  readonly net: TestNet;
  readonly disk: SimDisk;
  readonly links: PeerLinks;
  readonly received: Message[] = [];
  readonly unreachable: bigint[] = [];
  readonly snapshots: (readonly [bigint, boolean])[] = [];
  readonly removedIds: Set<bigint> = new Set();
  removedCount = 0;
  metStrictCount = 0;
  /** `receive` takes messages. */
  takes = true;
  onReceive: (message: Message) => void = () => {};
  readonly snapshotFolder = "/snap";
  inspected: string[] = [];
  refuseDatabase: string | undefined;
  /** What is sent as a snapshot. */
  database: readonly Bytes[] = [];
  openSnapshotCount = 0;
  closedSnapshotCount = 0;
  readonly answers: PeerAnswers;

  private constructor(world: LinksWorld, options: NodeOptions) {
    const name = options.name ?? `n${options.id}`;
    this.memberId = options.id;
    this.clusterId = options.clusterId;
    this.answers = options.answers ?? noAnswers;
    this.disk = new SimDisk();
    const host = new SimHost({
      name,
      world: world.world,
      disk: this.disk,
      diskFaults: { latencyMs: () => 0.2 },
      net: world.net,
      trace: (line) => world.trace.push(line),
    });
    host.wallOffsetMs = options.wallOffsetMs ?? 0;
    this.net = new TestNet(host);
    this.host = {
      clock: host.clock,
      timers: host.timers,
      random: host.random,
      disk: host.disk,
      digests: host.digests,
      log: host.log,
      net: this.net,
    };
    this.links = new PeerLinks({
      host: this.host,
      peerUrls: [`http://${name}:2380`],
      electionMs: 1000,
      serverVersion: options.serverVersion,
    });
  }

  static async start(world: LinksWorld, options: NodeOptions): Promise<TestNode> {
    const node = new TestNode(world, options);
    const name = options.name ?? `n${options.id}`;
    await world.world.complete(
      (async () => {
        await node.host.disk.makeDirectory(node.snapshotFolder);
        await node.host.net.listen(
          { kind: "tcp", host: name, port: 2380 },
          { accept: (connection) => node.links.accept(connection) },
        );
      })(),
      1000,
    );
    node.links.start(node);
    return node;
  }

  meets(...others: TestNode[]): void {
    for (const { memberId } of others) this.links.addPeer(memberId, [urlOf(memberId)]);
  }

  send(type: MessageType, to: TestNode, fill: (message: Message) => void = () => {}): Message {
    const message = new Message();
    message.type = type;
    message.from = this.memberId;
    message.to = to.memberId;
    message.term = 1;
    fill(message);
    this.links.send(message);
    return message;
  }

  // --- PeerSeams --------------------------------------------------------------------------------------

  receive(message: Message): boolean {
    if (!this.takes) return false;
    this.received.push(message);
    this.onReceive(message);
    return true;
  }

  reportUnreachable(id: bigint): void {
    this.unreachable.push(id);
  }

  reportSnapshot(id: bigint, succeeded: boolean): void {
    this.snapshots.push([id, succeeded]);
  }

  isRemoved(id: bigint): boolean {
    return this.removedIds.has(id);
  }

  strictMemberMet(): void {
    this.metStrictCount++;
  }

  removedFromCluster(): void {
    this.removedCount++;
  }

  async openSnapshot(): Promise<OutgoingSnapshot> {
    this.openSnapshotCount++;
    const confState = new ConfState();
    confState.voters = [1n, 2n];
    return {
      index: 0x1234,
      term: 5,
      confState,
      data: new Uint8Array([7]),
      write: async (sink) => {
        sink.begin(this.database.reduce((sum, part) => sum + part.length, 0));
        for (const part of this.database) {
          await sink.write(part);
          await sink.pause();
        }
      },
      close: () => {
        this.closedSnapshotCount++;
      },
    };
  }

  async inspectDatabase(path: string, index: number): Promise<void> {
    this.inspected.push(`${path} ${index}`);
    if (this.refuseDatabase !== undefined) throw new Error(this.refuseDatabase);
  }

  async readFile(path: string): Promise<Bytes> {
    const file = await this.host.disk.open(path, "read");
    const bytes = await file.read(0, await file.size());
    await file.close();
    return concatBytes([bytes, new Uint8Array(0)]);
  }
}

/** Both streams both ways between all of them. */
export async function connected(world: LinksWorld, ...nodes: TestNode[]): Promise<void> {
  for (const node of nodes) node.meets(...nodes.filter((other) => other !== node));
  await world.until(() => areConnected(...nodes), 2000, "all streams are up");
}

export function areConnected(...nodes: TestNode[]): boolean {
  return nodes.every((node) =>
    nodes.every((other) => other === node || node.links.isFullyConnected(other.memberId)),
  );
}

const noAnswers: PeerAnswers = {
  clusterVersion: "3.7.0",
  storageVersion: "",
  members: (): readonly Member[] => [],
  promote: async () => ({ code: 5, message: "membership: ID not found" }),
  renewLease: async () => ({ failure: "not-found" }),
  leaseTimeToLive: async () => new LeaseTimeToLiveResponse(),
  hashKv: async () => ({ failure: "other", message: "none" }),
  downgradeEnabled: async () => false,
};

/** A net whose dialled connections can be cut. */
export class TestNet implements Net {
  readonly #host: SimHost;
  readonly dialled: Set<Connection> = new Set();
  /** Nothing can be dialled. */
  refuses = false;
  dialCount = 0;

  constructor(host: SimHost) {
    this.#host = host;
  }

  listen(address: NetAddress, options: ListenOptions): Promise<Listener> {
    return this.#host.net.listen(address, options);
  }

  dial(address: NetAddress, options: DialOptions, handler: ConnectionHandler): Connection {
    this.dialCount++;
    if (this.refuses) {
      const gone: NetAddress = { kind: "tcp", host: "nowhere", port: 1 };
      return this.#host.net.dial(gone, options, handler);
    }
    const connection = this.#host.net.dial(address, options, {
      onOpen: () => handler.onOpen?.(),
      onData: (bytes) => handler.onData(bytes),
      onDrain: () => handler.onDrain(),
      onEnd: () => handler.onEnd(),
      onClose: (error) => {
        this.dialled.delete(connection);
        handler.onClose(error);
      },
    });
    this.dialled.add(connection);
    return connection;
  }

  /** Resets everything that was dialled from here. */
  cut(): void {
    for (const connection of [...this.dialled]) {
      connection.destroy();
    }
    this.dialled.clear();
  }
}

export { MessageType };
