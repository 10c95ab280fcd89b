// Changes of the configuration in a running group (thesis §4), snapshots of it (Raft §7).

import assert from "node:assert/strict";
import test from "node:test";
import { InvariantError } from "@etcd-ts/base";
import {
  ConfChange,
  ConfChangeTransition,
  ConfChangeType,
  type ConfChangeV2,
  Entry,
  EntryType,
  type Message,
  MessageType,
  Role,
} from "../src/index.ts";
import {
  confChange,
  confStateOf,
  entriesOf,
  Group,
  makeSnapshot,
  message,
  ofType,
  TestNode,
} from "./helpers.ts";

const { AddNode, RemoveNode, AddLearnerNode, UpdateNode } = ConfChangeType;

function configOf(node: TestNode): string {
  return node.raw.status().configuration.toString();
}

function implicit(change: ConfChangeV2): ConfChangeV2 {
  change.transition = ConfChangeTransition.JointImplicit;
  return change;
}

test("one at a time: a second change is refused until the first is applied, and becomes an empty entry", () => {
  const node = new TestNode({ voters: [1n] }).winElection([]);
  node.drain();
  node.raw.proposeConfChange(confChange([AddLearnerNode, 2n]));
  node.raw.proposeConfChange(confChange([AddLearnerNode, 3n]));
  node.drain();
  assert.equal(configOf(node), "voters=(1) learners=(2)");
  assert.deepEqual(
    node.applied.map((entry) => entry.type),
    [EntryType.EntryNormal, EntryType.EntryConfChangeV2, EntryType.EntryNormal],
  );
  node.raw.proposeConfChange(confChange([AddLearnerNode, 3n]));
  node.drain();
  assert.equal(configOf(node), "voters=(1) learners=(2 3)");
});

test("a new leader proposes no change before everything in its log is applied", () => {
  const node = new TestNode({ terms: [1, 1], term: 1 }).winElection([2n, 3n]);
  node.raw.proposeConfChange(confChange([AddNode, 4n]));
  node.raw.step(message(MessageType.MsgAppResp, { from: 2n, to: 1n, term: 2, index: 4 }));
  node.drain();
  assert.equal(configOf(node), "voters=(1 2 3)");
  node.raw.proposeConfChange(confChange([AddNode, 4n]));
  node.raw.step(message(MessageType.MsgAppResp, { from: 2n, to: 1n, term: 2, index: 5 }));
  node.drain();
  assert.equal(configOf(node), "voters=(1 2 3 4)");
});

test("what cannot be applied is not proposed, so that it stops nobody", () => {
  const node = new TestNode({ voters: [1n] }).winElection([]);
  node.drain();
  const explicitNothing = confChange();
  explicitNothing.transition = ConfChangeTransition.JointExplicit;
  for (const change of [
    confChange([RemoveNode, 1n]),
    confChange([AddLearnerNode, 1n]),
    confChange([RemoveNode, 1n], [AddLearnerNode, 2n]),
    confChange([9 as typeof AddNode, 2n]),
    confChange(),
    explicitNothing,
  ]) {
    node.raw.proposeConfChange(change);
    node.drain();
    assert.equal(configOf(node), "voters=(1)");
  }
  // Joint, only the plain empty change leaves.
  const enter = confChange([AddLearnerNode, 2n]);
  enter.transition = ConfChangeTransition.JointExplicit;
  node.raw.proposeConfChange(enter);
  node.drain();
  assert.equal(configOf(node), "voters=(1)&&(1) learners=(2)");
  node.raw.proposeConfChange(explicitNothing);
  node.drain();
  assert.equal(configOf(node), "voters=(1)&&(1) learners=(2)");
  node.raw.proposeConfChange(undefined);
  node.drain();
  assert.equal(configOf(node), "voters=(1) learners=(2)");
});

