// The index against a list of all revisions: puts, deletes, compactions, walks and counts at any revision,
// with enough keys to split and join nodes, in random, ascending and descending order.

import assert from "node:assert/strict";
import { test } from "node:test";
import { keyToBytes, SeededRandom } from "@etcd-ts/base";
import { IndexBuilder } from "../src/index-builder.ts";
import { KeyIndex } from "../src/key-index.ts";
import { allSubs, KeyWalk } from "../src/key-walk.ts";
import { Leases } from "../src/leases.ts";
import { TinyBackend } from "./support/tiny-backend.ts";

interface Revision {
  readonly key: string;
  readonly main: number;
  readonly isTombstone: boolean;
}

class IndexModel {
  index: KeyIndex = new KeyIndex();
  readonly random: SeededRandom;
  readonly revisions: Revision[] = [];
  readonly live: Set<string> = new Set();
  main = 1;
  bound = -1;
  readonly removed: string[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  put(key: string): void {
    this.index.put(key, ++this.main, 0);
    this.revisions.push({ key, main: this.main, isTombstone: false });
    this.live.add(key);
  }

  delete(key: string): void {
    if (!this.live.delete(key)) return;
    this.index.delete(key, ++this.main, 0);
    this.revisions.push({ key, main: this.main, isTombstone: true });
  }

  /** Rebuilds the index from what a store would still hold. */
  reopen(): void {
    const removed = new Set(this.removed);
    const lives = new Map<string, { create: number; version: number }>();
    this.index = new KeyIndex();
    const builder = new IndexBuilder(this.index, new Leases(new TinyBackend()));
    for (const { key, main, isTombstone } of this.revisions) {
      const life = lives.get(key) ?? { create: main, version: 0 };
      life.version++;
      lives.set(key, life);
      if (isTombstone) lives.delete(key);
      if (removed.has(String(main))) continue;
      const bytes = keyToBytes(key);
      if (isTombstone) builder.tombstone(bytes, 0, bytes.length, main, 0);
      else {
        builder.put(bytes, 0, bytes.length, main, 0, life.create, life.version, undefined);
      }
    }
    while (!builder.step(1 + this.random.below(500)));
  }

  stateAt(main: number): Map<string, number> {
    const state = new Map<string, number>();
    for (const revision of this.revisions) {
      if (revision.main > main) break;
      if (revision.isTombstone) state.delete(revision.key);
      else state.set(revision.key, revision.main);
    }
    return state;
  }

  compact(bound: number): void {
    this.bound = bound;
    const sink = { remove: (main: number) => void this.removed.push(String(main)) };
    while (!this.index.removeGarbage(bound, 1 + this.random.below(20), sink));
  }

  compareAt(main: number, from: string, to: string | undefined): void {
    const expected = [...this.stateAt(main)]
      .filter(([key]) => key >= from && (to === undefined || key < to))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const walk = new KeyWalk(from, to, { main, subEnd: allSubs });
    const found: [string, number][] = [];
    while (!walk.finished) {
      this.index.collect(walk, 1 + this.random.below(50), 1 + this.random.below(200));
      for (const [i, key] of walk.keys.entries()) found.push([key, this.index.mainOf(walk, i)]);
    }
    assert.deepEqual(found, expected);
    const counting = new KeyWalk(from, to, { main, subEnd: allSubs });
    while (!counting.finished) this.index.count(counting, 1 + this.random.below(100));
    assert.equal(counting.counted, expected.length);
    const [key, revision] = expected[this.random.below(expected.length)] ?? ["?", 0];
    assert.equal(this.index.look(key, main), revision > 0);
    if (revision > 0) assert.equal(this.index.foundMain, revision);
  }

  compareSome(): void {
    const keys = [...this.live];
    const pick = (): string => (keys.length > 0 ? this.random.pick(keys) : "x");
    const [from, to] = [pick(), pick()].sort();
    const old =
      Math.max(1, this.bound) + this.random.below(this.main - Math.max(1, this.bound) + 1);
    for (const main of [this.main, old]) {
      this.compareAt(main, "", undefined);
      this.compareAt(main, from!, to);
      this.compareAt(main, from!, undefined);
    }
    this.index.check();
    assert.equal(this.index.liveCount, this.live.size);
  }
}

const shapes: Readonly<Record<string, (random: SeededRandom, i: number) => string>> = {
  "numbers under a long prefix": (random) =>
    `/registry/pods/${String(random.below(3000)).padStart(6, "0")}`,
  "ascending numbers": (_random, i) => `k${String(i).padStart(6, "0")}`,
  "descending numbers": (_random, i) => `k${String(99_999 - i).padStart(6, "0")}`,
  "short binary keys": (random) =>
    String.fromCharCode(...Array.from({ length: 1 + random.below(3) }, () => random.below(7) * 40)),
  "prefixes of each other": (random) =>
    "\0".repeat(random.below(300)) + "a".repeat(random.below(9)),
  "many namespaces": (random) =>
    `/registry/${random.pick(["pods", "leases", "nodes"])}/ns-${random.below(40)}/x${random.below(50)}`,
};

for (const [name, keyOf] of Object.entries(shapes)) {
  test(`the index says what the list of revisions says: ${name}`, () => {
    const model = new IndexModel(name.length);
    for (let i = 0; i < 4000; i++) {
      const key = keyOf(model.random, i);
      // Grow first, then shrink to almost nothing, then grow again.
      const shrinks = i > 1800 && i < 3200;
      if (model.random.chance(shrinks ? 4 : 1, 5)) {
        model.delete(shrinks && model.live.size > 0 ? firstOf(model.live) : key);
      } else model.put(key);
      if (i % 400 === 399) {
        model.compareSome();
        model.compact(Math.max(model.bound, model.main - model.random.below(300)));
        model.compareSome();
      }
    }
    for (const key of [...model.live]) model.delete(key);
    model.compact(model.main);
    assert.equal(model.index.slots.usedCount, 1, "the last deletion stays until it is passed");
    model.put("again");
    model.compact(model.main);
    assert.equal(model.index.slots.usedCount, 1);
    assert.equal(model.index.garbageCount, 0);
    assert.equal(new Set(model.removed).size, model.removed.length, "nothing is removed twice");
    assert.equal(model.removed.length, model.revisions.length - 1);
  });
}

for (const [name, keyOf] of Object.entries(shapes)) {
  test(`a rebuilt index says the same, whatever is done to it first: ${name}`, () => {
    const model = new IndexModel(100 + name.length);
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 700; i++) {
        const key = keyOf(model.random, round * 700 + i);
        // Every other round shrinks it: packed leaves are joined, emptied and given new bounds.
        if (round % 2 === 1 && model.random.chance(3, 4)) model.delete(firstOf(model.live));
        else if (model.random.chance(1, 8)) model.delete(key);
        else model.put(key);
      }
      if (round % 3 !== 0) model.compact(Math.max(model.bound, model.main - 50));
      model.reopen();
      assert.equal(model.index.liveCount, model.live.size);
      if (round % 4 === 3) model.compareSome();
    }
    model.compact(model.main);
    model.compareSome();
  });
}

