// Rounds of one fault against a cluster under load. A round: the load runs steadily; the fault strikes at a
// random moment; writes must succeed again in time, and go on while the fault lasts; it ends, and everybody
// comes back; the load pauses; HASHKV is the same on all members at the same revision, and the ledger agrees
// with the history as one member tells it, each in turn.

import { SeededRandom } from "@etcd-ts/base";
import type { Programs } from "../programs.ts";
import { Cluster } from "./cluster.ts";
import type { ClusterMember } from "./cluster-member.ts";
import { Ledger } from "./ledger.ts";
import { Load } from "./load.ts";
import { messageOf, pause } from "./waiting.ts";

export const faults = ["leader", "follower", "all", "stop", "proxy"] as const;
export type Fault = (typeof faults)[number];

export interface RoundsOptions {
  readonly programs: readonly Programs[];
  readonly fault: Fault;
  readonly rounds: number;
  /** Round n draws from `seed + n - 1`: a single round is repeated with its own seed. */
  readonly seed: number;
  readonly writesPerSecond: number;
  /** Writes must succeed again within this after a leader was killed. */
  readonly failoverMsMax: number;
  /** While a fault lasts, a tenth of the writes that are due may be so late. */
  readonly lateMsMax: number;
  /** How long SIGSTOP lasts. */
  readonly stopMs: number;
  readonly args?: readonly string[];
  /** What else the command line must say to repeat a round. */
  readonly repeatOptions?: string;
  readonly progress?: (line: string) => void;
}

export interface RoundsReport {
  readonly fault: Fault;
  readonly rounds: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly reads: number;
  /** From the fault to the first acknowledged write that started after it. */
  readonly recoveryMs: readonly number[];
}

const steadyCount = 300;
const steadyMs = 60_000;
/** After faults that do more than take a leader away. */
const recoveryMsMin = 20_000;

/** Runs all rounds or throws with what was found and how to repeat it. */
export async function faultRounds(options: RoundsOptions): Promise<RoundsReport> {
  const clusterOptions = {
    programs: options.programs,
    proxied: options.fault === "proxy",
    ...(options.args === undefined ? {} : { args: options.args }),
  };
  let round = 0;
  const recoveryMs: number[] = [];
  try {
    return await Cluster.use(clusterOptions, async (cluster) => {
      const ledger = new Ledger((await cluster.settled()).revision);
      const load = new Load({
        ...{ endpoints: cluster.endpoints, ledger, seed: options.seed },
        writesPerSecond: options.writesPerSecond,
      });
      try {
        for (round = 1; round <= options.rounds; round++) {
          const random = new SeededRandom(options.seed + round - 1);
          load.start();
          await load.acknowledge(steadyCount, steadyMs);
          await pause(random.below(400));
          const strike = new Strike(cluster, load, random, options);
          recoveryMs.push(await strike.run());
          await load.stop();
          const { revision, hash } = await cluster.settled();
          const teller = cluster.members[round % cluster.members.length] as ClusterMember;
          await ledger.verify(teller.client, revision);
          options.progress?.(
            `round ${round}: ${strike.story}, recovered in ${recoveryMs.at(-1)?.toFixed(0)} ms, ${ledger.acknowledgedCount} writes, HASHKV ${hash} at ${revision}`,
          );
        }
      } finally {
        load.close();
      }
      return {
        ...{ fault: options.fault, rounds: options.rounds, recoveryMs },
        acknowledged: ledger.acknowledgedCount,
        unknown: ledger.unknownCount,
        reads: ledger.readCount,
      };
    });
  } catch (error) {
    const repeat = `npm run conformance -- cluster --fault ${options.fault} --rounds 1 --seed ${options.seed + Math.max(round, 1) - 1}${options.repeatOptions ?? ""}`;
    throw new Error(
      `${options.fault}, round ${round} of seed ${options.seed}: ${messageOf(error)}\nrepeat: ${repeat}`,
      { cause: error },
    );
  }
}

class Strike {
  readonly #cluster: Cluster;
  readonly #load: Load;
  readonly #random: SeededRandom;
  readonly #options: RoundsOptions;
  readonly #recoveryMsMax: number;
  /** What was done, for people. */
  story = "";

  constructor(cluster: Cluster, load: Load, random: SeededRandom, options: RoundsOptions) {
    this.#cluster = cluster;
    this.#load = load;
    this.#random = random;
    this.#options = options;
    this.#recoveryMsMax = Math.max(recoveryMsMin, options.failoverMsMax);
  }

