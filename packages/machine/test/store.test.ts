// Put, Range, DeleteRange: semantics §1, §3, §4, §5.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SortOrder, SortTarget } from "@etcd-ts/api";
import { Driver, Refusal, text } from "./support/driver.ts";

function filled(): Driver {
  const d = new Driver();
  d.put("a", "3"); // revision 2
  d.put("b", "1"); // 3
  d.put("c", "2"); // 4
  d.put("b", "4"); // 5
  d.put("d", "0"); // 6
  return d;
}

const refused = (run: () => unknown, code: string): void => {
  assert.throws(run, (error) => error instanceof Refusal && error.message === code);
};

test("an empty store is at revision 1 and was never compacted", () => {
  const { machine } = new Driver();
  assert.equal(machine.revision, 1);
  assert.equal(machine.compactRevision, -1);
});

test("the first put has revision 2, version 1 and is its own creation", () => {
  const d = new Driver();
  assert.equal(d.put("k", "v").header?.revision, 2);
  const [kv] = d.range("k").kvs;
  assert.equal(kv?.createRevision, 2);
  assert.equal(kv?.modRevision, 2);
  assert.equal(kv?.version, 1);
  assert.equal(text(kv?.value), "v");
});

test("a put of an equal value takes a new revision all the same", () => {
  const d = new Driver();
  d.put("k", "v");
  assert.equal(d.put("k", "v").header?.revision, 3);
  assert.equal(d.range("k").kvs[0]?.version, 2);
  assert.equal(d.range("k").kvs[0]?.createRevision, 2);
});

test("a put after a delete begins a new life of the key", () => {
  const d = new Driver();
  d.put("k", "1");
  d.delete("k");
  d.put("k", "2");
  const [kv] = d.range("k").kvs;
  assert.equal(kv?.createRevision, 4);
  assert.equal(kv?.version, 1);
});

test("a delete of nothing changes no revision", () => {
  const d = filled();
  const answer = d.delete("x");
  assert.equal(answer.deleted, 0);
  assert.equal(answer.header?.revision, 6);
  assert.equal(d.machine.revision, 6);
});

test("a delete of an interval gives one revision and ascending subs", () => {
  const d = filled();
  const answer = d.delete("a", "c", { prevKv: true });
  assert.equal(answer.deleted, 2);
  assert.equal(answer.header?.revision, 7);
  assert.deepEqual(
    answer.prevKvs.map((kv) => text(kv.key)),
    ["a", "b"],
  );
  assert.deepEqual(
    d.events.slice(-2).map((e) => [e.type, e.key, e.modRevision, e.sub]),
    [
      [1, "a", 7, 0],
      [1, "b", 7, 1],
    ],
  );
});

test("prev_kv is what was there before, or nothing", () => {
  const d = new Driver();
  assert.equal(d.put("k", "1", { prevKv: true }).prevKv, undefined);
  assert.equal(text(d.put("k", "2", { prevKv: true }).prevKv?.value), "1");
});

test("ignore_value keeps the value and needs a key", () => {
  const d = new Driver();
  refused(() => d.put("k", "", { ignoreValue: true }), "keyNotFound");
  d.put("k", "v");
  d.grant(5);
  d.put("k", "", { ignoreValue: true, lease: 5n });
  assert.equal(d.value("k"), "v");
  assert.equal(d.range("k").kvs[0]?.lease, 5n);
});

test("ignore_lease keeps the lease and needs a key", () => {
  const d = new Driver();
  refused(() => d.put("k", "v", { ignoreLease: true }), "keyNotFound");
  d.grant(5);
  d.put("k", "v", { lease: 5n });
  d.put("k", "w", { ignoreLease: true });
  assert.equal(d.range("k").kvs[0]?.lease, 5n);
  assert.deepEqual(d.machine.leases.get(5n)?.keys(), ["k"]);
});

test("an unknown lease is refused before a missing key is looked for", () => {
  const d = new Driver();
  refused(() => d.put("k", "v", { lease: 9n, ignoreValue: true }), "leaseNotFound");
  assert.equal(d.machine.revision, 1);
});

test("ranges: one key, an interval, an inverted one, from a key on, everything", () => {
  const d = filled();
  assert.deepEqual(d.keys("b"), ["b"]);
  assert.deepEqual(d.keys("b", "d"), ["b", "c"]);
  assert.deepEqual(d.keys("c", "b"), []);
  assert.equal(d.range("c", "b").count, 0);
  assert.deepEqual(d.keys("c", "\0"), ["c", "d"]);
  assert.deepEqual(d.keys("\0", "\0"), ["a", "b", "c", "d"]);
});

test("a limit cuts, says so and still counts all", () => {
  const answer = filled().range("a", "\0", { limit: 2n });
  assert.equal(answer.kvs.length, 2);
  assert.equal(answer.more, true);
  assert.equal(answer.count, 4);
});

test("a limit that is not reached, or negative, cuts nothing", () => {
  const d = filled();
  assert.equal(d.range("a", "\0", { limit: 4n }).more, false);
  assert.equal(d.range("a", "\0", { limit: -1n }).kvs.length, 4);
});

test("count_only counts, whatever the limit and the filters", () => {
  const answer = filled().range("a", "\0", {
    countOnly: true,
    limit: 1n,
    minModRevision: 100n,
  });
  assert.deepEqual([answer.count, answer.kvs.length, answer.more], [4, 0, false]);
});

test("a read at an older revision sees what was there", () => {
  const d = filled();
  assert.equal(d.value("b", 4), "1");
  assert.deepEqual(d.keys("a", "\0"), ["a", "b", "c", "d"]);
  assert.deepEqual(d.keys("a", "\0", { revision: 3n }), ["a", "b"]);
  assert.equal(d.range("a", "\0", { revision: 3n }).header?.revision, 6);
  assert.equal(d.range("a", "\0", { revision: 3n, limit: 1n }).count, 2);
});

