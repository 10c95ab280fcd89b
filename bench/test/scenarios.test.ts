// A few scenarios from end to end against our own server, at a tiny size, so that they do not rot. The figures mean nothing.

import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { ours } from "../src/contenders.ts";
import { run } from "../src/run.ts";
import { scenarios } from "../src/scenarios/all.ts";
import { childCount } from "../src/servers/children.ts";

const plan = {
  quick: true,
  rounds: 1,
  warmupMs: 50,
  warmupAnswers: 0,
  measureMs: 150,
  largeKeyCount: 1000,
  roundTimeoutMs: 60_000,
};

for (const name of ["put-100", "watch-one", "lease-keepalive", "tls-get"]) {
  test(`${name}, small`, async () => {
    const [result] = await run({
      plan,
      contenders: [ours],
      scenarios: scenarios.filter((it) => it.name === name),
      baseFolder: tmpdir(),
      progress: () => undefined,
    });
    assert.equal(result?.failure, undefined);
    const sample = result?.ours[0] ?? {};
    for (const key of ["perSecond", "p50Ms", "p99Ms", "peakMb", "generator"]) {
      assert.ok((sample[key] ?? 0) > 0, `${key} is ${sample[key]}`);
    }
    // The system counts in ticks of 10 ms, of which a small run may use none.
    assert.ok((sample["cpuUs"] ?? -1) >= 0);
    assert.ok((sample["p50Ms"] ?? 0) <= (sample["p99Ms"] ?? 0));
    assert.equal(sample["missing"] ?? 0, 0);
    assert.equal(childCount(), 0);
  });
}
