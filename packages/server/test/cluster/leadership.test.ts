// Who leads, and what clients see when nobody does: transfers, hung disks, cut wires, time-outs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMoveLeaderRequest, MoveLeaderRequest } from "@etcd-ts/api";
import type { SimNode } from "@etcd-ts/sim";
import { ClusterWorld } from "../support/cluster-world.ts";

test("MoveLeader moves it, and writes under way go on", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  const [target, other] = cluster.followers() as [SimNode, SimNode];
  const request = new MoveLeaderRequest();
  request.targetId = target.member!.memberId;
  const path = "/etcdserverpb.Maintenance/MoveLeader";
  const puts = [];
  const move = cluster.begin(leader, path, encodeMoveLeaderRequest(request));
  for (let i = 0; i < 40; i++) {
    puts.push(cluster.beginPut(cluster.nodes[i % 3]!, `k${i}`, "v"));
    await cluster.run(1);
  }
  await cluster.answer(move);
  assert.ok(target.member!.isLeader);
  for (const put of puts) await cluster.answer(put, 2000);
  const refused = cluster.begin(other, path, encodeMoveLeaderRequest(request));
  await assert.rejects(cluster.answer(refused), /etcdserver: not leader/);
  await cluster.stop();
});

test("a leader that stops hands over first", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  const term = leader.member!.term;
  await cluster.complete(leader.stop(), 2000);
  assert.ok(cluster.leader() !== undefined, "there is a leader at once");
  assert.equal(cluster.leader()!.member!.term, term + 1);
  assert.ok(cluster.trace.some((line) => line.includes("leadership transfer finished")));
  await cluster.put(cluster.leader()!, "k", "v");
  await cluster.stop();
});

test("a leader whose disk hangs hands over, does not campaign, and comes back", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  await cluster.put(leader, "k", "before");
  const others = cluster.followers();
  const startMs = cluster.world.nowMs;
  cluster.hungDisks.add(leader.name);
  const stuck = cluster.beginPut(leader, "stuck", "v");
  await cluster.until(() => others.some((node) => node.member!.isLeader), 4000, "another leads");
  const tookMs = cluster.world.nowMs - startMs;
  assert.ok(tookMs > 1500 && tookMs < 3500, `${tookMs} ms`);
  const present = others.find((node) => node.member!.isLeader)!;
  await cluster.put(present, "k", "meanwhile");
  assert.equal(await cluster.get(present, "stuck"), "v", "what its followers had is not lost");
  // The other two are gone: nobody can lead, and the one with the hung disk does not even try.
  for (const node of others) node.crash("drop");
  await cluster.until(
    () => leader.member!.leaderId === 0n || !leader.member!.isLeader,
    5000,
    "no leader",
  );
  const { term } = leader.member!;
  await cluster.run(10_000);
  assert.ok(!leader.member!.isLeader);
  assert.equal(leader.member!.term, term);
  assert.ok(
    !cluster.trace.some(
      (line) =>
        line.includes(`${leader.name}/raft`) &&
        line.includes("is starting a new election") &&
        Number(line.split(" ")[0]) > startMs,
    ),
    "no campaign",
  );
  cluster.hungDisks.clear();
  await cluster.complete(Promise.all(others.map((node) => node.start())), 20_000);
  await cluster.settled();
  assert.equal(await cluster.get(leader, "k"), "meanwhile");
  await cluster.until(() => stuck.ended, 10_000, "the stuck write has an answer");
  await cluster.stop();
});

test("a leader whose disk hangs steps down when there is nobody to hand over to", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  // The third has a disk that works, but no majority without one of the other two.
  const [hung] = cluster.followers() as [SimNode];
  cluster.hungDisks.add(leader.name);
  cluster.hungDisks.add(hung.name);
  const stuck = cluster.beginPut(leader, "stuck", "v");
  await cluster.until(() => !leader.member!.isLeader, 6000, "it no longer leads");
  assert.ok(cluster.trace.some((line) => line.includes("handing leadership over")));
  await cluster.run(5000);
  assert.equal(cluster.leader(), undefined);
  cluster.hungDisks.clear();
  await cluster.elected(10_000);
  await cluster.put(leader, "k", "v");
  await cluster.until(() => stuck.ended, 10_000, "the stuck write has an answer");
  await cluster.stop();
});

