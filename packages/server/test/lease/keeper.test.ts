// The lease keeper where things go wrong: refusals, changes of leadership, checkpoints under way.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
} from "@etcd-ts/api";
import { Deadlines, LeaseTimer } from "../../src/lease/deadlines.ts";
import type { Proposal } from "../../src/proposals.ts";
import { type FakeCall, startStream } from "../support/calls.ts";
import { MemberWorld } from "../support/member-world.ts";

async function grant(world: MemberWorld, ttl: number, id: bigint): Promise<void> {
  const request = new LeaseGrantRequest();
  request.ttl = BigInt(ttl);
  request.id = id;
  const path = "/etcdserverpb.Lease/LeaseGrant";
  const answer = await world.call(path, encodeLeaseGrantRequest(request));
  assert.equal(decodeLeaseGrantResponse(answer).id, id);
}

function keepAlives(world: MemberWorld): FakeCall {
  return startStream(world.member.methods, "/etcdserverpb.Lease/LeaseKeepAlive");
}

function ask(stream: FakeCall, id: bigint): void {
  const request = new LeaseKeepAliveRequest();
  request.id = id;
  stream.handler?.onMessage(encodeLeaseKeepAliveRequest(request));
}

const tooMany = { code: 8, message: "too many requests" };

test("a revocation that is refused at once is tried again later, not for ever now", async () => {
  const world = await MemberWorld.started();
  await grant(world, 3, 7n);
  const { proposals } = world.member;
  const submit = proposals.submit;
  let refusedCount = 0;
  proposals.submit = (_operation, _request, proposal) => {
    if (++refusedCount > 1000) throw new Error("the keeper does not stop trying");
    proposal.refused(tooMany);
    return false;
  };
  await world.world.run(4_000);
  assert.ok(refusedCount > 0 && refusedCount < 50, `${refusedCount} attempts`);
  proposals.submit = submit;
  await world.world.run(1_000);
  assert.equal(world.member.machine.leases.get(7n), undefined);
  await world.stop();
});

test("a revocation of an earlier reign that fails does not end the lease in the next one", async () => {
  const world = await MemberWorld.started();
  await grant(world, 3, 7n);
  const { proposals, parts } = world.member;
  const submit = proposals.submit;
  const lost: Proposal[] = [];
  proposals.submit = (_operation, _request, proposal) => {
    lost.push(proposal);
    return false;
  };
  await world.world.run(3_500);
  proposals.submit = submit;
  assert.equal(lost.length, 1, "the lease has expired");
  for (const part of parts) part.leadershipLost?.();
  for (const part of parts) part.leadershipEstablished?.();
  await world.world.run(100);
  lost[0]?.refused(tooMany);
  await world.world.run(2_500);
  assert.ok(world.member.machine.leases.get(7n), "it has its full time anew");
  await world.world.run(2_500);
  assert.equal(world.member.machine.leases.get(7n), undefined);
  await world.stop();
});

test("a thousand keep-alives that had to wait are answered without a thousand stack frames", async () => {
  const world = await MemberWorld.started();
  await grant(world, 3, 7n);
  const stream = keepAlives(world);
  world.world.nowMs += 3_500; // expired, and not looked at yet
  ask(stream, 7n);
  for (let i = 0; i < 999; i++) ask(stream, 1000n + BigInt(i));
  await world.world.until(() => stream.sent.length === 1000 || world.failure !== undefined);
  assert.equal(world.failure, undefined);
  assert.ok(stream.sent.every((bytes) => decodeLeaseKeepAliveResponse(bytes).ttl === 0));
  stream.handler?.onHalfClose();
  assert.ok(stream.ended && stream.error === undefined);
  await world.stop();
});

test("a renewal that was answered while a checkpoint is on its way is not lost to it", async () => {
  const world = await MemberWorld.started();
  await grant(world, 60, 7n);
  await world.world.run(55_000);
  const stream = keepAlives(world);
  const stopped = world.stop();
  // The checkpoint is queued, and not in the log.
  assert.ok(world.member.proposals.queuedCount > 0);
  ask(stream, 7n);
  await stopped;
  const promised = stream.sent.map((bytes) => decodeLeaseKeepAliveResponse(bytes).ttl);
  await world.start();
  await world.world.run(20_000);
  const lives = world.member.machine.leases.get(7n) !== undefined;
  assert.equal(lives, promised.length > 0, `${promised} was promised`);
  await world.stop();
});

test("a renewal after a checkpoint takes it back, whatever came in between", async () => {
  const world = await MemberWorld.started();
  await grant(world, 60, 7n);
  await world.world.run(55_000);
  const { parts } = world.member;
  for (const part of parts) part.prepareStop?.(() => {});
  const stream = keepAlives(world);
  ask(stream, 7n);
  assert.equal(stream.sent.length, 0);
  await world.world.until(() => stream.sent.length === 1);
  world.crash();
  await world.start();
  await world.world.run(50_000);
  assert.ok(world.member.machine.leases.get(7n), "the renewal counts after a crash");
  await world.stop();
});

test("the places of removed deadlines do not pile up", () => {
  const deadlines = new Deadlines();
  deadlines.add(new LeaseTimer(-1n, 60, 5_000));
  for (let i = 0n; i < 20_000n; i++) {
    deadlines.add(new LeaseTimer(i, 86_400, 86_400_000 - Number(i % 1000n)));
    deadlines.remove(i);
  }
  assert.ok(deadlines.placeCount < 2_500, `${deadlines.placeCount} places`);
  assert.equal(deadlines.takeExpired(4_999), undefined);
  assert.equal(deadlines.takeExpired(5_000)?.id, -1n);
});
