// The swarm: three hundred seeds, each a cluster of its own kind under trouble of its own kind, for a minute of
// virtual time and until it has recovered. And that a seed is all there is: run again, it does the same.

import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { after, before, describe, test } from "node:test";
import { faultKinds, replayLine, runSeed, SwarmThreads, totalsOf } from "../src/index.ts";

const seedCount = 300;
const seconds = 60;

function seedsUpTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => 1 + i);
}

describe("swarms", () => {
  let threads: SwarmThreads;

  before(() => {
    // The other lanes of the tests have a processor for themselves.
    threads = new SwarmThreads(Math.max(1, availableParallelism() - 1));
  });

  after(() => threads.close());

  test(`${seedCount} seeds of ${seconds} virtual seconds violate nothing`, async () => {
    const results = await threads.run({ seeds: seedsUpTo(seedCount), seconds });
    const totals = totalsOf(results);
    assert.equal(
      totals.failed
        .map((it) => `${it.violation}\n  ${replayLine(it.seed, { seconds })}`)
        .join("\n"),
      "",
    );
    assert.equal(totals.runCount, seedCount);
    for (const result of results) {
      assert.ok(result.simulatedMs >= seconds * 1000, `seed ${result.seed} took its time`);
      assert.ok(result.revision > 1 && result.doneCount > 0, `seed ${result.seed} did something`);
    }
    // A swarm that passes shows nothing unless it went through what it is there for.
    for (const kind of faultKinds) assert.ok((totals.faults[kind] ?? 0) > 10, `${kind} happened`);
    assert.ok(totals.callCount > 100 * seedCount, `${totals.callCount} calls`);
    assert.ok(
      totals.unknownCount > 10 * seedCount,
      `${totals.unknownCount} calls of unknown outcome`,
    );
    assert.ok(totals.leaderCount > 3 * seedCount, `${totals.leaderCount} leaders`);
    assert.ok(totals.snapshotCount > seedCount / 3, `${totals.snapshotCount} snapshots taken over`);
    assert.ok(totals.expiredCount > seedCount, `${totals.expiredCount} leases expired`);
    assert.ok(totals.eventCount > 100 * seedCount, `${totals.eventCount} watched events`);
    assert.ok(totals.comparedCount > 20 * seedCount, `${totals.comparedCount} comparisons`);
    assert.ok(totals.operationCount > seedCount / 3, `${totals.operationCount} membership changes`);
    assert.ok(totals.endedCount > 50, `${totals.endedCount} members ended for their disks`);
    assert.ok(results.some((it) => it.plan.memberCount === 3));
    assert.ok(results.some((it) => it.plan.memberCount === 5));
  });

  test("the same seed does the same: a hundred of a hundred", async () => {
    const seeds = seedsUpTo(100);
    const once = await threads.run({ seeds, seconds: 3 });
    // In another order, so that others came before it on the same thread.
    const again = await threads.run({ seeds: seeds.toReversed(), seconds: 3 });
    const fingerprints = (results: typeof once) => results.map((it) => it.fingerprint);
    assert.deepEqual(fingerprints(again), fingerprints(once));
    assert.equal(new Set(fingerprints(once)).size, 100, "and another seed something else");
  });
});

test("a trace is the same to the byte", async () => {
  for (const seed of [3, 9, 16]) {
    const traces = [];
    for (let i = 0; i < 2; i++) {
      const lines: string[] = [];
      await runSeed(seed, { seconds: 20, trace: (line) => lines.push(line) });
      assert.ok(lines.length > 100);
      traces.push(lines.join("\n"));
    }
    assert.ok(traces[0] === traces[1], `seed ${seed}`);
  }
});

// In these a call was on its way when the load ended, somebody read what it had written, and everything had converged
// before the client noted that it did not know how the call had ended.
test("calls that are on their way when the load ends are in the diary", async () => {
  for (const seed of [403808, 404539]) {
    const { violation } = await runSeed(seed);
    assert.equal(violation, undefined, `seed ${seed}`);
  }
});
