// What is on the disks of a member from one start to the next, when nothing happens in between that would mend it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterWorld } from "../support/cluster-world.ts";

test("a snapshot that is taken before anybody leads again counts at the next start", async () => {
  const member = {
    snapshotCount: 10,
    snapshotCatchupEntries: 5,
    walSegmentBytes: 4096,
    maxWals: 1,
    backendBatchIntervalMs: 5,
  };
  for (const count of [45, 46, 47]) {
    const cluster = await ClusterWorld.founded(3, { member, diskMs: 10 });
    const leader = await cluster.elected();
    const node = cluster.followers()[0]!;
    const lines = (text: string): number =>
      cluster.trace.filter((line) => line.includes(` ${node.name} `) && line.includes(text)).length;
    for (let i = 0; i < count; i++) await cluster.put(leader, `k${i}`, "v".repeat(200));
    // Its backend knows what was committed; the log does not, as the commit index alone is never synced.
    const triggered = lines("triggering snapshot");
    for (let i = 0; lines("triggering snapshot") === triggered; i++) {
      await cluster.put(leader, `k${i % count}`, "v".repeat(200));
    }
    await cluster.run(12);
    assert.ok(lines("saved snapshot") < lines("triggering snapshot"));
    for (const each of cluster.nodes) each.crash("drop");
    for (let starts = 0; starts < 2; starts++) {
      const saved = lines("saved snapshot");
      void node.start();
      await cluster.run(1500);
      assert.ok(node.isRunning, cluster.trace.slice(-5).join("\n"));
      if (starts === 0) assert.ok(lines("saved snapshot") > saved, "without a leader");
      node.crash("drop");
    }
    await cluster.complete(Promise.all(cluster.nodes.map((each) => each.start())), 20_000);
    for (let i = 0; i < count; i++) {
      assert.equal(await cluster.get(cluster.nodes[i % 3]!, `k${i}`), "v".repeat(200));
    }
    await cluster.stop();
  }
});
