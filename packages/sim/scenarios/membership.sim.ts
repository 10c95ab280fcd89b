// Who belongs to the cluster changes while clients are at work.

import assert from "node:assert/strict";
import { others, scenario } from "./support.ts";

scenario("one member becomes three, five, and three again", { members: 1 }, async (scene) => {
  const { cluster, surgery } = scene;
  for (const asLearner of [true, false, true, false]) {
    await scene.completes(surgery.grow(asLearner), 20_000);
    await cluster.run(1000);
  }
  assert.equal(cluster.members().length, 5);
  await scene.completes(surgery.shrink(cluster.leader()), 20_000);
  await scene.completes(surgery.shrink(cluster.leader()), 20_000);
  await scene.writesSucceed(5000);
});

scenario("two changes right after each other, across a crash of the leader", {}, async (scene) => {
  const { cluster, surgery } = scene;
  const leader = cluster.leader();
  const grown = surgery.grow(false);
  await cluster.run(20);
  cluster.crash(leader, "drop");
  await cluster.run(500);
  cluster.launch(leader);
  await scene.completes(grown, 30_000);
  await scene.completes(surgery.shrink(leader), 30_000);
  await scene.writesSucceed(6000);
});

scenario("a removed member that comes back with its data disturbs nobody", {}, async (scene) => {
  const { cluster, surgery } = scene;
  const victim = cluster.followers()[0]!;
  cluster.crash(victim, "keep");
  victim.downUntilMs = Number.POSITIVE_INFINITY;
  await scene.completes(surgery.shrink(victim), 20_000);
  await cluster.run(2000);
  const term = cluster.leader().member?.term;
  cluster.launch(victim);
  const ended = await cluster.world.runUntil(() => victim.wasRemoved && !victim.isRunning, 15_000);
  assert.ok(ended, "it hears that it was removed, and ends");
  assert.equal(cluster.leader().member?.term, term, "and has caused no election");
});

scenario("a member with a damaged log refuses to start, and is replaced", {}, async (scene) => {
  const { cluster, surgery } = scene;
  const victim = cluster.followers()[0]!;
  await cluster.run(3000);
  cluster.crash(victim, "keep");
  const path = victim.disk.paths().find((it) => it.endsWith(".wal"))!;
  victim.disk.flipBit(path, Math.floor(victim.disk.writtenBytes(path) / 2), 3);
  victim.isDamaged = true;
  cluster.launch(victim);
  await cluster.run(2000);
  assert.ok(victim.wasRefused, "the damage is noticed");
  await scene.completes(surgery.replace(victim, true), 30_000);
  assert.equal(cluster.members().length, 3);
});

scenario("the leader is removed", { members: 5 }, async (scene) => {
  const { cluster, surgery } = scene;
  const leader = cluster.leader();
  await scene.completes(surgery.shrink(leader), 20_000);
  await scene.writesSucceed(5000);
  assert.ok(!cluster.nodes.includes(leader));
  await cluster.run(5000);
  assert.equal(leader.isRunning, false);
});

scenario("a learner catches up while the leader changes", {}, async (scene) => {
  const { cluster, surgery } = scene;
  const grown = surgery.grow(true);
  for (let i = 0; i < 3; i++) {
    await cluster.run(1200);
    const leader = cluster.findLeader();
    if (leader === undefined) continue;
    cluster.exit(leader);
    await cluster.run(300);
    cluster.launch(leader);
  }
  await scene.completes(grown, 40_000);
  assert.equal(others(cluster, cluster.leader()).length, 3);
});
