// Compaction and what it leaves: semantics §7, §13.5; disk formats §5.1.

import assert from "node:assert/strict";
import { test } from "node:test";
import { finish } from "@etcd-ts/machine";
import { Driver, Refusal } from "./support/driver.ts";

function story(): Driver {
  const d = new Driver();
  d.put("a", "1"); // 2
  d.put("a", "2"); // 3
  d.put("b", "1"); // 4
  d.delete("b"); // 5
  d.put("a", "3"); // 6
  d.put("b", "2"); // 7
  d.delete("b"); // 8
  return d;
}

test("compaction keeps what is read at its revision and later", () => {
  const d = story();
  d.compact(6);
  assert.deepEqual(d.records(), ["6/0", "7/0", "8/0t"]);
  assert.equal(d.value("a", 6), "3");
  assert.throws(() => d.range("a", "", { revision: 5n }), new Refusal("compacted"));
});

test("a deletion at the very revision stays until a later compaction", () => {
  const d = story();
  d.compact(5);
  assert.deepEqual(d.records(), ["3/0", "5/0t", "6/0", "7/0", "8/0t"]);
  d.compact(8);
  assert.deepEqual(d.records(), ["6/0", "8/0t"]);
  d.put("c", "");
  d.compact(9);
  assert.deepEqual(d.records(), ["6/0", "9/0"]);
  assert.equal(d.machine.store.index.slots.usedCount, 2);
});

test("revisions at or below the last compaction, and in the future, are refused", () => {
  const d = story();
  d.compact(5);
  assert.throws(() => d.compact(5), new Refusal("compacted"));
  assert.throws(() => d.compact(9), new Refusal("futureRev"));
  assert.throws(() => d.compact(-7), new Refusal("compacted"));
  d.compact(8);
  assert.equal(d.machine.compactRevision, 8);
  assert.deepEqual(d.notes.slice(-2), ["compacted 5", "compacted 8"]);
});

test("reads are refused at once, removal comes with the steps", () => {
  const d = story();
  d.compact(8, false);
  assert.throws(() => d.range("a", "", { revision: 7n }), new Refusal("compacted"));
  assert.equal(d.records().length, 7);
  assert.equal(d.machine.compaction.active, true);
  let idle = 0;
  d.machine.compaction.whenIdle(() => idle++);
  finish(d.machine.compaction, 1);
  assert.equal(idle, 1);
  assert.equal(d.machine.compaction.active, false);
  assert.equal(d.machine.compaction.removedCount, 5);
  d.machine.compaction.whenIdle(() => idle++);
  assert.equal(idle, 2);
});

test("a running read holds the removal back until it ends", () => {
  const d = story();
  const job = d.machine.events(3, () => true);
  d.compact(8, false);
  for (let i = 0; i < 100; i++) d.machine.compaction.step(10);
  assert.deepEqual(d.records().slice(0, 2), ["2/0", "3/0"]);
  finish(job, 1);
  assert.deepEqual(
    job.takeEvents().map((e) => `${e.modRevision} ${e.key}`),
    ["3 a", "4 b", "5 b", "6 a", "7 b", "8 b"],
  );
  finish(d.machine.compaction, 1);
  assert.deepEqual(d.records(), ["6/0", "8/0t"]);
});

test("a cancelled read lets go", () => {
  const d = story();
  const job = d.machine.hashKv(5n);
  d.compact(8, false);
  job.cancel();
  job.cancel();
  finish(d.machine.compaction, 1);
  assert.deepEqual(d.records(), ["6/0", "8/0t"]);
});

test("an interrupted compaction runs again after a restart", () => {
  for (let steps = 0; steps < 8; steps++) {
    const d = story();
    d.compact(8, false);
    for (let i = 0; i < steps; i++) d.machine.compaction.step(1);
    d.commit();
    const again = d.crash();
    assert.equal(again.machine.compactRevision, 8);
    assert.equal(again.machine.revision, 8);
    assert.throws(() => again.range("a", "", { revision: 7n }), new Refusal("compacted"));
    finish(again.machine.compaction, 1);
    assert.deepEqual(again.records(), ["6/0", "8/0t"]);
  }
});

test("the hash of a compaction answers later, with the compact revision of before", () => {
  const d = story();
  const before = d.hashKv(6);
  d.compact(6);
  assert.deepEqual(d.hashKv(6), before);
  assert.equal(d.hashKv(6).compactRevision, -1);
  d.compact(8);
  assert.deepEqual(d.hashKv(6), before, "even below the compact revision");
  assert.equal(d.hashKv(8).compactRevision, 6);
  assert.throws(() => d.hashKv(7), new Refusal("compacted"));
  assert.throws(() => d.hashKv(9), new Refusal("futureRev"));
});

test("garbage that is not removed yet does not count", () => {
  for (const revision of [6, 7, 8]) {
    const d = story();
    const held = d.machine.events(2, () => true);
    d.compact(6, false);
    for (let i = 0; i < 50; i++) d.machine.compaction.step(10);
    assert.equal(d.records().length, 7, "all held back");
    const early = d.hashKv(revision);
    held.cancel();
    finish(d.machine.compaction, 1);
    d.commit();
    assert.deepEqual(d.crash().hashKv(revision), early);
  }
});

test("ten such hashes are kept", () => {
  const d = new Driver();
  for (let i = 2; i < 20; i++) {
    d.put("a", String(i));
    d.compact(i);
  }
  assert.deepEqual(
    d.machine.compaction.knownHashes.map((h) => h.hashRevision),
    [10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
  );
});

test("no hash is kept of a compaction that came before the last one had finished", () => {
  const d = story();
  d.compact(4, false);
  d.compact(6, false);
  finish(d.machine.compaction, 1);
  assert.deepEqual(
    d.machine.compaction.knownHashes.map((h) => h.hashRevision),
    [4],
  );
  assert.deepEqual(d.records(), ["6/0", "7/0", "8/0t"]);
});

test("a tombstone whose puts are gone is known again after a restart, and removed later", () => {
  const d = story();
  d.compact(8);
  d.commit();
  const again = d.crash();
  assert.equal(again.machine.keyCount, 1);
  again.put("z", "1");
  again.compact(9);
  assert.deepEqual(again.records(), ["6/0", "9/0"]);
});

test("the marker of a bumped revision counts as a revision and stays out of sight", () => {
  const d = story();
  const key = Buffer.alloc(17);
  key.writeBigUInt64BE(1_000_008n, 0);
  key[8] = 0x5f;
  d.backend.put("key", key, new Uint8Array(0));
  d.commit();
  const again = d.crash();
  assert.equal(again.machine.revision, 1_000_008);
  assert.deepEqual(again.keys("\0", "\0"), ["a"]);
  assert.equal(again.range("\0", "\0", { countOnly: true }).count, 1);
  again.compact(1_000_008);
  assert.deepEqual(again.records(), ["6/0", "1000008/0"]);
});
