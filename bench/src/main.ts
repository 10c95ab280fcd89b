// `npm run bench`: ours and a stock etcd side by side. For every scenario the two take turns (A B A B …), each
// round on a fresh server; what is printed are medians of the rounds and the ratios between the two.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { SeededRandom } from "@etcd-ts/base";
import { noStockReason, ours, type Programs, stockFrom, stockReleases } from "@etcd-ts/conformance";
import { type LargeStoreResult, measureLargeStore } from "./large-store.ts";
import { type LoadResult, runLoad } from "./load.ts";
import { type Cell, type Report, toMarkdown } from "./report.ts";
import { preload, type Scenario, scenarios } from "./scenarios.ts";
import { startForBench } from "./server.ts";
import { measureStart } from "./start-time.ts";

const help = `usage: npm run bench -- [options]

  --scenario NAME    only this one; may be repeated (${scenarios.map((it) => it.name).join(", ")},
                     start, large-store)
  --rounds N         rounds of each scenario for each server (default 3)
  --seconds N        measured seconds of a round (default 5)
  --quick            one round of 2 s each, 100,000 keys in the large store: under two minutes
  --keys N           keys of the large store (default 1000000)
  --only ours|stock  measure one of the two
  --out FOLDER       where results.json and results.md go (default bench/results)
  --help

The stock etcd is the one of $ETCD_BIN, else the newest of PATH and $ETCD_TS_STOCK_DIRS.
`;

