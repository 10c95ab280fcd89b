// The check of one key against the plainest one there is, which tries all orders, on small histories. Most are made by
// a register that works, some of whose calls are then changed; so that both verdicts are common.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@etcd-ts/base";
import { checkRegister, type RegisterOperation } from "../src/index.ts";

type Value = string | undefined;

/** Whether what is left can happen in some order, from this value on. */
function isExplained(left: readonly RegisterOperation[], value: Value): boolean {
  const done = left.filter((it) => it.returnedMs !== undefined);
  if (done.length === 0) return true; // what is of unknown outcome need not happen
  return left.some((it) => {
    if (done.some((other) => other !== it && (other.returnedMs as number) < it.invokedMs)) {
      return false;
    }
    if (it.requires !== undefined && it.requires.value !== value) return false;
    const after = it.leaves === undefined ? value : it.leaves.value;
    return isExplained(
      left.filter((other) => other !== it),
      after,
    );
  });
}

/** Calls that overlap, each of which happens somewhere between its beginning and its end. */
function historyOf(random: SeededRandom): RegisterOperation[] {
  const count = 2 + random.below(6);
  const calls = Array.from({ length: count }, (_, i) => {
    const invokedMs = random.below(20);
    const returnedMs = invokedMs + 1 + random.below(8);
    const happensMs = invokedMs + random.below(returnedMs - invokedMs + 1);
    return { name: `${i}`, invokedMs, returnedMs, happensMs, kind: random.below(6) };
  });
  let value: Value;
  const made: RegisterOperation[] = [];
  for (const call of [...calls].sort((a, b) => a.happensMs - b.happensMs)) {
    const { name, invokedMs, returnedMs, kind } = call;
    const before: Value = random.chance(1, 8) ? `${random.below(count)}` : value;
    if (kind < 2) {
      const requires = { value: before };
      made.push({ name, invokedMs, returnedMs, requires, leaves: undefined });
      continue;
    }
    const isLost = random.chance(1, 3);
    const leaves = { value: kind < 4 ? name : undefined };
    const requires = isLost || random.chance(1, 2) ? undefined : { value: before };
    made.push({ name, invokedMs, returnedMs: isLost ? undefined : returnedMs, requires, leaves });
    if (!isLost || random.chance(1, 2)) value = leaves.value;
  }
  return made;
}

test("what is explained by some order is linearizable, and nothing else is", () => {
  const counts = { linearizable: 0, "not linearizable": 0, "too many open operations": 0 };
  for (let seed = 1; seed <= 4000; seed++) {
    const history = historyOf(new SeededRandom(seed));
    const { verdict } = checkRegister(history);
    const expected = isExplained(history, undefined) ? "linearizable" : "not linearizable";
    assert.equal(verdict, expected, `seed ${seed}: ${JSON.stringify(history)}`);
    counts[verdict]++;
  }
  assert.ok(counts.linearizable > 500 && counts["not linearizable"] > 500, JSON.stringify(counts));
});
