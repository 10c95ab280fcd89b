// Clusters of members of ours and of a stock release. Each scenario is a cluster of its own, under load,
// and ends alike: no acknowledged write is missing, no read was stale, HASHKV is the same everywhere, every
// member restarts, and no process panicked.

import type { Programs } from "../programs.ts";
import { Cluster } from "./cluster.ts";
import type { ClusterMember } from "./cluster-member.ts";
import { describeTimes } from "./distribution.ts";
import { Ledger } from "./ledger.ts";
import { Load } from "./load.ts";
import {
  clusterVersionIs,
  clusterVersionOf,
  leasesWork,
  type MixedLimits,
  membersAgree,
  operationsAgree,
  requestsWork,
} from "./mixed-checks.ts";
import { describeFailures } from "./reconfigure.ts";
import { eventually, messageOf, pause } from "./waiting.ts";

export const mixedScenarios = ["follow", "lead", "receive", "send", "migrate"] as const;
export type MixedScenario = (typeof mixedScenarios)[number];

export interface MixedOptions {
  readonly ours: Programs;
  readonly stock: Programs;
  readonly seed: number;
  readonly writesPerSecond: number;
  /** Random operations through all members, before the load. */
  readonly operationCount: number;
  /** Writes behind which the log no longer reaches. */
  readonly awayWriteCount: number;
  readonly limits: MixedLimits;
  /** Members fall behind the log a second time; a stock leader has to rest for 30 s before that. */
  readonly thorough: boolean;
  readonly progress?: (line: string) => void;
}

const steadyMs = 60_000;
const caughtUpMs = 60_000;
const voteAttempts = 10;
const args = ["--snapshot-count", "500"];
/** Stock then checks its own invariants while it runs. */
const env = { ETCD_VERIFY: "all" };
const receivedMetric = "etcd_network_snapshot_receive_success";
const sentMetric = "etcd_network_snapshot_send_success";

/** Runs one scenario or throws with what was found and how to repeat it. */
export async function mixed(scenario: MixedScenario, options: MixedOptions): Promise<void> {
  try {
    await scenarios[scenario](options);
  } catch (error) {
    const folder = options.stock.etcd.replace(/\/etcd$/, "");
    throw new Error(
      `${scenario}, with ${options.stock.name}: ${messageOf(error)}\nrepeat: npm run conformance -- mixed --stock ${folder} --scenario ${scenario} --seed ${options.seed}`,
      { cause: error },
    );
  }
}

const scenarios: Record<MixedScenario, (options: MixedOptions) => Promise<void>> = {
  follow,
  lead,
  receive,
  send,
  migrate,
};

/** Ours follows a stock leader; the leader is killed, and ours votes, until the other stock member leads. */
async function follow(options: MixedOptions): Promise<void> {
  const { stock, ours } = options;
  await inCluster([stock, stock, ours], options, async (trial) => {
    const { cluster } = trial;
    await trial.moveLeaderTo(stock);
    await trial.checks();
    trial.load.start();
    await trial.load.acknowledge(options.writesPerSecond, steadyMs);
    let voted = false;
    for (let n = 1; n <= voteAttempts && !voted; n++) {
      await trial.moveLeaderTo(stock);
      const leader = await cluster.leader();
      const startMs = performance.now();
      await leader.kill();
      const tookMs = (await trial.load.nextAcknowledged(options.limits.failoverMsMax)) - startMs;
      const next = await cluster.leader();
      voted = next.programs === stock;
      trial.tell(
        `killed the stock leader; ${next.programs.name} leads after ${tookMs.toFixed(0)} ms`,
      );
      await trial.load.acknowledge(options.writesPerSecond / 2, steadyMs);
      await leader.start();
      await cluster.untilServing([leader]);
    }
    if (!voted) throw new Error(`ours won ${voteAttempts} elections: its vote was never needed`);
  });
}

/** Ours leads stock followers; one of them goes and comes, then ours goes and comes. */
async function lead(options: MixedOptions): Promise<void> {
  const { stock, ours } = options;
  await inCluster([stock, stock, ours], options, async (trial) => {
    const { cluster } = trial;
    await trial.ledBy(ours, () => trial.checks());
    trial.load.start();
    await trial.load.acknowledge(options.writesPerSecond, steadyMs);
    await trial.ledBy(ours, async () => {
      const follower = trial.of(stock)[0] as ClusterMember;
      await follower.kill();
      await trial.load.nextAcknowledged(options.limits.failoverMsMax);
      await trial.load.acknowledge(options.writesPerSecond / 2, steadyMs);
      await follower.start();
      await cluster.untilServing([follower]);
    });
    trial.tell("a stock follower was killed and is back");
    // The lead goes over and comes back under load.
    await trial.moveLeaderTo(stock);
    await trial.load.acknowledge(options.writesPerSecond / 2, steadyMs);
    await trial.moveLeaderTo(ours);
    await trial.load.acknowledge(options.writesPerSecond / 2, steadyMs);
    trial.tell("the lead went to a stock member and back");
    const leader = trial.of(ours)[0] as ClusterMember;
    const startMs = performance.now();
    await leader.kill();
    const tookMs = (await trial.load.nextAcknowledged(options.limits.failoverMsMax)) - startMs;
    trial.tell(`killed ours, the leader; a stock member leads after ${tookMs.toFixed(0)} ms`);
    await trial.load.acknowledge(options.writesPerSecond / 2, steadyMs);
    await leader.start();
    await cluster.untilServing([leader]);
  });
}

