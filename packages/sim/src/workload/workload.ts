// The clients of a run, together, and what must hold of what they saw.

import type { Key } from "@etcd-ts/base";
import { checkRegister, type RegisterOperation } from "../checks/register-check.ts";
import { Violation } from "../checks/violation.ts";
import type { SimCluster } from "../cluster.ts";
import { Caller } from "./caller.ts";
import { KvClient } from "./kv-client.ts";
import { LeaseClient } from "./lease-client.ts";
import { WatchClient } from "./watch-client.ts";

export interface WorkloadOptions {
  readonly kvClientCount: number;
  readonly watchClientCount: number;
  readonly leaseClientCount: number;
  readonly keyCount: number;
  /** Mean time between the calls of one client. */
  readonly pauseMs: number;
  readonly valueBytesMax: number;
  readonly compacts: boolean;
}

export const usualWorkload: WorkloadOptions = {
  kvClientCount: 3,
  watchClientCount: 2,
  leaseClientCount: 1,
  keyCount: 8,
  pauseMs: 250,
  valueBytesMax: 2000,
  compacts: true,
};

export class Workload {
  readonly cluster: SimCluster;
  readonly registers: Map<Key, RegisterOperation[]> = new Map();
  readonly kvClients: KvClient[] = [];
  readonly watchClients: WatchClient[] = [];
  readonly leaseClients: LeaseClient[] = [];
  readonly #writers: Caller[] = [];
  /** Clients that write and have not come to their end yet. */
  #writingCount = 0;
  /** Registers whose check took too long. */
  givenUpCount = 0;

  constructor(cluster: SimCluster, options: WorkloadOptions = usualWorkload) {
    this.cluster = cluster;
    const { random } = cluster.world;
    const load = { ...options, registers: this.registers };
    for (let i = 0; i < options.kvClientCount; i++) {
      this.kvClients.push(new KvClient(this.#writer(), load));
    }
    for (let i = 0; i < options.watchClientCount; i++) {
      const isSingle = random.chance(1, 4);
      this.watchClients.push(
        new WatchClient(new Caller(cluster), {
          key: isSingle ? "r0" : random.pick(["r", "\0", "l"]),
          end: isSingle ? "" : random.pick(["\0", "z"]),
          previous: random.chance(1, 3),
          fragment: random.chance(1, 4),
          moveMs: random.chance(1, 2) ? 0 : 5000,
        }),
      );
    }
    for (let i = 0; i < options.leaseClientCount; i++) {
      const kv = new KvClient(this.#writer(), load);
      this.kvClients.push(kv);
      const times = { ttlSecondsMin: 2, ttlSecondsMax: 6, pauseMs: 4 * options.pauseMs };
      this.leaseClients.push(new LeaseClient(kv, times, BigInt(1 + i) << 32n));
    }
  }

  /** All clients begin, and go on until `quiet`. */
  start(): void {
    const { world } = this.cluster;
    const begin = (task: Promise<void>): void => {
      task.catch((error: unknown) => world.fail(error));
    };
    const beginWriting = (task: Promise<void>): void => {
      this.#writingCount++;
      begin(task.finally(() => this.#writingCount--));
    };
    const plain = this.kvClients.slice(0, this.kvClients.length - this.leaseClients.length);
    for (const client of plain) beginWriting(client.run());
    for (const client of this.watchClients) begin(client.run());
    for (const client of this.leaseClients) beginWriting(client.run());
  }

  /** No more writes; watchers go on. */
  quiet(): void {
    for (const caller of this.#writers) caller.stop();
  }

  stop(): void {
    this.quiet();
    for (const { caller } of this.watchClients) caller.stop();
  }

  get doneCount(): number {
    return this.kvClients.reduce((sum, client) => sum + client.doneCount, 0);
  }

  get unknownCount(): number {
    return this.kvClients.reduce((sum, client) => sum + client.unknownCount, 0);
  }

  /** What is not yet as it must become once everything works; for `converge`. */
  unfinished(): string | undefined {
    const { history, leases, world } = this.cluster;
    // A call that was on its way stands in the registers when its client knows that it has failed.
    if (this.#writingCount > 0) return "a client has not ended its last call";
    for (const watcher of this.watchClients) {
      const missing = watcher.missing(history.revision);
      if (missing !== undefined) return missing;
    }
    const overdue = leases.overdue(world.nowMs);
    if (overdue.length > 0) return `lease ${overdue[0]?.toString(16)} lives on after its time`;
    return undefined;
  }

  /** After the run: each key by itself, without revisions. */
  checkRegisters(): void {
    for (const [key, operations] of this.registers) {
      const { verdict, at } = checkRegister(operations);
      if (verdict === "too many open operations") this.givenUpCount++;
      if (verdict !== "not linearizable") continue;
      throw new Violation(
        "linearizability without revisions",
        `no order of the calls on ${key} explains what ${at?.name} saw`,
      );
    }
  }

  #writer(): Caller {
    const caller = new Caller(this.cluster);
    this.#writers.push(caller);
    return caller;
  }
}
