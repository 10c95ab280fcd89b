// A cluster of production members in a virtual world, with all checks looking on. Scenarios and swarms drive it:
//
//     const cluster = new SimCluster({ seed: 1, memberCount: 3 });
//     await cluster.start();
//     cluster.crash(cluster.leader());        hurt it: crash, exit, isolate, cut, freeze, weather, disks
//     await cluster.run(5_000);               let virtual time pass
//     cluster.heal(); await cluster.converge(30_000);
//
// A member that ends by itself without a fault that explains it is a violation, and so is a start that is
// refused. What is explained (a disk that failed, a log with a flipped bit) is written down at the node.

import { CorruptionError, DiskError, type SeededRandom } from "@etcd-ts/base";
import {
  type Member,
  type MemberContext,
  type MemberOptions,
  type MemberPart,
  StartError,
} from "@etcd-ts/server";
import { EqualityCheck } from "./checks/equality-check.ts";
import { History } from "./checks/history.ts";
import { LeaseCheck } from "./checks/lease-check.ts";
import { RaftCheck } from "./checks/raft-check.ts";
import { Violation } from "./checks/violation.ts";
import { type CrashMode, SimDisk } from "./disk.ts";
import { FaultyTransport, type MessageFaults } from "./faulty-transport.ts";
import { SimHost } from "./host.ts";
import { SimNet } from "./net.ts";
import { type NodeSeams, SimNode } from "./node.ts";
import { DiskWeather, NetWeather, type NetWeatherOptions } from "./weather.ts";
import { World } from "./world.ts";

export interface SimClusterOptions extends NetWeatherOptions {
  readonly seed: number;
  readonly memberCount: number;
  /** For every member. */
  readonly member?: Partial<MemberOptions>;
  /** Clocks of members go at rates from 1 - this to 1 + this. */
  readonly clockDrift?: number;
  readonly commitDelayMs?: number;
  readonly trace?: (line: string) => void;
  /** For planted bugs; on top of the cluster's own. */
  readonly seams?: NodeSeams;
  /** How often HASHKV is compared. */
  readonly compareMs?: number;
}

/** A machine of the cluster and what is known about it. */
export interface ClusterNode extends SimNode {
  readonly weather: DiskWeather;
  /** Its medium is damaged, or it failed for a reason that it may end for. */
  isDamaged: boolean;
  /** With its damage it did not start, or ended: the damage was noticed. */
  wasRefused: boolean;
  /** It was asked to leave the cluster: it may end. */
  isLeaving: boolean;
  /** It is not yet a member of the cluster. */
  isJoining: boolean;
  /** It belongs to the cluster, and has a log of its own. */
  hasServed: boolean;
  /** Whoever restarts machines lets this one be until then. */
  downUntilMs: number;
}

const clientPort = 2379;
const peerPort = 2380;

export class SimCluster {
  readonly world: World;
  readonly net: SimNet;
  readonly weather: NetWeather;
  readonly history: History = new History();
  readonly raft: RaftCheck = new RaftCheck();
  readonly leases: LeaseCheck = new LeaseCheck();
  readonly equality: EqualityCheck = new EqualityCheck();
  readonly messageFaults: MessageFaults = { dropPerMille: 0, doublePerMille: 0, delayPerMille: 0 };
  /** The machines of the cluster, in the order of their making. */
  readonly nodes: ClusterNode[] = [];
  /** Machines whose members were removed. */
  readonly leavers: ClusterNode[] = [];
  readonly options: SimClusterOptions;
  readonly #clockRandom: SeededRandom;
  #nodeCount = 0;
  #clientCount = 0;
  /** Members that took over a state that another one sent. */
  snapshotCount = 0;
  faultCount = 0;
  startCount = 0;
  /** Members that ended by themselves, as they had to. */
  explainedCount = 0;

