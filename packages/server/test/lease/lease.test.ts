// Leases of a member in virtual time.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  decodeLeaseLeasesResponse,
  decodeLeaseTimeToLiveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseLeasesRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
  errorRows,
  LeaseGrantRequest,
  type LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseLeasesRequest,
  LeaseRevokeRequest,
  LeaseTimeToLiveRequest,
  type LeaseTimeToLiveResponse,
} from "@etcd-ts/api";
import { bytesToUtf8 } from "@etcd-ts/base";
import { type FakeCall, startStream } from "../support/calls.ts";
import { CallError, MemberWorld } from "../support/member-world.ts";

async function grant(world: MemberWorld, ttl: number, id = 0n): Promise<LeaseGrantResponse> {
  const request = new LeaseGrantRequest();
  request.ttl = BigInt(ttl);
  request.id = id;
  return decodeLeaseGrantResponse(
    await world.call("/etcdserverpb.Lease/LeaseGrant", encodeLeaseGrantRequest(request)),
  );
}

async function revoke(world: MemberWorld, id: bigint): Promise<void> {
  const request = new LeaseRevokeRequest();
  request.id = id;
  await world.call("/etcdserverpb.Lease/LeaseRevoke", encodeLeaseRevokeRequest(request));
}

async function timeToLive(
  world: MemberWorld,
  id: bigint,
  keys = false,
): Promise<LeaseTimeToLiveResponse> {
  const request = new LeaseTimeToLiveRequest();
  request.id = id;
  request.keys = keys;
  return decodeLeaseTimeToLiveResponse(
    await world.call("/etcdserverpb.Lease/LeaseTimeToLive", encodeLeaseTimeToLiveRequest(request)),
  );
}

function keepAlives(world: MemberWorld): FakeCall {
  return startStream(world.member.methods, "/etcdserverpb.Lease/LeaseKeepAlive");
}

function askKeepAlive(stream: FakeCall, id: bigint): void {
  const request = new LeaseKeepAliveRequest();
  request.id = id;
  stream.handler?.onMessage(encodeLeaseKeepAliveRequest(request));
}

function answersOf(stream: FakeCall): [bigint, number][] {
  return stream.sent.map((bytes) => {
    const { id, ttl } = decodeLeaseKeepAliveResponse(bytes);
    return [id, Number(ttl)];
  });
}

test("a lease without an id gets a positive one, a short TTL is raised, a huge one refused", async () => {
  const world = await MemberWorld.started();
  const granted = await grant(world, 1);
  assert.ok(granted.id > 0n);
  assert.equal(granted.ttl, 2);
  assert.equal((await grant(world, 60, -5n)).id, -5n);
  await assert.rejects(grant(world, 60, -5n), new CallError(9, errorRows.leaseExist.message));
  await assert.rejects(
    grant(world, 9_000_000_001),
    new CallError(11, errorRows.leaseTtlTooLarge.message),
  );
  assert.equal((await grant(world, 9_000_000_000)).ttl, 9_000_000_000);
  await world.stop();
});

test("a lease ends with its keys, in one revision, soon after its TTL and never before", async () => {
  const world = await MemberWorld.started();
  const { id } = await grant(world, 10);
  const grantedMs = world.world.nowMs;
  for (const key of ["a", "b", "c"]) await world.put(key, "x", (put) => (put.lease = id));
  const { revision } = world.member.machine;
  await world.world.run(grantedMs + 9_990 - world.world.nowMs);
  assert.equal(await world.get("a"), "x");
  await world.world.run(1_010);
  assert.equal(await world.get("a"), undefined);
  assert.equal(world.member.machine.revision, revision + 1);
  assert.equal((await timeToLive(world, id)).ttl, -1);
  await world.stop();
});

test("a kept alive lease lives on; each answer tells the granted TTL; a missing one TTL 0", async () => {
  const world = await MemberWorld.started();
  const { id } = await grant(world, 5);
  await world.put("a", "x", (put) => (put.lease = id));
  const stream = keepAlives(world);
  for (let n = 0; n < 6; n++) {
    await world.world.run(4_000);
    askKeepAlive(stream, id);
    askKeepAlive(stream, 999n);
    await world.world.until(() => stream.sent.length === 2 * (n + 1));
  }
  assert.deepEqual(answersOf(stream).slice(-2), [
    [id, 5],
    [999n, 0],
  ]);
  assert.equal(await world.get("a"), "x");
  await world.world.run(6_000);
  assert.equal(await world.get("a"), undefined);
  stream.handler?.onHalfClose();
  assert.equal(
    stream.ended && stream.error === undefined,
    true,
    "half-close ends the stream with OK",
  );
  await world.stop();
});

