// Disaster recovery: one member that is left becomes a cluster of its own with everything that it knew to be
// committed.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { SimNode } from "@etcd-ts/sim";
import { ClusterWorld } from "../support/cluster-world.ts";

test("the last member goes on alone, with all that was committed, and can grow again", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  for (let i = 0; i < 10; i++) await cluster.put(leader, `k${i}`, `v${i}`);
  await cluster.settled();
  // A write that never gets a majority: it is in the survivor's log, and not committed.
  for (const node of cluster.followers()) node.crash("drop");
  const orphan = cluster.beginPut(leader, "orphan", "x");
  await cluster.run(50);
  assert.ok(!orphan.ended);
  leader.crash("keep");
  leader.memberOptions = { ...leader.memberOptions, forceNewCluster: true };
  await cluster.complete(leader.start(), 20_000);
  const { machine, memberId } = leader.member!;
  assert.deepEqual(
    machine.members.list().map((member) => member.id),
    [memberId],
  );
  for (let i = 0; i < 10; i++) assert.equal(await cluster.get(leader, `k${i}`), `v${i}`);
  assert.equal(await cluster.get(leader, "orphan"), undefined);
  await cluster.put(leader, "alone", "1");
  // Without the flag from now on.
  leader.memberOptions = { ...leader.memberOptions, forceNewCluster: false };
  leader.crash("drop");
  await cluster.complete(leader.start(), 20_000);
  assert.equal(await cluster.get(leader, "alone"), "1");
  assert.equal(leader.member!.machine.members.list().length, 1);
  await cluster.complete(leader.stop(), 5000);
});

test("a follower whose applied state is behind its log does it, too", async () => {
  const cluster = await ClusterWorld.founded(3, { member: { backendBatchIntervalMs: 60_000 } });
  const leader = await cluster.elected();
  for (let i = 0; i < 10; i++) await cluster.put(leader, `k${i}`, `v${i}`);
  await cluster.settled();
  const [survivor] = cluster.followers() as [SimNode];
  // So that the commit index of the last write is in its log as well; it needs no sync of its own.
  await cluster.run(300);
  for (const node of cluster.nodes) node.crash(node === survivor ? "keep" : "drop");
  survivor.memberOptions = { ...survivor.memberOptions, forceNewCluster: true };
  await cluster.complete(survivor.start(), 20_000);
  for (let i = 0; i < 10; i++) assert.equal(await cluster.get(survivor, `k${i}`), `v${i}`);
  assert.equal(survivor.member!.machine.members.list().length, 1);
  await cluster.complete(survivor.stop(), 5000);
});
