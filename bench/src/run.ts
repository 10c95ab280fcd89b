// The run: for every scenario the servers take turns (A B A B …), each round with fresh servers on an empty folder. Whatever a round leaves running
// is killed when it ends. A scenario that fails is reported as failed, and the others go on.

import { mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Contender } from "./contenders.ts";
import type { ScenarioResult } from "./report/report.ts";
import type { Context, Plan, Sample, Scenario } from "./scenario.ts";
import { rememberFolder, removeFolder } from "./servers/children.ts";
import { Cluster } from "./servers/cluster.ts";

export interface RunOptions {
  readonly plan: Plan;
  readonly contenders: readonly Contender[];
  readonly scenarios: readonly Scenario[];
  /** On the disk that is to be measured. */
  readonly baseFolder: string;
  readonly progress: (text: string) => void;
  /** Scenarios that have not begun by then are left out, and the report says so. */
  readonly deadlineMs?: number | undefined;
}

export async function run(options: RunOptions): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  for (const scenario of options.scenarios) results.push(await runScenario(options, scenario));
  return results;
}

async function runScenario(options: RunOptions, scenario: Scenario): Promise<ScenarioResult> {
  const { plan, progress } = options;
  const title = scenario.titleOf?.(plan) ?? scenario.title;
  const contenders = options.contenders.filter(
    (it) => it.side === "ours" || scenario.oursOnly !== true,
  );
  const rounds = Math.min(plan.rounds, scenario.rounds ?? plan.rounds);
  const samples: Record<Contender["side"], Sample[]> = { ours: [], stock: [] };
  const remarks = new Set<string>();
  const failures: string[] = [];
  const deadlineMs = options.deadlineMs ?? Number.POSITIVE_INFINITY;
  let leftOut = false;
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      if (failures.some((it) => it.startsWith(`${contender.name}: `))) continue;
      leftOut ||= performance.now() > deadlineMs;
      if (leftOut) break;
      progress(`${title}: round ${round} of ${rounds}, ${contender.name}`);
      try {
        samples[contender.side].push(
          await runRound(options, scenario, contender, round, (text) =>
            remarks.add(`${contender.name}: ${text}`),
          ),
        );
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        progress(`  failed: ${text}`);
        failures.push(`${contender.name}: ${text}`);
      }
    }
  }
  return {
    name: scenario.name,
    title,
    note: scenario.note,
    figures: scenario.figures,
    goals: scenario.goals,
    against: contenders.find((it) => it.side === "stock")?.name,
    rounds,
    measureMs: plan.measureMs,
    at: new Date().toISOString(),
    ours: samples.ours,
    stock: samples.stock,
    remarks: [...remarks],
    failure: failures.length === 0 ? undefined : failures.join("; "),
    leftOut,
  };
}

async function runRound(
  options: RunOptions,
  scenario: Scenario,
  contender: Contender,
  round: number,
  note: (text: string) => void,
): Promise<Sample> {
  mkdirSync(options.baseFolder, { recursive: true });
  const folder = mkdtempSync(join(options.baseFolder, "etcd-bench-"));
  rememberFolder(folder);
  const clusters: Promise<Cluster>[] = [];
  let store = 0;
  let isOver = false;
  const context: Context = {
    contender,
    plan: options.plan,
    round,
    folder,
    start(cluster = {}) {
      if (isOver) return Promise.reject(new Error("the round is over"));
      // With the ports of an earlier one it is a restart, on the same data.
      if (cluster.ports === undefined) store += 1;
      const starting = Cluster.start(contender, {
        ...cluster,
        folder: join(folder, `store-${store}`),
      });
      clusters.push(starting);
      return starting;
    },
    progress: options.progress,
    note,
  };
  let timer: NodeJS.Timeout | undefined;
  const { roundTimeoutMs } = options.plan;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`not done after ${roundTimeoutMs / 1000} s`)),
      roundTimeoutMs,
    );
  });
  try {
    return await Promise.race([scenario.run(context), late]);
  } finally {
    clearTimeout(timer);
    isOver = true;
    for (const starting of clusters) {
      // One that did not start has ended what it had started, and the scenario knows.
      const cluster = await starting.catch(() => undefined);
      await cluster?.kill();
    }
    removeFolder(folder);
  }
}
