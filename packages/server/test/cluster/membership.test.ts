// Members that come and go: joining, learners, promotion, removal of others and of oneself, and what is
// refused on the way.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeMemberAddResponse,
  encodeMemberAddRequest,
  encodeMemberPromoteRequest,
  encodeMemberRemoveRequest,
  encodeMemberUpdateRequest,
  MemberAddRequest,
  MemberPromoteRequest,
  MemberRemoveRequest,
  MemberUpdateRequest,
} from "@etcd-ts/api";
import { bytesToUtf8 } from "@etcd-ts/base";
import { ConfChangeType, decodeConfChange, EntryType, type Message } from "@etcd-ts/raft";
import { type SimNode, TransportRelay } from "@etcd-ts/sim";
import { StartError } from "../../src/index.ts";
import { ClusterWorld, peerUrl } from "../support/cluster-world.ts";

const at = "/etcdserverpb.Cluster/";

async function addMember(
  cluster: ClusterWorld,
  through: SimNode,
  name: string,
  isLearner = false,
): Promise<bigint> {
  const request = new MemberAddRequest();
  request.peerUrls = [peerUrl(name)];
  request.isLearner = isLearner;
  const bytes = await cluster.call(through, `${at}MemberAdd`, encodeMemberAddRequest(request));
  return decodeMemberAddResponse(bytes).member!.id;
}

async function removeMember(cluster: ClusterWorld, through: SimNode, id: bigint): Promise<void> {
  const request = new MemberRemoveRequest();
  request.id = id;
  await cluster.call(through, `${at}MemberRemove`, encodeMemberRemoveRequest(request));
}

function promotion(id: bigint): Uint8Array {
  const request = new MemberPromoteRequest();
  request.id = id;
  return encodeMemberPromoteRequest(request);
}

/** Until members count as healthy for each other. */
const healthyMs = 6000;

test("a member joins, is served by the log, and votes", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  for (let i = 0; i < 30; i++) await cluster.put(leader, `k${i}`, `v${i}`);
  await cluster.run(healthyMs);
  const id = await addMember(cluster, cluster.followers()[0]!, "m4");
  const joined = cluster.add("m4", ["m1", "m2", "m3", "m4"], { initialClusterState: "existing" });
  await cluster.complete(joined.start(), 20_000);
  assert.equal(joined.member!.memberId, id);
  assert.equal(joined.member!.clusterId, leader.member!.clusterId);
  assert.equal(await cluster.get(joined, "k29"), "v29");
  await cluster.put(joined, "by", "m4");
  await cluster.settled();
  const names = leader.member!.machine.members.list().map((member) => member.name);
  assert.deepEqual(names.sort(), ["m1", "m2", "m3", "m4"]);
  const hashes = new Set(cluster.nodes.map((node) => cluster.hash(node.member!)));
  assert.equal(hashes.size, 1);
  // Two of the four lose their power; with the new one there is a majority again when one comes back.
  leader.crash("drop");
  await cluster.until(() => cluster.leader() !== undefined, 5000, "three of four elect");
  await cluster.put(joined, "after", "crash");
  await cluster.complete(leader.start(), 20_000);
  // And it restarts as what it is, whatever the flags say.
  joined.crash("drop");
  await cluster.complete(joined.start(), 20_000);
  assert.equal(await cluster.get(joined, "after"), "crash");
  await cluster.stop();
});

test("a learner follows, serves what a learner serves, and is promoted through a follower", async () => {
  const cluster = await ClusterWorld.founded(3);
  await cluster.elected();
  await cluster.run(healthyMs);
  const follower = cluster.followers()[0]!;
  const id = await addMember(cluster, follower, "m4", true);
  const early = cluster.begin(follower, `${at}MemberPromote`, promotion(id));
  await assert.rejects(cluster.answer(early), /in sync with leader/);
  const learner = cluster.add("m4", ["m1", "m2", "m3", "m4"], { initialClusterState: "existing" });
  await cluster.complete(learner.start(), 20_000);
  assert.ok(learner.member!.isLearner);
  await cluster.put(follower, "k", "v");
  await cluster.settled();
  assert.equal(await cluster.get(learner, "k", true), "v");
  await assert.rejects(cluster.get(learner, "k"), /rpc not supported for learner/);
  await cluster.call(follower, `${at}MemberPromote`, promotion(id));
  await cluster.settled();
  assert.ok(!learner.member!.isLearner);
  assert.equal(await cluster.get(learner, "k"), "v");
  const again = cluster.begin(follower, `${at}MemberPromote`, promotion(id));
  await assert.rejects(cluster.answer(again), /can only promote a learner member/);
  const unknown = cluster.begin(follower, `${at}MemberPromote`, promotion(77n));
  await assert.rejects(cluster.answer(unknown), /member not found/);
  await cluster.stop();
});

