// The reporter of a lane of `npm test`: writes failures in full as they come, and sends the tally of the lane
// to the runner when all tests have run.
//
// Node 20 takes a reporter as the default export of a module.

import { relative } from "node:path";
import type { TestEvent } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { endOfFile, endOfTests } from "./end-of-tests.ts";
import { emptyTally, type TestTally } from "./test-tally.ts";

const slowMs = 2_000;
/** How long open handles may keep the process after the last test. */
const exitGraceMs = 500;

async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const tally = emptyTally();
  for await (const event of source) {
    if (event.type !== "test:pass" && event.type !== "test:fail") continue;
    if (event.data.name === endOfFile) continue;
    if (event.data.name !== endOfTests) {
      const failure = count(tally, event);
      if (failure !== undefined) yield failure;
      continue;
    }
    await new Promise<void>((resolve) => {
      if (process.send === undefined) resolve();
      else process.send(tally, () => resolve());
    });
    process.exitCode = tally.failed > 0 ? 1 : 0;
    setTimeout(() => process.exit(), exitGraceMs).unref();
  }
}

/** Counts the event; gives the text of a failure. */
function count(
  tally: TestTally,
  event: Extract<TestEvent, { type: "test:pass" | "test:fail" }>,
): string | undefined {
  const { name, file, nesting, skip, todo, details } = event.data;
  if (nesting === 0 && details.duration_ms > slowMs) {
    tally.slow.push({ name, ms: details.duration_ms });
  }
  if (details.type === "suite") return undefined; // its tests count, not the folder around them
  const place = file === undefined ? "" : relative(process.cwd(), plainPath(file));
  if ((skip !== undefined && skip !== false) || (todo !== undefined && todo !== false)) {
    const reason = [skip, todo].find((it) => typeof it === "string") ?? "no reason given";
    tally.skipped.push(`${name} (${place}): ${reason}`);
    return undefined;
  }
  if (event.type === "test:pass") {
    tally.passed += 1;
    return undefined;
  }
  tally.failed += 1;
  return `FAILED ${name} (${place})\n${indent(describe(event.data.details.error))}\n`;
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
