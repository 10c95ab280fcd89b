// What a swarm did, summed up: a swarm that passes and did nothing has shown nothing.

import type { RunResult } from "./run-seed.ts";

export interface Totals {
  readonly runCount: number;
  readonly simulatedSeconds: number;
  readonly callCount: number;
  readonly unknownCount: number;
  readonly revisionCount: number;
  readonly leaderCount: number;
  readonly snapshotCount: number;
  readonly expiredCount: number;
  readonly eventCount: number;
  readonly comparedCount: number;
  readonly operationCount: number;
  readonly endedCount: number;
  readonly givenUpCount: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly failed: readonly RunResult[];
}

export function totalsOf(results: readonly RunResult[]): Totals {
  const sum = (of: (result: RunResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const faults: Record<string, number> = {};
  for (const result of results) {
    for (const [kind, count] of Object.entries(result.faults)) {
      faults[kind] = (faults[kind] ?? 0) + count;
    }
  }
  return {
    runCount: results.length,
    simulatedSeconds: Math.round(sum((it) => it.simulatedMs) / 1000),
    callCount: sum((it) => it.doneCount),
    unknownCount: sum((it) => it.unknownCount),
    revisionCount: sum((it) => it.revision),
    leaderCount: sum((it) => it.leaderCount),
    snapshotCount: sum((it) => it.snapshotCount),
    expiredCount: sum((it) => it.expiredCount),
    eventCount: sum((it) => it.eventCount),
    comparedCount: sum((it) => it.comparedCount),
    operationCount: sum((it) => it.operationCount),
    endedCount: sum((it) => it.endedCount),
    givenUpCount: sum((it) => it.givenUpCount),
    faults: Object.fromEntries(Object.entries(faults).sort()),
    failed: results.filter((it) => it.violation !== undefined),
  };
}
