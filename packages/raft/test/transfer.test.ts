// Transfer of leadership (thesis §3.10).

import assert from "node:assert/strict";
import test from "node:test";
import { bytesToUtf8 } from "@etcd-ts/base";
import { ConfChangeType, MessageType, Role } from "../src/index.ts";
import { confChange, Group, message, type NodeOptions, ofType, TestNode } from "./helpers.ts";

const { MsgTimeoutNow, MsgVote } = MessageType;

function groupOf(options: NodeOptions = {}): Group {
  const group = Group.of(3, options);
  group.elect(1n);
  return group;
}

for (const options of [{}, { checkQuorum: true }, { preVote: true, checkQuorum: true }]) {
  test(`to a follower that is up to date: at once, ${JSON.stringify(options)}`, () => {
    const group = groupOf(options);
    group.node(1n).raw.transferLeader(2n);
    group.settle();
    assert.equal(group.node(2n).role, Role.leader);
    assert.equal(group.node(1n).lead, 2n);
  });
}

test("asked at a follower", () => {
  const group = groupOf();
  group.node(3n).raw.transferLeader(2n);
  group.settle();
  assert.equal(group.node(2n).role, Role.leader);
});

test("to a slow follower: after it has caught up, from the log or by a snapshot", () => {
  for (const withSnapshot of [false, true]) {
    const group = groupOf();
    group.isolate(3n);
    for (const text of ["a", "b", "c"]) group.node(1n).propose(text);
    group.settle();
    if (withSnapshot) {
      const { log } = group.node(1n);
      log.createSnapshot(4, undefined, new Uint8Array());
      log.compact(4);
    }
    group.heal();
    group.node(1n).raw.transferLeader(3n);
    for (let i = 0; i < 5; i++) {
      group.settle();
      group.node(1n).tick(1);
    }
    group.settle();
    assert.equal(group.node(3n).role, Role.leader, `with snapshot: ${withSnapshot}`);
    assert.equal(group.node(3n).commit, 5);
  }
});

test("to itself, to a learner, to a stranger: nothing happens", () => {
  const group = new Group(
    [1n, 2n, 3n].map((id) => new TestNode({ id, voters: [1n, 2n], learners: [3n] })),
  );
  const leader = group.elect(1n);
  for (const target of [1n, 3n, 9n]) {
    leader.raw.transferLeader(target);
    assert.equal(leader.raw.basicStatus().leadTransferee, 0n);
    assert.equal(leader.propose("x"), "ok");
  }
});

test("proposals are dropped meanwhile, and taken again after an election timeout", () => {
  const group = groupOf();
  const leader = group.node(1n);
  group.isolate(3n);
  leader.raw.transferLeader(3n);
  assert.equal(leader.propose("x"), "dropped");
  leader.tick(9);
  assert.equal(leader.propose("x"), "dropped");
  leader.tick(1);
  assert.equal(leader.propose("x"), "ok");
});

test("a second target takes the place of the first; the same target changes nothing", () => {
  const group = groupOf();
  const leader = group.node(1n);
  group.isolate(3n);
  leader.raw.transferLeader(3n);
  leader.tick(5);
  leader.raw.transferLeader(3n);
  leader.tick(5);
  // The clock of the transfer was not set back.
  assert.equal(leader.raw.basicStatus().leadTransferee, 0n);
  leader.raw.transferLeader(3n);
  leader.raw.transferLeader(2n);
  group.settle();
  assert.equal(group.node(2n).role, Role.leader);
});

test("it ends with the term, and with the removal of the target", () => {
  const group = groupOf();
  const leader = group.node(1n);
  group.isolate(3n);
  leader.raw.transferLeader(3n);
  leader.raw.applyConfChange(confChange([ConfChangeType.RemoveNode, 3n]));
  assert.equal(leader.raw.basicStatus().leadTransferee, 0n);

  const other = groupOf().node(1n);
  other.log.setHardState(other.log.initialState().hardState);
  other.raw.transferLeader(9n);
  other.raw.step(message(MessageType.MsgApp, { from: 2n, to: 1n, term: 5 }));
  assert.equal(other.raw.basicStatus().leadTransferee, 0n);
});

test("the campaign says that it was asked for, and skips the pre-vote", () => {
  const node = new TestNode({ preVote: true, checkQuorum: true, term: 1 });
  node.raw.step(message(MsgTimeoutNow, { from: 2n, to: 1n, term: 1 }));
  const requests = ofType(node.drain(), MsgVote);
  assert.equal(requests.length, 2);
  for (const request of requests) {
    assert.equal(bytesToUtf8(request.context), "CampaignTransfer");
  }
});

test("who cannot lead does not campaign when told to", () => {
  for (const node of [
    new TestNode({ voters: [2n, 3n], learners: [1n], term: 1 }),
    new TestNode({ voters: [2n, 3n], term: 1 }),
  ]) {
    node.raw.step(message(MsgTimeoutNow, { from: 2n, to: 1n, term: 1 }));
    assert.equal(node.role, Role.follower);
    assert.deepEqual(node.drain(), []);
  }
});
