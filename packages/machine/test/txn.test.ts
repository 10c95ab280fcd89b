// Transactions: semantics §6. (The golden files of a stock etcd cover much more.)

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Compare,
  CompareResult,
  CompareTarget,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "@etcd-ts/api";
import { build } from "@etcd-ts/base";
import { encodeTxnResponse, finish, HeaderEncoder } from "@etcd-ts/machine";
import { bytes, Driver, Refusal, text } from "./support/driver.ts";

const put = (key: string, value: string, fields: Partial<PutRequest> = {}): RequestOp =>
  build(RequestOp, {
    requestPut: build(PutRequest, { key: bytes(key), value: bytes(value), ...fields }),
  });
const range = (key: string, end = "", fields: Partial<RangeRequest> = {}): RequestOp =>
  build(RequestOp, {
    requestRange: build(RangeRequest, { key: bytes(key), rangeEnd: bytes(end), ...fields }),
  });
const remove = (key: string, end = ""): RequestOp =>
  build(RequestOp, {
    requestDeleteRange: build(DeleteRangeRequest, { key: bytes(key), rangeEnd: bytes(end) }),
  });
const nested = (txn: TxnRequest): RequestOp => build(RequestOp, { requestTxn: txn });
const txn = (success: RequestOp[], compare: Compare[] = [], failure: RequestOp[] = []) =>
  build(TxnRequest, { compare, success, failure });
const absent = (key: string): Compare =>
  build(Compare, { key: bytes(key), target: CompareTarget.VERSION, version: 0n });

test("all changes of a transaction share a revision and count up subs", () => {
  const d = new Driver();
  d.put("x", "0");
  const answer = d.txn(
    txn([put("a", "1"), nested(txn([put("b", "2")])), remove("x"), put("c", "3")]),
  );
  assert.equal(answer.header?.revision, 3);
  assert.deepEqual(
    d.events.slice(1).map((e) => `${e.key} ${e.modRevision}/${e.sub}`),
    ["a 3/0", "b 3/1", "x 3/2", "c 3/3"],
  );
  assert.deepEqual(d.notes.slice(1), ["changed 3 4"]);
});

test("a transaction that changes nothing keeps the revision", () => {
  const d = new Driver();
  assert.equal(d.txn(txn([range("a"), remove("a")])).header?.revision, 1);
  assert.equal(d.machine.revision, 1);
  assert.deepEqual(d.notes, []);
});

test("operations see what those before them wrote", () => {
  const d = new Driver();
  d.put("a", "old");
  const answer = d.txn(
    txn([range("a"), put("a", "new"), range("a", "z"), remove("a"), range("a")]),
  );
  const values = answer.responses.map((r) => r.responseRange?.kvs.map((kv) => text(kv.value)));
  assert.deepEqual(values, [["old"], undefined, ["new"], undefined, []]);
  assert.equal(answer.responses[2]?.responseRange?.kvs[0]?.modRevision, 3);
  assert.deepEqual(
    answer.responses.map(
      (r) => (r.responseRange ?? r.responsePut ?? r.responseDeleteRange)?.header?.revision,
    ),
    [2, 3, 3, 3, 3],
  );
});

test("compares of nested transactions look at the state before", () => {
  const d = new Driver();
  const inner = txn([put("b", "was absent")], [absent("a")], [put("b", "was there")]);
  d.txn(txn([put("a", "1"), nested(inner)]));
  assert.equal(d.value("b"), "was absent");
});

test("a nested answer has an empty header", () => {
  const d = new Driver();
  const answer = d.txn(txn([nested(txn([]))]));
  assert.equal(answer.responses[0]?.responseTxn?.header?.revision, 0);
  assert.equal(answer.responses[0]?.responseTxn?.succeeded, true);
});

test("a range compare holds when it holds for every key", () => {
  const d = new Driver();
  d.put("a", "1");
  d.put("b", "2");
  const compare = build(Compare, {
    key: bytes("a"),
    rangeEnd: bytes("c"),
    target: CompareTarget.CREATE,
    result: CompareResult.LESS,
    createRevision: 3n,
  });
  assert.equal(d.txn(txn([], [compare])).succeeded, false);
  assert.equal(
    d.txn(txn([], [build(Compare, { ...compare, createRevision: 4n })])).succeeded,
    true,
  );
});