interface Plan {
  readonly names: ReadonlySet<string>;
  readonly rounds: number;
  readonly measureMs: number;
  readonly warmupMs: number;
  readonly keyCount: number;
  readonly out: string;
  readonly programs: readonly Programs[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      scenario: { type: "string", multiple: true },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "5" },
      quick: { type: "boolean", default: false },
      keys: { type: "string", default: "1000000" },
      only: { type: "string" },
      out: { type: "string", default: "bench/results" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const plan: Plan = {
    names: new Set(values.scenario ?? [...scenarios.map((it) => it.name), "start", "large-store"]),
    rounds: values.quick ? 1 : Number(values.rounds),
    measureMs: values.quick ? 2_000 : Number(values.seconds) * 1000,
    warmupMs: values.quick ? 500 : 2_000,
    keyCount: values.quick ? 100_000 : Number(values.keys),
    out: values.out,
    programs: choosePrograms(values.only),
  };
  const cells: Cell[] = [];
  for (const scenario of scenarios) {
    if (plan.names.has(scenario.name)) cells.push(...(await runScenario(plan, scenario)));
  }
  if (plan.names.has("start")) cells.push(...(await runStart(plan)));
  if (plan.names.has("large-store")) cells.push(...(await runLargeStore(plan)));
  const report: Report = {
    machine: `${cpus().length} × ${cpus()[0]?.model ?? "?"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
    version: ownVersion(),
    stock: plan.programs.find((it) => it !== ours)?.name,
    rounds: plan.rounds,
    measureMs: plan.measureMs,
    cells,
  };
  mkdirSync(plan.out, { recursive: true });
  writeFileSync(join(plan.out, "results.json"), `${JSON.stringify(report, null, 2)}\n`);
  const markdown = toMarkdown(report);
  writeFileSync(join(plan.out, "results.md"), markdown);
  process.stdout.write(`\n${markdown}\nwritten to ${plan.out}/results.md and results.json\n`);
}

function choosePrograms(only: string | undefined): Programs[] {
  const chosen: Programs[] = only === "stock" ? [] : [ours];
  if (only !== "ours") {
    const named = process.env["ETCD_BIN"];
    const stock = named === undefined ? stockReleases().at(-1) : stockFrom(dirname(named));
    if (stock === undefined) process.stderr.write(`no comparison: ${noStockReason}\n`);
    else chosen.push(stock);
  }
  return chosen;
}

async function runScenario(plan: Plan, scenario: Scenario): Promise<Cell[]> {
  const results = new Map<Programs, LoadResult[]>();
  for (let round = 1; round <= plan.rounds; round++) {
    for (const programs of plan.programs) {
      progress(`${scenario.title}: round ${round} of ${plan.rounds}, ${programs.name}`);
      const server = await startForBench(programs);
      try {
        if (scenario.preloadedKeys > 0) await preload(server.endpoint, scenario.preloadedKeys);
        const random = new SeededRandom(round);
        const result = await runLoad({
          endpoint: server.endpoint,
          pid: server.pid,
          clientCount: scenario.clientCount,
          connectionCount: scenario.connectionCount,
          warmupMs: plan.warmupMs,
          measureMs: plan.measureMs,
          next: (client) => scenario.next(random, client),
        });
        results.set(programs, [...(results.get(programs) ?? []), result]);
      } finally {
        await server.stop();
      }
    }
  }
  const cell = (what: string, unit: string, of: (result: LoadResult) => number): Cell =>
    cellOf(plan, scenario.title, what, unit, (programs) => (results.get(programs) ?? []).map(of));
  return [
    cell("throughput", "/s", (it) => it.perSecond),
    cell("server CPU", "µs", (it) => it.serverCpuUs),
    cell("p50", "ms", (it) => it.p50Ms),
    cell("p99", "ms", (it) => it.p99Ms),
    cell("p99.9", "ms", (it) => it.p999Ms),
    cell("peak memory", "MB", (it) => it.peakResidentBytes / 1e6),
    cell("load generator CPU", "of a core", (it) => it.generatorCpuShare),
  ];
}

async function runStart(plan: Plan): Promise<Cell[]> {
  const results = new Map<Programs, number[]>();
  for (let round = 1; round <= plan.rounds * 3; round++) {
    for (const programs of plan.programs) {
      progress(`start of an empty member: round ${round}, ${programs.name}`);
      results.set(programs, [...(results.get(programs) ?? []), await measureStart(programs)]);
    }
  }
  return [
    cellOf(plan, "start of an empty member", "until ready", "ms", (it) => results.get(it) ?? []),
  ];
}

async function runLargeStore(plan: Plan): Promise<Cell[]> {
  const results = new Map<Programs, LargeStoreResult>();
  for (const programs of plan.programs) {
    const dataDir = join(tmpdir(), `etcd-ts-bench-${process.pid}`);
    rmSync(dataDir, { recursive: true, force: true });
    try {
      results.set(programs, await measureLargeStore(programs, plan.keyCount, dataDir, progress));
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  }
  const title = `${plan.keyCount.toLocaleString("en")} keys of 32 B with 256 B`;
  const cell = (what: string, unit: string, of: (result: LargeStoreResult) => number): Cell =>
    cellOf(plan, title, what, unit, (programs) => {
      const result = results.get(programs);
      return result === undefined ? [] : [of(result)];
    });
  return [
    cell("memory, loaded", "MB", (it) => it.loadedBytes / 1e6),
    cell("memory, after restart", "MB", (it) => it.restartedBytes / 1e6),
    cell("restart to first answer", "ms", (it) => it.restartMs),
    cell('get --prefix "" --limit 1', "ms", (it) => it.limitOneMs),
    cell("count_only", "ms", (it) => it.countMs),
    cell("longest stall of the loop", "ms", (it) => it.longestStallMs),
    cell("data directory", "MB", (it) => it.directoryBytes / 1e6),
  ];
}

function cellOf(
  plan: Plan,
  scenario: string,
  what: string,
  unit: string,
  samples: (programs: Programs) => number[],
): Cell {
  const stock = plan.programs.find((it) => it !== ours);
  return {
    scenario,
    what,
    unit,
    ours: plan.programs.includes(ours) ? samples(ours) : [],
    stock: stock === undefined ? [] : samples(stock),
  };
}

function ownVersion(): string {
  const manifest = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

await main();