test("a process that was stopped for a while is not taken for a hung disk", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  const put = cluster.beginPut(leader, "k", "v");
  leader.freeze(10_000);
  await cluster.run(12_000);
  await cluster.until(() => put.ended, 10_000, "an answer");
  assert.ok(!cluster.trace.some((line) => line.includes("does not answer")));
  // It may have come too late, and never a second time.
  const found = await cluster.get(leader, "k");
  assert.ok(found === "v" || (found === undefined && put.error !== undefined), `${found}`);
  await cluster.stop();
});

test("a follower whose disk hangs holds nobody up", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  const [slow] = cluster.followers() as [SimNode];
  cluster.hungDisks.add(slow.name);
  for (let i = 0; i < 20; i++) {
    await cluster.put(leader, "k", String(i));
    await cluster.run(300);
  }
  assert.ok(leader.member!.isLeader, "the same one leads");
  cluster.hungDisks.clear();
  await cluster.settled();
  assert.equal(await cluster.get(slow, "k"), "19");
  await cluster.stop();
});

test("heartbeats go on while every disk is slow", async () => {
  const cluster = await ClusterWorld.founded(3, { diskMs: 300 });
  const leader = await cluster.elected(20_000);
  const term = leader.member!.term;
  for (let i = 0; i < 10; i++) await cluster.put(leader, "k", String(i));
  assert.ok(leader.member!.isLeader);
  assert.equal(leader.member!.term, term);
  await cluster.stop();
});

test("what clients see of a lost majority are etcd's time-outs", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  await cluster.run(3000);
  const [a, b] = cluster.followers() as [SimNode, SimNode];
  // A follower that reaches nobody: the leader is still known when the write comes.
  cluster.isolate(a);
  const lost = cluster.beginPut(a, "k", "lost");
  await cluster.until(() => lost.ended, 10_000, "an answer");
  assert.equal(
    lost.error!.message,
    "etcdserver: request timed out, possibly due to connection lost",
  );
  assert.equal(a.member!.leaderId, 0n);
  const blocked = cluster.beginPut(a, "k", "blocked");
  const read = cluster.beginGet(a, "k");
  await cluster.until(() => blocked.ended && read.ended, 10_000, "answers");
  assert.deepEqual(blocked.error, { code: 4, message: "context deadline exceeded" });
  assert.deepEqual(read.error, { code: 14, message: "etcdserver: request timed out" });
  const asked = cluster.begin(a, "/etcdserverpb.KV/Range", Uint8Array.of(0x0a, 1, 0x6b), {
    hasleader: "true",
  });
  assert.equal(asked.error?.message, "etcdserver: no leader");
  assert.equal(await cluster.get(a, "k", true), undefined, "local reads still work");
  cluster.heal();
  await cluster.until(() => a.member!.leaderId !== 0n, 10_000, "a leader again");
  // A leader that dies while a write through a follower is on its way.
  leader.crash("drop");
  const orphan = cluster.beginPut(b, "k", "orphan");
  await cluster.until(() => orphan.ended, 10_000, "an answer");
  assert.equal(
    orphan.error!.message,
    "etcdserver: request timed out, possibly due to previous leader failure",
  );
  await cluster.stop();
});

test("a linearizable read sees every write that was acknowledged before it, wherever", async () => {
  const cluster = await ClusterWorld.founded(3);
  await cluster.elected();
  for (let i = 0; i < 30; i++) {
    const writer = cluster.nodes[i % 3]!;
    const reader = cluster.nodes[(i + 1) % 3]!;
    await cluster.put(writer, "k", String(i));
    assert.equal(await cluster.get(reader, "k"), String(i));
  }
  await cluster.stop();
});
