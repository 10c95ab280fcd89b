// A state with authentication on must not be served by a version that cannot ask who somebody is: neither after
// a start, nor when it comes as a snapshot while the member runs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8ToBytes } from "@etcd-ts/base";
import { ClusterWorld } from "../support/cluster-world.ts";

const small = {
  snapshotCount: 10,
  snapshotCatchupEntries: 3,
  maxSnapshots: 2,
  maxWals: 1,
  backendBatchIntervalMs: 3,
};

test("a member ends when the snapshot that it receives has authentication on", async () => {
  const cluster = await ClusterWorld.founded(3, { member: small });
  const leader = await cluster.elected();
  const straggler = cluster.followers()[0]!;
  await cluster.settled();
  straggler.crash("drop");
  // As if a member that serves authentication had switched it on and the log had gone past that.
  leader.member!.opened.backend.put("auth", utf8ToBytes("authEnabled"), new Uint8Array([1]));
  for (let i = 0; i < 32; i++) await cluster.put(leader, `k${i}`, "v");
  await cluster.run(100);
  straggler.start().catch(() => {});
  await cluster.until(
    () => straggler.failure !== undefined || straggler.member?.machine.authEnabled === true,
    10_000,
    "the snapshot arrives",
  );
  await cluster.run(50);
  assert.match(String(straggler.failure?.message), /authentication/);
});
