// Members that do not hold the same, and logs that hold what this version must not pass over.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AuthEnableRequest,
  ClusterVersionSetRequest,
  encodeInternalRaftRequest,
  InternalRaftRequest,
  RequestHeader,
} from "@etcd-ts/api";
import { bytesToUtf8, copyBytes, emptyBytes } from "@etcd-ts/base";
import { Entry, Message, MessageType } from "@etcd-ts/raft";
import { type SimNode, TransportRelay } from "@etcd-ts/sim";
import { ClusterWorld } from "../support/cluster-world.ts";

/** Changes a byte of the newest value in the store of a member, behind everybody's back. */
async function damage(cluster: ClusterWorld, node: SimNode): Promise<void> {
  const { backend } = node.member!.machine;
  let found: { key: Uint8Array; value: Uint8Array } | undefined;
  backend.scan("key", emptyBytes, undefined, 1e9, (key, value) => {
    found = { key: copyBytes(key), value: copyBytes(value) };
    return true;
  });
  const { key, value } = found!;
  const at = value.lastIndexOf("v".charCodeAt(0));
  value[at] = "w".charCodeAt(0);
  backend.put("key", key, value);
  await cluster.run(500);
}

async function withData(corruptCheckMs: number): Promise<ClusterWorld> {
  const cluster = await ClusterWorld.founded(3, { member: { corruptCheckMs } });
  const leader = await cluster.elected();
  for (let i = 0; i < 5; i++) await cluster.put(leader, `k${i}`, "v");
  await cluster.settled();
  return cluster;
}

test("the leader finds the member whose keys differ and raises the alarm", async () => {
  const cluster = await withData(1000);
  const leader = cluster.leader()!;
  await cluster.run(5000);
  assert.deepEqual(leader.member!.machine.alarms.list(), []);
  const [bad] = cluster.followers() as [SimNode];
  await damage(cluster, bad);
  await cluster.until(
    () => leader.member!.machine.alarms.list().length > 0,
    5000,
    "an alarm is raised",
  );
  const [alarm] = leader.member!.machine.alarms.list();
  assert.equal(alarm!.memberId, bad.member!.memberId);
  await assert.rejects(cluster.put(leader, "k", "v"), /corrupt cluster/);
  await cluster.stop();
});

test("a member whose keys differ does not start when it is asked to look", async () => {
  const cluster = await withData(0);
  const [bad, good] = cluster.followers() as [SimNode, SimNode];
  await damage(cluster, bad);
  for (const node of [bad, good]) {
    await cluster.complete(node.stop(), 5000);
    node.memberOptions = { ...node.memberOptions, initialCorruptCheck: true };
  }
  await cluster.complete(good.start(), 20_000);
  await assert.rejects(
    cluster.world.complete(bad.start(), 20_000),
    /found data inconsistency with peers/,
  );
  bad.exit();
  await cluster.stop();
});

function authEnable(): Uint8Array {
  const request = new InternalRaftRequest();
  request.header = new RequestHeader();
  request.header.id = 5n;
  request.authEnable = new AuthEnableRequest();
  return encodeInternalRaftRequest(request);
}

/** As a leader of a release that serves authentication: a put of the word becomes what enables it. */
class EnablingAuth extends TransportRelay {
  override send(message: Message): void {
    if (message.type === MessageType.MsgApp) {
      message.entries = message.entries.map((entry) => {
        if (!bytesToUtf8(entry.data).includes("enable-auth")) return entry;
        const other = new Entry();
        other.term = entry.term;
        other.index = entry.index;
        other.data = authEnable();
        return other;
      });
    }
    super.send(message);
  }
}

test("an entry that enables authentication ends the member with a message that says what to do", async () => {
  const cluster = await ClusterWorld.founded(3, {
    seams: { transport: (links) => new EnablingAuth(links) },
  });
  const leader = await cluster.elected();
  await cluster.settled();
  const others = cluster.followers();
  await cluster.put(leader, "enable-auth", "");
  const haveEnded = () => others.every((node) => node.failure !== undefined);
  await cluster.until(haveEnded, 5000, "both end that got it");
  for (const { failure } of others) {
    assert.match(failure!.message, /enables authentication .* Replace it by one that does/);
  }
  // It is in the log, and no restart gets past it.
  leader.crash("drop");
  for (const node of others) node.crash("drop");
  const restarts = others.map((node) => node.start().catch(() => {}));
  // The last one cannot find out that the entry is committed.
  const hasEnded = () => others.some((node) => node.failure !== undefined);
  await cluster.until(hasEnded, 10_000, "it ends again");
  void restarts;
});

test("what enables authentication does not get into the log by way of a leader of ours", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  const message = new Message();
  message.type = MessageType.MsgProp;
  message.from = cluster.followers()[0]!.member!.memberId;
  message.entries = [new Entry()];
  message.entries[0]!.data = authEnable();
  assert.ok(leader.member!.replica.receive(message));
  await cluster.put(leader, "a", "b");
  await cluster.settled();
  assert.ok(cluster.nodes.every((node) => node.isRunning && node.failure === undefined));
  assert.ok(cluster.trace.some((line) => line.includes("left out what another member proposed")));
  await cluster.stop();
});

test("a member that is older than its cluster ends, and does not start again", async () => {
  const cluster = await ClusterWorld.founded(3);
  const leader = await cluster.elected();
  const request = new InternalRaftRequest();
  request.header = new RequestHeader();
  request.header.id = 5n;
  request.clusterVersionSet = new ClusterVersionSetRequest();
  request.clusterVersionSet.ver = "3.9.0";
  const entry = new Entry();
  entry.data = encodeInternalRaftRequest(request);
  const message = new Message();
  message.type = MessageType.MsgProp;
  message.entries = [entry];
  assert.ok(leader.member!.replica.receive(message));
  await cluster.until(() => leader.failure !== undefined, 5000, "it ends");
  assert.match(leader.failure!.message, /^invalid downgrade; server version is lower than/);
});
