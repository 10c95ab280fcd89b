// A cluster of processes, each member ours or stock: bootstrapped statically or grown one by one, optionally
// with a proxy before each peer listener. Everything lies in one temporary folder, which is kept, and named,
// when something was found.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@etcd-ts/client";
import { takePorts } from "@etcd-ts/node/testing";
import type { Programs } from "../programs.ts";
import { ClusterMember } from "./cluster-member.ts";
import { PeerNetwork } from "./peer-network.ts";
import { eventually, GiveUp } from "./waiting.ts";

const servingMs = 90_000;
const settleMs = 60_000;
const askMs = 2_000;

export interface ClusterOptions {
  /** The programs of each member of the first boot. */
  readonly programs: readonly Programs[];
  /** Proxies between the members. */
  readonly proxied?: boolean;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class Cluster {
  readonly folder: string;
  readonly network: PeerNetwork | undefined;
  readonly #members: ClusterMember[] = [];
  readonly #options: ClusterOptions;
  #count = 0;

  private constructor(options: ClusterOptions) {
    this.#options = options;
    this.folder = mkdtempSync(join(tmpdir(), "etcd-cluster-"));
    this.network = options.proxied === true ? new PeerNetwork() : undefined;
  }

  /** Boots all members and waits until they serve. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options);
    try {
      for (const programs of options.programs) await cluster.#prepare(programs);
      const initialCluster = cluster.initialCluster();
      await Promise.all(cluster.#members.map((it) => it.start({ initialCluster, state: "new" })));
      await cluster.untilServing();
      await cluster.#learnIds();
    } catch (error) {
      await cluster.close("keep");
      throw new Error(`${(error as Error).message}\n${cluster.whereLogsAre()}`, { cause: error });
    }
    return cluster;
  }

  /** Runs `work` with a cluster; ends the cluster however that goes, and says where the logs are. */
  static async use<T>(options: ClusterOptions, work: (cluster: Cluster) => Promise<T>): Promise<T> {
    const cluster = await Cluster.start(options);
    let result: T;
    try {
      result = await work(cluster);
      cluster.assertNoPanic();
    } catch (error) {
      await cluster.close("keep");
      const panic = cluster.firstPanic();
      throw new Error(
        `${(error as Error).message}${panic === undefined ? "" : `\n${panic}`}\n${cluster.whereLogsAre()}`,
        { cause: error },
      );
    }
    await cluster.close("remove");
    return result;
  }

  get members(): readonly ClusterMember[] {
    return this.#members;
  }

  get running(): ClusterMember[] {
    return this.#members.filter((it) => it.running);
  }

  get endpoints(): string[] {
    return this.#members.map((it) => it.endpoint);
  }

  initialCluster(): string {
    return this.#members.map((it) => `${it.name}=${it.spec.peerUrl}`).join(",");
  }

  /** A client of all members. */
  client(): Client {
    return new Client({ endpoints: this.endpoints });
  }

  /** Adds a member to the cluster and starts it, as a voter or as a learner. */
  async add(programs: Programs, as: "voter" | "learner"): Promise<ClusterMember> {
    const member = await this.#prepare(programs);
    const client = this.client();
    try {
      await eventually(`${member.name} is added`, settleMs, async () => {
        const answer = await client.cluster.memberAdd(
          { peerUrls: [member.spec.peerUrl], isLearner: as === "learner" },
          { timeoutMs: 10_000 },
        );
        this.network?.learn(answer.member?.id ?? 0n, member.name);
        return answer;
      });
    } finally {
      client.close();
    }
    await member.start({ initialCluster: this.initialCluster(), state: "existing" });
    return member;
  }

  /** Promotes a learner, as soon as it has caught up. Gives the milliseconds that it took. */
  async promote(member: ClusterMember, timeoutMs: number = settleMs): Promise<number> {
    const startMs = performance.now();
    const client = this.client();
    try {
      const id = await this.idOf(member);
      await eventually(`${member.name} is promoted`, timeoutMs, async () => {
        try {
          return await client.cluster.memberPromote({ id }, { timeoutMs: 10_000 });
        } catch (error) {
          // The answer to an earlier attempt may have been lost.
          if (/can only promote a learner member$/.test((error as Error).message)) return true;
          throw error;
        }
      });
    } finally {
      client.close();
    }
    return performance.now() - startMs;
  }

  /** Removes a member from the cluster; its process ends by itself, and it is forgotten. */
  async remove(member: ClusterMember): Promise<void> {
    const client = new Client({
      endpoints: this.running.filter((it) => it !== member).map((it) => it.endpoint),
    });
    try {
      const id = await this.idOf(member);
      member.mayEnd = true;
      await eventually(`${member.name} is removed`, settleMs, async () => {
        try {
          return await client.cluster.memberRemove({ id }, { timeoutMs: 10_000 });
        } catch (error) {
          if (/member not found$/.test((error as Error).message)) return true;
          throw error;
        }
      });
    } finally {
      client.close();
    }
    this.#members.splice(this.#members.indexOf(member), 1);
    this.#removed.push(member);
  }

  readonly #removed: ClusterMember[] = [];

  async idOf(member: ClusterMember): Promise<bigint> {
    const client = new Client({ endpoints: this.running.map((it) => it.endpoint) });
    try {
      return await eventually(`the id of ${member.name}`, servingMs, async () => {
        const { members } = await client.cluster.memberList(undefined, { timeoutMs: askMs });
        return members.find((it) => it.peerUrls.includes(member.spec.peerUrl))?.id;
      });
    } finally {
      client.close();
    }
  }

  /** The member that leads, once all running members that are not `except` say the same. */
  async leader(except?: ClusterMember): Promise<ClusterMember> {
    return await eventually("a leader", servingMs, async () => {
      const asked = this.running.filter((it) => it !== except);
      const states = await Promise.all(asked.map((it) => it.status()));
      const leaders = new Set(states.map((it) => it.leader));
      const [leader] = leaders;
      if (leaders.size !== 1 || leader === undefined || leader === 0n) return undefined;
      const at = states.findIndex((it) => it.header?.memberId === leader);
      return asked[at];
    });
  }

  /** Makes a member the leader. */
  async moveLeader(to: ClusterMember): Promise<void> {
    const targetId = await this.idOf(to);
    await eventually(`${to.name} leads`, servingMs, async () => {
      const leader = await this.leader();
      if (leader === to) return true;
      await leader.client.maintenance.moveLeader({ targetId }, { timeoutMs: 5_000 });
      return undefined;
    });
  }

  /** Waits until a linearizable read through each running member is answered. */
  async untilServing(members?: readonly ClusterMember[]): Promise<void> {
    await Promise.all(
      (members ?? this.running).map((member) =>
        eventually(`${member.name} serves`, servingMs, async () => {
          const end = member.unexpectedEnd();
          if (end !== undefined) throw new GiveUp(end);
          const { isLearner } = await member.status(askMs);
          const range = { key: new Uint8Array([0]), serializable: isLearner };
          return await member.client.kv.range(range, { timeoutMs: askMs });
        }),
      ),
    );
  }

  /**
   * Waits until all running members are at one revision and have the same hash of everything there is up
   * to it. Without load; gives revision and hash.
   */
  async settled(): Promise<{ revision: number; hash: number }> {
    const revision = await eventually("all members are at one revision", settleMs, async () => {
      this.assertNoPanic();
      const states = await Promise.all(this.running.map((it) => it.status(askMs)));
      const revisions = new Set(states.map((it) => it.header?.revision));
      if (revisions.size === 1) return states[0]?.header?.revision;
      throw new Error(`revisions ${[...revisions].join(", ")}`);
    });
    const hashes = await Promise.all(
      this.running.map(async (it) => {
        const options = { timeoutMs: settleMs };
        const answer = await it.client.maintenance.hashKv({ revision: BigInt(revision) }, options);
        return { name: it.name, hash: answer.hash, compactRevision: answer.compactRevision };
      }),
    );
    const different = new Set(hashes.map((it) => `${it.hash} ${it.compactRevision}`));
    if (different.size !== 1) {
      throw new Error(`HASHKV differs at revision ${revision}: ${JSON.stringify(hashes)}`);
    }
    return { revision, hash: hashes[0]?.hash ?? 0 };
  }

  /** Ends each member and starts it again, one after the other. */
  async restartEach(): Promise<void> {
    for (const member of [...this.running]) {
      await member.stop();
      await member.start();
      await this.untilServing([member]);
    }
  }

  firstPanic(): string | undefined {
    for (const member of [...this.#members, ...this.#removed]) {
      const panic = member.panic();
      if (panic !== undefined) return `${member.name} (${member.programs.name}): ${panic}`;
      const end = member.unexpectedEnd();
      if (end !== undefined) return end;
    }
    return undefined;
  }

  assertNoPanic(): void {
    const panic = this.firstPanic();
    if (panic !== undefined) throw new Error(panic);
  }

  whereLogsAre(): string {
    return `logs and data: ${this.folder}`;
  }

  async close(folder: "remove" | "keep"): Promise<void> {
    await Promise.all([...this.#members, ...this.#removed].map((it) => it.close()));
    await this.network?.close();
    if (folder === "remove") rmSync(this.folder, { recursive: true, force: true });
  }

  async #prepare(programs: Programs): Promise<ClusterMember> {
    this.#count += 1;
    const name = `m${this.#count}`;
    const [clientPort, peerPort, proxyPort] = (await takePorts(3)) as [number, number, number];
    const peerUrl =
      this.network === undefined
        ? `http://127.0.0.1:${peerPort}`
        : await this.network.add(name, proxyPort, peerPort);
    const member = new ClusterMember({
      ...{ name, programs, folder: this.folder, clientPort, peerPort, peerUrl },
      args: this.#options.args ?? [],
      env: this.#options.env ?? {},
    });
    this.#members.push(member);
    return member;
  }

  async #learnIds(): Promise<void> {
    for (const member of this.#members) {
      this.network?.learn((await member.status(askMs)).header?.memberId ?? 0n, member.name);
    }
  }
}
