// The table beside a `Map`, which it replaces.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IdTable, SeededRandom } from "../src/index.ts";

interface Item {
  readonly id: number;
}

/** The same content, and the order of the ids. */
function same(table: IdTable<Item>, map: ReadonlyMap<number, Item>): void {
  const expected = [...map.values()].sort((a, b) => a.id - b.id);
  assert.equal(table.size, expected.length);
  assert.deepEqual(table.values(), expected);
  assert.equal(table.first(), expected[0]);
}

describe("a table of ids", () => {
  test("is empty, filled, and empty again", () => {
    const table = new IdTable<Item>();
    same(table, new Map());
    assert.equal(table.get(0), undefined, "0 is an id like any other");
    assert.equal(table.delete(0), false);
    const zero = { id: 0 };
    table.set(0, zero);
    assert.equal(table.get(0), zero);
    assert.equal(table.delete(0), true);
    assert.equal(table.get(0), undefined);
    same(table, new Map());
  });

  test("an id that comes again replaces what was there", () => {
    const table = new IdTable<Item>();
    const [older, newer] = [{ id: 5 }, { id: 5 }];
    table.set(5, older);
    table.set(5, newer);
    assert.equal(table.get(5), newer);
    assert.equal(table.size, 1);
  });

  test("ids of 48 bits, and smaller ones after larger ones", () => {
    const table = new IdTable<Item>();
    const ids = [2 ** 48 - 2, 2 ** 48 - 1, 1, 2, 2 ** 32, 2 ** 32 + 1];
    const map = new Map(ids.map((id) => [id, { id }]));
    for (const [id, item] of map) table.set(id, item);
    same(table, map);
    for (const id of ids) assert.equal(table.get(id), map.get(id));
  });

  test("one that stays while others come and go is still found", () => {
    const table = new IdTable<Item>();
    const stays = { id: 1 };
    table.set(1, stays);
    for (let id = 3; id < 20_001; id += 2) {
      table.set(id, { id });
      assert.equal(table.get(1), stays);
      if (id > 3) assert.equal(table.delete(id - 2), true);
      assert.equal(table.size, 2);
    }
  });

  for (const [name, removed] of [
    ["oldest first", 0],
    ["newest first", 1],
    ["anyhow", 2],
  ] as const) {
    test(`does what a Map does: ${name}`, () => {
      for (let seed = 1; seed <= 60; seed++) {
        const random = new SeededRandom(seed);
        const table = new IdTable<Item>();
        const map = new Map<number, Item>();
        let next = random.below(3);
        const growth = 1 + random.below(9);
        for (let step = 0; step < 1500; step++) {
          // In and out by turns, so that it is small for a while and large for a while.
          const grows = random.below(10) < (step % 300 < 150 ? growth : 10 - growth);
          if (grows) {
            const id = random.chance(1, 40) ? random.below(next + 1) : next;
            next = Math.max(next, id) + 1 + random.below(3);
            const item = { id };
            table.set(id, item);
            map.set(id, item);
          } else {
            const ids = [...map.keys()].sort((a, b) => a - b);
            const at =
              removed === 0 ? 0 : removed === 1 ? ids.length - 1 : random.below(ids.length + 1);
            const id = ids[at] ?? next;
            assert.equal(table.delete(id), map.delete(id));
          }
          const probe = random.below(next + 2);
          assert.equal(table.get(probe), map.get(probe));
          if (step % 50 === 0) same(table, map);
          if (random.chance(1, 900)) {
            table.clear();
            map.clear();
          }
        }
        same(table, map);
      }
    });
  }
});