  /** Strikes and heals; gives the time until writes succeeded again. */
  async run(): Promise<number> {
    const leader = await this.#cluster.leader();
    const follower = this.#random.pick(this.#cluster.members.filter((it) => it !== leader));
    switch (this.#options.fault) {
      case "leader":
        return await this.#killOne(leader, "the leader");
      case "follower":
        return await this.#killOne(follower, "a follower");
      case "all":
        return await this.#killAll();
      case "stop":
        return await this.#freeze(leader);
      case "proxy":
        return await this.#hurtLinks(leader, follower);
    }
  }

  async #killOne(victim: ClusterMember, what: string): Promise<number> {
    this.story = `killed ${what} ${victim.name}`;
    const startMs = performance.now();
    await victim.kill();
    const tookMs = await this.#recovered(startMs, this.#options.failoverMsMax);
    await this.#serviceGoesOn(this.#random.below(1_000));
    await victim.start();
    await this.#cluster.untilServing([victim]);
    return tookMs;
  }

  async #killAll(): Promise<number> {
    this.story = "killed all";
    const { members } = this.#cluster;
    await Promise.all(members.map((it) => it.kill()));
    const startMs = performance.now();
    await Promise.all(members.map((it) => it.start()));
    const tookMs = await this.#recovered(startMs, this.#recoveryMsMax);
    await this.#cluster.untilServing();
    return tookMs;
  }

  async #freeze(leader: ClusterMember): Promise<number> {
    this.story = `froze the leader ${leader.name} for ${this.#options.stopMs / 1000} s`;
    const startMs = performance.now();
    leader.freeze();
    try {
      const tookMs = await this.#recovered(startMs, this.#recoveryMsMax);
      await this.#serviceGoesOn(this.#options.stopMs - (performance.now() - startMs));
      return tookMs;
    } finally {
      leader.thaw();
      await this.#cluster.untilServing();
      await this.#load.acknowledge(100, steadyMs);
    }
  }

  async #hurtLinks(leader: ClusterMember, follower: ClusterMember): Promise<number> {
    const network = this.#cluster.network;
    if (network === undefined) throw new Error("the cluster has no proxies");
    const others = this.#cluster.members.filter((it) => it !== leader);
    const startMs = performance.now();
    switch (this.#random.below(6)) {
      case 0:
        this.story = `cut off the leader ${leader.name}`;
        network.isolate(leader.name);
        break;
      case 1:
        this.story = `cut off the follower ${follower.name}`;
        network.isolate(follower.name);
        break;
      case 2:
        this.story = `nothing of the leader ${leader.name} arrives`;
        for (const other of others) network.blockOneWay(leader.name, other.name);
        break;
      case 3:
        this.story = `nothing arrives at the leader ${leader.name}`;
        for (const other of others) network.blockOneWay(other.name, leader.name);
        break;
      case 4: {
        const delayMs = 20 + this.#random.below(180);
        this.story = `links of the leader ${leader.name} are ${delayMs} ms slower each way`;
        for (const other of others) network.delay(leader.name, other.name, delayMs);
        break;
      }
      default:
        this.story = `cut between ${leader.name} and ${follower.name}`;
        network.cut(leader.name, follower.name);
    }
    try {
      const tookMs = await this.#recovered(startMs, this.#recoveryMsMax);
      await this.#serviceGoesOn(1_000 + this.#random.below(4_000));
      return tookMs;
    } finally {
      network.heal();
      await this.#cluster.untilServing();
      await this.#load.acknowledge(100, steadyMs);
    }
  }

  async #recovered(startMs: number, limitMs: number): Promise<number> {
    const tookMs = (await this.#load.nextAcknowledged(this.#recoveryMsMax)) - startMs;
    if (tookMs > limitMs) {
      throw new Error(
        `${this.story}: writes succeeded again after ${tookMs.toFixed(0)} ms; ${limitMs} ms are allowed`,
      );
    }
    return tookMs;
  }

  /** Writes are acknowledged for so long, at no less than a tenth of the rate asked for, be it late. */
  async #serviceGoesOn(ms: number): Promise<void> {
    const seconds = Math.max(ms, 100) / 1000;
    const before = this.#load.acknowledgedCount;
    await pause(seconds * 1000);
    const wanted = (seconds * this.#options.writesPerSecond) / 10;
    const endMs = performance.now() + this.#options.lateMsMax;
    for (;;) {
      this.#load.check();
      const count = this.#load.acknowledgedCount - before;
      if (count >= wanted) return;
      if (performance.now() > endMs) {
        const late = this.#options.lateMsMax / 1000;
        throw new Error(`${this.story}: only ${count} writes in ${seconds.toFixed(1)} + ${late} s`);
      }
      await pause(5);
    }
  }
}