test("a change that is no change is malformed, from whomever it comes", () => {
  const node = new TestNode({ voters: [1n] }).winElection([]);
  node.drain();
  for (const [type, data] of [
    [EntryType.EntryConfChange, [255]],
    [EntryType.EntryConfChangeV2, [18, 200]],
    [7, []],
  ] as const) {
    const entry = new Entry();
    entry.type = type;
    entry.data = new Uint8Array(data);
    const proposal = message(MessageType.MsgProp, { from: 2n, to: 1n, entries: [entry] });
    assert.equal(node.raw.step(proposal), "malformed");
  }
  assert.equal(node.raw.hasReady(), false);
});

test("a committed change that does not fit is a broken invariant, not a silent difference", () => {
  const node = new TestNode();
  assert.throws(() => node.raw.applyConfChange(confChange()), InvariantError);
});

test("the old form of a change has the same effect", () => {
  const node = new TestNode({ voters: [1n] }).winElection([]);
  node.drain();
  const change = new ConfChange();
  change.type = AddLearnerNode;
  change.nodeId = 7n;
  node.raw.proposeConfChange(change);
  node.drain();
  assert.equal(configOf(node), "voters=(1) learners=(7)");
  assert.equal(node.applied.at(-1)?.type, EntryType.EntryConfChange);
});

test("node id zero and updates change nothing", () => {
  const node = new TestNode();
  const before = configOf(node);
  node.raw.applyConfChange(confChange([AddNode, 0n]));
  node.raw.applyConfChange(confChange([UpdateNode, 2n]));
  node.raw.applyConfChange(confChange([UpdateNode, 9n]));
  assert.equal(configOf(node), before);
});

test("a group of one grows to three and shrinks to another one, through joint configurations", () => {
  const group = new Group([
    new TestNode({ id: 1n, voters: [1n] }),
    new TestNode({ id: 2n, voters: [] }),
    new TestNode({ id: 3n, voters: [] }),
  ]);
  const leader = group.elect(1n);
  leader.propose("a");
  // The founder is in no log entry, so newcomers need a snapshot, with themselves in it: made when asked for.
  leader.drain();
  leader.log.createSnapshot(2, undefined, new Uint8Array());
  leader.log.compact(2);
  leader.log.snapshot = () => {
    const { applied } = leader.raw.basicStatus();
    return makeSnapshot(applied, leader.raw.termAt(applied) as number, leader.confState);
  };
  leader.propose("b");
  leader.raw.proposeConfChange(confChange([AddNode, 2n], [AddNode, 3n]));
  for (let i = 0; i < 30; i++) {
    for (const node of group.nodes.values()) node.tick(node.id === 1n ? 1 : 0);
    group.settle();
  }
  assert.equal(configOf(group.node(3n)), "voters=(1 2 3)");
  leader.propose("c");
  group.settle();
  assert.deepEqual(group.node(3n).appliedTexts, ["c"]);

  leader.raw.transferLeader(2n);
  group.settle();
  assert.equal(group.node(2n).role, Role.leader);
  group.node(2n).raw.proposeConfChange(implicit(confChange([RemoveNode, 1n], [RemoveNode, 3n])));
  group.settle();
  assert.equal(configOf(group.node(2n)), "voters=(2)");
  group.node(2n).propose("d");
  group.settle();
  assert.deepEqual(group.node(2n).appliedTexts, ["c", "d"]);
});

test("a joint configuration is left by itself, also by the next leader", () => {
  const group = Group.of(5);
  group.elect(1n);
  const isEmptyChange = ({ type, entries }: Message): boolean =>
    type === MessageType.MsgApp &&
    entries.some((entry) => entry.type === EntryType.EntryConfChangeV2 && entry.data.length === 0);
  group.loses = isEmptyChange;
  group.node(1n).raw.proposeConfChange(implicit(confChange([AddLearnerNode, 5n])));
  group.settle();
  assert.equal(
    configOf(group.node(2n)),
    "voters=(1 2 3 4)&&(1 2 3 4 5) learners_next=(5) autoleave",
  );
  group.isolate(1n);
  for (let i = 0; i < 100 && group.node(2n).role !== Role.leader; i++) {
    group.node(2n).tick(1);
    group.settle();
  }
  group.settle();
  assert.equal(group.node(2n).role, Role.leader);
  group.heal();
  group.node(2n).tick(1);
  group.settle();
  assert.equal(configOf(group.node(2n)), "voters=(1 2 3 4) learners=(5)");
});

