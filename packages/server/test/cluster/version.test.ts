// The version of the cluster: agreed on when it is founded, and not raised by ours alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ClusterVersionSetRequest,
  encodeInternalRaftRequest,
  InternalRaftRequest,
  RequestHeader,
} from "@etcd-ts/api";
import { Entry, Message, MessageType } from "@etcd-ts/raft";
import type { SimNode } from "@etcd-ts/sim";
import { ClusterWorld } from "../support/cluster-world.ts";

/** What a stock leader would have left behind. */
function propose(leader: SimNode, version: string): void {
  const request = new InternalRaftRequest();
  request.header = new RequestHeader();
  request.header.id = 5n;
  request.clusterVersionSet = new ClusterVersionSetRequest();
  request.clusterVersionSet.ver = version;
  const message = new Message();
  message.type = MessageType.MsgProp;
  message.entries = [new Entry()];
  message.entries[0]!.data = encodeInternalRaftRequest(request);
  assert.ok(leader.member!.replica.receive(message));
}

for (const [given, expected, why] of [
  ["3.5.0", "3.5.0", "that of stock members is kept when all are ours, so that they can come back"],
  ["3.0.0", "3.7.0", "that of a leader that could not ask everybody is raised"],
] as const) {
  test(`a cluster version of ${given}: ${why}`, async () => {
    const cluster = await ClusterWorld.founded(3);
    const leader = await cluster.elected();
    await cluster.until(() => leader.member!.clusterVersion === "3.7.0", 10_000, "decided");
    propose(leader, given);
    await cluster.until(() => leader.member!.clusterVersion === given, 5_000, "lowered");
    await cluster.run(10_000);
    for (const node of cluster.nodes) assert.equal(node.member!.clusterVersion, expected);
    await cluster.stop();
  });
}

test("a cluster version of 3.5.0 is raised when all are ours and the leader is told to", async () => {
  const cluster = new ClusterWorld();
  const names = ["m1", "m2", "m3"];
  for (const name of names) cluster.add(name, names, { raiseClusterVersion: true });
  await cluster.complete(Promise.all(cluster.nodes.map((node) => node.start())), 10_000);
  const leader = await cluster.elected();
  await cluster.until(() => leader.member!.clusterVersion === "3.7.0", 10_000, "decided");
  propose(leader, "3.5.0");
  await cluster.until(() => leader.member!.clusterVersion === "3.5.0", 5_000, "lowered");
  await cluster.until(() => leader.member!.clusterVersion === "3.7.0", 10_000, "raised");
  await cluster.stop();
});

for (const missing of ["m1", "m2", "m3"]) {
  test(`${missing} is missing at the founding: it is waited for, then written for like an old one`, async () => {
    const cluster = new ClusterWorld();
    const names = ["m1", "m2", "m3"];
    for (const name of names) cluster.add(name, names);
    const late = cluster.nodes.find((node) => node.name === missing)!;
    const [first, second] = cluster.nodes.filter((node) => node !== late) as [SimNode, SimNode];
    const started = Promise.all([first.start(), second.start()]);
    await cluster.run(4_000);
    for (const { member } of [first, second]) {
      assert.equal(member?.clusterVersion ?? "", "", "nothing is written for an unknown release");
      const published =
        member?.machine.members.list().filter((it) => it.clientUrls.length > 0) ?? [];
      assert.deepEqual(published, [], "not by the member with the lowest id, either");
    }
    await cluster.complete(started, 10_000);
    assert.equal(first.member!.clusterVersion, "3.0.0");
    await cluster.complete(late.start(), 10_000);
    await cluster.until(() => late.member!.clusterVersion === "3.7.0", 10_000, "raised");
    assert.equal(late.member!.machine.members.get(first.member!.memberId)?.name, first.name);
    await cluster.stop();
  });
}
