// `npm run sim`: one seed, or many.
//
//     npm run sim -- --seed 42 [--trace]        one run; with every log line of every member
//     npm run sim -- --seeds 1000 [--from 1]    many, over all processors
//
// Exit status 0: nothing was violated. 1: something was, and each failure is followed by the line that repeats it.
// 2: the arguments make no sense.

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { type FaultKind, faultKinds, type PlanOptions } from "./swarm/plan.ts";
import { type RunResult, runSeed } from "./swarm/run-seed.ts";
import { replayLine, SwarmThreads } from "./swarm/swarm.ts";
import { totalsOf } from "./swarm/totals.ts";

const usage = `usage: npm run sim -- [options]
  --seed N       one run
  --seeds N      so many runs, with seeds from --from on (default 100)
  --from N       the first seed (default 1)
  --trace        with --seed: print everything that happens
  --members N    so many members at the beginning; by default the seed decides (3 or 5)
  --seconds N    virtual seconds of load (default 60)
  --faults LIST  only these kinds, comma separated; "none" for none; by default the seed decides
  --jobs N       threads (default: one for each processor)
kinds of faults: ${faultKinds.join(", ")}
`;

const progressMs = 5000;

/** How long this has been going on, really. */
function wallMs(): number {
  return process.uptime() * 1000;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(text: string): never {
  process.stderr.write(`${text}\n${usage}`);
  process.exit(2);
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,9}$/.test(text)) fail(`--${name} wants a whole number, not "${text}"`);
  return Number(text);
}

function faultsOf(text: string | undefined): readonly FaultKind[] | undefined {
  if (text === undefined) return undefined;
  if (text === "none") return [];
  return text.split(",").map((name) => {
    const kind = faultKinds.find((it) => it === name.trim());
    return kind ?? fail(`there is no fault "${name}"`);
  });
}

function showFailure(result: RunResult, options: PlanOptions): void {
  print(`FAILED seed ${result.seed} (${result.plan.memberCount} members): ${result.violation}`);
  print(`  ${replayLine(result.seed, options)}`);
}

async function one(seed: number, options: PlanOptions, trace: boolean): Promise<boolean> {
  const startMs = wallMs();
  const result = await runSeed(seed, trace ? { ...options, trace: print } : options);
  const wallSeconds = (wallMs() - startMs) / 1000;
  const { plan, fingerprint, faults, violation, ...rest } = result;
  if (trace) print(JSON.stringify(plan));
  if (violation !== undefined) showFailure(result, options);
  print(
    `seed ${seed}: ${violation === undefined ? "passed" : "failed"}, ` +
      `${(result.simulatedMs / 1000).toFixed(1)} virtual seconds in ${wallSeconds.toFixed(1)}, ` +
      `fingerprint ${fingerprint}`,
  );
  print(JSON.stringify({ ...rest, faults }));
  return violation === undefined;
}

async function many(
  firstSeed: number,
  seedCount: number,
  options: PlanOptions,
  jobCount: number | undefined,
): Promise<boolean> {
  const startMs = wallMs();
  let lastMs = startMs;
  let doneCount = 0;
  let failedCount = 0;
  let simulatedMs = 0;
  const threads = new SwarmThreads(Math.min(seedCount, jobCount ?? availableParallelism()));
  const results = await threads.run({
    ...options,
    seeds: Array.from({ length: seedCount }, (_, i) => firstSeed + i),
    onResult: (result) => {
      doneCount++;
      simulatedMs += result.simulatedMs;
      if (result.violation !== undefined) {
        failedCount++;
        showFailure(result, options);
      }
      const nowMs = wallMs();
      if (nowMs - lastMs < progressMs) return;
      lastMs = nowMs;
      const rate = simulatedMs / (nowMs - startMs);
      print(
        `${doneCount} of ${seedCount} seeds, ${failedCount} failed, ` +
          `${rate.toFixed(0)} virtual seconds a second`,
      );
    },
  });
  await threads.close();
  const { failed, ...totals } = totalsOf(results);
  print(JSON.stringify(totals, undefined, 1));
  const wallSeconds = (wallMs() - startMs) / 1000;
  print(
    `${results.length} seeds, ${failed.length} failed, ${totals.simulatedSeconds} virtual seconds in ` +
      `${wallSeconds.toFixed(0)}: ${(totals.simulatedSeconds / wallSeconds).toFixed(0)} a second`,
  );
  for (const result of failed) print(`  ${replayLine(result.seed, options)}`);
  return failed.length === 0;
}

const flags = {
  seed: { type: "string" },
  seeds: { type: "string" },
  from: { type: "string" },
  trace: { type: "boolean" },
  members: { type: "string" },
  seconds: { type: "string" },
  faults: { type: "string" },
  jobs: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

function parse(): ReturnType<typeof parseArgs<{ options: typeof flags }>>["values"] {
  try {
    return parseArgs({ options: flags }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

// Whoever reads our lines may have seen enough of them.
process.stdout.on("error", () => process.exit(1));

const values = parse();
if (values.help === true) {
  process.stdout.write(usage);
} else {
  const seed = wholeNumber("seed", values.seed);
  const memberCount = wholeNumber("members", values.members);
  const seconds = wholeNumber("seconds", values.seconds);
  const faults = faultsOf(values.faults);
  const options: PlanOptions = {
    ...(memberCount === undefined ? {} : { memberCount }),
    ...(seconds === undefined ? {} : { seconds }),
    ...(faults === undefined ? {} : { faults }),
  };
  if (memberCount === 0 || seconds === 0) fail("--members and --seconds want at least 1");
  if (seed !== undefined && values.seeds !== undefined) fail("either --seed or --seeds");
  const passed =
    seed !== undefined
      ? await one(seed, options, values.trace === true)
      : await many(
          wholeNumber("from", values.from) ?? 1,
          wholeNumber("seeds", values.seeds) ?? 100,
          options,
          wholeNumber("jobs", values.jobs),
        );
  process.exitCode = passed ? 0 : 1;
}