function firstOf(keys: Set<string>): string {
  for (const key of keys) return key;
  return "";
}

test("a key with a long past is looked up at any of its revisions", () => {
  const index = new KeyIndex();
  for (let main = 2; main < 5000; main++) index.put("k", main, 0);
  for (let main = 2; main < 5000; main += 7) {
    assert.ok(index.look("k", main));
    assert.equal(index.foundMain, main);
  }
  assert.equal(index.look("k", 1), false);
  index.removeGarbage(3000, 1e9, { remove: () => undefined });
  for (let main = 3000; main < 5000; main += 7) {
    index.look("k", main);
    assert.equal(index.foundMain, main);
  }
});

for (const [name, keyOf] of Object.entries(shapes)) {
  test(`a key that was looked up last is looked up again after whatever was done: ${name}`, () => {
    const model = new IndexModel(200 + name.length);
    const look = (key: string): void => {
      assert.equal(model.index.look(key, model.main), model.live.has(key), key);
    };
    for (let i = 0; i < 3000; i++) {
      const known = model.random.chance(1, 2) ? firstOf(model.live) : keyOf(model.random, i);
      const other = model.random.chance(1, 2) ? known : keyOf(model.random, i);
      look(known);
      const shrinks = i > 1300 && i < 2600;
      if (!model.random.chance(shrinks ? 3 : 1, 4)) model.put(other);
      else model.delete(shrinks && model.live.size > 0 ? firstOf(model.live) : other);
      look(known);
      if (i % 50 === 49) model.compact(model.main);
      look(known);
      look(other);
      model.put(other);
      look(other);
      model.delete(other);
      look(other);
      if (model.random.chance(1, 2)) model.put(other);
    }
    model.compareSome();
  });
}
