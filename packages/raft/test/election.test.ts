// Pre-vote (thesis §9.6), leader stickiness and check-quorum (thesis §4.2.3, §6.2), forgetting a leader.

import assert from "node:assert/strict";
import test from "node:test";
import { utf8ToBytes } from "@etcd-ts/base";
import { MessageType, Role } from "../src/index.ts";
import { Group, message, ofType, TestNode } from "./helpers.ts";

const { MsgApp, MsgAppResp, MsgHeartbeat, MsgPreVote, MsgPreVoteResp, MsgVote, MsgVoteResp } =
  MessageType;

test("a pre-candidate keeps its term and vote, and asks about the next term", () => {
  const node = new TestNode({ preVote: true, term: 3, vote: 2n });
  node.raw.campaign();
  assert.equal(node.role, Role.preCandidate);
  assert.deepEqual([node.term, node.raw.basicStatus().vote], [3, 2n]);
  assert.deepEqual(
    node.drain().map(({ type, term }) => [type, term]),
    [
      [MsgPreVote, 4],
      [MsgPreVote, 4],
    ],
  );
  node.raw.step(message(MsgPreVoteResp, { from: 2n, to: 1n, term: 4 }));
  assert.equal(node.role, Role.candidate);
  assert.deepEqual([node.term, node.raw.basicStatus().vote], [4, 1n]);
});

test("a node that was cut off does not disturb the others with pre-vote", () => {
  const group = Group.of(3, { preVote: true });
  const leader = group.elect(1n);
  group.isolate(3n);
  for (let i = 0; i < 100; i++) {
    group.node(3n).tick(1);
    group.settle();
  }
  assert.equal(group.node(3n).term, 1);
  leader.propose("x");
  group.settle();
  group.heal();
  group.node(3n).raw.campaign();
  group.settle();
  assert.equal(leader.role, Role.leader);
  assert.equal(leader.term, 1);
});

test("without pre-vote it does, and leads nobody astray: its log is not up to date", () => {
  const group = Group.of(3);
  group.elect(1n);
  group.isolate(3n);
  group.node(1n).propose("x");
  group.settle();
  group.node(3n).raw.campaign();
  group.settle();
  group.heal();
  group.node(3n).raw.campaign();
  group.settle();
  assert.notEqual(group.node(3n).role, Role.leader);
  assert.equal(group.node(1n).term, group.node(3n).term);
});

test("a granted pre-vote binds nobody: several may be granted in one term", () => {
  const node = new TestNode({ preVote: true });
  for (const from of [2n, 3n]) {
    node.raw.step(message(MsgPreVote, { from, to: 1n, term: 5 }));
    const [answer] = node.drain();
    assert.deepEqual([answer!.type, answer!.term, answer!.reject], [MsgPreVoteResp, 5, false]);
  }
  assert.equal(node.term, 0);
});

test("a stale pre-vote is answered with our term, which the asker then takes", () => {
  const node = new TestNode({ preVote: true, term: 7 });
  node.raw.step(message(MsgPreVote, { from: 2n, to: 1n, term: 3 }));
  const [answer] = node.drain();
  assert.deepEqual([answer!.term, answer!.reject], [7, true]);
  const asker = new TestNode({ id: 2n, preVote: true, term: 2 });
  asker.raw.campaign();
  asker.drain();
  asker.raw.step(answer!);
  assert.deepEqual([asker.term, asker.role], [7, Role.follower]);
});

test("a lost pre-vote makes a follower again, in the same term", () => {
  const node = new TestNode({ preVote: true, term: 2 });
  node.raw.campaign();
  node.drain();
  for (const from of [2n, 3n]) {
    node.raw.step(message(MsgPreVoteResp, { from, to: 1n, term: 2, reject: true }));
  }
  assert.deepEqual([node.term, node.role], [2, Role.follower]);
});

test("only the first answer of a voter counts", () => {
  const node = new TestNode({ voters: [1n, 2n, 3n, 4n, 5n] });
  node.raw.campaign();
  node.drain();
  for (const reject of [false, true, false]) {
    node.raw.step(message(MsgVoteResp, { from: 2n, to: 1n, term: 1, reject }));
  }
  assert.equal(node.role, Role.candidate);
  node.raw.step(message(MsgVoteResp, { from: 3n, to: 1n, term: 1 }));
  assert.equal(node.role, Role.leader);
});

test("groups move to pre-vote one member at a time, even with a higher term and a shorter log", () => {
  const group = new Group([
    new TestNode({ id: 1n, preVote: true }),
    new TestNode({ id: 2n, preVote: true }),
    new TestNode({ id: 3n, preVote: false }),
  ]);
  group.elect(1n);
  group.isolate(3n);
  group.node(1n).propose("x");
  group.settle();
  // Without pre-vote it goes to a high term alone.
  for (let i = 0; i < 3; i++) {
    group.node(3n).raw.campaign();
    group.settle();
  }
  group.heal();
  // It does not take the leader's lower term; its answer to a heartbeat brings the others to its own.
  for (let i = 0; i < 200 && group.node(3n).appliedTexts.length === 0; i++) {
    for (const node of group.nodes.values()) node.tick(1);
    group.settle();
  }
  assert.deepEqual(group.node(3n).appliedTexts, ["x"]);
});

