// Leaders that crash, are cut off, freeze, or whose disks hang.

import assert from "node:assert/strict";
import { Caller } from "../src/index.ts";
import { LeaseHolder, others, scenario } from "./support.ts";

scenario(
  "acknowledged writes survive leaders that lose power, again and again",
  {},
  async (scene) => {
    const { cluster } = scene;
    for (let round = 0; round < 5; round++) {
      const leader = cluster.leader();
      cluster.crash(leader, "drop");
      await scene.writesSucceed(6000);
      cluster.launch(leader);
      await cluster.run(2000);
    }
    assert.ok(cluster.raft.leaderCount >= 6);
  },
);

scenario("a killed leader is replaced within three seconds", { members: 5 }, async (scene) => {
  const { cluster } = scene;
  for (let round = 0; round < 4; round++) {
    const leader = cluster.leader();
    cluster.exit(leader);
    await scene.writesSucceed(3000);
    cluster.launch(leader);
    await cluster.run(2000);
  }
});

scenario("acknowledged writes survive a power loss of all members", {}, async (scene) => {
  const { cluster } = scene;
  for (const mode of ["drop", "random", "keep", "random", "drop"] as const) {
    for (const node of cluster.nodes) cluster.crash(node, mode);
    await cluster.run(500);
    cluster.heal();
    await scene.writesSucceed(8000);
    await cluster.run(1000);
  }
});

scenario("an isolated leader steps down, and the others go on", {}, async (scene) => {
  const { cluster } = scene;
  const old = cluster.leader();
  cluster.isolate(old);
  await cluster.run(500);
  await scene.writesSucceed(6000);
  assert.ok(cluster.leader() !== old);
  await cluster.run(3000);
  assert.equal(old.member?.isLeader, false, "it knows that it does not lead any more");
  cluster.heal();
  await cluster.run(2000);
  assert.equal(old.member?.term, cluster.leader().member?.term);
});

scenario(
  "a minority of two with the leader serves nothing linearizable",
  { members: 5 },
  async (scene) => {
    const { cluster } = scene;
    const old = cluster.leader();
    const friend = others(cluster, old)[0]!;
    cluster.partition(
      [old, friend],
      cluster.nodes.filter((it) => it !== old && it !== friend),
    );
    await cluster.run(15_000);
    assert.equal(old.member?.isLeader, false);
    assert.equal(friend.member?.leaderId, 0n);
  },
);

for (const direction of ["hears nobody", "is heard by nobody"] as const) {
  scenario(`a leader that ${direction} does not stop the cluster`, {}, async (scene) => {
    const { cluster } = scene;
    const leader = cluster.leader();
    for (const node of others(cluster, leader)) {
      if (direction === "hears nobody") cluster.weather.cut(node.name, leader.name);
      else cluster.weather.cut(leader.name, node.name);
    }
    await cluster.run(1000);
    await scene.writesSucceed(10_000);
    assert.ok(cluster.leader() !== leader);
  });
}

scenario(
  "a member that only hears one other does not stop the cluster",
  { members: 5 },
  async (scene) => {
    const { cluster } = scene;
    const lonely = cluster.followers()[0]!;
    const friend = cluster.followers()[1]!;
    for (const node of others(cluster, lonely)) {
      if (node === friend) continue;
      cluster.weather.cut(lonely.name, node.name);
      cluster.weather.cut(node.name, lonely.name);
    }
    await cluster.run(5000);
    const term = cluster.leader().member?.term;
    await cluster.run(10_000);
    assert.equal(cluster.leader().member?.term, term, "no election after election");
  },
);

scenario("a leader whose disk hangs is replaced", {}, async (scene) => {
  const { cluster } = scene;
  const leader = cluster.leader();
  leader.weather.hung = true;
  const isReplaced = (): boolean => (cluster.findLeader() ?? leader) !== leader;
  assert.ok(await cluster.world.runUntil(isReplaced, 15_000), "another member leads");
  await scene.writesSucceed(3000);
  leader.weather.hung = false;
  await cluster.run(3000);
});

