// The process of a lane: asks the runner for a file, imports it, which registers its tests, and asks again when these
// have run. Tests run one after the other in the order of their registration, so an empty one behind those of a file
// tells when; the very last one tells the reporter that all have run, so that a handle which a test forgot cannot
// keep the run from ending.

import { once } from "node:events";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { endOfFile, endOfTests } from "./end-of-tests.ts";
import type { LaneMessage, NextFile } from "./lane-messages.ts";

for (;;) {
  const answer = once(process, "message");
  process.send?.("next" satisfies LaneMessage);
  const [{ file }] = (await answer) as [NextFile];
  if (file === undefined) break;
  await import(pathToFileURL(file).href);
  await test(endOfFile, () => undefined);
}

test(endOfTests, () => undefined);
