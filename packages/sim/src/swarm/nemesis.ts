// Makes trouble of the kinds that a plan names, one after the other, each for a while, and ends all of it when
// the run is to recover.
//
// What it never does is to destroy more than raft can stand: at most one member's disk is lost at a time, and the
// next only after that member has been replaced. Everything else may happen to any number of members at once.

import {
  DefragmentRequest,
  decodeHashKVResponse,
  encodeDefragmentRequest,
  encodeHashKVRequest,
  encodeMoveLeaderRequest,
  encodeStatusRequest,
  HashKVRequest,
  MoveLeaderRequest,
  StatusRequest,
} from "@etcd-ts/api";
import type { Bytes, SeededRandom } from "@etcd-ts/base";
import { RpcError } from "@etcd-ts/rpc";
import { Violation } from "../checks/violation.ts";
import type { ClusterNode, SimCluster } from "../cluster.ts";
import { Caller } from "../workload/caller.ts";
import type { FaultKind, Plan } from "./plan.ts";
import { Surgery } from "./surgery.ts";

const maintenance = "/etcdserverpb.Maintenance";
const superviseMs = 250;
const votersMax = 7;

export class Nemesis {
  readonly #cluster: SimCluster;
  readonly #plan: Plan;
  readonly #random: SeededRandom;
  readonly #caller: Caller;
  readonly surgery: Surgery;
  /** What is undone when it stops. */
  readonly #cures = new Set<() => void>();
  #stopped = false;
  readonly counts: Map<FaultKind, number> = new Map();

