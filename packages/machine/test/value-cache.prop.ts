// Packed values against the records themselves: what a walk with a cache comes to is what the same walk comes to without
// one, in a tree whose leaves split, join, are packed, forgotten and evicted all the time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, emptyBytes, SeededRandom } from "@etcd-ts/base";
import { KvList } from "@etcd-ts/machine";
import { KeyIndex } from "../src/key-index.ts";
import { allSubs, KeyWalk, pieceEntry, type ReadPoint } from "../src/key-walk.ts";
import { encodeKeyValue } from "../src/kv-codec.ts";
import { KvField } from "../src/kv-list.ts";
import { ValueCache } from "../src/value-cache.ts";

class CachedIndex {
  readonly index = new KeyIndex();
  readonly records: Map<string, Bytes> = new Map();
  readonly cache: ValueCache;
  readonly random: SeededRandom;
  main = 1;
  bound = -1;
  readCount = 0;

  constructor(seed: number, bytesMax: number | undefined) {
    this.random = new SeededRandom(seed);
    this.cache = new ValueCache(this.index.slots, (main, sub) => this.read(main, sub), bytesMax);
  }

  read(main: number, sub: number): Bytes {
    this.readCount++;
    return this.records.get(`${main}/${sub}`)!;
  }

  /** A transaction of some puts and deletions, with reads in between as its own operations see them. */
  write(keys: readonly string[], deleteChance: number, reads = true): void {
    const main = this.main + 1;
    let sub = 0;
    for (const key of keys) {
      if (this.random.chance(deleteChance, 10)) {
        if (this.index.findLive(key) >= 0) this.index.delete(key, main, sub++);
      } else {
        const slot = this.index.put(key, main, sub);
        const size = this.random.below(this.random.chance(1, 200) ? 20_000 : 60);
        const value = this.random.bytes(size);
        const { slots } = this.index;
        const version = slots.version(slot);
        const kv = encodeKeyValue(key, slots.create(slot), main, version, value, 0n);
        this.records.set(`${main}/${sub++}`, kv);
      }
      if (reads && sub > 0 && this.random.chance(1, 20)) this.compare({ main, subEnd: sub });
    }
    if (sub > 0) this.main = main;
  }

  compact(): void {
    this.bound = Math.max(this.bound, this.main - this.random.below(50));
    const sink = {
      remove: (main: number, sub: number) => void this.records.delete(`${main}/${sub}`),
    };
    while (!this.index.removeGarbage(this.bound, 1 + this.random.below(50), sink));
  }

  anyKey(): string {
    return `key/${String(this.random.below(900)).padStart(4, "0")}`;
  }

  anyPoint(): ReadPoint {
    const oldest = Math.max(1, this.bound);
    const main = this.random.chance(3, 4)
      ? this.main
      : oldest + this.random.below(this.main - oldest + 1);
    return { main, subEnd: allSubs };
  }

  compare(at: ReadPoint): void {
    const whole = this.random.chance(1, 3);
    const [from, to] = whole ? ["", undefined] : [this.anyKey(), this.anyKey()].sort();
    const takeMax = this.random.chance(1, 2) ? 100_000 : 1 + this.random.below(150);
    const visitMax = this.random.chance(1, 2) ? 100_000 : 1 + this.random.below(3000);
    const expected = this.walk(from!, to, at, false, takeMax, visitMax);
    assert.deepEqual(this.walk(from!, to, at, true, takeMax, visitMax), expected);
    const key = this.anyKey();
    if (!this.index.look(key, at.main, at.subEnd)) return;
    const kv = this.read(this.index.foundMain, this.index.foundSub);
    if (!this.index.foundNewest) return;
    const values = this.cache.of(this.index.foundLeaf, 1, Number.MAX_SAFE_INTEGER);
    if (values === undefined) return;
    const place = this.index.foundPlace;
    const { bytes, ends } = values;
    const list = KvList.ofPacked(KvField.kvs, bytes, values.startOf(place), ends[place]!);
    assert.deepEqual(list.toArray().map(Buffer.from), [Buffer.from(kv)]);
  }

  walk(
    from: string,
    to: string | undefined,
    at: ReadPoint,
    cached: boolean,
    takeMax: number,
    visitMax: number,
  ): { readonly bytes: string; readonly count: number; readonly finished: boolean } {
    const walk = new KeyWalk(from, to, at);
    if (cached) walk.values = this.cache;
    const list = new KvList(KvField.kvs);
    let taken = 0;
    while (!walk.finished && taken < takeMax) {
      this.index.collect(walk, takeMax - taken, visitMax);
      taken += walk.takenCount;
      for (let i = 0; i < walk.keys.length; i++) {
        if (walk.positions[i] === pieceEntry) {
          const piece = walk.pieces[walk.slots[i]!]!;
          list.addPacked(piece.bytes, piece.start, piece.end, piece.count);
        } else list.add(this.read(this.index.mainOf(walk, i), this.index.subOf(walk, i)));
      }
    }
    assert.equal(list.count, taken);
    assert.equal(list.toArray().length, taken);
    const bytes = Buffer.alloc(list.byteLength);
    assert.equal(list.write(bytes, 0), bytes.length);
    // Where a batch happens to end says nothing: a limit may end it right before the end.
    return { bytes: bytes.toString("latin1"), count: taken, finished: taken < takeMax };
  }
}