test("a removed follower ends, and one that starts again learns that it was removed", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  await cluster.run(healthyMs);
  const [gone, other] = cluster.followers() as [SimNode, SimNode];
  await removeMember(cluster, leader, gone.member!.memberId);
  await cluster.until(() => gone.wasRemoved, 5000, "the removed member is told");
  gone.crash("drop");
  await cluster.put(other, "k", "v");
  const starting = gone.start().catch(() => {});
  await cluster.until(() => gone.wasRemoved, 20_000, "it is told again after a restart");
  gone.crash("drop");
  void starting;
  assert.equal(await cluster.get(leader, "k"), "v");
  await cluster.stop();
});

test("a leader that is removed hands over and ends; writes go on", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  await cluster.run(healthyMs);
  const [other] = cluster.followers() as [SimNode];
  const startMs = cluster.world.nowMs;
  await removeMember(cluster, leader, leader.member!.memberId);
  await cluster.put(other, "k", "v");
  assert.ok(cluster.world.nowMs - startMs < 1000, `${cluster.world.nowMs - startMs} ms`);
  await cluster.until(() => leader.wasRemoved, 5000, "the removed leader is told");
  leader.crash("drop");
  assert.equal(await cluster.get(other, "k"), "v");
  await cluster.stop();
});

test("to remove or update nobody is refused wherever it is asked", async () => {
  const cluster = await ClusterWorld.founded(3, { member: { strictReconfigCheck: false } });
  const leader = await cluster.elected();
  const update = new MemberUpdateRequest();
  update.peerUrls = ["http://nobody:2380"];
  const remove = new MemberRemoveRequest();
  for (const node of [leader, cluster.followers()[0]!]) {
    for (const [path, request] of [
      ["MemberUpdate", encodeMemberUpdateRequest(update)],
      ["MemberRemove", encodeMemberRemoveRequest(remove)],
    ] as const) {
      await assert.rejects(cluster.call(node, at + path, request), /member not found/, path);
    }
  }
  await cluster.stop();
});

test("strict reconfiguration looks at who is connected", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  // Nobody has been connected for five seconds yet.
  await assert.rejects(addMember(cluster, leader, "m4"), /unhealthy cluster/);
  await cluster.run(healthyMs);
  const [down, other] = cluster.followers() as [SimNode, SimNode];
  down.crash("drop");
  await cluster.run(healthyMs);
  await assert.rejects(addMember(cluster, leader, "m4"), /unhealthy cluster/);
  const healthy = other.member!.memberId;
  await assert.rejects(removeMember(cluster, leader, healthy), /unhealthy cluster/);
  const id =
    down.member?.memberId ??
    leader.member!.machine.members.list().find((m) => m.name === down.name)!.id;
  await removeMember(cluster, leader, id);
  assert.equal(leader.member!.machine.members.list().length, 2);
  await cluster.put(other, "k", "v");
  await cluster.stop();
});

test("peer URLs are updated, and the links follow", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  await cluster.run(healthyMs);
  const [moved] = cluster.followers() as [SimNode];
  const request = new MemberUpdateRequest();
  request.id = moved.member!.memberId;
  request.peerUrls = ["http://moved:2380"];
  await cluster.call(leader, `${at}MemberUpdate`, encodeMemberUpdateRequest(request));
  await cluster.settled();
  const urls = leader.member!.machine.members.get(request.id)!.peerUrls;
  assert.deepEqual(urls, ["http://moved:2380"]);
  await cluster.put(moved, "k", "v");
  await cluster.stop();
});

