// Members that were away for longer than the log reaches back, and get the state as a whole.

import assert from "node:assert/strict";
import { scenario } from "./support.ts";

/** Logs so short that whoever misses a few entries needs a snapshot. */
const shortLogs = { snapshotCount: 10, snapshotCatchupEntries: 2 };

scenario(
  "a member that was away gets a snapshot, under load",
  { member: shortLogs },
  async (scene) => {
    const { cluster } = scene;
    for (let round = 0; round < 2; round++) {
      const follower = cluster.followers()[round]!;
      cluster.crash(follower, "random");
      // The leader keeps what a snapshot under way needs for half a minute.
      await cluster.run(round === 0 ? 5000 : 35_000);
      cluster.launch(follower);
      await cluster.run(3000);
    }
    assert.ok(cluster.snapshotCount >= 2, `${cluster.snapshotCount} snapshots`);
  },
);

scenario(
  "a snapshot arrives over a thin wire while the leader goes on",
  { member: shortLogs },
  async (scene) => {
    const { cluster } = scene;
    const follower = cluster.followers()[0]!;
    const leader = cluster.leader();
    cluster.crash(follower, "random");
    await cluster.run(6000);
    cluster.weather.bandwidthBytesPerMs = 100;
    cluster.launch(follower);
    await cluster.run(8000);
    await scene.writesSucceed(2000);
    assert.ok(cluster.leader() === leader);
    assert.ok(cluster.snapshotCount >= 1);
  },
);

scenario(
  "the sender of a snapshot dies in the middle of it",
  { member: shortLogs },
  async (scene) => {
    const { cluster } = scene;
    const follower = cluster.followers()[0]!;
    cluster.crash(follower, "random");
    await cluster.run(6000);
    cluster.weather.bandwidthBytesPerMs = 20;
    cluster.launch(follower);
    await cluster.run(600);
    const leader = cluster.leader();
    cluster.exit(leader);
    cluster.weather.bandwidthBytesPerMs = 0;
    await cluster.run(3000);
    cluster.launch(leader);
  },
);

// The receiver loses power before one disk operation after the other of taking the snapshot over. (Every single
// one is gone through in the tests of the server; here it happens under load, with all checks.)
const strideFrom = 1;
const stride = 15;
const pointCount = 7;

for (let i = 0; i < pointCount; i++) {
  const point = strideFrom + i * stride;
  scenario(
    `a power loss before disk operation ${point} of a member that catches up by a snapshot`,
    { member: shortLogs, seed: point },
    async ({ cluster }) => {
      const follower = cluster.followers()[0]!;
      cluster.crash(follower, "random");
      await cluster.run(7000);
      let left = point;
      follower.weather.onChange = () => {
        left--;
        if (left === 0) cluster.crash(follower, "random");
      };
      cluster.launch(follower);
      await cluster.run(4000);
      follower.weather.onChange = () => {};
      if (!follower.isRunning) cluster.launch(follower);
      await cluster.run(2000);
      assert.ok(cluster.snapshotCount >= 1, "it took a snapshot over");
    },
  );
}
