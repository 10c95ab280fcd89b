// Leases in a cluster: only the leader counts, all others ask it; none ends early because the leader did,
// and none lives for ever.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeLeaseKeepAliveResponse,
  decodeLeaseTimeToLiveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseTimeToLiveRequest,
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
  LeaseTimeToLiveRequest,
} from "@etcd-ts/api";
import type { SimNode } from "@etcd-ts/sim";
import { type FakeCall, startStream } from "../support/calls.ts";
import { ClusterWorld } from "../support/cluster-world.ts";

const at = "/etcdserverpb.Lease/";

async function grant(cluster: ClusterWorld, node: SimNode, id: bigint, ttl: number): Promise<void> {
  const request = new LeaseGrantRequest();
  request.id = id;
  request.ttl = BigInt(ttl);
  await cluster.call(node, `${at}LeaseGrant`, encodeLeaseGrantRequest(request));
}

function beginTtl(cluster: ClusterWorld, node: SimNode, id: bigint, keys = false): FakeCall {
  const request = new LeaseTimeToLiveRequest();
  request.id = id;
  request.keys = keys;
  return cluster.begin(node, `${at}LeaseTimeToLive`, encodeLeaseTimeToLiveRequest(request));
}

async function ttl(cluster: ClusterWorld, node: SimNode, id: bigint): Promise<number> {
  return decodeLeaseTimeToLiveResponse(await cluster.answer(beginTtl(cluster, node, id))).ttl;
}

function ask(stream: FakeCall, id: bigint): void {
  const request = new LeaseKeepAliveRequest();
  request.id = id;
  stream.handler!.onMessage(encodeLeaseKeepAliveRequest(request));
}

function answers(stream: FakeCall): number[] {
  return stream.sent.map((bytes) => decodeLeaseKeepAliveResponse(bytes).ttl);
}

test("keep-alives and questions through a follower reach the leader", async () => {
  const cluster = await ClusterWorld.founded(3);
  await cluster.elected();
  const follower = cluster.followers()[0]!;
  await grant(cluster, follower, 7n, 5);
  await cluster.put(follower, "k", "v", 7n);
  const stream = startStream(follower.member!.methods, `${at}LeaseKeepAlive`);
  for (let i = 0; i < 5; i++) {
    await cluster.run(3000);
    ask(stream, 7n);
    await cluster.until(() => stream.sent.length === i + 1, 1000, "a renewal");
  }
  assert.deepEqual(answers(stream), [5, 5, 5, 5, 5]);
  assert.equal(await cluster.get(follower, "k"), "v");
  const response = decodeLeaseTimeToLiveResponse(
    await cluster.answer(beginTtl(cluster, follower, 7n, true)),
  );
  assert.ok(response.ttl >= 3 && response.ttl <= 5, `${response.ttl}`);
  assert.equal(response.grantedTtl, 5);
  assert.equal(Buffer.from(response.keys[0]!).toString(), "k");
  assert.equal(response.header!.memberId, follower.member!.memberId);
  // Unknown ones are no errors.
  assert.equal(await ttl(cluster, follower, 8n), -1);
  ask(stream, 8n);
  await cluster.until(() => stream.sent.length === 6, 1000, "an answer");
  assert.equal(answers(stream)[5], 0);
  // And without renewals it ends.
  await cluster.run(8000);
  assert.equal(await cluster.get(follower, "k"), undefined);
  assert.equal(await ttl(cluster, follower, 7n), -1);
  await cluster.stop();
});

test("a thousand renewals through a follower take a few connections", async () => {
  const cluster = await ClusterWorld.founded(3);
  await cluster.elected();
  const follower = cluster.followers()[0]!;
  await grant(cluster, follower, 7n, 60);
  const streams = Array.from({ length: 1000 }, () =>
    startStream(follower.member!.methods, `${at}LeaseKeepAlive`),
  );
  for (const stream of streams) ask(stream, 7n);
  await cluster.until(() => streams.every((it) => it.sent.length === 1), 5000, "all are renewed");
  assert.ok(streams.every((stream) => answers(stream)[0] === 60));
  // And those that wait in line are answered when the member stops.
  for (const stream of streams) ask(stream, 7n);
  await cluster.complete(follower.stop(), 5000);
  assert.ok(streams.every((stream) => stream.ended || stream.sent.length === 2));
  await cluster.stop();
});

test("a new leader gives every lease its time anew, and ends it then", async () => {
  const cluster = await ClusterWorld.founded(3);
  const first = await cluster.elected();
  await grant(cluster, first, 7n, 10);
  await cluster.put(first, "k", "v", 7n);
  await cluster.run(9000);
  first.crash("drop");
  const second = await cluster.elected(5000);
  assert.ok((await ttl(cluster, second, 7n)) >= 9, "its full time");
  await cluster.run(8000);
  assert.equal(await cluster.get(second, "k"), "v");
  await cluster.run(4500);
  assert.equal(await cluster.get(second, "k"), undefined);
  await cluster.stop();
});

test("a leader that is cut off neither renews nor revokes", async () => {
  const cluster = await ClusterWorld.founded(3);
  const old = await cluster.elected();
  await grant(cluster, old, 7n, 4);
  await cluster.put(old, "k", "v", 7n);
  const stream = startStream(old.member!.methods, `${at}LeaseKeepAlive`);
  cluster.isolate(old);
  const others = cluster.nodes.filter((node) => node !== old);
  await cluster.until(() => others.some((node) => node.member!.isLeader), 5000, "a new leader");
  const present = others.find((node) => node.member!.isLeader)!;
  await cluster.until(() => !old.member!.isLeader, 3000, "the old one steps down");
  ask(stream, 7n);
  await cluster.run(1000);
  assert.equal(stream.sent.length, 0, "nothing is promised");
  assert.equal(await cluster.get(present, "k"), "v");
  cluster.heal();
  await cluster.until(() => stream.sent.length === 1 || stream.ended, 10_000, "an answer at last");
  await cluster.run(8000);
  assert.equal(await cluster.get(present, "k"), undefined);
  await cluster.stop();
});

test("without a leader a question ends as etcd's does, and a stop ends it at once", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  await grant(cluster, leader, 7n, 60);
  const [alone] = cluster.followers() as [SimNode];
  for (const node of cluster.nodes) if (node !== alone) node.crash("drop");
  await cluster.until(() => alone.member!.leaderId === 0n, 5000, "no leader");
  const asked = beginTtl(cluster, alone, 7n);
  await cluster.until(() => asked.ended, 10_000, "an answer");
  assert.deepEqual(asked.error, { code: 14, message: "etcdserver: no leader" });
  const waiting = beginTtl(cluster, alone, 7n);
  await cluster.run(100);
  await cluster.complete(alone.stop(), 1000);
  assert.equal(waiting.error?.message, "etcdserver: server stopped");
  await cluster.stop();
});