/** Ours joins stock members whose log does not reach back, and falls behind their log once more. */
async function receive(options: MixedOptions): Promise<void> {
  const { stock, ours } = options;
  await inCluster([stock, stock, stock], options, async (trial) => {
    await trial.checks();
    const joined = await trial.joinBySnapshot(ours);
    if (options.thorough) await trial.fallBehind(joined);
  });
}

/** A fresh stock member joins a cluster that ours leads, and falls behind its log once more. */
async function send(options: MixedOptions): Promise<void> {
  const { stock, ours } = options;
  await inCluster([ours, stock, stock], options, async (trial) => {
    await trial.ledBy(ours, () => trial.checks());
    await trial.ledBy(ours, async () => {
      const joined = await trial.joinBySnapshot(stock);
      if (options.thorough) await trial.fallBehind(joined);
    });
  });
}

/** Three stock members become three of ours, one by one, and three stock members again, under load. */
async function migrate(options: MixedOptions): Promise<void> {
  const { stock, ours } = options;
  await inCluster([stock, stock, stock], options, async (trial) => {
    const { cluster } = trial;
    await operationsAgree(cluster, options.seed, options.operationCount, options.limits.outagesMax);
    await trial.startLedger();
    trial.load.start();
    await trial.load.acknowledge(options.writesPerSecond, steadyMs);
    for (const [from, to] of [
      [stock, ours],
      [ours, stock],
    ] as const) {
      for (const leaving of trial.of(from)) {
        const joined = await cluster.add(to, "learner");
        await cluster.promote(joined);
        await cluster.untilServing([joined]);
        await trial.load.redirect(
          cluster.members.filter((it) => it !== leaving).map((it) => it.endpoint),
        );
        if ((await cluster.leader()) === leaving) await cluster.moveLeader(joined);
        await cluster.remove(leaving);
        await leaving.ended(options.limits.leaveMsMax);
        await trial.load.acknowledge(options.writesPerSecond / 2, steadyMs);
        trial.tell(`${joined.name} of ${to.name} is in the place of ${leaving.name}`);
      }
      // Time for a leader of ours to raise the version of the cluster, which would bar the way back.
      await pause(5_000);
      await trial.load.acknowledge(options.writesPerSecond / 2, steadyMs);
      await clusterVersionIs(cluster, clusterVersionOf(stock.version));
      trial.tell(
        `all members are ${to.name}; writes ${describeTimes(trial.load.takeLatencies())}${describeFailures(trial.load.takeFailures())}`,
      );
    }
    await trial.load.stop();
    await trial.verify();
    await requestsWork(cluster);
    await leasesWork(cluster, options.limits.expiryMsMax);
    await trial.startLedger();
  });
}

async function inCluster(
  programs: readonly Programs[],
  options: MixedOptions,
  work: (trial: Trial) => Promise<void>,
): Promise<void> {
  await Cluster.use({ programs, args, env }, async (cluster) => {
    const trial = new Trial(cluster, options);
    await trial.startLedger();
    try {
      await work(trial);
      await trial.load.stop();
      await trial.verify();
    } finally {
      trial.load.close();
    }
    await membersAgree(cluster);
    await clusterVersionIs(cluster, clusterVersionOf(options.stock.version));
    await cluster.restartEach();
    await membersAgree(cluster);
    await requestsWork(cluster);
    const { revision, hash } = await cluster.settled();
    trial.tell(`all restarted; HASHKV ${hash} at ${revision} on all`);
  });
}

class Trial {
  readonly cluster: Cluster;
  readonly #options: MixedOptions;
  #ledger = new Ledger(0);
  #load: Load | undefined;

  constructor(cluster: Cluster, options: MixedOptions) {
    this.cluster = cluster;
    this.#options = options;
  }

