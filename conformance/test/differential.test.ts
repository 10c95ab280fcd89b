import assert from "node:assert/strict";
import { test } from "node:test";
import { compareReleases } from "../src/differential/compare.ts";
import { comparableEvents } from "../src/differential/run.ts";
import { noStockReason, ours, stockReleases } from "../src/programs.ts";

const stock = stockReleases();

test("of a cancelled watch, the last events may come without what was there before them", () => {
  const event = (key: string, prevKv: string | null) => ({ kv: key, prevKv });
  const cancel = { canceled: true, compactRevision: 0 };
  const full = [event("a", "1"), event("b", "2"), event("c", null), event("d", "3"), cancel];
  const agree = (other: Parameters<typeof comparableEvents>[0]) => {
    const [left, right] = comparableEvents(full, other);
    return JSON.stringify(left) === JSON.stringify(right);
  };
  assert.ok(agree(full));
  assert.ok(agree([...full.slice(0, 3), event("d", null), cancel]));
  assert.ok(agree([...full.slice(0, 2), cancel]));
  assert.ok(!agree([event("a", null), ...full.slice(1)]), "before one that has it");
  assert.ok(!agree([...full.slice(0, 3), event("d", "4"), cancel]));
  assert.ok(!agree([...full.slice(0, 3), event("x", null), cancel]));
  assert.ok(!agree([...full.slice(0, 3), event("d", null)]), "of one that goes on");
});

for (const release of stock) {
  test(`5,000 random operations answer as on ${release.name}`, async () => {
    const seed = Number(process.env["SEED"] ?? 20260101);
    const counts = await compareReleases(ours, release, { seed, operationCount: 5000 });
    assert.ok(counts.refused > 100 && counts.events > 1000 && counts.hashes > 10);
  });
}
if (stock.length === 0) test("random operations against stock", { skip: noStockReason }, () => {});
