// Sorting and finding keys while opening, and sorting answers in slices.

import assert from "node:assert/strict";
import { test } from "node:test";
import { keyToBytes, SeededRandom } from "@etcd-ts/base";
import { KeySort } from "../src/key-sort.ts";
import { KeyTable } from "../src/key-table.ts";
import { MergeSorter } from "../src/merge-sorter.ts";

const random = new SeededRandom(7);

const shapes: Readonly<Record<string, () => string>> = {
  numbers: () => `/a/rather/long/prefix/${random.below(1e9)}`,
  zeros: () => "\0".repeat(random.below(600)),
  "binary keys": () => Buffer.from(random.bytes(random.below(5))).toString("latin1"),
  "long shared parts": () =>
    `${"x".repeat(random.below(5) * 100)}${"\xff".repeat(random.below(40))}`,
};

for (const [name, keyOf] of Object.entries(shapes)) {
  test(`keys are sorted by their bytes: ${name}`, () => {
    const keys = [...new Set(Array.from({ length: 60_000 }, keyOf))];
    const sort = new KeySort(keys);
    while (!sort.step(500));
    assert.deepEqual(
      [...sort.order].map((i) => keys[i]),
      [...keys].sort(),
    );
  });
}

test("nothing and one key are sorted too", () => {
  for (const keys of [[], ["a"]]) {
    const sort = new KeySort(keys);
    while (!sort.step(1));
    assert.equal(sort.order.length, keys.length);
  }
});

test("a table gives each key one number, in the order of their first coming", () => {
  const table = new KeyTable();
  const numbers = new Map<string, number>();
  for (let i = 0; i < 50_000; i++) {
    const key = random.chance(1, 2) ? `k${random.below(20_000)}` : `/a/${i}`;
    const padded = keyToBytes(`<${key}>`);
    const number = table.numberOf(padded, 1, padded.length - 1);
    if (!numbers.has(key)) numbers.set(key, numbers.size);
    assert.equal(number, numbers.get(key));
  }
  assert.deepEqual(table.keys, [...numbers.keys()]);
});

test("sorting in slices is stable and does not depend on the slices", () => {
  for (const count of [0, 1, 2, 255, 256, 257, 1000, 5000]) {
    const items = Array.from({ length: count }, (_, i) => ({ value: random.below(50), i }));
    const expected = [...items].sort((a, b) => a.value - b.value);
    const sorter = new MergeSorter([...items], (a, b) => a.value - b.value);
    let steps = 0;
    while (!sorter.done) {
      sorter.step(1 + random.below(40));
      steps++;
    }
    assert.deepEqual(sorter.sorted, expected);
    if (count > 256) assert.ok(steps > count / 50);
  }
});
