// Disks that fail, fill up, or are slow.

import assert from "node:assert/strict";
import { scenario } from "./support.ts";

for (const failing of ["sync", "write"] as const) {
  scenario(
    `a member whose ${failing}s fail ends, and comes back on a good disk`,
    {},
    async (scene) => {
      const { cluster } = scene;
      for (const node of [cluster.leader(), cluster.followers()[0]!]) {
        node.weather.failing = failing;
        const ended = await cluster.world.runUntil(() => !node.isRunning, 5000);
        assert.ok(ended, "it acknowledges nothing any more, and ends");
        await scene.writesSucceed(6000);
        node.weather.failing = "none";
        cluster.launch(node);
        await cluster.run(3000);
        assert.ok(node.isServing);
      }
    },
  );
}

scenario("a full disk ends its member, and space brings it back", {}, async (scene) => {
  const { cluster } = scene;
  const node = cluster.leader();
  node.disk.capacityBytes = node.disk.usedBytes() + 100;
  const ended = await cluster.world.runUntil(() => !node.isRunning, 60_000);
  assert.ok(ended);
  await scene.writesSucceed(6000);
  node.disk.capacityBytes = Number.POSITIVE_INFINITY;
  cluster.launch(node);
  await cluster.run(3000);
  assert.ok(node.isServing);
});

scenario(
  "syncs of 200 ms on all disks slow the cluster down, and that is all",
  {},
  async (scene) => {
    const { cluster } = scene;
    const leader = cluster.leader();
    for (const node of cluster.nodes) node.weather.syncMs = 200;
    await cluster.run(10_000);
    await scene.writesSucceed(2000);
    assert.ok(cluster.leader() === leader);
  },
);

scenario("crashes of all members at random disk operations", { members: 5 }, async (scene) => {
  const { cluster } = scene;
  for (let round = 1; round <= 8; round++) {
    for (const [i, node] of cluster.nodes.entries()) {
      let left = round * 3 + i * 2;
      node.weather.onChange = () => {
        left--;
        if (left === 0) cluster.crash(node, "random");
      };
    }
    await cluster.run(2000);
    for (const node of cluster.nodes) node.weather.onChange = () => {};
    cluster.restart();
    await cluster.run(3000);
  }
});
