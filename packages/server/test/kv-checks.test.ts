import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "@etcd-ts/api";
import { utf8ToBytes } from "@etcd-ts/base";
import { catalogue } from "../src/errors.ts";
import {
  checkPut,
  checkRange,
  checkTxn,
  isReadOnlyTxn,
  isSerializableTxn,
  txnCostBytes,
} from "../src/services/kv-checks.ts";

function put(key: string, value = ""): RequestOp {
  const op = new RequestOp();
  op.requestPut = new PutRequest();
  op.requestPut.key = utf8ToBytes(key);
  op.requestPut.value = utf8ToBytes(value);
  return op;
}

function del(key: string, rangeEnd = ""): RequestOp {
  const op = new RequestOp();
  op.requestDeleteRange = new DeleteRangeRequest();
  op.requestDeleteRange.key = utf8ToBytes(key);
  op.requestDeleteRange.rangeEnd = utf8ToBytes(rangeEnd);
  return op;
}

/** A put that keeps the value or the lease which the key has. */
function keep(key: string, what: "ignoreValue" | "ignoreLease"): RequestOp {
  const op = put(key);
  if (op.requestPut !== undefined) op.requestPut[what] = true;
  return op;
}

function range(key: string, serializable = false): RequestOp {
  const op = new RequestOp();
  op.requestRange = new RangeRequest();
  op.requestRange.key = utf8ToBytes(key);
  op.requestRange.serializable = serializable;
  return op;
}

function txn(success: RequestOp[], failure: RequestOp[] = []): TxnRequest {
  const request = new TxnRequest();
  request.success = success;
  request.failure = failure;
  return request;
}

function nested(success: RequestOp[], failure: RequestOp[] = []): RequestOp {
  const op = new RequestOp();
  op.requestTxn = txn(success, failure);
  return op;
}

function check(...ops: RequestOp[]) {
  return checkTxn(txn(ops), 128);
}

test("ranges and puts are checked in etcd's order", () => {
  const request = new RangeRequest();
  request.sortOrder = 7;
  assert.equal(checkRange(request), catalogue.emptyKey);
  request.key = utf8ToBytes("a");
  assert.equal(checkRange(request), catalogue.invalidSortOption);
  request.sortOrder = 2;
  request.sortTarget = 5;
  assert.equal(checkRange(request), catalogue.invalidSortOption);
  request.sortTarget = 4;
  assert.equal(checkRange(request), undefined);

  const write = new PutRequest();
  write.ignoreValue = true;
  write.ignoreLease = true;
  write.value = utf8ToBytes("v");
  write.lease = 1n;
  assert.equal(checkPut(write), catalogue.emptyKey);
  write.key = utf8ToBytes("k");
  assert.equal(checkPut(write), catalogue.valueProvided);
  write.value = utf8ToBytes("");
  assert.equal(checkPut(write), catalogue.leaseProvided);
  write.lease = 0n;
  assert.equal(checkPut(write), undefined);
});

test("a key is not put twice, nor put and deleted", () => {
  assert.equal(check(put("a"), put("b")), undefined);
  assert.equal(check(put("a"), put("a")), catalogue.duplicateKey);
  assert.equal(check(put("a"), del("a")), catalogue.duplicateKey);
  assert.equal(check(del("a", "c"), put("b")), catalogue.duplicateKey);
  assert.equal(check(del("a", "c"), put("c")), undefined);
  assert.equal(check(del("a"), del("a")), undefined);
  assert.equal(check(put("a"), range("a")), undefined);
  assert.equal(checkTxn(txn([put("a")], [put("a")]), 128), undefined);
  assert.equal(checkTxn(txn([], [put("a"), put("a")]), 128), catalogue.duplicateKey);
});

test("an open-ended delete is compared as it is written, so it collides with nothing", () => {
  assert.equal(check(del("a", "\0"), put("b")), undefined);
});