test("a member tells nobody who the members are before it knows that it is one", async () => {
  const relays = new Map<string, TransportRelay>();
  const cluster = await ClusterWorld.founded(3, {
    seams: {
      transport: (links, _host, node) => {
        const relay = new TransportRelay(links);
        relays.set(node.name, relay);
        return relay;
      },
    },
  });
  const leader = await cluster.elected();
  await cluster.run(healthyMs);
  await addMember(cluster, leader, "m4");
  const joined = cluster.add("m4", ["m1", "m2", "m3", "m4"], { initialClusterState: "existing" });
  cluster.cut(joined, leader);
  const started = joined.start();
  await cluster.run(3_000);
  const answers = () => relays.get("m4")!.seams!.answers;
  assert.equal(answers().members(), undefined);
  cluster.heal();
  await cluster.complete(started, 20_000);
  assert.equal(answers().members()?.length, 4);
  await cluster.stop();
});

test("an update of a learner's URLs says that it is one, as stock members take that from it", async () => {
  const contexts: string[] = [];
  class Reading extends TransportRelay {
    override send(message: Message): void {
      for (const entry of message.entries) {
        if (entry.type !== EntryType.EntryConfChange) continue;
        const { type, context } = decodeConfChange(entry.data);
        if (type === ConfChangeType.UpdateNode) contexts.push(bytesToUtf8(context));
      }
      super.send(message);
    }
  }
  const cluster = await ClusterWorld.founded(3, {
    seams: { transport: (links) => new Reading(links) },
  });
  const leader = await cluster.elected();
  await cluster.run(healthyMs);
  const id = await addMember(cluster, leader, "m4", true);
  const request = new MemberUpdateRequest();
  request.id = id;
  request.peerUrls = ["http://m5:2380"];
  await cluster.call(leader, `${at}MemberUpdate`, encodeMemberUpdateRequest(request));
  await cluster.settled();
  assert.deepEqual(
    [...new Set(contexts)],
    [`{"id":${id},"peerURLs":["http://m5:2380"],"isLearner":true}`],
  );
  const { members } = leader.member!.machine;
  assert.deepEqual(members.get(id)!.peerUrls, ["http://m5:2380"]);
  assert.ok(members.get(id)!.isLearner);
  await cluster.stop();
});

test("joining is refused with etcd's texts", async () => {
  const cluster = await ClusterWorld.founded(3);
  await cluster.elected();
  const refused = async (node: SimNode, pattern: RegExp): Promise<void> => {
    await assert.rejects(cluster.complete(node.start(), 30_000), (error: unknown) => {
      const cause = (error as Error).cause ?? error;
      assert.ok(cause instanceof StartError, String(error));
      assert.match(cause.message, pattern);
      return true;
    });
    node.exit();
  };
  const names = ["m1", "m2", "m3"];
  const existing = { initialClusterState: "existing" } as const;
  await refused(cluster.add("x1", [...names, "x1"], existing), /member count is unequal/);
  await refused(
    cluster.add("x2", ["m1", "m2", "x2"], existing),
    /no match found for existing member/,
  );
  await refused(
    cluster.add("x3", ["nowhere", "x3"], existing),
    /cannot fetch cluster info from peer urls/,
  );
  await refused(cluster.add("x4", names, existing), /couldn't find local name "x4"/);
  // One that lost its data must not found its cluster again.
  const [first] = cluster.nodes as [SimNode];
  first.crash("drop");
  const impostor = cluster.add("m1", names, { dataDir: "/other" });
  await refused(impostor, /member [0-9a-f]+ has already been bootstrapped/);
  cluster.nodes.splice(cluster.nodes.indexOf(impostor), 1);
  // Nor take part again under its old id: it has forgotten for whom it voted.
  const forgetful = cluster.add("m1", names, { dataDir: "/third", ...existing });
  await refused(
    forgetful,
    /member [0-9a-f]+ has already been bootstrapped.*remove it.*add it again/,
  );
  cluster.nodes.splice(cluster.nodes.indexOf(forgetful), 1);
  await cluster.stop();
});
