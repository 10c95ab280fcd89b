// Three members in one cluster: they elect, replicate, serve, and go on when one of them is away.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterWorld } from "../support/cluster-world.ts";

test("three members elect a leader, and each serves writes and linearizable reads", async () => {
  const cluster = await ClusterWorld.founded(3);
  await cluster.elected();
  let revision = 1;
  for (const node of cluster.nodes) {
    revision += 1;
    assert.equal(await cluster.put(node, `from-${node.name}`, node.name), revision);
    for (const reader of cluster.nodes) {
      assert.equal(await cluster.get(reader, `from-${node.name}`), node.name);
    }
  }
  await cluster.settled();
  const hashes = new Set(cluster.nodes.map((node) => cluster.hash(node.member!)));
  assert.equal(hashes.size, 1, [...hashes].join(" "));
  assert.ok(cluster.nodes.every((node) => node.member!.clusterVersion === "3.7.0"));
  await cluster.stop();
});

test("a leader that loses its power is replaced, and comes back as a follower", async () => {
  const cluster = await ClusterWorld.founded(3);
  const first = await cluster.elected();
  await cluster.put(first, "k", "before");
  first.crash("drop");
  await cluster.until(() => cluster.leader() !== undefined, 3000, "another one leads");
  const second = cluster.leader()!;
  assert.notEqual(second, first);
  await cluster.put(second, "k", "after");
  assert.equal(await cluster.get(second, "k"), "after");
  await cluster.complete(first.start(), 10_000);
  assert.equal(await cluster.get(first, "k"), "after");
  await cluster.settled();
  await cluster.stop();
});

test("all members lose their power at once, and nothing that was acknowledged is lost", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  for (let i = 0; i < 20; i++) await cluster.put(leader, `k${i}`, `v${i}`);
  for (const node of cluster.nodes) node.crash("drop");
  await cluster.complete(Promise.all(cluster.nodes.map((node) => node.start())), 20_000);
  for (let i = 0; i < 20; i++) {
    assert.equal(await cluster.get(cluster.nodes[i % 3]!, `k${i}`), `v${i}`);
  }
  await cluster.stop();
});

test("five and seven members found a cluster", async () => {
  for (const count of [5, 7]) {
    const cluster = await ClusterWorld.founded(count);
    const leader = await cluster.elected();
    await cluster.put(cluster.followers()[0]!, "k", "v");
    assert.equal(await cluster.get(leader, "k"), "v");
    await cluster.stop();
  }
});
