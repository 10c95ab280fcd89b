// Alarms and the space quota: semantics §13.2, §14.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AlarmAction, AlarmType, CompactionRequest, RequestOp, TxnRequest } from "@etcd-ts/api";
import { build } from "@etcd-ts/base";
import { leaseGrantCost, putCost, txnCost } from "@etcd-ts/machine";
import { Driver, Refusal } from "./support/driver.ts";

const big = 0x8000_0000_0000_0001n;

function alarm(d: Driver, action: number, memberId: bigint, kind: number): string[] {
  const result = d.apply({ alarm: { action, memberId, alarm: kind } })?.result;
  if (result?.kind !== "alarm") throw new Error("no alarm result");
  return result.alarms.map((item) => `${item.memberId}:${item.kind}`);
}

test("alarms are activated, listed by kind and deactivated", () => {
  const d = new Driver();
  const { NOSPACE, CORRUPT, NONE } = AlarmType;
  assert.deepEqual(alarm(d, AlarmAction.ACTIVATE, big, NOSPACE), [`${big}:1`]);
  assert.deepEqual(alarm(d, AlarmAction.ACTIVATE, big, NOSPACE), [`${big}:1`]);
  assert.deepEqual(alarm(d, AlarmAction.ACTIVATE, 2n, CORRUPT), ["2:2"]);
  assert.deepEqual(alarm(d, AlarmAction.ACTIVATE, 2n, NONE), []);
  assert.deepEqual(alarm(d, AlarmAction.GET, 0n, NONE), [`${big}:1`, "2:2"]);
  assert.deepEqual(alarm(d, AlarmAction.GET, 99n, CORRUPT), ["2:2"]);
  assert.deepEqual(alarm(d, AlarmAction.DEACTIVATE, 0n, NOSPACE), [], "0 is no wildcard");
  assert.deepEqual(alarm(d, AlarmAction.DEACTIVATE, 2n, NONE), []);
  assert.deepEqual(alarm(d, AlarmAction.DEACTIVATE, 2n, CORRUPT), ["2:2"]);
  assert.deepEqual(alarm(d, 77, 2n, CORRUPT), []);
  assert.deepEqual(alarm(d, AlarmAction.GET, 0n, NONE), [`${big}:1`]);
  assert.equal(d.machine.revision, 1);
});

test("alarms survive a restart", () => {
  const d = new Driver();
  alarm(d, AlarmAction.ACTIVATE, big, AlarmType.NOSPACE);
  d.commit();
  const again = d.crash();
  assert.deepEqual(again.machine.alarms.list(), [{ memberId: big, kind: AlarmType.NOSPACE }]);
  assert.throws(() => again.put("a", "b"), new Refusal("noSpace"));
});

function txn(...ops: RequestOp[]): TxnRequest {
  return build(TxnRequest, { success: ops });
}

test("NOSPACE refuses what takes space, and nothing else", () => {
  const d = new Driver();
  d.put("a", "1");
  d.grant(1);
  alarm(d, AlarmAction.ACTIVATE, 1n, AlarmType.NOSPACE);
  const put = build(RequestOp, { requestPut: d.putRequest("b") });
  const remove = build(RequestOp, { requestDeleteRange: d.deleteRequest("a") });
  assert.throws(() => d.put("b"), new Refusal("noSpace"));
  assert.throws(() => d.grant(2), new Refusal("noSpace"));
  assert.throws(() => d.txn(txn(put)), new Refusal("noSpace"));
  assert.throws(
    () => d.txn(build(TxnRequest, { failure: [put] })),
    new Refusal("noSpace"),
    "the branch that is not taken counts",
  );
  assert.equal(d.txn(txn(remove)).responses.length, 1);
  d.delete("a");
  d.revoke(1);
  d.compact(2);
  assert.equal(d.machine.revision, 3);
  alarm(d, AlarmAction.DEACTIVATE, 1n, AlarmType.NOSPACE);
  d.put("b");
});

test("CORRUPT refuses every write", () => {
  const d = new Driver();
  d.put("a", "1");
  d.grant(1);
  alarm(d, AlarmAction.ACTIVATE, 1n, AlarmType.NOSPACE);
  alarm(d, AlarmAction.ACTIVATE, 9n, AlarmType.CORRUPT);
  assert.throws(() => d.put("b"), new Refusal("corrupt"));
  assert.throws(() => d.delete("a"), new Refusal("corrupt"));
  assert.throws(() => d.txn(txn()), new Refusal("corrupt"));
  assert.throws(() => d.compact(2), new Refusal("corrupt"));
  assert.throws(() => d.grant(2), new Refusal("corrupt"));
  assert.throws(() => d.revoke(1), new Refusal("corrupt"));
  assert.equal(d.value("a"), "1", "local reads work");
  assert.equal(d.machine.txnReadOnly(txn()).error, undefined);
});

test("over the quota the operation is carried out and answered with an error", () => {
  const costs: number[] = [];
  let full = false;
  const d = new Driver({
    hasSpace: (cost) => {
      costs.push(cost);
      return !full;
    },
  });
  d.put("key", "value");
  full = true;
  const outcome = d.apply({ put: d.putRequest("key", "other") });
  assert.equal(outcome?.error, "noSpace");
  assert.equal(outcome?.overQuota, true);
  assert.equal(outcome?.result, undefined);
  assert.equal(d.value("key"), "other");
  assert.equal(d.machine.revision, 3);
  const put = build(RequestOp, { requestPut: d.putRequest("key", "3") });
  assert.equal(
    d.apply({ txn: txn(put) }, false)?.overQuota,
    true,
    "the member must raise its alarm",
  );
  assert.equal(d.apply({ leaseGrant: { id: 1n, ttl: 5n } })?.overQuota, true);
  assert.ok(d.machine.leases.get(1n));
  assert.deepEqual(costs, [264, 264, 260, leaseGrantCost]);
});

test("without effect there is nothing to be over the quota with", () => {
  const d = new Driver({ hasSpace: () => false });
  assert.equal(
    d.apply({ put: Object.assign(d.putRequest("k"), { lease: 5n }) })?.error,
    "leaseNotFound",
  );
  assert.equal(d.apply({ txn: txn() })?.error, undefined);
  d.delete("k");
});

test("costs: puts of the dearer branch, nested ones too", () => {
  const d = new Driver();
  const put = build(RequestOp, { requestPut: d.putRequest("k", "vv") });
  assert.equal(putCost(d.putRequest("k", "vv")), 259);
  const nested = build(RequestOp, { requestTxn: txn(put, put) });
  const request = build(TxnRequest, { success: [put, nested], failure: [put] });
  assert.equal(txnCost(request), 3 * 259);
  assert.equal(txnCost(txn(build(RequestOp, { requestDeleteRange: d.deleteRequest("k") }))), 0);
});

test("compaction under NOSPACE answers as ever", () => {
  const d = new Driver();
  alarm(d, AlarmAction.ACTIVATE, 1n, AlarmType.NOSPACE);
  const compaction = build(CompactionRequest, { revision: 1n, physical: true });
  const outcome = d.apply({ compaction });
  assert.ok(outcome?.result?.kind === "compact" && outcome.result.physical);
});