test("an unknown relation holds, an unknown target is equal", () => {
  const d = new Driver();
  d.put("a", "1");
  const compare = build(Compare, { key: bytes("a"), target: CompareTarget.MOD, result: 9 });
  assert.equal(d.txn(txn([], [compare])).succeeded, true);
  const target = build(Compare, { key: bytes("a"), target: 9 });
  assert.equal(d.txn(txn([], [target])).succeeded, true);
  const greater = build(Compare, { key: bytes("a"), target: 9, result: CompareResult.GREATER });
  assert.equal(d.txn(txn([], [greater])).succeeded, false);
});

test("a failing check on the path writes nothing; off the path nothing is checked", () => {
  const d = new Driver();
  const bad = put("b", "", { lease: 99n });
  assert.throws(() => d.txn(txn([put("a", "1"), bad])), new Refusal("leaseNotFound"));
  assert.throws(
    () => d.txn(txn([put("a", "1"), nested(txn([bad]))])),
    new Refusal("leaseNotFound"),
  );
  assert.throws(
    () => d.txn(txn([put("a", "1"), range("a", "", { revision: 50n })])),
    new Refusal("futureRev"),
  );
  // The key of the second put exists only because of the first: that does not count.
  assert.throws(
    () => d.txn(txn([put("n", "1"), put("n2", "", { ignoreValue: true })])),
    new Refusal("keyNotFound"),
  );
  assert.equal(d.machine.revision, 1);
  assert.equal(d.machine.keyCount, 0);
  assert.equal(d.txn(txn([put("a", "1")], [], [bad])).succeeded, true);
});

test("a range at an older revision inside a transaction", () => {
  const d = new Driver();
  d.put("a", "1");
  d.put("a", "2");
  const answer = d.txn(txn([put("a", "3"), range("a", "", { revision: 2n })]));
  assert.equal(text(answer.responses[1]?.responseRange?.kvs[0]?.value), "1");
});

test("an operation with no member set answers with an empty one", () => {
  const d = new Driver();
  const answer = d.txn(txn([new RequestOp(), put("a", "1")]));
  assert.equal(answer.responses.length, 2);
  assert.deepEqual(
    { ...answer.responses[0] },
    {
      responseRange: undefined,
      responsePut: undefined,
      responseDeleteRange: undefined,
      responseTxn: undefined,
    },
  );
});

test("a long range inside a transaction goes on later, at its place in the transaction", () => {
  const d = new Driver();
  for (let i = 0; i < 3000; i++) d.put(`k${i}`, "before");
  const outcome = d.apply({
    txn: txn([put("k1", "inside"), range("k", "l"), put("k1x", "after"), range("k1", "k2")]),
  })!;
  assert.ok(outcome.pending !== undefined && !outcome.pending.done);
  for (let i = 0; i < 3000; i += 2) d.delete(`k${i}`);
  d.compact(d.machine.revision, false);
  while (!outcome.pending.step(100)) d.machine.compaction.step(100);
  const answer = d.answer(outcome);
  const all = answer.responses[1]?.responseRange;
  assert.deepEqual([all?.kvs.length, all?.count], [3000, 3000]);
  assert.equal(all?.kvs.filter((kv) => text(kv.value) === "inside").length, 1);
  const some = answer.responses[3]?.responseRange;
  assert.equal(
    some?.kvs.some((kv) => text(kv.key) === "k1x"),
    true,
  );
  finish(d.machine.compaction);
  assert.equal(d.machine.store.pins.count, 0);
  const header = new HeaderEncoder(1n, 2n);
  assert.ok(
    outcome.result?.kind === "txn" && encodeTxnResponse(header, 3, outcome.result).length > 0,
  );
});

test("nobody waiting changes the answer, not the state", () => {
  const one = new Driver();
  const two = new Driver();
  const request = txn([put("a", "1", { prevKv: true }), range("a", "z"), remove("q", "z")]);
  one.apply({ txn: request }, true);
  assert.equal(two.apply({ txn: request }, false), undefined);
  one.commit();
  two.commit();
  assert.deepEqual(one.backend.dump(), two.backend.dump());
});

test("a read-only transaction reads without an entry", () => {
  const d = new Driver();
  d.put("a", "1");
  const request = txn([range("a")], [absent("a")], [range("b"), range("a")]);
  const outcome = d.machine.txnReadOnly(request);
  const answer = d.answer(outcome);
  assert.equal(answer.succeeded, false);
  assert.equal(answer.responses[1]?.responseRange?.count, 1);
  assert.equal(d.machine.txnReadOnly(txn([range("a", "", { revision: 9n })])).error, "futureRev");
});
