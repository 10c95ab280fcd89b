// Latency against load: the same requests from more and more clients, on one server. The plot shows it; the table only names the ends.

import { runClosedLoad } from "../load/closed-loop.ts";
import { preload } from "../load/preload.ts";
import { gets, type NextRequest, puts } from "../load/requests.ts";
import { median, type Report, type ScenarioResult, samplesOf } from "../report/report.ts";
import type { Curve, CurvePoint, Panel } from "../report/svg.ts";
import { type Context, type Figure, type Sample, type Scenario, targetOf } from "../scenario.ts";

const keyCount = 10_000;
const clientCounts = [1, 3, 10, 30, 100, 300, 1000];
const quickClientCounts = [1, 30, 1000];
const perPoint = ["perSecond", "p50Ms", "p99Ms"] as const;

const sweeps = [
  { name: "sweep-put", title: "put 256 B, latency against load", make: putsOf },
  { name: "sweep-get", title: "get one key, linearizable, latency against load", make: getsOf },
] as const;

export const sweepScenarios: readonly Scenario[] = sweeps.map(({ name, title, make }) => ({
  name,
  title,
  figures: [
    { key: "firstPerSecond", label: "1 client", unit: "/s" },
    { key: "mostPerSecond", label: "most", unit: "/s" },
    { key: "atClients", label: "with so many clients", unit: "" },
    ...clientCounts.flatMap((clients) => perPoint.map((what) => hidden(clients, what))),
  ],
  goals: [],
  rounds: 1,
  note: "all points are in results.json and in the plot",
  run: (context) => sweep(context, make(context.round)),
}));

function hidden(clients: number, what: (typeof perPoint)[number]): Figure {
  const unit = what === "perSecond" ? "/s" : "ms";
  return { key: keyFor(clients, what), label: `${clients} clients, ${what}`, unit, hidden: true };
}

function keyFor(clients: number, what: (typeof perPoint)[number]): string {
  return `${clients}.${what}`;
}

async function sweep(context: Context, next: NextRequest): Promise<Sample> {
  const cluster = await context.start();
  const target = targetOf(cluster);
  await preload(target, keyCount);
  const { quick, measureMs, warmupMs, warmupAnswers } = context.plan;
  const sample: Record<string, number> = { firstPerSecond: 0, mostPerSecond: 0, atClients: 0 };
  for (const clients of quick ? quickClientCounts : clientCounts) {
    const { operations, cost, latency } = await runClosedLoad({
      target,
      pids: cluster.pids,
      clientCount: clients,
      connectionCount: Math.min(clients, 100),
      warmupMs: warmupMs / 2,
      warmupAnswers: warmupAnswers / 2,
      measureMs: measureMs / 2,
      next,
    });
    const perSecond = (operations / cost.elapsedMs) * 1000;
    sample[keyFor(clients, "perSecond")] = perSecond;
    sample[keyFor(clients, "p50Ms")] = latency.quantileMs(0.5);
    sample[keyFor(clients, "p99Ms")] = latency.quantileMs(0.99);
    if (clients === 1) sample["firstPerSecond"] = perSecond;
    if (perSecond > (sample["mostPerSecond"] as number)) {
      sample["mostPerSecond"] = perSecond;
      sample["atClients"] = clients;
    }
  }
  return sample;
}

/** What the plot shows of a report. */
export function sweepPanels(report: Report): Panel[] {
  return sweeps.flatMap(({ name, title }) => {
    const result = report.results.find((it) => it.name === name);
    return result === undefined ? [] : [{ title, curves: curvesOf(result) }];
  });
}

function curvesOf(result: ScenarioResult): Curve[] {
  const sides = [
    { server: "etcd-ts", samples: result.ours },
    { server: result.against ?? "stock", samples: result.stock },
  ];
  return sides
    .map(({ server, samples }) => ({ server, points: pointsOf(samples) }))
    .filter((curve) => curve.points.length > 0);
}

function pointsOf(samples: readonly Sample[]): CurvePoint[] {
  return clientCounts.flatMap((clients) => {
    const value = (what: (typeof perPoint)[number]): number =>
      median(samplesOf(samples, keyFor(clients, what)));
    const perSecond = value("perSecond");
    if (Number.isNaN(perSecond)) return [];
    return { clients, perSecond, p50Ms: value("p50Ms"), p99Ms: value("p99Ms") };
  });
}

function putsOf(seed: number): NextRequest {
  return puts(keyCount, seed);
}

function getsOf(seed: number): NextRequest {
  return gets(keyCount, seed, false);
}