scenario("a follower whose disk hangs holds nobody up", {}, async (scene) => {
  const { cluster } = scene;
  const follower = cluster.followers()[0]!;
  const leader = cluster.leader();
  follower.weather.hung = true;
  await cluster.run(8000);
  assert.ok(cluster.leader() === leader);
  await scene.writesSucceed(1000);
});

scenario("a frozen leader finds out that it was replaced before it answers", {}, async (scene) => {
  const { cluster } = scene;
  for (let round = 0; round < 3; round++) {
    const leader = cluster.leader();
    leader.freeze(6000);
    await cluster.run(6500);
    assert.ok(cluster.leader() !== leader);
    await cluster.run(2000);
  }
});

// Seeds 1049, 1154 and 1206 found it: going on, the old leader found the lease at its end, heard within the same turn
// that another one leads, and passed its revocation on to that one, which had given the lease new time.
scenario("a frozen leader does not end a lease that its successor renewed", {}, async (scene) => {
  const { cluster } = scene;
  const caller = new Caller(cluster);
  for (let round = 0; round < 3; round++) {
    const lease = new LeaseHolder(caller, BigInt(100 + round));
    const leader = cluster.leader();
    const asked = others(cluster, leader)[0]!;
    await scene.completes(lease.grant(asked, 2), 3000);
    leader.freeze(3600);
    for (let i = 0; i < 7; i++) {
      await cluster.run(500);
      if (cluster.leader() !== leader) await scene.completes(lease.renew(asked), 5000);
    }
    assert.ok(cluster.leader() !== leader);
    await cluster.run(2500);
    assert.equal(lease.isPromised, true, "it was renewed while the old leader stood still");
  }
  caller.stop();
});

// A tick is no proof: a leader that was frozen ticks at once when it goes on, and may not hear of the others for long.
scenario(
  "a frozen leader that comes back cut off promises no lease anything",
  {},
  async (scene) => {
    const { cluster } = scene;
    const caller = new Caller(cluster);
    const lease = new LeaseHolder(caller, 200n);
    const leader = cluster.leader();
    await scene.completes(lease.grant(leader, 8), 3000);
    cluster.isolate(leader);
    leader.freeze(6000);
    await cluster.run(5800);
    assert.ok(cluster.leader() !== leader);
    const renewal = lease.renew(leader);
    await cluster.run(6000);
    await scene.completes(renewal, 1000);
    assert.equal(lease.isPromised, false);
    await cluster.run(4000);
    caller.stop();
  },
);

// Seed 203925 found that healing left frozen members frozen: one of the last two was to stay so for another 19 seconds.
scenario("a cluster that is healed while it is frozen serves at once", {}, async (scene) => {
  const { cluster } = scene;
  for (let round = 0; round < 3; round++) {
    for (const node of others(cluster, cluster.leader())) node.freeze(600_000);
    await cluster.run(2000);
    cluster.heal();
    await scene.writesSucceed(3000);
  }
});

scenario("jumps of the wall clock change nothing", {}, async (scene) => {
  const { cluster } = scene;
  const leader = cluster.leader();
  const hour = 3_600_000;
  for (const jumps of [
    [hour, -hour, 0],
    [-1000 * hour, 5, hour],
    [0, 0, 0],
  ]) {
    for (const [i, node] of cluster.nodes.entries()) node.setWallOffset(jumps[i]!);
    await cluster.run(4000);
  }
  assert.ok(cluster.leader() === leader);
  assert.ok(cluster.leases.expiredCount > 0);
});

scenario(
  "clocks of different speed do not end leases early",
  { clockDrift: 0.05 },
  async (scene) => {
    const { cluster } = scene;
    for (let round = 0; round < 5; round++) {
      await cluster.run(4000);
      const leader = cluster.leader();
      cluster.exit(leader);
      await cluster.run(2000);
      cluster.launch(leader);
    }
    assert.ok(cluster.leases.expiredCount > 0);
  },
);
