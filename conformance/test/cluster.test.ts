// Clusters of real processes, in small; `npm run conformance` has the long runs. Times only catch what hangs here, as
// the machine may be busy with other tests: a leader's replacement within 3 s is what the long run asks for.

import assert from "node:assert/strict";
import { test } from "node:test";
import { comeBack, largeSnapshot } from "../src/cluster/catch-up.ts";
import { type Fault, faultRounds } from "../src/cluster/fault-rounds.ts";
import { reconfigure } from "../src/cluster/reconfigure.ts";
import { ours } from "../src/programs.ts";

const seed = Number(process.env["SEED"] ?? 1);
const three = [ours, ours, ours];

const rounds: readonly (readonly [Fault, number, string])[] = [
  ["leader", 2, "kill -9 of the leader"],
  ["follower", 1, "kill -9 of a follower"],
  ["all", 2, "kill -9 of all members"],
  ["stop", 1, "SIGSTOP of the leader"],
  ["proxy", 2, "cut, delayed and one-way links"],
];

for (const [fault, count, what] of rounds) {
  test(`three members under load: ${what} loses nothing and reads are never stale`, async () => {
    const report = await faultRounds({
      ...{ programs: three, fault, rounds: count, seed, writesPerSecond: 1_000 },
      ...{ failoverMsMax: 60_000, lateMsMax: 60_000, stopMs: 3_000 },
    });
    assert.ok(report.acknowledged > 300 * count, `only ${report.acknowledged} writes`);
    assert.ok(report.reads > 0, "nothing was read");
  });
}

test("one member grows to three and shrinks to two under load", async () => {
  const report = await reconfigure({
    ...{ programs: ours, seed, writesPerSecond: 500, sizes: [3, 2], writeMsMax: 60_000 },
    args: ["--strict-reconfig-check=false"],
  });
  assert.ok(report.acknowledged > 1_000, `only ${report.acknowledged} writes`);
});

// Behind a snapshot of the log 5,000 entries stay, so fewer are no reason for one.
for (const [by, writeCount] of [
  ["log", 3_000],
  ["snapshot", 6_000],
] as const) {
  test(`a member that was away for ${writeCount} writes comes back by ${by}`, async () => {
    const report = await comeBack({ programs: three, seed, writeCount, by });
    assert.equal(report.snapshotCount > 0, by === "snapshot");
  });
}

test("a fresh member gets a snapshot of 32 MiB under load, in little memory", async () => {
  for (let attempt = 1; ; attempt++) {
    try {
      const report = await largeSnapshot({
        ...{ programs: ours, joiner: ours, seed, writesPerSecond: 300 },
        ...{ bytes: 32 * 2 ** 20, extraBytesMax: 256 * 2 ** 20 },
        ...{ snapshotCount: 200, catchupEntries: 20 },
      });
      assert.ok(report.transferMs > 0);
      return;
    } catch (error) {
      // A machine that gives the leader no time for a second costs it the lead, whatever the leader does.
      if (attempt === 3 || !/the lead changed while/.test((error as Error).message)) throw error;
    }
  }
});
