// The reporter of `npm test`: failures in full, skips with their reason, the slowest tests, and a closing
// line `N passed, N failed`. With ETCD_TS_SKIP_IS_FAILURE=1 (set by `.ci/run`, which installs all that a
// test may want) a skipped test fails the run.
//
// Node 20 takes a reporter as the default export of a module.

import { relative } from "node:path";
import type { TestEvent } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { endOfTests } from "./end-of-tests.ts";

const slowMs = 2_000;
const slowCountMax = 12;
/** How long open handles may keep the process after the last test. */
const exitGraceMs = 500;

async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const startedMs = performance.now();
  const tally = new Tally();
  for await (const event of source) {
    if (event.type !== "test:pass" && event.type !== "test:fail") continue;
    if (event.data.name !== endOfTests) {
      const failure = tally.add(event);
      if (failure !== undefined) yield failure;
      continue;
    }
    yield tally.summary(performance.now() - startedMs);
    process.exitCode = tally.failed > 0 ? 1 : 0;
    setTimeout(() => process.exit(), exitGraceMs).unref();
  }
}

class Tally {
  passed = 0;
  failed = 0;
  readonly #skipped: string[] = [];
  readonly #slow: { name: string; ms: number }[] = [];

  /** Counts the event; gives the text of a failure. */
  add(event: Extract<TestEvent, { type: "test:pass" | "test:fail" }>): string | undefined {
    const { name, file, nesting, skip, todo, details } = event.data;
    if (details.type === "suite") return undefined; // its tests count, not the folder around them
    const place = file === undefined ? "" : relative(process.cwd(), plainPath(file));
    if ((skip !== undefined && skip !== false) || (todo !== undefined && todo !== false)) {
      const reason = [skip, todo].find((it) => typeof it === "string") ?? "no reason given";
      this.#skipped.push(`${name} (${place}): ${reason}`);
      return undefined;
    }
    if (nesting === 0 && details.duration_ms > slowMs) {
      this.#slow.push({ name, ms: details.duration_ms });
    }
    if (event.type === "test:pass") {
      this.passed += 1;
      return undefined;
    }
    this.failed += 1;
    return `FAILED ${name} (${place})\n${indent(describe(event.data.details.error))}\n`;
  }

  summary(tookMs: number): string {
    const lines: string[] = [];
    this.#slow.sort((a, b) => b.ms - a.ms);
    for (const { name, ms } of this.#slow.slice(0, slowCountMax)) {
      lines.push(`slow: ${(ms / 1000).toFixed(1)} s  ${name}`);
    }
    for (const line of this.#skipped) lines.push(`SKIPPED ${line}`);
    if (this.#skipped.length > 0 && process.env["ETCD_TS_SKIP_IS_FAILURE"] === "1") {
      lines.push("skipped tests count as failed here");
      this.failed += this.#skipped.length;
    }
    if (this.passed === 0) this.failed += 1; // a run of nothing proves nothing
    lines.push(`tests took ${(tookMs / 1000).toFixed(1)} s, ${this.#skipped.length} skipped`);
    lines.push(`${this.passed} passed, ${this.failed} failed`);
    return `${lines.join("\n")}\n`;
  }
}

function plainPath(file: string): string {
  return file.startsWith("file:") ? fileURLToPath(file) : file;
}

/** The error with all its causes; the runner's own wrapping is left out. */
function describe(error: unknown): string {
  const texts: string[] = [];
  let next = error instanceof Error && error.cause !== undefined ? error.cause : error;
  for (; next instanceof Error; next = next.cause) texts.push(next.stack ?? next.message);
  if (next !== undefined) texts.push(String(next));
  return texts.join("\ncaused by ");
}

function indent(text: string): string {
  return text.replace(/^/gm, "    ");
}

// biome-ignore lint/style/noDefaultExport: the test runner loads a reporter by its default export
export default report;
