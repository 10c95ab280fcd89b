// Sorting and finding keys while opening, and sorting answers in slices.

import assert from "node:assert/strict";
import { test } from "node:test";
import { keyToBytes, SeededRandom } from "@etcd-ts/base";
import { KeyArena } from "../src/key-arena.ts";
import { batchKeys, KeyBatch } from "../src/key-batch.ts";
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

/** An arena with these keys, which must differ, in slots that count up. */
function arenaOf(keys: readonly string[]): KeyArena {
  const arena = new KeyArena();
  const batch = new KeyBatch();
  keys.forEach((key, slot) => {
    const bytes = keyToBytes(key);
    batch.add(bytes, 0, bytes.length);
    arena.append(batch.words, 0, slot);
    batch.clear();
  });
  return arena;
}

function sorted(arena: KeyArena, itemCount: number): string[] {
  const sort = new KeySort(arena);
  while (!sort.step(itemCount));
  return Array.from(sort.order, (position) => arena.key(position));
}

for (const [name, keyOf] of Object.entries(shapes)) {
  test(`keys are sorted by their bytes: ${name}`, () => {
    const keys = [...new Set(Array.from({ length: 60_000 }, keyOf))];
    assert.deepEqual(sorted(arenaOf(keys), 500), [...keys].sort());
  });
}

test("keys that are in order, or nearly, stay so", () => {
  const keys = Array.from({ length: 60_000 }, (_, i) => `/pods/${String(i).padStart(9, "0")}`);
  assert.deepEqual(sorted(arenaOf(keys), 500), keys);
  const mixed = [...keys];
  for (let i = 0; i < 50; i++) {
    const at = random.below(keys.length - 300);
    mixed.splice(at, 200, ...mixed.slice(at, at + 200).reverse());
  }
  assert.deepEqual(sorted(arenaOf(mixed), 500), keys);
});

test("nothing and one key are sorted too", () => {
  for (const keys of [[], ["a"], [""]]) assert.deepEqual(sorted(arenaOf(keys), 1), keys);
});

test("keys larger than a chunk of the arena are kept, compared and copied", () => {
  const long = "x".repeat(70_000);
  const keys = [`${long}b`, "y", `${long}a`, long, "x", `${long}${long}`];
  const arena = arenaOf(keys);
  assert.deepEqual(sorted(arena, 2), [...keys].sort());
});

test("a table gives each key one slot, in the order of their first coming", () => {
  const table = new KeyTable();
  const batch = new KeyBatch();
  const slots = new Map<string, number>();
  const waiting: string[] = [];
  for (let i = 0; i < 50_000; i++) {
    let key = random.chance(1, 2) ? `k${random.below(20_000)}` : `/a/${i}`;
    // Some too large for a chunk, of which the same one comes again.
    if (random.chance(1, 1000)) key = "z".repeat(70_000 + random.below(5));
    const padded = keyToBytes(`<${key}>`);
    batch.add(padded, 1, padded.length - 1);
    waiting.push(key);
    if (batch.count < batchKeys && i < 49_999) continue;
    table.touch(batch);
    waiting.forEach((each, number) => {
      const slot = table.slotOf(batch, number);
      if (!slots.has(each)) slots.set(each, slots.size);
      assert.equal(slot, slots.get(each));
      assert.equal(table.arena.key(table.position), each);
    });
    batch.clear();
    waiting.length = 0;
  }
  assert.equal(table.arena.count, slots.size);
  assert.deepEqual(sorted(table.arena, 4096), [...slots.keys()].sort());
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