  constructor(options: SimClusterOptions) {
    this.options = options;
    this.world = new World(options.seed);
    const { random } = this.world;
    this.weather = new NetWeather(random.fork("network"), options);
    this.net = new SimNet(this.world, this.weather);
    this.weather.onCutsChanged = () => this.net.cutsChanged();
    this.#clockRandom = random.fork("clocks");
    this.leases.fastestClock = 1 + (options.clockDrift ?? 0);
    for (let i = 0; i < options.memberCount; i++) this.makeNode();
    const initialCluster = this.nodes.map(({ name }) => ({ name, peerUrls: [peerUrlOf(name)] }));
    for (const node of this.nodes) node.memberOptions = { ...node.memberOptions, initialCluster };
    this.#compareSoon();
  }

  // --- machines ---------------------------------------------------------------------------------------

  /** A new machine, which is not started. */
  makeNode(): ClusterNode {
    const { options, world, net } = this;
    const name = `m${++this.#nodeCount}`;
    const weather = new DiskWeather(world.random.fork(`disk of ${name}`));
    const drift = options.clockDrift ?? 0;
    const clockRate = 1 + drift * (this.#clockRandom.below(2001) / 1000 - 1);
    const trace = options.trace;
    const made = new SimNode({
      world,
      net,
      member: {
        dataDir: "/data",
        // Segments of the usual size would never end within a run.
        walSegmentBytes: 64 * 1024,
        ...options.member,
        name,
        initialCluster: [],
        initialAdvertisePeerUrls: [peerUrlOf(name)],
        advertiseClientUrls: [`http://${name}:${clientPort}`],
      },
      clientAddress: { kind: "tcp", host: name, port: clientPort },
      peerAddress: { kind: "tcp", host: name, port: peerPort },
      diskFaults: weather,
      clockRate,
      commitDelayMs: options.commitDelayMs ?? 5,
      ...(trace === undefined ? {} : { trace }),
      seams: this.#seams(),
    });
    const node: ClusterNode = Object.assign(made, {
      weather,
      isDamaged: false,
      wasRefused: false,
      isLeaving: false,
      isJoining: false,
      hasServed: false,
      downUntilMs: 0,
    });
    this.nodes.push(node);
    return node;
  }

  node(name: string): ClusterNode {
    const node = this.nodes.find((it) => it.name === name);
    if (node === undefined) throw new Error(`there is no ${name}`);
    return node;
  }

  /** Begins a life; when it cannot, `explains` says whether it had to. */
  launch(node: ClusterNode): void {
    this.startCount++;
    this.note(`start ${node.name}`);
    node.weather.wasFaulty = Number.isFinite(node.disk.capacityBytes);
    const life = node.lifeCount + 1;
    node.start().then(
      () => {
        node.hasServed = true;
        this.note(`${node.name} serves`);
      },
      (reason: unknown) => {
        if (node.lifeCount !== life || !node.isRunning || node.isStopping) return;
        this.#ended(node, reason instanceof Error ? reason : new Error(String(reason)));
      },
    );
  }

  /** Power loss. */
  crash(node: ClusterNode, mode: CrashMode = "random"): void {
    if (!node.isRunning) return;
    this.note(`crash ${node.name} (${mode})`);
    this.faultCount++;
    this.#lookOnce(node);
    node.crash(mode);
  }

  /** `kill -9` */
  exit(node: ClusterNode): void {
    if (!node.isRunning) return;
    this.note(`kill ${node.name}`);
    this.faultCount++;
    this.#lookOnce(node);
    node.exit();
  }

  // --- the network ------------------------------------------------------------------------------------

  /** No member of one group reaches one of another any more; clients reach all. */
  partition(...groups: (readonly ClusterNode[])[]): void {
    this.faultCount++;
    this.note(
      `partition ${groups.map((group) => group.map((it) => it.name).join("+")).join(" | ")}`,
    );
    for (const group of groups) {
      for (const other of groups) {
        if (group === other) continue;
        for (const a of group) for (const b of other) this.weather.cut(a.name, b.name);
      }
    }
  }

  isolate(node: ClusterNode): void {
    this.partition(
      [node],
      this.nodes.filter((it) => it !== node),
    );
  }

  /** Everything works again, and everything that stopped runs again. */
  heal(): void {
    this.note("heal");
    this.weather.heal();
    this.messageFaults.dropPerMille = 0;
    this.messageFaults.doublePerMille = 0;
    this.messageFaults.delayPerMille = 0;
    for (const node of [...this.nodes, ...this.leavers]) {
      node.weather.heal();
      node.thaw();
      node.disk.capacityBytes = Number.POSITIVE_INFINITY;
      node.downUntilMs = Math.min(node.downUntilMs, this.world.nowMs);
    }
    this.restart();
  }

  /** Starts every machine that is down and may come up. */
  restart(): void {
    for (const node of [...this.nodes, ...this.leavers]) {
      if (node.isRunning || node.isJoining || node.wasRemoved) continue;
      if (node.isDamaged && node.wasRefused) continue;
      if (node.downUntilMs <= this.world.nowMs) this.launch(node);
    }
  }

  // --- time -------------------------------------------------------------------------------------------

  /** Starts all machines and waits until all serve clients. */
  async start(): Promise<void> {
    for (const node of this.nodes) this.launch(node);
    const served = await this.world.runUntil(() => this.nodes.every((it) => it.isServing), 30_000);
    if (!served) throw new Violation("liveness", "a new cluster does not serve after 30 s");
  }

  async run(ms: number): Promise<void> {
    await this.world.run(ms);
  }

  /** Runs until all members have applied the same and agree on a leader; then compares everything. */
  async converge(
    ms: number,
    alsoWaitFor: () => string | undefined = () => undefined,
  ): Promise<void> {
    const startMs = this.world.nowMs;
    let missing: string | undefined = "";
    while (missing !== undefined) {
      missing = this.#unsettled() ?? alsoWaitFor();
      if (missing === undefined) break;
      if (this.world.nowMs - startMs >= ms) {
        throw new Violation("liveness", `${ms} ms after everything was healed, ${missing}`);
      }
      await this.world.run(100);
    }
    const members = this.members();
    this.equality.compareAll(
      members.map((member) => ({ name: member.config.name, machine: member.machine })),
      this.history,
    );
    for (const node of this.nodes) this.#lookOnce(node);
  }

  // --- who is who -------------------------------------------------------------------------------------

  /** Members that run, leaving ones excluded. */
  members(): Member[] {
    return this.nodes
      .filter((it) => it.isRunning && !it.isLeaving && !it.isDamaged)
      .map((it) => it.member)
      .filter((it) => it !== undefined);
  }

  /** The leader of the newest term among those that run. */
  findLeader(): ClusterNode | undefined {
    let found: ClusterNode | undefined;
    for (const node of this.nodes) {
      const replica = node.member?.replica;
      if (replica === undefined || !node.isRunning || !replica.isLeader) continue;
      if (found === undefined || replica.term > (found.member?.replica.term ?? 0)) found = node;
    }
    return found;
  }

  leader(): ClusterNode {
    const leader = this.findLeader();
    if (leader === undefined) throw new Error("there is no leader");
    return leader;
  }

  followers(): ClusterNode[] {
    const leader = this.findLeader();
    return this.nodes.filter((it) => it !== leader && it.isServing);
  }

  /** A machine for a client. */
  clientHost(): SimHost {
    return new SimHost({
      name: `c${++this.#clientCount}`,
      world: this.world,
      net: this.net,
      disk: new SimDisk(),
      diskFaults: { latencyMs: () => 0.1 },
    });
  }

  note(text: string): void {
    this.world.mix(text.length);
    this.options.trace?.(`${this.world.nowMs.toFixed(3)} sim ${text}`);
  }

  /** Ends everything, so that nothing is left of it. */
  stop(): void {
    for (const node of [...this.nodes, ...this.leavers]) if (node.isRunning) node.crash("drop");
  }

  // --- inside -----------------------------------------------------------------------------------------

  #unsettled(): string | undefined {
    const leader = this.findLeader();
    if (leader === undefined) return "there is no leader";
    const commit = leader.member?.replica.commitIndex ?? 0;
    for (const node of this.nodes) {
      if (node.isLeaving || node.isDamaged || node.isJoining) continue;
      if (!node.isServing) return `${node.name} does not serve`;
      const member = node.member as Member;
      if (member.leaderId !== leader.member?.memberId) return `${node.name} knows no leader`;
      if (member.machine.appliedIndex !== commit) {
        return `${node.name} has applied ${member.machine.appliedIndex}, not ${commit}`;
      }
    }
    return undefined;
  }

