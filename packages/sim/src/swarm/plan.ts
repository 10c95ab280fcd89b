// What a seed stands for: a kind of cluster, a kind of load and a kind of trouble. Not only when things happen
// is drawn, but also how often, and which of them at all (swarm testing, Groce et al. 2012): a run in which
// everything goes wrong all the time never gets far enough for what needs a quiet hour first.

import { SeededRandom } from "@etcd-ts/base";
import type { MemberOptions } from "@etcd-ts/server";
import { usualWorkload, type WorkloadOptions } from "../workload/workload.ts";

export const faultKinds = [
  "power loss",
  "power loss of all",
  "kill",
  "kill the leader",
  "stop in good order",
  "crash at a disk operation",
  "freeze",
  "partition",
  "isolate the leader",
  "one-way cut",
  "clients cut off",
  "latency",
  "bandwidth",
  "connection resets",
  "message faults",
  "slow disk",
  "hung disk",
  "failing disk",
  "full disk",
  "flipped bit",
  "wall clock",
  "move the leader",
  "administration",
  "grow",
  "shrink",
  "replace",
] as const;

export type FaultKind = (typeof faultKinds)[number];

export interface Plan {
  readonly seed: number;
  readonly memberCount: number;
  readonly seconds: number;
  readonly member: Partial<MemberOptions>;
  readonly latencyMs: number;
  readonly jitterMs: number;
  readonly unacknowledgedMsMax: number;
  readonly clockDrift: number;
  readonly commitDelayMs: number;
  readonly workload: WorkloadOptions;
  /** Mean time between faults. */
  readonly faultPauseMs: number;
  /** Mean time that a fault lasts. */
  readonly faultMs: number;
  readonly faults: readonly FaultKind[];
}

export interface PlanOptions {
  readonly memberCount?: number;
  readonly seconds?: number;
  readonly faults?: readonly FaultKind[];
}

export function planOf(seed: number, options: PlanOptions = {}): Plan {
  const random = new SeededRandom(seed).fork("plan");
  const drawnCount = random.pick([3, 3, 5]);
  const faults = faultKinds.filter(() => random.chance(2, 5));
  const snapshotCount = random.pick([10, 30, 100, 1000]);
  return {
    seed,
    memberCount: options.memberCount ?? drawnCount,
    seconds: options.seconds ?? 60,
    member: {
      snapshotCount,
      snapshotCatchupEntries: random.pick([1, 5, 20, 100]),
      walSegmentBytes: random.pick([16, 64, 256]) * 1024,
      backendBatchIntervalMs: random.pick([2, 20, 100]),
      preVote: random.chance(9, 10),
      leaseCheckpoint: random.chance(1, 2),
      compactionBatchLimit: random.pick([3, 50, 1000]),
      watchProgressNotifyMs: random.pick([500, 5000, 600_000]),
      maxSnapshots: random.pick([1, 2, 5]),
      maxWals: random.pick([1, 2, 5]),
      maxLearners: 2,
    },
    latencyMs: random.pick([0.05, 0.3, 2, 15]),
    jitterMs: random.pick([0.02, 0.2, 2, 10]),
    unacknowledgedMsMax: random.pick([3000, 12_000, 60_000]),
    clockDrift: random.pick([0, 0, 0.0005, 0.02]),
    commitDelayMs: random.pick([1, 5, 60]),
    workload: {
      ...usualWorkload,
      kvClientCount: 2 + random.below(3),
      watchClientCount: 1 + random.below(3),
      leaseClientCount: 1 + random.below(2),
      keyCount: random.pick([3, 8, 20]),
      pauseMs: random.pick([100, 250, 500]),
      valueBytesMax: random.pick([100, 3000, 20_000]),
      compacts: random.chance(2, 3),
    },
    faultPauseMs: random.pick([400, 1500, 5000]),
    faultMs: random.pick([300, 2000, 6000]),
    faults: options.faults ?? faults,
  };
}
