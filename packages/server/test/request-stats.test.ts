// "request stats" in the log: of slow requests, and with the log level debug of all.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Compare,
  CompareResult,
  CompareTarget,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  SortOrder,
  SortTarget,
  TxnRequest,
} from "@etcd-ts/api";
import { build, utf8ToBytes } from "@etcd-ts/base";
import type { MethodStats, MethodTable } from "@etcd-ts/rpc";
import { durationText } from "../src/duration-text.ts";
import { RequestStats } from "../src/index.ts";
import { requestContent } from "../src/request-content.ts";
import { type FakeCall, startUnary } from "./support/calls.ts";
import { MemberWorld } from "./support/member-world.ts";

const kv = "/etcdserverpb.KV/";
const noStats = {} as MethodStats;

test("durations are written as Go writes them", () => {
  for (const [ms, text] of [
    [0, "0s"],
    [0.000001, "1ns"],
    [0.147418, "147.418µs"],
    [8.260329, "8.260329ms"],
    [100, "100ms"],
    [1908.338, "1.908338s"],
    [59_999.999999, "59.999999999s"],
    [60_000, "1m0s"],
    [90_500, "1m30.5s"],
    [3_661_000, "1h1m1s"],
  ] as const) {
    assert.equal(durationText(ms), text);
  }
});

test("a request is told by its fields, a value by its size", () => {
  const range = build(RangeRequest, {
    key: utf8ToBytes("a"),
    rangeEnd: utf8ToBytes("b"),
    limit: 3n,
    sortOrder: SortOrder.DESCEND,
    sortTarget: SortTarget.MOD,
    serializable: true,
  });
  assert.equal(
    requestContent(`${kv}Range`, encodeRangeRequest(range)),
    'key:"a" range_end:"b" limit:3 sort_order:DESCEND sort_target:MOD serializable:true',
  );
  const put = build(PutRequest, {
    key: utf8ToBytes('x\u0001é"\\\n'),
    value: utf8ToBytes("secret"),
  });
  assert.equal(
    requestContent(`${kv}Put`, encodePutRequest(put)),
    'key:"x\\001\\303\\251\\"\\\\\\n" value_size:6',
  );
  const compare = build(Compare, {
    result: CompareResult.GREATER,
    target: CompareTarget.MOD,
    key: utf8ToBytes("b"),
    modRevision: 3n,
  });
  const equals = build(Compare, {
    target: CompareTarget.VALUE,
    key: utf8ToBytes("a"),
    value: utf8ToBytes("secret"),
  });
  const txn = build(TxnRequest, {
    compare: [compare, equals],
    success: [build(RequestOp, { requestPut: put })],
    failure: [build(RequestOp, { requestRange: build(RangeRequest, { key: utf8ToBytes("a") }) })],
  });
  const text = requestContent(`${kv}Txn`, encodeTxnRequest(txn));
  assert.match(text, /^compare:<result:GREATER target:MOD key:"b" mod_revision:3 > compare:</);
  assert.match(text, /failure:<request_range:<key:"a" > >$/);
  assert.ok(!text.includes("secret"));
  assert.equal(requestContent(`${kv}Put`, new Uint8Array([0x0a, 9])), "");
  assert.equal(requestContent("/etcdserverpb.Lease/LeaseGrant", new Uint8Array(0)), "");
  const long = build(PutRequest, { key: utf8ToBytes("k".repeat(10_000)) });
  assert.ok(requestContent(`${kv}Put`, encodePutRequest(long)).length < 5000);
});

/** A call that tells `stats` of its end, as the rpc server does. */
async function observed(
  world: MemberWorld,
  stats: RequestStats,
  methods: MethodTable,
  path: string,
  message: Uint8Array,
): Promise<FakeCall> {
  const call = startUnary(methods, path, message);
  await world.world.until(() => call.ended);
  stats.observer.callEnded?.(noStats, call, call.error?.code ?? 0);
  return call;
}

test("with the log level debug every unary call is told of, once", async () => {
  const limitMs = Number.POSITIVE_INFINITY;
  const world = await MemberWorld.started({ warningUnaryRequestDurationMs: limitMs });
  const stats = new RequestStats(world.member.host, 50);
  const methods = stats.wrap(world.member.methods);
  const lines = () => world.world.lines.filter((line) => line.message === "request stats");
  const put = build(PutRequest, { key: utf8ToBytes("a"), value: utf8ToBytes("1") });
  const call = await observed(world, stats, methods, `${kv}Put`, encodePutRequest(put));
  const { "start time": start, "time spent": spent, ...rest } = lines()[0]!.fields!;
  assert.match(String(start), /^2023-11-14T22:13:2\d\.\d{3}Z$/);
  assert.match(String(spent), /^[\d.]+m?s$/);
  assert.deepEqual(rest, {
    "response type": "/etcdserverpb.KV/Put",
    remote: "test:1",
    "request count": 1,
    "request size": 6,
    "response count": 0,
    "response size": call.response!.length,
    "request content": 'key:"a" value_size:1',
  });
  const counts = async (path: string, message: Uint8Array) => {
    await observed(world, stats, methods, path, message);
    const fields = lines().at(-1)!.fields!;
    return [fields["request count"], fields["response count"], fields["request size"]];
  };
  const key = new Uint8Array([0x0a, 1, 97]);
  assert.deepEqual(await counts(`${kv}Range`, key), [0, 1, 3]);
  const future = encodeRangeRequest(build(RangeRequest, { key: utf8ToBytes("a"), revision: 99n }));
  assert.deepEqual(await counts(`${kv}Range`, future), [0, 0, 5]);
  assert.deepEqual(await counts(`${kv}DeleteRange`, key), [0, 1, 3]);
  const txn = build(TxnRequest, {
    success: ["b", "c"].map((key) =>
      build(RequestOp, { requestPut: build(PutRequest, { key: utf8ToBytes(key) }) }),
    ),
  });
  assert.deepEqual((await counts(`${kv}Txn`, encodeTxnRequest(txn))).slice(0, 2), [2, 0]);
  assert.deepEqual(
    await counts("/etcdserverpb.Maintenance/Status", new Uint8Array(0)),
    [-1, -1, -1],
  );
  assert.equal(lines().length, 6);
  // The first call began at 0 by its own account, so all were slow; one that begins now is not.
  assert.ok(lines().every((line) => line.level === "warn"));
  const quick = new RequestStats(world.member.host, 1e9);
  const quickMethods = quick.wrap(world.member.methods);
  await observed(world, quick, quickMethods, `${kv}Range`, key);
  assert.equal(lines().at(-1)!.level, "debug");
  // Nothing is told of a call whose beginning was not seen.
  quick.observer.callEnded?.(noStats, call, 0);
  assert.equal(lines().length, 7);
  await world.stop();
});

test("otherwise slow requests are told of, and the member's own are not", async () => {
  const world = await MemberWorld.started({ warningUnaryRequestDurationMs: 0.001 });
  const lines = () => world.world.lines.filter((line) => line.message === "request stats");
  assert.deepEqual(lines(), [], "the member has published itself");
  await world.put("a", "1");
  const [line] = lines();
  assert.equal(line!.level, "warn");
  assert.equal(line!.fields!["response type"], "/etcdserverpb.KV/Put");
  assert.equal(line!.fields!["request content"], 'key:"a" value_size:1');
  assert.equal(line!.fields!["request size"], 6);
  assert.equal(line!.fields!["remote"], "test:1");
  world.world.eventCostMs = 1;
  await world.get("a");
  assert.equal(lines()[1]!.fields!["response type"], "/etcdserverpb.KV/Range");
  await world.stop();
});
