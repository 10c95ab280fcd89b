// What becomes of requests that do not go straight through.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AlarmAction,
  AlarmRequest,
  AlarmType,
  decodeAlarmResponse,
  decodeStatusResponse,
  encodeAlarmRequest,
  encodePutRequest,
  encodeStatusRequest,
  PutRequest,
  StatusRequest,
} from "@etcd-ts/api";
import { concatBytes, sizeVarint, writeVarint } from "@etcd-ts/base";
import { CallError, MemberWorld } from "./support/member-world.ts";

async function refused(promise: Promise<unknown>, code: number, message: string): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof CallError, String(error));
    assert.deepEqual([error.code, error.message], [code, message]);
    return true;
  });
}

test("a request beyond the limit is too large, one at the limit is not", async () => {
  const world = await MemberWorld.started({ maxRequestBytes: 1000 });
  await refused(world.put("k", "v".repeat(1000)), 3, "etcdserver: request is too large");
  await world.put("k", "v".repeat(900));
  await world.stop();
});

/** A transaction around the bytes of another. */
function nestedTxn(inner: Uint8Array): Uint8Array {
  return field(2, field(4, inner));
}

function field(number: number, bytes: Uint8Array): Uint8Array {
  const head = new Uint8Array(1 + sizeVarint(bytes.length));
  head[0] = number * 8 + 2;
  writeVarint(head, 1, bytes.length);
  return concatBytes([head, bytes]);
}

test("an undecodable request and an empty key get etcd's errors", async () => {
  const world = await MemberWorld.started();
  await refused(world.put("", "v"), 3, "etcdserver: key is not provided");
  await refused(
    world.call("/etcdserverpb.KV/Put", new Uint8Array([0x0a, 0x05, 0x01])),
    13,
    "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data",
  );
  // A peer URL of one byte that begins a character and does not end it.
  await refused(
    world.call("/etcdserverpb.Cluster/MemberAdd", new Uint8Array([0x0a, 0x01, 0xc3])),
    13,
    "grpc: error unmarshalling request: string field contains invalid UTF-8",
  );
  // Transactions in transactions, 600 deep: two messages each.
  let deep: Uint8Array = new Uint8Array(0);
  for (let i = 0; i < 600; i++) deep = nestedTxn(deep);
  await refused(
    world.call("/etcdserverpb.KV/Txn", deep),
    13,
    "grpc: error unmarshalling request: proto: exceeded maximum recursion depth",
  );
  await world.stop();
});

test("what waits when the member stops hears that it is stopped, and so does who comes later", async () => {
  const world = await MemberWorld.started();
  const waiting = world.beginPut("a", "1");
  const reading = world.begin("/etcdserverpb.KV/Range", new Uint8Array([0x0a, 1, 97]));
  const stopping = world.member.stop();
  const late = world.beginPut("b", "2");
  await world.world.settled(stopping);
  for (const call of [waiting, reading, late]) {
    assert.deepEqual(call.error, { code: 14, message: "etcdserver: server stopped" });
  }
  await world.start();
  assert.equal(await world.get("b"), undefined);
  await world.stop();
});

test("a write that the disk does not answer times out, and may still come true", async () => {
  const world = await MemberWorld.started();
  const { disk } = world.world;
  disk.stopAfter = disk.operationCount;
  const start = world.world.nowMs;
  await refused(world.put("a", "1"), 14, "etcdserver: request timed out");
  const took = world.world.nowMs - start;
  assert.ok(took >= 7000 && took < 7200, `${took} ms`);
  world.crash();
  await world.start();
  await world.stop();
});

test("a failing disk ends the member, and nothing is acknowledged", async () => {
  const world = await MemberWorld.started();
  await world.put("a", "1");
  world.world.disk.failure = new Error("input/output error");
  const call = world.beginPut("a", "2");
  await world.world.until(() => world.failure !== undefined);
  assert.deepEqual(call.error, { code: 14, message: "etcdserver: server stopped" });
  assert.match(world.failure!.message, /input\/output error/);
  // Whoever is told says so, once; the member adds no line to that of the log.
  const errors = world.world.lines.filter((line) => line.level === "error");
  assert.ok(errors.length <= 1, JSON.stringify(errors));
  world.world.disk.failure = undefined;
  world.crash();
  await world.start();
  assert.equal(await world.get("a"), "1");
  await world.stop();
});