test("nested transactions collide with their surroundings but not between their branches", () => {
  assert.equal(check(nested([put("a")], [put("a")])), undefined);
  assert.equal(check(nested([put("a")]), put("a")), catalogue.duplicateKey);
  assert.equal(check(nested([put("a")]), nested([put("a")])), catalogue.duplicateKey);
  assert.equal(check(nested([put("a")]), nested([], [put("a")])), catalogue.duplicateKey);
  assert.equal(check(nested([del("a")]), put("a")), catalogue.duplicateKey);
  assert.equal(check(del("a"), nested([put("a")])), catalogue.duplicateKey);
  assert.equal(check(nested([del("a")]), nested([put("a")])), catalogue.duplicateKey);
  // etcd's own quirk: a put of an earlier one is not compared with deletes of a later one.
  assert.equal(check(nested([put("a")]), nested([del("a")])), undefined);
});

test("levels share a budget of operations", () => {
  const two = [put("a"), put("b")];
  assert.equal(checkTxn(txn(two), 2), undefined);
  assert.equal(checkTxn(txn(two), 1), catalogue.tooManyOps);
  assert.equal(checkTxn(txn([nested(two)]), 3), undefined);
  assert.equal(checkTxn(txn([nested(two)]), 2), catalogue.tooManyOps);
  const compares = new TxnRequest();
  compares.compare = [new Compare(), new Compare()];
  assert.equal(checkTxn(compares, 1), catalogue.tooManyOps);
  assert.equal(checkTxn(compares, 2), catalogue.emptyKey);
});

test("an operation without content is an unknown key", () => {
  assert.equal(check(new RequestOp()), catalogue.keyNotFound);
  assert.equal(check(put("")), catalogue.emptyKey);
});

test("only ranges make a read-only transaction", () => {
  assert.ok(isReadOnlyTxn(txn([])));
  assert.ok(isReadOnlyTxn(txn([range("a")], [range("b")])));
  assert.ok(!isReadOnlyTxn(txn([range("a")], [put("b")])));
  assert.ok(!isReadOnlyTxn(txn([nested([range("a")])])));
  assert.ok(isSerializableTxn(txn([range("a", true)], [range("b", true)])));
  assert.ok(!isSerializableTxn(txn([range("a", true)], [range("b")])));
});

test("a transaction costs what its dearer branch puts", () => {
  assert.equal(txnCostBytes(txn([del("a"), range("a")])), 0);
  assert.equal(txnCostBytes(txn([put("a", "xyz")], [put("a"), put("b")])), 2 * 257);
  assert.equal(txnCostBytes(txn([nested([put("a")]), put("b")])), 2 * 257);
});

test("a transaction with very many nested deletes is checked like any other", () => {
  const deletes: RequestOp[] = [];
  for (let i = 0; i < 200_000; i++) deletes.push(del(`d${i}`));
  const request = txn([nested(deletes), put("x")]);
  assert.equal(checkTxn(request, 1_000_000), undefined);
  request.success.push(put("d199999"));
  assert.equal(checkTxn(request, 1_000_000), catalogue.duplicateKey);
});

test("a put that keeps what a delete without end took before it is refused: stock panics on it", () => {
  const refused = catalogue.keyNotFound;
  assert.equal(check(del("a", "\0"), keep("a", "ignoreValue")), refused);
  assert.equal(check(del("a", "\0"), keep("b", "ignoreLease")), refused);
  assert.equal(
    check(del("c", "\0"), del("a", "\0"), del("d", "\0"), keep("b", "ignoreLease")),
    refused,
  );
  assert.equal(check(del("a", "\0"), nested([], [keep("b", "ignoreLease")])), refused);
  assert.equal(check(nested([del("a", "\0")], []), keep("b", "ignoreValue")), refused);
  assert.equal(check(nested([], [del("a", "\0")]), keep("b", "ignoreValue")), refused);
  assert.equal(check(nested([del("a", "\0")]), nested([keep("b", "ignoreValue")])), refused);
  assert.equal(checkTxn(txn([], [del("a", "\0"), keep("b", "ignoreValue")]), 128), refused);
});

test("what a delete without end leaves, or what runs before it or instead of it, may be kept", () => {
  assert.equal(check(del("a", "\0"), put("b")), undefined);
  assert.equal(check(del("b", "\0"), keep("a", "ignoreValue")), undefined);
  assert.equal(check(keep("b", "ignoreValue"), del("a", "\0")), undefined);
  assert.equal(check(nested([del("a", "\0")], [keep("b", "ignoreValue")])), undefined);
  const branches = txn([del("a", "\0")], [keep("b", "ignoreLease")]);
  assert.equal(checkTxn(branches, 128), undefined);
});