// --- leader stickiness and check-quorum -----------------------------------------------------------

test("who hears from a leader grants no votes, whatever their term", () => {
  const node = new TestNode({ checkQuorum: true, term: 1 });
  node.raw.step(message(MsgHeartbeat, { from: 2n, to: 1n, term: 1 }));
  node.drain();
  for (const type of [MsgVote, MsgPreVote]) {
    node.raw.step(message(type, { from: 3n, to: 1n, term: 9, index: 5, logTerm: 8 }));
    assert.deepEqual(node.drain(), []);
    assert.equal(node.term, 1);
  }
  // The leader itself may ask for it (thesis §3.10) ...
  const context = utf8ToBytes("CampaignTransfer");
  node.raw.step(message(MsgVote, { from: 3n, to: 1n, term: 9, index: 5, logTerm: 8, context }));
  assert.equal(ofType(node.drain(), MsgVoteResp)[0]?.reject, false);
});

test("after an election timeout without a leader votes are granted again", () => {
  const node = new TestNode({ checkQuorum: true, term: 1, learners: [1n], voters: [2n, 3n] });
  node.raw.step(message(MsgHeartbeat, { from: 2n, to: 1n, term: 1 }));
  node.drain();
  node.tick(9);
  node.raw.step(message(MsgVote, { from: 3n, to: 1n, term: 2 }));
  assert.deepEqual(node.drain(), []);
  node.tick(1);
  node.raw.step(message(MsgVote, { from: 3n, to: 1n, term: 2 }));
  assert.equal(ofType(node.drain(), MsgVoteResp)[0]?.reject, false);
});

test("a leader that hears from no quorum steps down after an election timeout", () => {
  const node = new TestNode({ checkQuorum: true }).winElection();
  node.raw.step(message(MsgAppResp, { from: 2n, to: 1n, term: 1, index: 1 }));
  node.tick(10);
  assert.equal(node.role, Role.leader);
  node.tick(10);
  assert.equal(node.role, Role.follower);
  assert.equal(node.term, 1);
});

test("a leader stays as long as it hears from a quorum, and no longer", () => {
  const group = Group.of(3, { checkQuorum: true });
  const node = group.elect(1n);
  group.isolate(3n);
  for (let i = 0; i < 30; i++) {
    node.tick(1);
    group.settle();
  }
  assert.equal(node.role, Role.leader);
  group.isolate(2n, 3n);
  for (let i = 0; i < 30; i++) {
    node.tick(1);
    group.settle();
  }
  assert.equal(node.role, Role.follower);
});

for (const options of [{ checkQuorum: true }, { preVote: true }]) {
  test(`a stale leader learns the term from an answer: ${JSON.stringify(options)}`, () => {
    for (const type of [MsgHeartbeat, MsgApp]) {
      const node = new TestNode({ ...options, term: 5 });
      node.raw.step(message(type, { from: 2n, to: 1n, term: 3 }));
      const [answer] = node.drain();
      assert.deepEqual([answer!.type, answer!.term, answer!.index], [MsgAppResp, 5, 0]);
    }
  });
}

test("without either a stale leader gets no answer", () => {
  const node = new TestNode({ term: 5 });
  node.raw.step(message(MsgHeartbeat, { from: 2n, to: 1n, term: 3 }));
  assert.deepEqual(node.drain(), []);
});

// --- who may campaign -----------------------------------------------------------------------------

test("a learner does not campaign, but votes when asked", () => {
  const node = new TestNode({ voters: [2n, 3n], learners: [1n] });
  node.tick(100);
  assert.equal(node.role, Role.follower);
  node.raw.campaign();
  assert.equal(node.role, Role.follower);
  node.raw.step(message(MsgVote, { from: 2n, to: 1n, term: 1 }));
  assert.equal(ofType(node.drain(), MsgVoteResp)[0]?.reject, false);
});

test("who is not in the configuration does not campaign", () => {
  const node = new TestNode({ voters: [2n, 3n] });
  node.tick(100);
  assert.equal(node.role, Role.follower);
});

test("a follower that forgets its leader may vote for another in a new term at once", () => {
  const node = new TestNode({ checkQuorum: true, term: 1 });
  node.raw.step(message(MsgHeartbeat, { from: 2n, to: 1n, term: 1 }));
  node.drain();
  node.raw.forgetLeader();
  assert.equal(node.lead, 0n);
  node.raw.step(message(MsgVote, { from: 3n, to: 1n, term: 2 }));
  assert.equal(ofType(node.drain(), MsgVoteResp)[0]?.reject, false);
});

test("three candidates at once: somebody wins in the end", () => {
  const group = Group.of(3);
  for (const node of group.nodes.values()) node.raw.campaign();
  group.settle();
  for (let i = 0; i < 500; i++) {
    for (const node of group.nodes.values()) node.tick(1);
    group.settle();
    if ([...group.nodes.values()].some((node) => node.role === Role.leader)) return;
  }
  assert.fail("no leader");
});