test("a read in the future is refused, a negative revision is the newest", () => {
  const d = filled();
  refused(() => d.range("a", "", { revision: 7n }), "futureRev");
  refused(() => d.range("a", "", { revision: 1n << 62n }), "futureRev");
  assert.equal(text(d.range("b", "", { revision: -5n }).kvs[0]?.value), "4");
});

test("sort orders: every target, both ways", () => {
  const d = filled();
  const sorted = (sortTarget: number, sortOrder: number): string[] =>
    d.keys("a", "\0", { sortTarget, sortOrder });
  assert.deepEqual(sorted(SortTarget.KEY, SortOrder.DESCEND), ["d", "c", "b", "a"]);
  assert.deepEqual(sorted(SortTarget.VALUE, SortOrder.ASCEND), ["d", "c", "a", "b"]);
  assert.deepEqual(sorted(SortTarget.VALUE, SortOrder.DESCEND), ["b", "a", "c", "d"]);
  assert.deepEqual(sorted(SortTarget.MOD, SortOrder.DESCEND), ["d", "b", "c", "a"]);
  assert.deepEqual(sorted(SortTarget.CREATE, SortOrder.DESCEND), ["d", "c", "b", "a"]);
  assert.deepEqual(sorted(SortTarget.VERSION, SortOrder.DESCEND)[0], "b");
});

test("a target without an order sorts ascending, but only the first limit + 1 keys", () => {
  const d = filled();
  const sortTarget = SortTarget.VALUE;
  assert.deepEqual(d.keys("a", "\0", { sortTarget }), ["d", "c", "a", "b"]);
  const answer = d.range("a", "\0", { sortTarget, limit: 1n });
  assert.deepEqual(
    answer.kvs.map((kv) => text(kv.key)),
    ["a"],
  );
  assert.deepEqual([answer.more, answer.count], [true, 4]);
});

test("a sorted range is cut after sorting", () => {
  const answer = filled().range("a", "\0", {
    sortTarget: SortTarget.MOD,
    sortOrder: SortOrder.DESCEND,
    limit: 2n,
  });
  assert.deepEqual(
    answer.kvs.map((kv) => text(kv.key)),
    ["d", "b"],
  );
  assert.deepEqual([answer.more, answer.count], [true, 4]);
});

test("filters are inclusive, come before the limit, and do not change the count", () => {
  const d = filled();
  const answer = d.range("a", "\0", { minModRevision: 4n, maxModRevision: 6n, limit: 2n });
  assert.deepEqual(
    answer.kvs.map((kv) => text(kv.key)),
    ["b", "c"],
  );
  assert.deepEqual([answer.more, answer.count], [true, 4]);
  assert.deepEqual(d.keys("a", "\0", { maxCreateRevision: 3n }), ["a", "b"]);
  assert.deepEqual(d.keys("a", "\0", { minCreateRevision: 4n }), ["c", "d"]);
  assert.deepEqual(d.keys("a", "\0", { minCreateRevision: 4n, revision: 4n }), ["c"]);
});

test("keys_only leaves out value and lease", () => {
  const d = new Driver();
  d.grant(3);
  d.put("k", "v", { lease: 3n });
  const [kv] = d.range("k", "l", { keysOnly: true }).kvs;
  assert.deepEqual([text(kv?.value), kv?.lease, kv?.version], ["", 0n, 1]);
  assert.equal(d.range("k", "", { keysOnly: true }).kvs[0]?.lease, 0n);
  d.put("k", "w");
  const [older] = d.range("k", "l", { keysOnly: true, revision: 2n }).kvs;
  assert.deepEqual([text(older?.value), older?.lease, older?.version], ["", 0n, 1]);
});

test("keys_only sorted by value keeps the lease", () => {
  const d = new Driver();
  d.grant(3);
  d.put("k", "v", { lease: 3n });
  const [kv] = d.range("k", "l", { keysOnly: true, sortTarget: SortTarget.VALUE }).kvs;
  assert.deepEqual([text(kv?.value), kv?.lease], ["", 3n]);
});

test("keys and values of any bytes, empty values and large ones come back", () => {
  const d = new Driver();
  const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
  d.put(all, all);
  d.put("e", "");
  d.put("l", "x".repeat(300_000));
  assert.equal(d.value(all), all);
  assert.equal(d.value("e"), "");
  assert.equal(d.value("l")?.length, 300_000);
  assert.deepEqual(d.keys("\0", "\0"), [all, "e", "l"]);
});

test("a range in slices reads the revision at which it began", () => {
  const d = new Driver();
  for (let i = 0; i < 500; i++) d.put(`k${String(i).padStart(3, "0")}`, "old");
  const job = d.machine.range(
    Object.assign(d.rangeRequest("k", "l"), { sortTarget: SortTarget.VALUE }),
    10,
  );
  assert.equal(job.done, false);
  for (let i = 0; i < 500; i++) {
    if (i % 3 === 0) d.delete(`k${String(i).padStart(3, "0")}`);
    else d.put(`k${String(i).padStart(3, "0")}`, "new");
    if (i === 250) d.compact(d.machine.revision, false);
  }
  while (!d.machine.compaction.step(100)) {
    if (job.step(10)) continue;
  }
  const answer = d.read(job);
  assert.equal(answer.kvs.length, 500);
  assert.ok(answer.kvs.every((kv) => text(kv.value) === "old"));
  assert.equal(answer.header?.revision, 501);
  assert.equal(d.machine.store.pins.count, 0);
});
