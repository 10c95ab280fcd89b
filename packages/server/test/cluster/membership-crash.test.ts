// Power is lost at every point of a change of the membership: a learner becomes a voter and another member goes.
// Whoever it hits, afterwards raft's configuration is that of the list of members, on everybody alike.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeMemberAddRequest,
  encodeMemberPromoteRequest,
  encodeMemberRemoveRequest,
  encodePutRequest,
  MemberAddRequest,
  MemberPromoteRequest,
  MemberRemoveRequest,
  PutRequest,
} from "@etcd-ts/api";
import { utf8ToBytes } from "@etcd-ts/base";
import { type CrashMode, changingOperations, type SimNode } from "@etcd-ts/sim";
import { ClusterWorld, peerUrl } from "../support/cluster-world.ts";

const at = "/etcdserverpb.Cluster/";
/** So small that marks, snapshots and commits of the backend come between the changes. */
const member = {
  strictReconfigCheck: false,
  snapshotCount: 5,
  snapshotCatchupEntries: 2,
  backendBatchIntervalMs: 2,
};

type Victim = "leader" | "learner" | "follower";

interface Scene {
  readonly cluster: ClusterWorld;
  readonly learner: SimNode;
  readonly goes: SimNode;
  readonly victim: SimNode;
}

async function withLearner(victim: Victim): Promise<Scene> {
  const cluster = await ClusterWorld.founded(3, { member });
  const leader = await cluster.elected();
  const request = new MemberAddRequest();
  request.peerUrls = [peerUrl("m4")];
  request.isLearner = true;
  await cluster.call(leader, `${at}MemberAdd`, encodeMemberAddRequest(request));
  const learner = cluster.add("m4", ["m1", "m2", "m3", "m4"], {
    initialClusterState: "existing",
  });
  await cluster.complete(learner.start(), 20_000);
  const [follower, goes] = cluster.followers().filter((node) => node !== learner) as [
    SimNode,
    SimNode,
  ];
  await cluster.settled();
  return { cluster, learner, goes, victim: { leader, learner, follower }[victim] };
}

/** Crashes the victim before its n-th disk operation, 0: never; how many operations there were. */
async function crashBefore(n: number, kind: Victim, mode: CrashMode): Promise<number> {
  const { cluster, learner, goes, victim } = await withLearner(kind);
  const learnerId = learner.member!.memberId;
  const goesId = goes.member!.memberId;
  let count = 0;
  let crashed = false;
  let revived: Promise<void> | undefined;
  cluster.beforeDisk = (name, operation) => {
    if (name !== victim.name || !changingOperations.has(operation) || crashed) return;
    count++;
    if (count !== n) return;
    crashed = true;
    victim.crash(mode);
  };

  /** Asks until it is so: an answer may get lost with the member that would have given it. */
  const insist = async (
    path: string,
    request: Uint8Array,
    isSo: (leader: SimNode) => boolean,
  ): Promise<void> => {
    for (let attempt = 0; attempt < 20; attempt++) {
      if (crashed) revived ??= victim.start();
      const leader = await cluster.elected(20_000);
      if (isSo(leader)) return;
      const call = cluster.begin(leader, path, request);
      await cluster.world.runUntil(() => call.ended || !leader.isRunning, 8_000);
      await cluster.run(50);
    }
    throw new Error(`${path}: never\n${cluster.trace.slice(-60).join("\n")}`);
  };

  const promote = new MemberPromoteRequest();
  promote.id = learnerId;
  await insist(`${at}MemberPromote`, encodeMemberPromoteRequest(promote), (leader) => {
    return leader.member!.machine.members.get(learnerId)?.isLearner === false;
  });
  const remove = new MemberRemoveRequest();
  remove.id = goesId;
  await insist(`${at}MemberRemove`, encodeMemberRemoveRequest(remove), (leader) => {
    return leader.member!.machine.members.isRemoved(goesId);
  });
  const between = new PutRequest();
  between.key = utf8ToBytes("between");
  await insist("/etcdserverpb.KV/Put", encodePutRequest(between), ({ member: it }) => {
    return it!.machine.revision > 1;
  });
  await cluster.run(500);
  cluster.beforeDisk = () => {};
  if (crashed) revived ??= victim.start();
  if (revived !== undefined) await cluster.complete(revived, 30_000);
  goes.crash("drop");

  const leader = await cluster.elected(20_000);
  await cluster.put(leader, "after", "2");
  await cluster.settled();
  assert.equal(cluster.running.length, 3);
  for (const { name, member: it } of cluster.running) {
    const { members, confState } = it!.machine;
    const ids = members.list().map(({ id }) => id);
    assert.ok(ids.includes(learnerId) && !ids.includes(goesId) && ids.length === 3, name);
    assert.deepEqual(sorted(confState!.voters), sorted(ids), `${name}: raft and the list`);
    assert.deepEqual(confState!.learners, [], name);
  }
  assert.equal(new Set(cluster.running.map((node) => cluster.hash(node.member!))).size, 1);
  await cluster.stop();
  return count;
}

function sorted(ids: readonly bigint[]): string[] {
  return ids.map((id) => id.toString(16)).sort();
}

for (const kind of ["leader", "learner", "follower"] as const) {
  test(`power is lost before every disk operation of the ${kind} while the membership changes`, async () => {
    const count = await crashBefore(0, kind, "drop");
    assert.ok(count >= 8, `${count} operations`);
    const modes: readonly CrashMode[] = ["drop", "keep", "random"];
    for (let n = 1; n <= count; n++) await crashBefore(n, kind, modes[n % 3]!);
  });
}
