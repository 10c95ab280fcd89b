// The benchmark runs, so that it does not rot; its figures are for those who ask.

import assert from "node:assert/strict";
import { test } from "node:test";
import { runBench } from "../bench/machine.bench.ts";

test("the benchmark runs on a small store", () => {
  const figures: string[] = [];
  runBench(500, (what, figure) => figures.push(`${what}: ${figure}`));
  assert.ok(figures.length > 10);
});
