// `npm run bench`: ours and a stock etcd side by side. bench/README.md says how to read what it prints.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chooseContenders } from "./contenders.ts";
import { describeMachine, memoryDisk, ownVersion, unsupportedReason } from "./machine.ts";
import { choose, type Options, parseOptions, UsageError, usage } from "./options.ts";
import { writeDocs } from "./report/docs.ts";
import { goalLine, toMarkdown } from "./report/markdown.ts";
import { mergeReports, type Report } from "./report/report.ts";
import { toSvg } from "./report/svg.ts";
import { run } from "./run.ts";
import type { Plan } from "./scenario.ts";
import { scenarios } from "./scenarios/all.ts";
import { sweepPanels } from "./scenarios/sweep.ts";
import { endOnSignals } from "./servers/children.ts";

/** A quick run begins no round after this, so that it ends within two minutes on a busy machine, too. */
const quickLimitMs = 100_000;

const docsPage = fileURLToPath(new URL("../../../docs/performance.md", import.meta.url));

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  switch (options.mode) {
    case "help":
      process.stdout.write(usage);
      return 0;
    case "list":
      return await list();
    case "docs":
      writeDocs(readReport(options.out), docsPage);
      process.stdout.write(`the results of ${options.out} are in ${docsPage}\n`);
      return 0;
    case "micro": {
      const { runMicro } = await import("./micro/main.ts");
      return await runMicro(options);
    }
    case "run":
      return await measure(options);
    default:
      return options.mode satisfies never;
  }
}

async function list(): Promise<number> {
  for (const scenario of scenarios) {
    process.stdout.write(`${scenario.name.padEnd(18)} ${scenario.title}\n`);
    for (const goal of scenario.goals) {
      const figure = scenario.figures.find((it) => it.key === goal.figure);
      process.stdout.write(
        `${"".padEnd(20)} ${figure?.label ?? goal.figure} ${goalLine(goal, figure)}\n`,
      );
    }
  }
  const { microBenchmarks } = await import("./micro/all.ts");
  process.stdout.write("\nmicro-benchmarks (--micro):\n");
  for (const { name, title } of microBenchmarks) {
    process.stdout.write(`${name.padEnd(18)} ${title}\n`);
  }
  return 0;
}

async function measure(options: Options): Promise<number> {
  const unsupported = unsupportedReason();
  if (unsupported !== undefined) throw new Error(unsupported);
  const chosen = choose(scenarios, options.names, "scenario");
  const { contenders, missing } = chooseContenders(options.only, process.env);
  if (missing !== undefined) process.stderr.write(`no comparison: ${missing}\n`);
  const baseFolder = options.dir ?? tmpdir();
  const inMemory = memoryDisk(baseFolder);
  if (inMemory !== undefined) process.stderr.write(`warning: ${inMemory}\n`);
  const plan: Plan = {
    quick: options.quick,
    rounds: options.rounds,
    warmupMs: options.quick ? 400 : Math.min(4_000, options.measureMs),
    warmupAnswers: options.quick ? 2_000 : 50_000,
    measureMs: options.measureMs,
    largeKeyCount: options.largeKeyCount,
    roundTimeoutMs: (options.quick ? 45 : 45 * 60) * 1000,
  };
  endOnSignals();
  const now: Report = {
    version: ownVersion(),
    machine: `${describeMachine()}${inMemory === undefined ? "" : ", data directories in memory"}`,
    quick: options.quick,
    results: await run({
      plan,
      contenders,
      scenarios: chosen,
      baseFolder,
      progress: (text) => process.stderr.write(`${text}\n`),
      deadlineMs: options.quick ? performance.now() + quickLimitMs : undefined,
    }),
  };
  const earlier =
    options.keep && existsSync(resultsFile(options.out)) ? readReport(options.out) : undefined;
  const names = scenarios.map((it) => it.name);
  writeReport(mergeReports(earlier, now, names), options.out);
  process.stdout.write(`\n${toMarkdown(now)}\nwritten to ${options.out}\n`);
  return now.results.some((it) => it.failure !== undefined) ? 1 : 0;
}

function writeReport(report: Report, folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(resultsFile(folder), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(folder, "results.md"), toMarkdown(report));
  const svg = toSvg(sweepPanels(report));
  if (svg !== undefined) writeFileSync(join(folder, "latency.svg"), svg);
}

function readReport(folder: string): Report {
  const file = resultsFile(folder);
  if (!existsSync(file)) throw new UsageError(`there is no ${file}: run npm run bench first`);
  return JSON.parse(readFileSync(file, "utf8")) as Report;
}

function resultsFile(folder: string): string {
  return join(folder, "results.json");
}

// A reader that has seen enough, such as head(1), is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});
let status: number;
try {
  status = await main();
} catch (error) {
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(error instanceof UsageError ? `${text}\n\n${usage}` : `${text}\n`);
  status = error instanceof UsageError ? 2 : 1;
}
// A round that timed out may have left connections that would wait for ever. What was written goes out first.
process.stdout.write("", () => process.exit(status));