test("a joint commit needs both halves", () => {
  const node = new TestNode({ voters: [1n, 2n, 3n] }).winElection();
  node.raw.step(message(MessageType.MsgAppResp, { from: 2n, to: 1n, term: 1, index: 1 }));
  node.drain();
  const enter = confChange([RemoveNode, 2n], [RemoveNode, 3n], [AddNode, 4n], [AddNode, 5n]);
  enter.transition = ConfChangeTransition.JointExplicit;
  node.raw.applyConfChange(enter);
  assert.equal(configOf(node), "voters=(1 4 5)&&(1 2 3)");
  node.propose("x");
  node.drain();
  node.raw.step(message(MessageType.MsgAppResp, { from: 2n, to: 1n, term: 1, index: 2 }));
  assert.equal(node.commit, 1);
  node.raw.step(message(MessageType.MsgAppResp, { from: 4n, to: 1n, term: 1, index: 2 }));
  assert.equal(node.commit, 2);
});

test("learners receive the log and do not count", () => {
  const node = new TestNode({ voters: [1n, 2n], learners: [3n, 4n, 5n] }).winElection([2n]);
  for (const from of [3n, 4n, 5n]) {
    node.raw.step(message(MessageType.MsgAppResp, { from, to: 1n, term: 1, index: 1 }));
  }
  assert.equal(node.commit, 0);
  node.raw.step(message(MessageType.MsgAppResp, { from: 2n, to: 1n, term: 1, index: 1 }));
  assert.equal(node.commit, 1);
  node.propose("x");
  const sent = ofType(node.drain(), MessageType.MsgApp).map(({ to }) => to);
  assert.deepEqual([...new Set(sent)].sort(), [2n, 3n, 4n, 5n].sort());
});

test("a promoted learner counts, with the progress that it had", () => {
  const node = new TestNode({ voters: [1n], learners: [2n] }).winElection([]);
  node.drain();
  node.raw.step(message(MessageType.MsgAppResp, { from: 2n, to: 1n, term: 1, index: 1 }));
  node.raw.applyConfChange(confChange([AddNode, 2n]));
  assert.equal(node.raw.status().progress.get(2n)?.match, 1);
  node.propose("x");
  node.drain();
  assert.equal(node.commit, 1);
  node.raw.step(message(MessageType.MsgAppResp, { from: 2n, to: 1n, term: 1, index: 2 }));
  assert.equal(node.commit, 2);
});

test("a removed leader leads on without counting itself, unless it is told to step down", () => {
  for (const stepDownOnRemoval of [false, true]) {
    const node = new TestNode({ stepDownOnRemoval }).winElection();
    node.raw.applyConfChange(confChange([RemoveNode, 1n]));
    assert.equal(node.role, stepDownOnRemoval ? Role.follower : Role.leader);
    assert.equal(node.propose("x"), "dropped");
  }
});

test("removing a slow voter commits what the others have", () => {
  const node = new TestNode({ voters: [1n, 2n] }).winElection([2n]);
  node.propose("x");
  node.drain();
  assert.equal(node.commit, 0);
  node.raw.applyConfChange(confChange([RemoveNode, 2n]));
  assert.equal(node.commit, 2);
});

test("messages of strangers: responses are refused, the rest is heard", () => {
  const node = new TestNode({ term: 1 });
  const { MsgAppResp, MsgVoteResp, MsgHup, MsgVote } = MessageType;
  assert.equal(node.raw.step(message(MsgAppResp, { from: 9n, to: 1n, term: 1 })), "unknown-peer");
  assert.equal(node.raw.step(message(MsgVoteResp, { from: 9n, to: 1n, term: 1 })), "unknown-peer");
  assert.equal(node.raw.step(message(MsgHup, { from: 2n, to: 1n })), "local-message");
  // It may know a newer configuration than we.
  assert.equal(node.raw.step(message(MsgVote, { from: 9n, to: 1n, term: 2 })), "ok");
  assert.equal(ofType(node.drain(), MsgVoteResp).length, 1);
});