test("a failing backend ends the member too", async () => {
  const world = await MemberWorld.started();
  world.cell.failure = new Error("no space left on device");
  await world.put("a", "1");
  await world.world.until(() => world.failure !== undefined);
  world.crash();
  world.cell.failure = undefined;
  await world.start();
  assert.equal(await world.get("a"), "1");
  await world.stop();
});

test("an alarm of a kind that stock members cannot carry out never enters the log", async () => {
  const world = await MemberWorld.started();
  const request = new AlarmRequest();
  request.action = AlarmAction.ACTIVATE;
  const before = world.member.machine.appliedIndex;
  for (const kind of [3, 9, -1]) {
    request.alarm = kind as AlarmType;
    await refused(
      world.call("/etcdserverpb.Maintenance/Alarm", encodeAlarmRequest(request)),
      2,
      "unimplemented alarm activation",
    );
  }
  assert.equal(world.member.machine.appliedIndex, before);
  // To ask for one, or to end it, does no harm.
  for (const action of [AlarmAction.GET, AlarmAction.DEACTIVATE]) {
    request.action = action;
    const bytes = await world.call("/etcdserverpb.Maintenance/Alarm", encodeAlarmRequest(request));
    assert.deepEqual(decodeAlarmResponse(bytes).alarms, []);
  }
  await world.stop();
});

test("over the quota puts are refused and the alarm is raised, deletes go on", async () => {
  const world = await MemberWorld.started({ quotaBackendBytes: 20_000 });
  let refusal: CallError | undefined;
  for (let i = 0; i < 40 && refusal === undefined; i++) {
    await world.put(`key-${i}`, "x".repeat(1000)).catch((error: CallError) => {
      refusal = error;
    });
    await world.world.run(150);
  }
  assert.equal(refusal?.message, "etcdserver: mvcc: database space exceeded");
  assert.equal(refusal?.code, 8);
  await world.world.until(() => world.member.machine.alarms.has(AlarmType.NOSPACE));
  await refused(world.put("small", ""), 8, "etcdserver: mvcc: database space exceeded");
  assert.equal(await world.delete("key-0"), 1);

  const status = decodeStatusResponse(
    await world.call("/etcdserverpb.Maintenance/Status", encodeStatusRequest(new StatusRequest())),
  );
  assert.deepEqual(status.errors, [`memberID:${world.member.memberId} alarm:NOSPACE`]);

  const request = new AlarmRequest();
  request.action = AlarmAction.DEACTIVATE;
  request.memberId = world.member.memberId;
  request.alarm = AlarmType.NOSPACE;
  const answer = decodeAlarmResponse(
    await world.call("/etcdserverpb.Maintenance/Alarm", encodeAlarmRequest(request)),
  );
  assert.equal(answer.alarms.length, 1);
  assert.ok(!world.member.machine.alarms.has(AlarmType.NOSPACE));
  await world.stop();
});

test("too many entries between commit and apply turn writers away", async () => {
  const world = await MemberWorld.started();
  world.member.proposals.applyGap = 5001;
  await refused(world.put("a", "1"), 2, "etcdserver: too many requests");
  world.member.proposals.applyGap = 5000;
  await world.put("a", "1");
  await world.stop();
});

test("metadata is looked at before the request", async () => {
  const world = await MemberWorld.started();
  const request = new PutRequest();
  request.key = Buffer.from("a");
  const body = encodePutRequest(request);
  const put = "/etcdserverpb.KV/Put";
  await refused(
    world.call(put, body, { "client-api-version": "3.\xff" }),
    3,
    "etcdserver: invalid client api version",
  );
  await world.call(put, body, { "client-api-version": "3.\xc3\xa9", hasleader: "true" });
  await world.stop();
});

test("before the cluster version is known no call is served", async () => {
  const world = new MemberWorld();
  world.member = await world.world.settled(world.open());
  assert.equal(world.member.clusterVersion, "");
  await refused(world.put("a", "1"), 9, "etcdserver: not capable");
  await world.world.settled(world.member.ready());
  await world.put("a", "1");
  await world.stop();
});
