// `npm test [-- PART OF A PATH ...]`: runs every compiled test file in one process (800 tests of 80 files
// take 0.4 s this way, against 11 s with a process per file) with the reporter beside this file, whose
// last line is `N passed, N failed`.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const filters = process.argv.slice(2);

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

const outcome = spawnSync(
  process.execPath,
  [
    "--enable-source-maps",
    "--expose-gc",
    "--allow-natives-syntax",
    `--test-reporter=${fileURLToPath(new URL("test-reporter.js", import.meta.url))}`,
    "--test-reporter-destination=stdout",
    fileURLToPath(new URL("test-main.js", import.meta.url)),
    ...files.map((file) => relative(root, file)),
  ],
  { cwd: root, stdio: "inherit" },
);
if (outcome.signal !== null) process.stderr.write(`the tests were ended by ${outcome.signal}\n`);
process.exit(outcome.status ?? 1);

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