  constructor(cluster: SimCluster, plan: Plan) {
    this.#cluster = cluster;
    this.#plan = plan;
    this.#random = cluster.world.random.fork("nemesis");
    this.#caller = new Caller(cluster);
    this.surgery = new Surgery(cluster, this.#caller);
  }

  start(): void {
    const { world } = this.#cluster;
    this.#loop().catch((error: unknown) => world.fail(error));
    this.#supervise();
  }

  /** No more trouble; what broke is mended, and operations on the membership come to their end. */
  stop(): void {
    this.#stopped = true;
    for (const cure of [...this.#cures]) cure();
    this.#cluster.heal();
  }

  /** What keeps the run from its end. */
  unfinished(): string | undefined {
    if (this.surgery.isBusy) return "a change of the membership is under way";
    const damaged = this.#cluster.nodes.find((it) => it.isDamaged && !it.isServing);
    return damaged === undefined ? undefined : `${damaged.name} is damaged and not replaced`;
  }

  async #loop(): Promise<void> {
    const { faults, faultPauseMs } = this.#plan;
    if (faults.length === 0) return;
    for (;;) {
      await this.#caller.pause(faultPauseMs);
      if (this.#stopped) return;
      const kind = this.#random.pick(faults);
      if (this.#make(kind)) this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    }
  }

  /** Restarts what may run, and has damaged members replaced. */
  #supervise(): void {
    const cluster = this.#cluster;
    cluster.restart();
    for (const node of cluster.nodes) {
      if (!node.isDamaged) continue;
      if (node.isServing)
        node.isDamaged = false; // what was hit was not in use
      else if (!node.isRunning && node.wasRefused && !this.surgery.isBusy) {
        this.#operate(() => this.surgery.replace(node, this.#random.chance(1, 2)));
      }
    }
    cluster.world.after(superviseMs, () => this.#supervise());
  }

  #operate(operation: () => Promise<unknown>): void {
    const { world } = this.#cluster;
    operation().catch((error: unknown) => world.fail(error));
  }

  #make(kind: FaultKind): boolean {
    const cluster = this.#cluster;
    const random = this.#random;
    const running = cluster.nodes.filter((it) => it.isRunning);
    const some = running.length > 0 ? random.pick(running) : undefined;
    const leader = cluster.findLeader();
    if (some === undefined) return false;
    switch (kind) {
      case "power loss":
        this.#down(some, () => cluster.crash(some, random.pick(["drop", "random", "keep"])));
        return true;
      case "power loss of all":
        for (const node of running) this.#down(node, () => cluster.crash(node, "random"));
        return true;
      case "kill":
        this.#down(some, () => cluster.exit(some));
        return true;
      case "kill the leader":
        if (leader !== undefined) this.#down(leader, () => cluster.exit(leader));
        return leader !== undefined;
      case "stop in good order":
        this.#stopGracefully(some);
        return true;
      case "crash at a disk operation":
        this.#crashAtOperation(some);
        return true;
      case "freeze":
        cluster.note(`freeze ${some.name}`);
        some.freeze(this.#durationMs());
        return true;
      case "partition":
        this.#partition();
        return true;
      case "isolate the leader":
        if (leader === undefined) return false;
        cluster.isolate(leader);
        this.#later(() => cluster.weather.heal());
        return true;
      case "one-way cut": {
        const other = random.pick(cluster.nodes);
        cluster.note(`cut ${some.name} > ${other.name}`);
        cluster.weather.cut(some.name, other.name);
        this.#later(() => cluster.weather.heal());
        return true;
      }
      case "clients cut off":
        cluster.note(`clients do not reach ${some.name}`);
        for (let i = 1; i < 10; i++) cluster.weather.cut(`c${i}`, some.name);
        this.#later(() => cluster.weather.heal());
        return true;
      case "latency":
        cluster.weather.spikeOneIn = random.pick([3, 20, 200]);
        cluster.weather.spikeMs = random.pick([50, 300, 1500]);
        this.#later(() => {
          cluster.weather.spikeOneIn = 0;
        });
        return true;
      case "bandwidth":
        cluster.weather.bandwidthBytesPerMs = random.pick([20, 100, 1000]);
        this.#later(() => {
          cluster.weather.bandwidthBytesPerMs = 0;
        });
        return true;
      case "connection resets":
        this.#resetConnections();
        return true;
      case "message faults":
        this.#messageFaults();
        return true;
      case "slow disk":
        some.weather.syncMs = random.pick([10, 60, 400]);
        this.#later(() => {
          some.weather.syncMs = 1;
        });
        return true;
      case "hung disk":
        cluster.note(`the disk of ${some.name} hangs`);
        some.weather.hung = true;
        this.#later(() => {
          some.weather.hung = false;
        });
        return true;
      case "failing disk":
        cluster.note(`the disk of ${some.name} fails`);
        some.weather.failing = random.pick(["sync", "write"]);
        this.#later(() => {
          some.weather.failing = "none";
        });
        return true;
      case "full disk":
        cluster.note(`the disk of ${some.name} is full`);
        some.disk.capacityBytes = some.disk.usedBytes() + random.below(4096);
        some.weather.wasFaulty = true; // what did not fit may be noticed only later
        this.#later(() => {
          some.disk.capacityBytes = Number.POSITIVE_INFINITY;
        });
        return true;
      case "flipped bit":
        return this.#flipBit(some);
      case "wall clock":
        some.setWallOffset((random.below(2001) - 1000) * random.pick([10, 3_600_000]));
        return true;
      case "move the leader":
        return this.#moveLeader(leader);
      case "administration":
        this.#administer(some);
        return true;
      case "grow": {
        if (this.#isBusy() || cluster.nodes.length >= votersMax) return false;
        this.#operate(() => this.surgery.grow(random.chance(2, 3)));
        return true;
      }
      case "shrink": {
        if (this.#isBusy() || cluster.nodes.length <= 3) return false;
        this.#operate(() => this.surgery.shrink(random.chance(1, 3) ? (leader ?? some) : some));
        return true;
      }
      case "replace":
        if (this.#isBusy()) return false;
        this.#operate(() => this.surgery.replace(some, random.chance(1, 2)));
        return true;
      default:
        kind satisfies never;
        return false;
    }
  }

  /** An operation on the membership must not begin while a disk is lost. */
  #isBusy(): boolean {
    return this.surgery.isBusy || this.#cluster.nodes.some((it) => it.isDamaged);
  }

  #durationMs(): number {
    const dice = (this.#random.next32() + 1) / 0x1_0000_0001;
    return -Math.log(dice) * this.#plan.faultMs;
  }

  /** Once, after a while or when the nemesis stops. */
  #later(cure: () => void): void {
    const once = (): void => {
      if (!this.#cures.delete(once)) return;
      cure();
    };
    this.#cures.add(once);
    this.#cluster.world.after(this.#durationMs(), once);
  }

  #down(node: ClusterNode, how: () => void): void {
    node.downUntilMs = this.#cluster.world.nowMs + this.#durationMs();
    how();
  }

  #stopGracefully(node: ClusterNode): void {
    const { world } = this.#cluster;
    this.#cluster.note(`stop ${node.name}`);
    node.downUntilMs = world.nowMs + this.#durationMs();
    const life = node.lifeCount;
    node.stop().catch((error: unknown) => {
      // Its disk may fail it on the way out.
      if (!node.weather.wasFaulty && node.disk.capacityBytes === Number.POSITIVE_INFINITY) {
        world.fail(error);
      }
    });
    // A process that does not end is killed, as service managers do.
    world.after(5000, () => {
      if (node.isRunning && node.lifeCount === life) this.#cluster.exit(node);
    });
  }

  #crashAtOperation(node: ClusterNode): void {
    const cluster = this.#cluster;
    let left = 1 + this.#random.below(30);
    const mode = this.#random.pick(["drop", "random", "keep"] as const);
    const downMs = this.#durationMs();
    node.weather.onChange = () => {
      left--;
      if (left > 0 || this.#stopped) return;
      node.weather.onChange = () => {};
      node.downUntilMs = cluster.world.nowMs + downMs;
      cluster.crash(node, mode);
    };
  }

  #partition(): void {
    const random = this.#random;
    const left: ClusterNode[] = [];
    const right: ClusterNode[] = [];
    for (const node of this.#cluster.nodes) (random.chance(1, 2) ? left : right).push(node);
    if (random.chance(1, 4) && left.length > 0 && right.length > 0) {
      // A bridge: one member still reaches both sides.
      (left.length > right.length ? left : right).pop();
    }
    this.#cluster.partition(left, right);
    this.#later(() => this.#cluster.weather.heal());
  }

  #resetConnections(): void {
    const { net } = this.#cluster;
    const oneIn = this.#random.pick([1, 3, 10]);
    for (const connection of [...net.connections]) {
      if (this.#random.below(oneIn) === 0) net.reset(connection);
    }
  }

  #messageFaults(): void {
    const random = this.#random;
    const { messageFaults } = this.#cluster;
    messageFaults.dropPerMille = random.pick([0, 20, 200]);
    messageFaults.doublePerMille = random.pick([0, 20, 100]);
    messageFaults.delayPerMille = random.pick([0, 20, 200]);
    this.#later(() => {
      messageFaults.dropPerMille = 0;
      messageFaults.doublePerMille = 0;
      messageFaults.delayPerMille = 0;
    });
  }

  /** The medium of one machine lies about what it holds. */
  #flipBit(node: ClusterNode): boolean {
    const cluster = this.#cluster;
    if (this.#isBusy()) return false;
    const paths = node.disk
      .paths()
      .filter((path) => /\.(wal|snap)$/.test(path) && node.disk.writtenBytes(path) > 0);
    if (paths.length === 0) return false;
    cluster.crash(node, "keep");
    const path = this.#random.pick(paths);
    const bytes = node.disk.writtenBytes(path);
    const position = this.#random.below(bytes);
    cluster.note(`flip a bit of ${node.name}:${path} at ${position} of ${bytes}`);
    node.isDamaged = true;
    node.wasRefused = false;
    node.disk.flipBit(path, position, this.#random.below(8));
    cluster.launch(node);
    return true;
  }

  #moveLeader(leader: ClusterNode | undefined): boolean {
    const target = this.#random.pick(this.#cluster.nodes).member;
    if (leader === undefined || target === undefined) return false;
    const request = new MoveLeaderRequest();
    request.targetId = target.memberId;
    this.#ask(leader, "MoveLeader", encodeMoveLeaderRequest(request));
    return true;
  }

  #administer(node: ClusterNode): void {
    const dice = this.#random.below(3);
    if (dice === 0) this.#ask(node, "Defragment", encodeDefragmentRequest(new DefragmentRequest()));
    else if (dice === 1) this.#ask(node, "Status", encodeStatusRequest(new StatusRequest()));
    else this.#ask(node, "HashKV", encodeHashKVRequest(new HashKVRequest()), decodeHashKVResponse);
  }

  /** A call whose answer is only looked at for its form. */
  #ask(
    node: ClusterNode,
    method: string,
    message: Bytes,
    look: (answer: Bytes) => unknown = () => undefined,
  ): void {
    const { world } = this.#cluster;
    this.#caller.call(node, `${maintenance}/${method}`, message).then(
      (answer) => {
        look(answer);
      },
      (error: unknown) => {
        if (!(error instanceof RpcError)) world.fail(error);
        else if (error.code === 13)
          world.fail(new Violation("answers", `${method}: ${error.message}`));
      },
    );
  }
}