for (const [name, bytesMax] of [
  ["all of it", undefined],
  ["a few leaves", 24_000],
  ["no leaf", 1],
] as const) {
  test(`a cache that holds ${name} changes no answer`, () => {
    for (let seed = 1; seed <= 3; seed++) {
      const cached = new CachedIndex(seed, bytesMax);
      const { random, cache } = cached;
      let packed = 0;
      for (let i = 0; i < 250; i++) {
        // Grows, shrinks, grows.
        const deleteChance = i > 100 && i < 180 ? 8 : 2;
        const count = random.chance(1, 3) ? 1 : random.below(40);
        cached.write(
          Array.from({ length: count }, () => cached.anyKey()),
          deleteChance,
        );
        for (let reads = random.below(4); reads > 0; reads--) cached.compare(cached.anyPoint());
        if (random.chance(1, 12)) cached.compact();
        if (i % 50 === 0) cached.index.check();
        assert.ok(cache.bytes <= (bytesMax ?? Number.POSITIVE_INFINITY), `seed ${seed}`);
        packed = Math.max(packed, cache.leafCount);
      }
      assert.equal(packed > 0, bytesMax !== 1, `seed ${seed}: ${packed} leaves were packed`);
      // Everything goes: nothing may be left that no leaf holds.
      cached.write(
        Array.from({ length: 900 }, (_, i) => `key/${String(i).padStart(4, "0")}`),
        10,
        false,
      );
      cached.bound = cached.main;
      cached.write(["other"], 0);
      cached.compact();
      cached.bound = cached.main;
      while (!cached.index.removeGarbage(cached.main, 1000, { remove() {} }));
      assert.equal(cache.leafCount, 0, `seed ${seed}`);
      assert.equal(cache.bytes, 0, `seed ${seed}`);
    }
  });
}

test("what is read again and again is not read from the backend, what is read once is not packed", () => {
  const cached = new CachedIndex(5, undefined);
  const keys = Array.from({ length: 900 }, (_, i) => `key/${String(i).padStart(4, "0")}`);
  cached.write(keys, 0, false);
  const at = { main: cached.main, subEnd: allSubs };
  const read = (): number => {
    const before = cached.readCount;
    cached.walk("", undefined, at, true, 100_000, 2048);
    return cached.readCount - before;
  };
  assert.equal(read(), 900);
  assert.equal(cached.cache.leafCount, 0, "a scan packs nothing");
  assert.ok(read() <= 900 + 64);
  const rest = read();
  assert.ok(rest <= 2 * 64, `${rest} keys were read though their leaves were read before`);
  assert.equal(read(), 0);
  assert.ok(cached.cache.leafCount > 10);
  cached.write(["key/0450"], 0);
  const again = { main: cached.main, subEnd: allSubs };
  const before = cached.readCount;
  cached.walk("", undefined, again, true, 100_000, 2048);
  const changed = cached.readCount - before;
  assert.ok(changed > 0 && changed <= 64, `one leaf is read anew: ${changed} keys`);
});

test("leaves of large values are not packed", () => {
  const cached = new CachedIndex(6, undefined);
  const value = new Uint8Array(40_000);
  for (let i = 0; i < 10; i++) {
    const key = `large/${i}`;
    const main = ++cached.main;
    cached.index.put(key, main, 0);
    cached.records.set(`${main}/0`, encodeKeyValue(key, main, main, 1, value, 0n));
  }
  const at = { main: cached.main, subEnd: allSubs };
  const expected = cached.walk("", undefined, at, false, 100, 100_000);
  for (let i = 0; i < 4; i++) {
    assert.deepEqual(cached.walk("", undefined, at, true, 100, 100_000), expected);
  }
  assert.equal(cached.cache.leafCount, 0);
  assert.equal(cached.cache.bytes, 0);
});

test("packed fields stand between others", () => {
  const list = new KvList(KvField.kvs);
  const kv = encodeKeyValue("a", 2, 2, 1, emptyBytes, 0n);
  list.add(kv);
  const packed = new KvList(KvField.kvs);
  packed.add(kv);
  packed.add(kv);
  const bytes = new Uint8Array(packed.byteLength);
  packed.write(bytes, 0);
  list.addPacked(bytes, 0, bytes.length, 2);
  list.add(kv);
  assert.deepEqual(list.toArray().map(Buffer.from), [kv, kv, kv, kv].map(Buffer.from));
  assert.equal(list.count, 4);
  assert.equal(list.byteLength, 2 * bytes.length);
});
