// Linearizable reads (thesis §6.4).

import assert from "node:assert/strict";
import test from "node:test";
import { bytesToUtf8, utf8ToBytes } from "@etcd-ts/base";
import { ConfChangeType, type Message, MessageType, Role } from "../src/index.ts";
import { confChange, Group, message, ofType, TestNode } from "./helpers.ts";

const { MsgHeartbeat, MsgHeartbeatResp, MsgReadIndex, MsgReadIndexResp, MsgAppResp } = MessageType;

function readsOf(node: TestNode): [string, number][] {
  return node.reads.map(({ context, index }) => [bytesToUtf8(context), index]);
}

/** A leader of three whose first entry is committed. */
function readyLeader(
  options: { readMode?: "safe" | "lease"; checkQuorum?: boolean } = {},
): TestNode {
  const node = new TestNode(options).winElection();
  node.raw.step(message(MsgAppResp, { from: 2n, to: 1n, term: 1, index: 1 }));
  node.drain();
  return node;
}

function echo(node: TestNode, from: bigint, heartbeats: readonly Message[]): void {
  const { context } = heartbeats.find((each) => each.to === from)!;
  node.raw.step(message(MsgHeartbeatResp, { from, to: 1n, term: 1, context }));
  node.drain();
}

test("a read is answered after a quorum has confirmed the leader, at the index of its arrival", () => {
  const node = readyLeader();
  assert.equal(node.raw.readIndex(utf8ToBytes("a")), "ok");
  const heartbeats = ofType(node.drain(), MsgHeartbeat);
  assert.equal(heartbeats.length, 2);
  assert.deepEqual([...heartbeats[0]!.context], [1, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(readsOf(node), []);
  echo(node, 2n, heartbeats);
  assert.deepEqual(readsOf(node), [["a", 1]]);
  // A late second confirmation changes nothing.
  echo(node, 3n, heartbeats);
  assert.deepEqual(readsOf(node), [["a", 1]]);
});

test("one round confirms every read that came before it, and none that came after", () => {
  const node = readyLeader();
  node.raw.readIndex(utf8ToBytes("a"));
  node.drain();
  node.raw.readIndex(utf8ToBytes("b"));
  const second = ofType(node.drain(), MsgHeartbeat);
  node.raw.readIndex(utf8ToBytes("c"));
  node.drain();
  echo(node, 3n, second);
  assert.deepEqual(readsOf(node), [
    ["a", 1],
    ["b", 1],
  ]);
  // The next heartbeat asks for the rest again, so that a lost round does no harm.
  node.tick(1);
  const next = ofType(node.drain(), MsgHeartbeat);
  assert.deepEqual([...next[0]!.context], [3, 0, 0, 0, 0, 0, 0, 0]);
  echo(node, 2n, next);
  assert.deepEqual(readsOf(node).at(-1), ["c", 1]);
  node.tick(1);
  assert.equal(ofType(node.drain(), MsgHeartbeat)[0]!.context.length, 0);
});

test("echoes that cannot be of ours are ignored", () => {
  const node = readyLeader();
  node.raw.readIndex(utf8ToBytes("a"));
  node.drain();
  for (const context of [utf8ToBytes("x"), utf8ToBytes("12345678"), new Uint8Array(8)]) {
    node.raw.step(message(MsgHeartbeatResp, { from: 2n, to: 1n, term: 1, context }));
  }
  assert.deepEqual(readsOf(node), []);
});

test("reads before the first commit of the term wait for it", () => {
  for (const voters of [[1n, 2n, 3n], [1n]]) {
    const node = new TestNode({ voters, terms: [1, 1], term: 1, commit: 1 });
    node.raw.campaign();
    if (voters.length > 1) {
      node.drain();
      node.raw.step(message(MessageType.MsgVoteResp, { from: 2n, to: 1n, term: 2 }));
    } else {
      node.handle();
    }
    assert.equal(node.role, Role.leader);
    // What was acknowledged in the old term may be beyond the commit index that was stored.
    node.raw.readIndex(utf8ToBytes("a"));
    assert.equal(node.reads.length, 0);
    node.drain();
    if (voters.length > 1) {
      node.raw.step(message(MsgAppResp, { from: 2n, to: 1n, term: 2, index: 3 }));
      echoAs(node, 2n, 2);
    }
    node.drain();
    assert.deepEqual(readsOf(node), [["a", 3]]);
  }
});

function echoAs(node: TestNode, from: bigint, term: number): void {
  const [heartbeat] = ofType(node.drain(), MsgHeartbeat);
  const { context } = heartbeat!;
  node.raw.step(message(MsgHeartbeatResp, { from, to: 1n, term, context }));
}

test("a read at a follower goes to the leader and comes back; without a leader it is dropped", () => {
  const group = Group.of(3);
  assert.equal(group.node(2n).raw.readIndex(utf8ToBytes("early")), "dropped");
  group.elect(1n);
  assert.equal(group.node(2n).raw.readIndex(utf8ToBytes("a")), "ok");
  group.settle();
  assert.deepEqual(readsOf(group.node(2n)), [["a", 1]]);
});

test("a follower ignores an answer without its request", () => {
  const node = new TestNode({ term: 1 });
  node.raw.step(message(MsgReadIndexResp, { from: 2n, to: 1n, term: 1, index: 3 }));
  assert.deepEqual(node.drain(), []);
  assert.deepEqual(node.reads, []);
});

test("a request without its one entry is refused", () => {
  const node = readyLeader();
  assert.equal(node.raw.step(message(MsgReadIndex, { from: 2n, to: 1n })), "malformed");
});

test("a leader that was replaced without knowing answers nothing", () => {
  const group = Group.of(3);
  group.elect(1n);
  group.isolate(1n);
  group.elect(2n);
  group.node(2n).propose("new");
  group.node(1n).raw.readIndex(utf8ToBytes("stale"));
  group.settle();
  assert.deepEqual(readsOf(group.node(1n)), []);
});

test("learners do not confirm", () => {
  const node = new TestNode({ learners: [4n] }).winElection();
  node.raw.step(message(MsgAppResp, { from: 2n, to: 1n, term: 1, index: 1 }));
  node.drain();
  node.raw.readIndex(utf8ToBytes("a"));
  const heartbeats = ofType(node.drain(), MsgHeartbeat);
  echo(node, 4n, heartbeats);
  assert.deepEqual(readsOf(node), []);
  echo(node, 3n, heartbeats);
  assert.deepEqual(readsOf(node), [["a", 1]]);
});

test("a smaller quorum may confirm what waits", () => {
  const group = Group.of(2);
  const leader = group.elect(1n);
  leader.raw.proposeConfChange(confChange([ConfChangeType.RemoveNode, 2n]));
  group.loses = ({ type }) => type === MsgHeartbeatResp;
  leader.raw.readIndex(utf8ToBytes("a"));
  group.settle();
  assert.deepEqual(leader.raw.status().configuration.toString(), "voters=(1)");
  assert.deepEqual(readsOf(leader), [["a", 1]]);
});

test("a lease answers at once, unless the leader has asked somebody to take over", () => {
  const node = readyLeader({ readMode: "lease", checkQuorum: true });
  node.raw.readIndex(utf8ToBytes("a"));
  node.drain();
  assert.deepEqual(readsOf(node), [["a", 1]]);
  node.raw.transferLeader(2n);
  node.drain();
  node.raw.readIndex(utf8ToBytes("b"));
  const heartbeats = ofType(node.drain(), MsgHeartbeat);
  assert.equal(readsOf(node).length, 1);
  echo(node, 3n, heartbeats);
  assert.deepEqual(readsOf(node).at(-1), ["b", 1]);
});
