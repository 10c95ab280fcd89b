import assert from "node:assert/strict";
import { test } from "node:test";
import { addTally, emptyTally, type SkipRule, summary, type TestTally } from "../src/test-tally.ts";

const lax: SkipRule = { isFailure: false, mayBe: undefined };
const strict: SkipRule = { isFailure: true, mayBe: "3.5" };
const lane = (passed: number, failed: number, skipped: string[] = []): TestTally => ({
  ...{ passed, failed, skipped },
  slow: [{ name: `slow of ${passed}`, ms: passed * 1000 }],
});

test("the lanes of a run are added up, the slowest first", () => {
  const sum = emptyTally();
  for (const it of [lane(3, 0), lane(4, 1, ["it (there): why"])]) addTally(sum, it);
  const { text, ok } = summary(sum, 1500, lax);
  assert.equal(ok, false);
  assert.deepEqual(text.split("\n"), [
    "slow: 4.0 s  slow of 4",
    "slow: 3.0 s  slow of 3",
    "SKIPPED it (there): why",
    "tests took 1.5 s, 1 skipped",
    "7 passed, 1 failed",
    "",
  ]);
});

test("a skipped test fails a run that may skip nothing, and a run of nothing always fails", () => {
  assert.equal(summary(lane(1, 0, ["it"]), 0, lax).ok, true);
  const refused = summary(lane(1, 0, ["it", "needs 3.5"]), 0, strict);
  assert.equal(refused.ok, false);
  assert.equal(summary(lane(1, 0, ["needs 3.5"]), 0, strict).ok, true);
  assert.match(refused.text, /\n1 passed, 1 failed\n$/);
  assert.match(summary(emptyTally(), 0, lax).text, /\n0 passed, 1 failed\n$/);
});
