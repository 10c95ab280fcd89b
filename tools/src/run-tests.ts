// `npm test [-- PART OF A PATH ...]`: runs every compiled test file, in lanes side by side. Each is a process that takes
// one file after the other from a queue. One lane computes; the others share the tests that start processes of ours
// and of stock, and mostly wait for them. A process for each file would be far slower (800 tests of 80 files: 11 s
// against 0.4 s).
// The last line is `N passed, N failed`. With ETCD_TS_SKIP_IS_FAILURE=1 (set by `.ci/run`, which installs what its
// system has of all that a test may want) a skipped test fails the run, unless its reason contains ETCD_TS_MAY_SKIP.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { LaneMessage, NextFile } from "./lane-messages.ts";
import { addTally, emptyTally, summary, type TestTally } from "./test-tally.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const filters = process.argv.slice(2);

const waitingLaneCount = 2;
/** Minutes long, so that they begin first; all others in the order of their names. */
const longest = ["conformance/dist/test/mixed.", "conformance/dist/test/cluster."];

const workspaces = [
  ...readdirSync(join(root, "packages")).map((name) => join(root, "packages", name)),
  join(root, "tools"),
  join(root, "bench"),
  join(root, "conformance"),
];
const files = workspaces
  .flatMap((folder) => testFiles(join(folder, "dist", "test"), join(folder, "test")))
  .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)));
if (files.length === 0) {
  process.stderr.write(`no test file matches ${filters.join(" ")}\n`);
  process.exit(1);
}

const startedMs = performance.now();
const isOfProcesses = (file: string): boolean =>
  /^(conformance|bench|packages\/cli)\//.test(relative(root, file));
const computing = files.filter((file) => !isOfProcesses(file));
const waiting = files.filter(isOfProcesses).sort((a, b) => rankOf(a) - rankOf(b));
const lanes = [computing, ...Array.from({ length: waitingLaneCount }, () => waiting)];
const tally = emptyTally();
for (const lane of await Promise.all(lanes.map(run))) addTally(tally, lane);
const { text, ok } = summary(tally, performance.now() - startedMs, {
  isFailure: process.env["ETCD_TS_SKIP_IS_FAILURE"] === "1",
  mayBe: process.env["ETCD_TS_MAY_SKIP"] || undefined,
});
process.stdout.write(text);
process.exitCode = ok ? 0 : 1;

function rankOf(file: string): number {
  const at = longest.findIndex((it) => file.includes(it));
  return at < 0 ? longest.length : at;
}

/** Runs a lane in a process of its own, until the queue is empty. One that ends without its tally has failed. */
function run(queue: string[]): Promise<TestTally> {
  if (queue.length === 0) return Promise.resolve(emptyTally());
  const child = spawn(
    process.execPath,
    [
      "--enable-source-maps",
      "--expose-gc",
      "--allow-natives-syntax",
      `--test-reporter=${fileURLToPath(new URL("test-reporter.js", import.meta.url))}`,
      "--test-reporter-destination=stdout",
      fileURLToPath(new URL("test-main.js", import.meta.url)),
    ],
    { cwd: root, env: environment(), stdio: ["ignore", "inherit", "inherit", "ipc"] },
  );
  return new Promise((resolve) => {
    let result: TestTally | undefined;
    child.on("message", (message: LaneMessage) => {
      if (message === "next") child.send({ file: queue.shift() } satisfies NextFile);
      else result = message;
    });
    // What was sent before the exit may arrive after it; "close" comes when nothing more can.
    child.once("close", (code, signal) => {
      if (result === undefined) {
        process.stderr.write(`the tests were ended by ${signal ?? `exit status ${code}`}\n`);
        result = { ...emptyTally(), failed: 1 };
      } else if (code !== 0 && result.failed === 0) {
        process.stderr.write(`the tests passed, but their process ended with ${signal ?? code}\n`);
        result.failed = 1;
      }
      resolve(result);
    });
  });
}

/** Without the variables that would configure servers and clients of the tests, or send these clients elsewhere. */
function environment(): NodeJS.ProcessEnv {
  const configures = /^ETCD(CTL|UTL)?_(?!TS_|BIN$)|_proxy$/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !configures.test(name)));
}

/** Compiled tests whose source still exists: a stale file of `dist` is no test. */
function testFiles(compiled: string, source: string): string[] {
  if (!existsSync(compiled)) return [];
  const found: string[] = [];
  for (const name of readdirSync(compiled).sort()) {
    const path = join(compiled, name);
    if (statSync(path).isDirectory()) found.push(...testFiles(path, join(source, name)));
    else if (/\.(test|prop|fuzz|bench|sim)\.js$/.test(name)) {
      if (existsSync(join(source, name.replace(/js$/, "ts")))) found.push(path);
    }
  }
  return found;
}
