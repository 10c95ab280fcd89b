// What the metrics of a member say of its requests.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CompactionRequest,
  encodeCompactionRequest,
  encodeMemberPromoteRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  MemberPromoteRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "@etcd-ts/api";
import { utf8ToBytes } from "@etcd-ts/base";
import { memberMetrics } from "../src/index.ts";
import { CallError, MemberWorld } from "./support/member-world.ts";

/** `name{values of its labels}` of all series that can be told apart from 0. */
function seriesOf(world: MemberWorld): Map<string, number> {
  const series = new Map<string, number>();
  for (const family of memberMetrics(world.member)) {
    family.collect((labels, value) => {
      const number = typeof value === "number" ? value : value.count;
      series.set(`${family.name}{${labels.join(",")}}`, number);
    });
  }
  return series;
}

test("metrics tell requests that failed from those that did not, as etcd tells them apart", async () => {
  const world = await MemberWorld.started();
  const refused = async (path: string, message: Uint8Array): Promise<void> => {
    await assert.rejects(world.call(`/etcdserverpb.${path}`, message), CallError);
  };
  const put = new PutRequest();
  put.key = utf8ToBytes("a");
  put.lease = 9n;
  const range = new RangeRequest();
  range.key = utf8ToBytes("a");
  range.revision = 100n;
  const readTxn = new TxnRequest();
  readTxn.success = [new RequestOp(), new RequestOp()];
  for (const op of readTxn.success) {
    op.requestRange = new RangeRequest();
    op.requestRange.key = utf8ToBytes("a");
  }
  const compaction = new CompactionRequest();
  compaction.revision = 2n;
  compaction.physical = true;
  const promotion = new MemberPromoteRequest();
  promotion.id = 7n;

  await world.put("a", "1");
  await refused("KV/Put", encodePutRequest(put));
  assert.equal(await world.get("a"), "1");
  await refused("KV/Range", encodeRangeRequest(range));
  await world.call("/etcdserverpb.KV/Txn", encodeTxnRequest(readTxn));
  await world.call("/etcdserverpb.KV/Compact", encodeCompactionRequest(compaction));
  await refused("KV/Compact", encodeCompactionRequest(compaction));
  compaction.revision = 99n;
  await refused("KV/Compact", encodeCompactionRequest(compaction));
  await refused("Cluster/MemberPromote", encodeMemberPromoteRequest(promotion));

  const series = seriesOf(world);
  const counts = (name: string): Record<string, number> =>
    Object.fromEntries([...series].filter(([key]) => key.startsWith(`etcd_${name}{`)));
  const applies = "etcd_server_apply_duration_seconds";
  assert.deepEqual(counts("server_apply_duration_seconds"), {
    [`${applies}{v3,ClusterVersionSet,true}`]: 1,
    [`${applies}{v3,ClusterMemberAttrSet,true}`]: 1,
    [`${applies}{v3,Put,true}`]: 1,
    [`${applies}{v3,Put,false}`]: 1,
    [`${applies}{v3,Compaction,true}`]: 2,
    [`${applies}{v3,Compaction,false}`]: 1,
  });
  assert.deepEqual(counts("server_range_duration_seconds"), {
    "etcd_server_range_duration_seconds{true}": 1,
    "etcd_server_range_duration_seconds{false}": 1,
  });
  assert.equal(series.get("etcd_server_request_duration_seconds{Put,true}"), 2);
  assert.equal(series.get("etcd_server_request_duration_seconds{Range,false}"), 1);
  assert.equal(series.get("etcd_server_request_duration_seconds{ReadonlyTxn,true}"), 1);
  assert.equal(series.get("etcd_mvcc_range_total{}"), 4);
  assert.equal(series.get("etcd_debugging_mvcc_total_put_size_in_bytes{}"), 2);
  for (const part of ["pause", "total"]) {
    const name = `etcd_debugging_mvcc_db_compaction_${part}_duration_milliseconds{}`;
    assert.equal(series.get(name), 1, name);
  }
  assert.equal(series.get("etcd_debugging_auth_revision{}"), 1);
  assert.deepEqual(counts("server_learner_promote_failures"), {
    "etcd_server_learner_promote_failures{membership: ID not found}": 1,
  });
  await world.stop();
});
