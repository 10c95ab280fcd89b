// A member that was away for longer than the log reaches back gets the state as a snapshot.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeLeaseGrantResponse,
  encodeLeaseGrantRequest,
  encodeMemberAddRequest,
  LeaseGrantRequest,
  MemberAddRequest,
} from "@etcd-ts/api";
import { type CrashMode, changingOperations, type SimNode } from "@etcd-ts/sim";
import { ClusterWorld } from "../support/cluster-world.ts";

/** Small enough that a member falls behind within a few writes. */
const small = {
  snapshotCount: 10,
  snapshotCatchupEntries: 3,
  maxSnapshots: 2,
  maxWals: 1,
  backendBatchIntervalMs: 3,
};

/** The log is kept for so long after a snapshot was sent. */
const graceMs = 31_000;

async function write(
  cluster: ClusterWorld,
  node: SimNode,
  from: number,
  to: number,
): Promise<void> {
  for (let i = from; i < to; i++) await cluster.put(node, `k${i % 17}`, `v${i}`.padEnd(50, "."));
}

async function grant(cluster: ClusterWorld, node: SimNode, id: bigint): Promise<void> {
  const request = new LeaseGrantRequest();
  request.ttl = 3600n;
  request.id = id;
  const bytes = await cluster.call(
    node,
    "/etcdserverpb.Lease/LeaseGrant",
    encodeLeaseGrantRequest(request),
  );
  assert.equal(decodeLeaseGrantResponse(bytes).id, id);
}

function hasLine(cluster: ClusterWorld, node: SimNode, text: string): boolean {
  return cluster.trace.some((line) => line.includes(` ${node.name} `) && line.includes(text));
}

/** A cluster in which one follower is down and the log has gone past it. */
async function withStraggler(): Promise<{
  cluster: ClusterWorld;
  leader: SimNode;
  straggler: SimNode;
}> {
  const cluster = await ClusterWorld.founded(3, { member: small });
  const leader = await cluster.elected();
  await write(cluster, leader, 0, 8);
  const straggler = cluster.followers()[0]!;
  await cluster.settled();
  straggler.crash("drop");
  await grant(cluster, leader, 77n);
  await cluster.put(leader, "leased", "x", 77n);
  await write(cluster, leader, 8, 32);
  await cluster.compact(leader, 16);
  await cluster.run(100);
  return { cluster, leader, straggler };
}

async function checkEqual(cluster: ClusterWorld, straggler: SimNode): Promise<void> {
  await cluster.settled();
  const hashes = new Set(cluster.running.map(({ member }) => cluster.hash(member!)));
  assert.equal(hashes.size, 1, [...hashes].join(" "));
  const { machine } = straggler.member!;
  assert.deepEqual([...(machine.leases.get(77n)?.keys() ?? [])], ["leased"]);
  assert.equal(machine.members.list().length, 3);
  assert.equal(machine.members.clusterVersion, "3.7.0");
}

test("a follower that was away comes back by a snapshot, and goes on by the log", async () => {
  const { cluster, leader, straggler } = await withStraggler();
  await cluster.complete(straggler.start(), 20_000);
  await cluster.until(() => hasLine(cluster, straggler, "applied snapshot"), 5000, "a snapshot");
  await checkEqual(cluster, straggler);
  assert.equal(await cluster.get(straggler, "k16"), await cluster.get(leader, "k16"));
  await write(cluster, straggler, 32, 40);
  await checkEqual(cluster, straggler);
  const left = straggler.disk.paths().filter((path) => path.includes(".snap.db"));
  assert.deepEqual(left, [], "the received database is gone");
  // It has a majority with the leader, so what it holds is durable.
  straggler.crash("drop");
  await cluster.complete(straggler.start(), 20_000);
  await checkEqual(cluster, straggler);
  await cluster.stop();
});

test("a member that takes no writes to the old store may be met at any moment of a snapshot", async () => {
  const { cluster, straggler } = await withStraggler();
  const started = straggler.start();
  let metCount = 0;
  await cluster.until(
    () => {
      if (straggler.member === undefined) return false;
      straggler.member.keeping.forgetOldStore();
      if (straggler.member.replica.isInstalling) metCount++;
      else return hasLine(cluster, straggler, "applied snapshot");
      return false;
    },
    5000,
    "a snapshot",
  );
  assert.ok(metCount > 20, `${metCount}`);
  await cluster.complete(started, 20_000);
  await checkEqual(cluster, straggler);
  await cluster.stop();
});