test("TimeToLive counts down and lists keys; Leases orders by what is left", async () => {
  const world = await MemberWorld.started();
  const { id } = await grant(world, 100);
  await world.put("k2", "x", (put) => (put.lease = id));
  await world.put("k1", "x", (put) => (put.lease = id));
  await world.world.run(30_500);
  const answer = await timeToLive(world, id, true);
  assert.deepEqual([answer.id, answer.ttl, answer.grantedTtl], [id, 69, 100]);
  assert.deepEqual(answer.keys.map((key) => bytesToUtf8(key)).sort(), ["k1", "k2"]);
  assert.deepEqual((await timeToLive(world, id)).keys, []);
  const missing = await timeToLive(world, 12n);
  assert.deepEqual([missing.id, missing.ttl, missing.grantedTtl], [12n, -1, 0]);
  await grant(world, 20, 7n);
  await grant(world, 500, 8n);
  const all = decodeLeaseLeasesResponse(
    await world.call(
      "/etcdserverpb.Lease/LeaseLeases",
      encodeLeaseLeasesRequest(new LeaseLeasesRequest()),
    ),
  );
  assert.deepEqual(
    all.leases.map((it) => it.id),
    [7n, id, 8n],
  );
  await world.stop();
});

test("a put moves its key to another lease, or off it; a revoke takes what is left", async () => {
  const world = await MemberWorld.started();
  await grant(world, 60, 1n);
  await grant(world, 60, 2n);
  await world.put("a", "x", (put) => (put.lease = 1n));
  await world.put("b", "x", (put) => (put.lease = 1n));
  await world.put("a", "x", (put) => (put.lease = 2n));
  await world.put("b", "x");
  await revoke(world, 1n);
  assert.equal(await world.get("a"), "x");
  await revoke(world, 2n);
  assert.equal(await world.get("a"), undefined);
  assert.equal(await world.get("b"), "x");
  await assert.rejects(revoke(world, 2n), new CallError(5, errorRows.leaseNotFound.message));
  await world.stop();
});

test("what is left of a TTL survives a stop, and a renewal afterwards outlives a crash", async () => {
  const world = await MemberWorld.started();
  const { id } = await grant(world, 100);
  await world.world.run(40_000);
  await world.stop();
  await world.start();
  const left = (await timeToLive(world, id)).ttl;
  assert.ok(left >= 60 && left <= 62, `${left} s are left of 60`);

  // The renewal takes the checkpoint back through the log: the full TTL counts after a crash.
  const stream = keepAlives(world);
  askKeepAlive(stream, id);
  await world.world.until(() => stream.sent.length === 1);
  assert.deepEqual(answersOf(stream), [[id, 100]]);
  world.crash();
  await world.start();
  assert.ok((await timeToLive(world, id)).ttl >= 100);
  await world.stop();
});

test("after a crash a lease has its full time again, and still ends", async () => {
  const world = await MemberWorld.started();
  const { id } = await grant(world, 10);
  await world.put("a", "x", (put) => (put.lease = id));
  await world.world.run(8_000);
  world.crash();
  await world.start();
  await world.world.run(9_000);
  assert.equal(await world.get("a"), "x");
  await world.world.run(4_000);
  assert.equal(await world.get("a"), undefined);
  await world.stop();
});

test("a thousand leases that end together are gone within two seconds, none early", async () => {
  const world = await MemberWorld.started();
  for (let n = 1; n <= 1000; n++) {
    const request = new LeaseGrantRequest();
    request.ttl = 10n;
    request.id = BigInt(n);
    world.begin("/etcdserverpb.Lease/LeaseGrant", encodeLeaseGrantRequest(request));
  }
  await world.world.until(() => world.member.machine.leases.size === 1000);
  const grantedMs = world.world.nowMs;
  await world.world.run(9_900);
  assert.equal(world.member.machine.leases.size, 1000);
  await world.world.until(() => world.member.machine.leases.size === 0, 5_000);
  assert.ok(world.world.nowMs - grantedMs < 12_000);
  await world.stop();
});

test("a stop ends keep-alive streams with the reason", async () => {
  const world = await MemberWorld.started();
  const stream = keepAlives(world);
  await world.stop();
  assert.deepEqual(stream.error, { code: 14, message: errorRows.stopped.message });
});
