// The shape of most scenarios: a server or a cluster, some content, closed-loop clients.

import { runClosedLoad } from "../load/closed-loop.ts";
import type { Target } from "../load/connections.ts";
import { preload } from "../load/preload.ts";
import type { NextRequest } from "../load/requests.ts";
import type { Histogram } from "../measure/histogram.ts";
import { type MetricValues, readMetrics, stallBetween } from "../measure/metrics.ts";
import { notesOn, type WindowCost } from "../measure/window.ts";
import {
  type Context,
  type Figure,
  type Goal,
  type Sample,
  type Scenario,
  targetOf,
} from "../scenario.ts";
import type { Cluster } from "../servers/cluster.ts";

export const loadFigures: readonly Figure[] = [
  { key: "perSecond", label: "throughput", unit: "/s" },
  { key: "cpuUs", label: "server CPU per operation", unit: "µs" },
  { key: "p50Ms", label: "p50", unit: "ms" },
  { key: "p99Ms", label: "p99", unit: "ms" },
  { key: "p999Ms", label: "p99.9", unit: "ms" },
  { key: "peakMb", label: "peak memory", unit: "MB" },
  { key: "stallMs", label: "longest stall of the event loop", unit: "ms" },
  { key: "generator", label: "load generator's CPU", unit: "of a core" },
  { key: "others", label: "CPU of other processes", unit: "of a core", hidden: true },
  { key: "maxMs", label: "slowest", unit: "ms", hidden: true },
  { key: "generatorUs", label: "load generator's CPU per operation", unit: "µs", hidden: true },
];

export interface LoadScenario {
  readonly name: string;
  readonly title: string;
  readonly clientCount: number;
  readonly connectionCount: number;
  readonly members?: number;
  /** Keys that are there before the load begins. */
  readonly preloadedKeys?: number | ((context: Context) => number);
  readonly next: (seed: number, keyCount: number) => NextRequest;
  readonly goals: readonly Goal[];
  readonly note?: string;
}

export function loadScenario(load: LoadScenario): Scenario {
  const { name, title, goals, note } = load;
  return {
    name,
    title,
    goals,
    figures: loadFigures,
    ...(note === undefined ? {} : { note }),
    async run(context) {
      const cluster = await context.start({ members: load.members ?? 1 });
      const { preloadedKeys = 0 } = load;
      const keyCount = typeof preloadedKeys === "function" ? preloadedKeys(context) : preloadedKeys;
      if (keyCount > 0) await preload(targetOf(cluster), keyCount);
      return await measureLoad(context, cluster, {
        clientCount: load.clientCount,
        connectionCount: load.connectionCount,
        next: load.next(context.round, keyCount),
      });
    },
  };
}

export interface MeasuredLoad {
  readonly clientCount: number;
  readonly connectionCount: number;
  readonly next: NextRequest;
  readonly target?: Target;
  /** For servers whose `/metrics` are not in the clear. */
  readonly withoutMetrics?: boolean;
}

export async function measureLoad(
  context: Context,
  cluster: Cluster,
  load: MeasuredLoad,
): Promise<Sample> {
  const { plan } = context;
  const stalls = new Stalls(load.withoutMetrics ? [] : cluster.endpoints);
  await stalls.begin();
  const { operations, cost, latency } = await runClosedLoad({
    target: load.target ?? targetOf(cluster),
    pids: cluster.pids,
    clientCount: load.clientCount,
    connectionCount: load.connectionCount,
    warmupMs: plan.warmupMs,
    warmupAnswers: plan.warmupAnswers,
    measureMs: plan.measureMs,
    next: load.next,
  });
  for (const note of notesOn(cost)) context.note(note);
  return { ...costFigures(cost, operations), ...latencyFigures(latency), ...(await stalls.end()) };
}

export function costFigures(cost: WindowCost, operations: number): Sample {
  return {
    perSecond: (operations / cost.elapsedMs) * 1000,
    cpuUs: (cost.serverCpuMs / operations) * 1000,
    generatorUs: (cost.generatorCpuMs / operations) * 1000,
    generator: cost.generatorCpuMs / cost.elapsedMs,
    others: cost.otherCpuMs / cost.elapsedMs,
    peakMb: cost.peakResidentBytes / 1e6,
  };
}

export function latencyFigures(latency: Histogram): Sample {
  return {
    p50Ms: latency.quantileMs(0.5),
    p99Ms: latency.quantileMs(0.99),
    p999Ms: latency.quantileMs(0.999),
    maxMs: latency.maxMs,
  };
}

/** The longest stall of any member's event loop from `begin` to `end`; nothing for servers that do not tell. */
export class Stalls {
  readonly #endpoints: readonly string[];
  #before: MetricValues[] = [];

  constructor(endpoints: readonly string[]) {
    this.#endpoints = endpoints;
  }

  async begin(): Promise<void> {
    this.#before = await Promise.all(this.#endpoints.map(readMetrics));
  }

  /** The longest since the servers began. */
  sinceStart(): Promise<Sample> {
    this.#before = this.#endpoints.map(() => new Map());
    return this.end();
  }

  async end(): Promise<Sample> {
    const after = await Promise.all(this.#endpoints.map(readMetrics));
    const stalls = after.flatMap((values, index) => {
      return stallBetween(this.#before[index] as MetricValues, values) ?? [];
    });
    return stalls.length === 0 ? {} : { stallMs: Math.max(...stalls) };
  }
}