test("the log is shortened again once the snapshot's receiver had its time", async () => {
  const { cluster, leader, straggler } = await withStraggler();
  await cluster.complete(straggler.start(), 20_000);
  await cluster.until(() => hasLine(cluster, straggler, "applied snapshot"), 5000, "a snapshot");
  const { log } = leader.member!.opened;
  const before = log.firstIndex();
  await write(cluster, leader, 32, 72);
  assert.equal(log.firstIndex(), before, "held while the receiver may need it");
  await cluster.run(graceMs);
  await write(cluster, leader, 72, 92);
  await cluster.run(100);
  assert.ok(log.firstIndex() > before + 20, `${log.firstIndex()} after ${before}`);
  await cluster.stop();
});

test("a snapshot that takes longer to install than the log is held for is not followed by another", async () => {
  const { cluster, leader, straggler } = await withStraggler();
  const started = straggler.start();
  await cluster.until(
    () => hasLine(cluster, straggler, "applying snapshot"),
    5000,
    "the snapshot is being installed",
  );
  cluster.hungDisks.add(straggler.name);
  const { log } = leader.member!.opened;
  const before = log.firstIndex();
  for (let n = 0; n < 3; n++) {
    await cluster.run(graceMs);
    await write(cluster, leader, 32 + n * 20, 52 + n * 20);
  }
  assert.equal(log.firstIndex(), before, "what came after the snapshot is still there");
  cluster.hungDisks.delete(straggler.name);
  await cluster.complete(started, 60_000);
  await checkEqual(cluster, straggler);
  const received = cluster.trace.filter(
    (line) => line.includes(` ${straggler.name} `) && line.includes("applied snapshot"),
  );
  assert.equal(received.length, 1);
  await cluster.stop();
});

test("a member that joins late is served by a snapshot", async () => {
  const { cluster, leader, straggler } = await withStraggler();
  await cluster.complete(straggler.start(), 20_000);
  await cluster.run(12_000);
  const request = new MemberAddRequest();
  request.peerUrls = ["http://m4:2380"];
  await cluster.call(leader, "/etcdserverpb.Cluster/MemberAdd", encodeMemberAddRequest(request));
  const joined = cluster.add("m4", ["m1", "m2", "m3", "m4"], { initialClusterState: "existing" });
  await cluster.complete(joined.start(), 20_000);
  assert.ok(hasLine(cluster, joined, "applied snapshot"));
  await cluster.settled();
  assert.equal(new Set(cluster.running.map(({ member }) => cluster.hash(member!))).size, 1);
  await cluster.put(joined, "k", "v");
  await cluster.stop();
});

test("a member stops in good order in the middle of a snapshot", async () => {
  for (let delayMs = 0; delayMs < 12; delayMs += 2) {
    const { cluster, straggler } = await withStraggler();
    straggler.start().catch(() => {});
    await cluster.until(
      () => hasLine(cluster, straggler, "applying snapshot"),
      20_000,
      "it begins",
    );
    await cluster.run(delayMs);
    await cluster.complete(straggler.stop(), 5000);
    assert.equal(straggler.failure, undefined);
    await cluster.complete(straggler.start(), 20_000);
    await checkEqual(cluster, straggler);
    await cluster.stop();
  }
});

/** Crashes the straggler before its n-th disk operation; how many operations there were. */
async function crashBefore(n: number, mode: CrashMode): Promise<number> {
  const { cluster, straggler } = await withStraggler();
  let count = 0;
  let crashed = false;
  cluster.beforeDisk = (name, operation) => {
    if (name !== straggler.name || !changingOperations.has(operation) || crashed) return;
    count++;
    if (count !== n) return;
    crashed = true;
    straggler.crash(mode);
  };
  straggler.start().catch(() => {});
  const isDone = () => crashed || hasLine(cluster, straggler, "applied snapshot");
  await cluster.until(isDone, 20_000, "the snapshot or the crash");
  await cluster.run(20);
  cluster.beforeDisk = () => {};
  if (crashed) await cluster.complete(straggler.start(), 20_000);
  const isThere = () =>
    hasLine(cluster, straggler, "applied snapshot") ||
    hasLine(cluster, straggler, "Recovering from snapshot backend");
  await cluster.until(isThere, 20_000, "a snapshot");
  await checkEqual(cluster, straggler);
  // And the directory is one that can be started from.
  straggler.crash(mode);
  await cluster.complete(straggler.start(), 20_000);
  await checkEqual(cluster, straggler);
  await cluster.stop();
  return count;
}

test("power is lost before every disk operation of a member that receives a snapshot", async () => {
  const count = await crashBefore(0, "drop");
  assert.ok(count > 15, `${count} operations`);
  const modes: readonly CrashMode[] = ["drop", "keep", "random"];
  for (let n = 1; n <= count; n++) await crashBefore(n, modes[n % 3]!);
});
