// The version of the cluster: agreed on when it is founded, and not raised by ours alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ClusterVersionSetRequest,
  DowngradeAction,
  DowngradeRequest,
  encodeDowngradeRequest,
  encodeInternalRaftRequest,
  encodeMemberAddRequest,
  encodeV2Request,
  InternalRaftRequest,
  MemberAddRequest,
  RequestHeader,
  V2Request,
} from "@etcd-ts/api";
import { isOldStoreRequest } from "@etcd-ts/machine";
import { Entry, EntryType, Message, MessageType } from "@etcd-ts/raft";
import { type SimNode, TransportRelay } from "@etcd-ts/sim";
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

/** Notes the index of every entry that writes to the old store and leaves for somebody else. */
class Watching extends TransportRelay {
  readonly sent: string[] = [];

  override send(message: Message): void {
    for (const entry of message.entries) {
      if (entry.type !== EntryType.EntryNormal || !isOldStoreRequest(entry)) continue;
      this.sent.push(`${message.to} ${entry.index}`);
    }
    super.send(message);
  }
}

async function watchedCluster(count = 3): Promise<{
  cluster: ClusterWorld;
  watched: ReadonlyMap<string, Watching>;
}> {
  const watched = new Map<string, Watching>();
  const cluster = await ClusterWorld.founded(count, {
    seams: {
      transport: (links, _host, node) => {
        const watching = new Watching(links);
        watched.set(node.name, watching);
        return watching;
      },
    },
  });
  return { cluster, watched };
}

/** As a member of 3.5 does. */
function publishAsOld(leader: SimNode): void {
  const request = new V2Request();
  request.id = 7n;
  request.method = "PUT";
  request.path = `/0/members/${leader.member!.memberId.toString(16)}/attributes`;
  request.val = JSON.stringify({ name: leader.name, clientURLs: ["http://old:1"] });
  const message = new Message();
  message.type = MessageType.MsgProp;
  message.entries = [new Entry()];
  message.entries[0]!.data = encodeV2Request(request);
  assert.ok(leader.member!.replica.receive(message));
}

for (const isMet of [true, false]) {
  test(`a member that ${isMet ? "does not know" : "knows"} the old store gets ${isMet ? "a snapshot" : "the writes"} to it`, async () => {
    const { watched, cluster } = await watchedCluster();
    const leader = await cluster.elected();
    const late = cluster.followers()[0]!;
    const lateId = `${late.member!.memberId}`;
    await cluster.settled();
    late.crash("drop");
    await cluster.run(3_000);
    const { sent, seams } = watched.get(leader.name)!;
    publishAsOld(leader);
    await cluster.put(leader, "a", "1");
    await cluster.settled();
    publishAsOld(leader);
    await cluster.put(leader, "b", "2");
    await cluster.settled();
    const oldBytes = leader.member!.replica.logBytes;
    assert.ok(sent.length >= 2, "the other follower got them");
    sent.length = 0;
    // What the links tell as soon as a stock member of 3.7 dials.
    if (isMet) seams!.strictMemberMet();
    await cluster.put(leader, "c", "3");
    await cluster.complete(late.start(), 10_000);
    await cluster.settled();
    assert.equal(await cluster.get(late, "c", true), "3");
    assert.deepEqual(late.member!.machine.members.get(leader.member!.memberId)?.clientUrls, [
      "http://old:1",
    ]);
    if (isMet) {
      assert.deepEqual(sent, []);
      assert.ok(leader.member!.replica.logBytes < oldBytes, "the bytes in memory were counted");
      assert.ok(cluster.trace.some((line) => line.includes("sent database snapshot")));
    } else {
      assert.ok(sent.some((line) => line.startsWith(`${lateId} `)));
    }
    // A second time there is nothing to forget.
    const compactions = () =>
      cluster.trace.filter((line) => line.includes("compacted Raft logs")).length;
    const before = compactions();
    seams!.strictMemberMet();
    assert.equal(compactions() - before, isMet ? 0 : 1);
    await cluster.put(leader, "d", "4");
    await cluster.settled();
    await cluster.stop();
  });
}

test("so does one that is alone, for those that join it", async () => {
  const { cluster, watched } = await watchedCluster(1);
  const [alone] = cluster.nodes as [SimNode];
  await cluster.until(() => alone.member!.clusterVersion === "3.7.0", 10_000, "decided");
  propose(alone, "3.4.0");
  await cluster.until(() => alone.member!.clusterVersion === "3.4.0", 5_000, "lowered");
  await cluster.run(1_000);
  await cluster.complete(alone.stop(), 10_000);
  await cluster.complete(alone.start(), 10_000);
  const add = new MemberAddRequest();
  add.peerUrls = ["http://m2:2380"];
  await cluster.call(alone, "/etcdserverpb.Cluster/MemberAdd", encodeMemberAddRequest(add));
  const joiner = cluster.add("m2", ["m1", "m2"], { initialClusterState: "existing" });
  await cluster.complete(joiner.start(), 20_000);
  // What it wrote about itself, and what the new one did.
  assert.equal(new Set(watched.get("m1")!.sent).size, 2);
  await cluster.stop();
});

test("no downgrade is enabled where a member could not read of it", async () => {
  const cluster = await ClusterWorld.founded(1);
  const [alone] = cluster.nodes as [SimNode];
  await cluster.until(() => alone.member!.clusterVersion === "3.7.0", 10_000, "decided");
  propose(alone, "3.4.0");
  await cluster.until(() => alone.member!.clusterVersion === "3.4.0", 5_000, "lowered");
  const request = new DowngradeRequest();
  request.action = DowngradeAction.ENABLE;
  request.version = "3.3.0";
  await assert.rejects(
    cluster.call(alone, "/etcdserverpb.Maintenance/Downgrade", encodeDowngradeRequest(request)),
    /invalid downgrade target version/,
  );
  await cluster.stop();
});

for (const [version, isOld] of [
  ["3.4.0", true],
  ["3.5.0", false],
] as const) {
  test(`at ${version} ours publish themselves so that members of that release can join again`, async () => {
    const { cluster, watched } = await watchedCluster();
    const leader = await cluster.elected();
    await cluster.until(() => leader.member!.clusterVersion === "3.7.0", 10_000, "decided");
    propose(leader, version);
    const [follower] = cluster.followers() as [SimNode];
    await cluster.until(() => follower.member!.clusterVersion === version, 5_000, "lowered");
    await cluster.run(1_000);
    await cluster.complete(follower.stop(), 10_000);
    await cluster.complete(follower.start(), 10_000);
    const { sent } = watched.get(follower.name)!;
    assert.equal(sent.length > 0, isOld, sent.join(", "));
    assert.equal(follower.member!.clusterVersion, version);
    await cluster.stop();
  });
}
