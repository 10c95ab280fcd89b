// One run of a swarm: a cluster as the seed says, under load and trouble for most of the time; then everything is
// healed and must come to rest, all members equal; then what the clients saw is checked as a whole.
//
//     0 ── trouble ─────────────── healed, load goes on ── 12 s ── calls must succeed ── 18 s ── no more writes ── converged

import type { MemberOptions } from "@etcd-ts/server";
import { Violation } from "../checks/violation.ts";
import { SimCluster } from "../cluster.ts";
import type { NodeSeams } from "../node.ts";
import { Workload } from "../workload/workload.ts";
import { Nemesis } from "./nemesis.ts";
import { type Plan, type PlanOptions, planOf } from "./plan.ts";

export interface RunOptions extends PlanOptions {
  readonly trace?: (line: string) => void;
  /** For planted bugs. */
  readonly seams?: NodeSeams;
  /** In place of what the plan says. */
  readonly member?: Partial<MemberOptions>;
  readonly change?: Partial<Plan>;
}

export interface RunResult {
  readonly seed: number;
  readonly plan: Plan;
  /** Of everything that happened: equal for equal seeds. */
  readonly fingerprint: string;
  readonly simulatedMs: number;
  readonly stepCount: number;
  readonly doneCount: number;
  readonly unknownCount: number;
  readonly revision: number;
  readonly leaderCount: number;
  readonly entryCount: number;
  readonly snapshotCount: number;
  readonly expiredCount: number;
  readonly eventCount: number;
  readonly comparedCount: number;
  readonly operationCount: number;
  readonly endedCount: number;
  readonly givenUpCount: number;
  readonly faults: Readonly<Record<string, number>>;
  /** What went wrong; undefined when nothing did. */
  readonly violation: string | undefined;
  readonly checker: string | undefined;
}

const recoverMsMax = 12_000;
const convergeMs = 40_000;

export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const plan = { ...planOf(seed, options), ...options.change };
  const { trace, seams } = options;
  const cluster = new SimCluster({
    ...plan,
    member: { ...plan.member, ...options.member },
    ...(trace === undefined ? {} : { trace }),
    ...(seams === undefined ? {} : { seams }),
  });
  const workload = new Workload(cluster, plan.workload);
  const nemesis = new Nemesis(cluster, plan);
  let failure: unknown;
  try {
    await play(plan, cluster, workload, nemesis);
  } catch (error) {
    failure = error;
    cluster.note(`failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  workload.stop();
  cluster.stop();
  return {
    seed,
    plan,
    fingerprint: cluster.world.fingerprint,
    simulatedMs: cluster.world.nowMs,
    stepCount: cluster.world.stepCount,
    doneCount: workload.doneCount,
    unknownCount: workload.unknownCount,
    revision: cluster.history.revision,
    leaderCount: cluster.raft.leaderCount,
    entryCount: cluster.raft.entryCount,
    snapshotCount: cluster.snapshotCount,
    expiredCount: cluster.leases.expiredCount,
    eventCount: workload.watchClients.reduce((sum, client) => sum + client.eventCount, 0),
    comparedCount: cluster.equality.comparedCount,
    operationCount: nemesis.surgery.doneCount,
    endedCount: cluster.explainedCount,
    givenUpCount: workload.givenUpCount,
    faults: Object.fromEntries([...nemesis.counts].sort()),
    violation: failure === undefined ? undefined : describe(failure),
    checker: failure instanceof Violation ? failure.checker : undefined,
  };
}

async function play(
  plan: Plan,
  cluster: SimCluster,
  workload: Workload,
  nemesis: Nemesis,
): Promise<void> {
  await cluster.start();
  workload.start();
  nemesis.start();
  const totalMs = plan.seconds * 1000;
  const recoverMs = Math.min(recoverMsMax, totalMs / 5);
  const progressMs = recoverMs / 2;
  await cluster.run(totalMs - recoverMs - progressMs);
  nemesis.stop();
  await cluster.run(recoverMs);
  const before = workload.doneCount;
  await cluster.run(progressMs);
  // Runs that are too short to recover in time only have to converge.
  if (workload.doneCount === before && recoverMs === recoverMsMax) {
    throw new Violation(
      "liveness",
      `no call has succeeded from ${recoverMs} ms to ${recoverMs + progressMs} ms after healing`,
    );
  }
  workload.quiet();
  await cluster.converge(convergeMs, () => nemesis.unfinished() ?? workload.unfinished());
  workload.checkRegisters();
}

function describe(error: unknown): string {
  if (error instanceof Violation) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