  get load(): Load {
    if (this.#load === undefined) throw new Error("the ledger was not started");
    return this.#load;
  }

  /** Counts from here: what was written before is not looked at. */
  async startLedger(): Promise<void> {
    this.#load?.close();
    this.#ledger = new Ledger((await this.cluster.settled()).revision);
    this.#load = this.#newLoad(this.#options.writesPerSecond, Number.POSITIVE_INFINITY);
  }

  async verify(): Promise<void> {
    const { revision } = await this.cluster.settled();
    const [teller] = this.of(this.#options.ours).concat(this.cluster.running);
    await this.#ledger.verify((teller as ClusterMember).client, revision);
  }

  of(programs: Programs): ClusterMember[] {
    return this.cluster.running.filter((it) => it.programs === programs);
  }

  tell(line: string): void {
    this.#options.progress?.(line);
  }

  /** A member of this kind leads. */
  async moveLeaderTo(programs: Programs): Promise<void> {
    if ((await this.cluster.leader()).programs === programs) return;
    await this.cluster.moveLeader(this.of(programs)[0] as ClusterMember);
  }

  /**
   * Does the work while one member of this kind leads from beginning to end. Where the machine gives a leader no time
   * for longer than an election takes, another one leads: then the work is done once more.
   */
  async ledBy(programs: Programs, work: () => Promise<void>): Promise<void> {
    const { leadsMax } = this.#options.limits;
    for (let leads = 1; leads <= leadsMax; leads++) {
      await this.moveLeaderTo(programs);
      const before = await this.cluster.leader();
      const { raftTerm } = await before.status(5_000);
      await work();
      const after = await this.cluster.leader();
      if (after === before && (await after.status(5_000)).raftTerm === raftTerm) return;
      this.tell(`${after.name} leads, and ${before.name} did: once more`);
    }
    throw new Error(`no member of ${programs.name} kept the lead, of ${leadsMax} that were given`);
  }

  /** Requests of all kinds and leases through all members; the ledger starts behind them. */
  async checks(): Promise<void> {
    const { cluster } = this;
    const { seed, operationCount, stock, limits } = this.#options;
    await membersAgree(cluster);
    await clusterVersionIs(cluster, clusterVersionOf(stock.version));
    await requestsWork(cluster);
    const { refused } = await operationsAgree(cluster, seed, operationCount, limits.outagesMax);
    await leasesWork(cluster, limits.expiryMsMax);
    await this.startLedger();
    this.tell(
      `${operationCount} operations (${refused} refused) and leases are right on all members`,
    );
  }

  /** Many writes, as fast as they go, through the running members. */
  async write(count: number): Promise<void> {
    const load = this.#newLoad(Number.POSITIVE_INFINITY, count);
    try {
      load.start();
      await load.acknowledge(count, 120_000);
      await load.stop();
    } finally {
      load.close();
    }
  }

  /** A fresh member, which can only be brought up by a snapshot. */
  async joinBySnapshot(programs: Programs): Promise<ClusterMember> {
    await this.write(this.#options.awayWriteCount);
    const sentBefore = await this.#snapshotsSent();
    const startMs = performance.now();
    // Under load, as members join in practice: there are entries behind the snapshot, too.
    this.load.start();
    const joined = await this.cluster.add(programs, "learner");
    await this.#caughtUp(joined);
    await this.#expectSnapshot(joined, sentBefore);
    await this.cluster.promote(joined);
    await this.cluster.untilServing([joined]);
    const tookMs = (performance.now() - startMs).toFixed(0);
    this.tell(
      `${joined.name} of ${programs.name} joined by a snapshot and votes after ${tookMs} ms`,
    );
    await this.load.redirect(this.cluster.endpoints);
    await this.load.acknowledge(this.#options.writesPerSecond / 2, steadyMs);
    await this.load.stop();
    await this.verify();
    return joined;
  }

  /** A member with data is away for longer than the log reaches. */
  async fallBehind(member: ClusterMember): Promise<void> {
    // A leader keeps the log that long after it sent a snapshot.
    await pause(31_000);
    await member.kill();
    await this.write(this.#options.awayWriteCount);
    const sentBefore = await this.#snapshotsSent();
    await member.start();
    await this.#caughtUp(member);
    await this.#expectSnapshot(member, sentBefore);
    await this.verify();
    this.tell(`${member.name} was away for ${this.#options.awayWriteCount} writes`);
  }

  #newLoad(writesPerSecond: number, writeCountMax: number): Load {
    this.#loadCount += 1;
    return new Load({
      endpoints: this.cluster.running.map((it) => it.endpoint),
      ...{ ledger: this.#ledger, seed: this.#options.seed, writesPerSecond, writeCountMax },
      ...(writeCountMax === Number.POSITIVE_INFINITY
        ? {}
        : { slotCount: 512, readersPerMember: 0 }),
      firstSlot: this.#loadCount * 4_000,
    });
  }

  #loadCount = 0;

  async #snapshotsSent(): Promise<number> {
    let sum = 0;
    for (const member of this.cluster.running) sum += await member.metricSum(sentMetric);
    return sum;
  }

  async #expectSnapshot(member: ClusterMember, sentBefore: number): Promise<void> {
    const received = await member.metricSum(receivedMetric);
    const sent = (await this.#snapshotsSent()) - sentBefore;
    if (received === 0 || sent <= 0) {
      throw new Error(`${member.name} caught up with ${received} snapshots received, ${sent} sent`);
    }
  }

  async #caughtUp(member: ClusterMember): Promise<void> {
    const leader = await this.cluster.leader(member);
    const goal = (await leader.status(5_000)).raftAppliedIndex;
    await eventually(`${member.name} catches up with index ${goal}`, caughtUpMs, async () => {
      this.cluster.assertNoPanic();
      return (await member.status(5_000)).raftAppliedIndex >= goal ? true : undefined;
    });
  }
}
