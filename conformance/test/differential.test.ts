import assert from "node:assert/strict";
import { test } from "node:test";
import { compareReleases } from "../src/differential/compare.ts";
import { noStockReason, ours, stockReleases } from "../src/programs.ts";

const stock = stockReleases();

for (const release of stock) {
  test(`5,000 random operations answer as on ${release.name}`, async () => {
    const seed = Number(process.env["SEED"] ?? 20260101);
    const counts = await compareReleases(ours, release, { seed, operationCount: 5000 });
    assert.ok(counts.refused > 100 && counts.events > 1000 && counts.hashes > 10);
  });
}
if (stock.length === 0) test("random operations against stock", { skip: noStockReason }, () => {});
