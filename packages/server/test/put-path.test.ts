import assert from "node:assert/strict";
import { test } from "node:test";
import { benchPuts } from "./put-path.bench.ts";

test("the benchmark of the put path runs, and puts share turns", async () => {
  const figures = await benchPuts(2000, 20);
  assert.ok(figures.microsPerPut > 0);
  assert.ok(figures.putsPerTurn > 2, `${figures.putsPerTurn} puts a turn`);
});