  #seams(): NodeSeams {
    const planted = this.options.seams ?? {};
    return {
      ...planted,
      parts: (context, node) => [
        this.#watcherOf(context, node),
        ...(planted.parts?.(context, node) ?? []),
      ],
      transport: (links, host, node) => {
        const inner = planted.transport?.(links, host, node) ?? links;
        return new FaultyTransport(inner, this.world, host, this.messageFaults);
      },
      failed: (error, node) => {
        // Its process ends, but not within its own turn.
        const life = node.lifeCount;
        this.world.after(0, () => {
          if (node.isRunning && node.lifeCount === life) this.#ended(node as ClusterNode, error);
        });
      },
      removed: (node) => {
        this.note(`${node.name} was removed`);
        const clusterNode = node as ClusterNode;
        if (!clusterNode.isLeaving) {
          throw new Violation("membership", `${node.name} stops as removed, and nobody removed it`);
        }
        this.world.after(0, () => {
          if (node.isRunning) node.exit();
        });
      },
    };
  }

  /** The checks' own part of each member: told of every change as it is applied. */
  #watcherOf(context: MemberContext, node: SimNode): MemberPart {
    const member = context as Member;
    const { name } = node;
    const { history, leases, raft, world } = this;
    raft.restarted(name, member);
    return {
      methods: {},
      changed: (revision, events) => history.record(name, revision, events),
      stateReplaced: () => {
        this.snapshotCount++;
        this.note(`${name} took over a snapshot at ${member.machine.appliedIndex}`);
      },
      leaseRevoked: (id) => leases.ended(id, world.nowMs),
      turnEnded: () => raft.observe(name, member),
      stop: () => undefined,
    };
  }

  /** What its log holds counts, even when its last turn was not yet over. */
  #lookOnce(node: ClusterNode): void {
    if (node.member !== undefined) this.raft.observe(node.name, node.member);
  }

  #ended(node: ClusterNode, error: Error): void {
    this.note(`${node.name} ended: ${error.message}`);
    if (error instanceof Violation) {
      this.world.fail(error);
      return;
    }
    const cause = explanationOf(error);
    const isExplained =
      (cause === "disk" && (node.weather.wasFaulty || Number.isFinite(node.disk.capacityBytes))) ||
      (cause === "damage" && node.isDamaged) ||
      (cause === "membership" && !node.hasServed) ||
      node.isLeaving;
    if (!isExplained) {
      this.world.fail(
        new Violation("no member fails", `${node.name}: ${error.stack ?? error.message}`),
      );
      return;
    }
    this.explainedCount++;
    if (cause === "damage") node.wasRefused = true;
    node.downUntilMs = this.world.nowMs + 500;
    node.exit();
  }

  #compareSoon(): void {
    const periodMs = this.options.compareMs ?? 2000;
    this.world.after(periodMs, () => {
      for (const member of this.members()) {
        this.equality.compare(member.config.name, member.machine);
      }
      this.#compareSoon();
    });
  }
}

export function peerUrlOf(name: string): string {
  return `http://${name}:${peerPort}`;
}

/**
 * "membership": whoever joins asks the members that it can reach who belongs to the cluster, and these may not have
 * heard of the newest change yet, or be none. Then the start is refused, as by etcd, and its operator tries again;
 * one that never gets in is the liveness check's to find.
 */
function explanationOf(error: unknown): "disk" | "damage" | "membership" | "other" {
  const isMembership =
    /validating peerURLs|member count|cannot fetch cluster info|no member has told one/;
  if (error instanceof StartError && isMembership.test(error.message)) return "membership";
  // A bit that flips in the last records makes a torn tail of them, and what the backend has seen more is noticed.
  if (error instanceof StartError && /part of the log is lost/.test(error.message)) return "damage";
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at instanceof DiskError) return "disk";
    if (at instanceof CorruptionError) return "damage";
  }
  return "other";
}
