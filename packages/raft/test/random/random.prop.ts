import assert from "node:assert/strict";
import test from "node:test";
import { Violation } from "./checker.ts";
import type { PlantedBug } from "./node.ts";
import { World } from "./world.ts";

const stepCount = 2500;

test("random histories keep every invariant, and groups recover once left in peace", () => {
  const seeds = seedsToRun(200);
  const seen = { leaders: 0, commits: 0, reads: 0, snapshots: 0, changes: 0 };
  let blocked = 0;
  for (const seed of seeds) {
    const world = new World(seed);
    try {
      for (let i = 0; i < stepCount; i++) world.step();
      const outcome = world.heal();
      assert.notEqual(outcome, "stuck", "no progress after healing");
      if (outcome === "blocked") blocked += 1;
    } catch (error) {
      throw new Error(`RAFT_SEED=${seed} replays it`, { cause: error });
    }
    const count = world.checker.seen;
    seen.leaders += count.leaders;
    seen.commits += count.commits;
    seen.reads += count.reads;
    seen.snapshots += count.snapshots;
    seen.changes += count.changes;
  }
  if (seeds.length < 10) return;
  assert.ok(blocked * 20 <= seeds.length, `${blocked} of ${seeds.length} groups were blocked`);
  // A check that saw nothing proves nothing.
  for (const [what, count] of Object.entries(seen)) {
    assert.ok(count > seeds.length, `only ${count} ${what} in ${seeds.length} histories`);
  }
});

const plants: readonly Exclude<PlantedBug, "none">[] = [
  "promise-before-sync",
  "forget-votes",
  "corrupt-entries",
  "trust-stopped-clock",
];

for (const bug of plants) {
  test(`random histories find a planted bug: ${bug}`, () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const world = new World(seed, bug);
      try {
        for (let i = 0; i < stepCount; i++) world.step();
      } catch (error) {
        // A broken invariant may also be noticed by the node itself.
        assert.ok(error instanceof Error);
        if (error instanceof Violation || error.name === "InvariantError") return;
        throw error;
      }
    }
    assert.fail("nothing was noticed");
  });
}

function seedsToRun(count: number): number[] {
  const one = process.env["RAFT_SEED"];
  if (one !== undefined) return [Number(one)];
  const all = Number(process.env["RAFT_SEEDS"] ?? count);
  return Array.from({ length: all }, (_, i) => i + 1);
}