// --- snapshots ------------------------------------------------------------------------------------

test("a snapshot replaces log and configuration, and is acknowledged", () => {
  const node = new TestNode({ terms: [1, 1], term: 1 });
  const snapshot = makeSnapshot(11, 2, confStateOf(1n, 2n, 4n));
  node.raw.step(message(MessageType.MsgSnap, { from: 2n, to: 1n, term: 2, snapshot }));
  assert.equal(configOf(node), "voters=(1 2 4)");
  // Not while it is being installed.
  node.tick(50);
  assert.equal(node.role, Role.follower);
  const [response] = ofType(node.drain(), MessageType.MsgAppResp);
  assert.equal(response?.index, 11);
  assert.deepEqual(
    [node.commit, node.log.firstIndex(), node.raw.basicStatus().applied],
    [11, 12, 11],
  );
  node.tick(50);
  assert.notEqual(node.role, Role.follower);
});

test("entries may follow a snapshot before it is installed", () => {
  const node = new TestNode({ term: 1 });
  const snapshot = makeSnapshot(11, 2, confStateOf(1n, 2n));
  node.raw.step(message(MessageType.MsgSnap, { from: 2n, to: 1n, term: 2, snapshot }));
  const entries = entriesOf(12, 2);
  const fields = { from: 2n, to: 1n, term: 2, index: 11, logTerm: 2, entries, commit: 12 };
  node.raw.step(message(MessageType.MsgApp, fields));
  const ready = node.handle();
  assert.equal(ready.snapshot, snapshot);
  assert.deepEqual(ready.entries, entries);
  assert.deepEqual(ready.committedEntries, []);
  node.drain();
  assert.deepEqual(node.applied, entries);
});

test("a snapshot that is of no use is answered with what we have", () => {
  for (const [snapshot, commit] of [
    // Old.
    [makeSnapshot(1, 1, confStateOf(1n, 2n)), 2],
    // Not for us.
    [makeSnapshot(11, 1, confStateOf(2n, 3n)), 2],
    // In our log already: only the commit index is new.
    [makeSnapshot(3, 1, confStateOf(1n, 2n)), 3],
    [undefined, 2],
  ] as const) {
    const node = new TestNode({ terms: [1, 1, 1], commit: 2, term: 1 });
    node.raw.step(message(MessageType.MsgSnap, { from: 2n, to: 1n, term: 1, snapshot }));
    const [response] = ofType(node.drain(), MessageType.MsgAppResp);
    assert.equal(response?.index, commit);
    assert.equal(node.commit, commit);
    assert.deepEqual(node.terms, [1, 1, 1]);
    assert.equal(configOf(node), "voters=(1 2 3)");
  }
});

test("a snapshot with a configuration that cannot be is refused and changes nothing", () => {
  const node = new TestNode({ terms: [1, 1], term: 1 });
  const confState = confStateOf(1n, 2n);
  confState.learners = [2n];
  const snapshot = makeSnapshot(11, 1, confState);
  const bad = message(MessageType.MsgSnap, { from: 2n, to: 1n, term: 1, snapshot });
  assert.equal(node.raw.step(bad), "malformed");
  assert.deepEqual([node.terms, configOf(node), node.commit], [[1, 1], "voters=(1 2 3)", 0]);
});

test("a change that a snapshot has overtaken is left out", () => {
  const node = new TestNode({ asyncStorageWrites: true, term: 1 });
  const snapshot = makeSnapshot(11, 1, confStateOf(1n, 2n));
  node.raw.step(message(MessageType.MsgSnap, { from: 2n, to: 1n, term: 1, snapshot }));
  assert.equal(node.raw.applyConfChange(confChange([AddNode, 7n]), 5), undefined);
  assert.equal(configOf(node), "voters=(1 2)");
  assert.deepEqual(node.raw.applyConfChange(confChange([AddNode, 7n]), 12)?.voters, [1n, 2n, 7n]);
});
