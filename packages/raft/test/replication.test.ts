// How fast a leader sends (thesis §10.2.1), how it finds where logs part (Raft §5.3, end), what it accepts.

import assert from "node:assert/strict";
import test from "node:test";
import { type Message, MessageType, type Role } from "../src/index.ts";
import { entriesOf, Group, message, type NodeOptions, ofType, TestNode } from "./helpers.ts";

const { MsgApp, MsgAppResp, MsgHeartbeatResp, MsgSnap } = MessageType;

/** A leader whose follower 2 is in state replicate, with nothing under way. */
function leaderOf(options: NodeOptions = {}): TestNode {
  const node = new TestNode({ voters: [1n, 2n], ...options }).winElection([2n]);
  node.raw.step(
    message(MsgAppResp, { from: 2n, to: 1n, term: node.term, index: node.log.lastIndex() }),
  );
  node.drain();
  return node;
}

function appends(messages: readonly Message[]): number[][] {
  return ofType(messages, MsgApp).map((each) => each.entries.map((entry) => entry.index));
}

function progressOf(node: TestNode): string {
  return node.raw.status().progress.get(2n)!.text;
}

test("in state replicate every proposal goes out at once, until the window is full", () => {
  const node = leaderOf({ inflightMessagesMax: 3 });
  for (let i = 0; i < 5; i++) node.propose("x");
  assert.deepEqual(appends(node.drain()), [[2], [3], [4]]);
  assert.equal(progressOf(node), "StateReplicate match=1 next=5 paused inflight=3[full]");
  // An acknowledgement frees what it covers, and what fits goes out in one message.
  node.raw.step(message(MsgAppResp, { from: 2n, to: 1n, term: 1, index: 3 }));
  assert.deepEqual(appends(node.drain()).at(-1), [5, 6]);
});

test("an old acknowledgement frees nothing", () => {
  const node = leaderOf({ inflightMessagesMax: 3 });
  for (let i = 0; i < 3; i++) node.propose("x");
  node.drain();
  node.raw.step(message(MsgAppResp, { from: 2n, to: 1n, term: 1, index: 1 }));
  assert.match(progressOf(node), /inflight=3\[full\]/);
});

test("a heartbeat response to a full window lets one empty append through", () => {
  const node = leaderOf({ inflightMessagesMax: 2 });
  for (let i = 0; i < 2; i++) node.propose("x");
  node.drain();
  for (let i = 0; i < 3; i++) {
    node.raw.step(message(MsgHeartbeatResp, { from: 2n, to: 1n, term: 1 }));
    node.propose("y");
    assert.deepEqual(appends(node.drain()), [[]]);
  }
});

test("the window is bounded in bytes, too; one message may cross the bound", () => {
  const node = leaderOf({ messageBytesMax: 10, inflightBytesMax: 10 });
  node.propose("12345678");
  node.propose("12345678");
  node.propose("12345678");
  assert.deepEqual(appends(node.drain()), [[2], [3]]);
  assert.match(progressOf(node), /inflight=2\[full\]/);
});

test("an append holds as many entries as fit, at least one", () => {
  for (const [messageBytesMax, wanted] of [
    [0, [[2], [3], [4]]],
    [16, [[2], [3], [4]]],
    [34, [[2, 3], [4]]],
    [Number.POSITIVE_INFINITY, [[2, 3, 4]]],
  ] as const) {
    const node = leaderOf({ messageBytesMax });
    node.propose("12345678", "12345678", "12345678");
    const sent = appends(node.drain());
    node.raw.step(message(MsgAppResp, { from: 2n, to: 1n, term: 1, index: 2 }));
    const all = [...sent, ...appends(node.drain())].filter((indexes) => indexes.length > 0);
    assert.deepEqual(all, wanted, `at most ${messageBytesMax} bytes`);
  }
});

test("in state probe one append a heartbeat is under way", () => {
  const node = new TestNode({ voters: [1n, 2n] }).winElection([2n]);
  node.drain();
  assert.equal(progressOf(node), "StateProbe match=0 next=1 paused inactive");
  for (let i = 0; i < 3; i++) {
    node.propose("x");
    node.tick(1);
    assert.deepEqual(appends(node.drain()), []);
    node.raw.step(message(MsgHeartbeatResp, { from: 2n, to: 1n, term: 1 }));
    assert.equal(appends(node.drain()).length, 1);
  }
});

test("an unreachable follower is probed; a hopeless snapshot waits for a sign of life", () => {
  const node = leaderOf();
  node.propose("x");
  node.drain();
  node.raw.reportUnreachable(2n);
  assert.equal(progressOf(node), "StateProbe match=1 next=2");
  node.propose("y");
  assert.deepEqual(appends(node.drain()), [[2, 3]]);
});

test("a snapshot goes to whom the log does not reach, and the outcome decides how to go on", () => {
  for (const [sent, next] of [
    [true, 12],
    [false, 2],
  ] as const) {
    const node = leaderOf();
    for (let i = 0; i < 10; i++) node.propose("x");
    node.drain();
    node.raw.step(message(MsgAppResp, { from: 2n, to: 1n, term: 1, index: 1 }));
    node.log.createSnapshot(1, undefined, new Uint8Array());
    assert.equal(node.commit, 1);
    // It has lost what it had: everything is refused.
    node.log.createSnapshot(11, undefined, new Uint8Array());
    node.log.compact(11);
    node.raw.step(
      message(MsgAppResp, {
        from: 2n,
        to: 1n,
        term: 1,
        index: 11,
        reject: true,
        rejectHint: 1,
        logTerm: 1,
      }),
    );
    const [snapshot] = ofType(node.drain(), MsgSnap);
    assert.equal(snapshot?.snapshot?.metadata?.index, 11);
    assert.equal(progressOf(node), "StateSnapshot match=1 next=12 paused pendingSnap=11");
    node.propose("y");
    assert.deepEqual(appends(node.drain()), []);
    node.raw.reportSnapshot(2n, sent);
    assert.equal(progressOf(node), `StateProbe match=1 next=${next} paused`);
  }
});

test("no snapshot is sent while none is at hand, or to somebody who gives no sign of life", () => {
  const node = leaderOf();
  for (let i = 0; i < 3; i++) node.propose("x");
  node.drain();
  node.log.createSnapshot(4, undefined, new Uint8Array());
  node.log.compact(4);
  const { log } = node;
  const snapshot = log.snapshot.bind(log);
  log.snapshot = () => undefined;
  const rejection = message(MsgAppResp, {
    from: 2n,
    to: 1n,
    term: 1,
    index: 4,
    reject: true,
    rejectHint: 1,
    logTerm: 1,
  });
  node.raw.step(rejection);
  assert.deepEqual(node.drain(), []);
  log.snapshot = snapshot;
  node.raw.step(message(MsgHeartbeatResp, { from: 2n, to: 1n, term: 1 }));
  assert.equal(ofType(node.drain(), MsgSnap).length, 1);
});

// Where logs part. Terms of the leader (which adds one entry of its own), of the follower, and the number of
// probes until the leader knows.
for (const [leader, follower, probes] of [
  [[1, 2, 2, 4, 4, 4, 4], [1, 2, 2, 4, 4, 4, 4, 4, 5, 5], 2],
  [[1, 2, 2, 4, 4, 4, 5], [1, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4], 2],
  [[1, 1, 1, 1], [1, 1, 1], 2],
  [[1, 1, 1, 1, 1], [1, 1, 2, 2, 2, 2], 2],
  [[1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3], [1, 1, 1, 2, 2, 2], 2],
  [[2, 5, 5, 5, 5, 5, 5, 5, 5], [2, 4, 4, 4, 4, 4], 2],
  [[2, 2, 2, 2, 2], [2, 4, 4, 4, 4, 4], 2],
] as const) {
  test(`logs ${leader.join("")} and ${follower.join("")} are reconciled with ${probes} probes`, () => {
    const term = 9;
    const group = new Group([
      new TestNode({ id: 1n, terms: leader, term }),
      new TestNode({ id: 2n, terms: follower, term }),
      new TestNode({ id: 3n, term }),
    ]);
    let count = 0;
    group.loses = ({ type, to }) => {
      if (type === MsgApp && to === 2n && group.node(2n).commit === 0) count += 1;
      return false;
    };
    group.node(1n).raw.campaign();
    group.settle();
    assert.deepEqual(group.node(2n).terms, [...leader, 10]);
    assert.ok(count <= probes + 1, `${count} appends`);
  });
}

test("a rejection without a term, as old versions send it, is understood", () => {
  const node = leaderOf({ terms: [1, 1, 1, 1] });
  node.raw.reportUnreachable(2n);
  node.raw.step(message(MsgHeartbeatResp, { from: 2n, to: 1n, term: 2 }));
  node.drain();
  const { next } = node.raw.status().progress.get(2n)!;
  const stale = message(MsgAppResp, { from: 2n, to: 1n, term: 2, index: 1, reject: true });
  node.raw.step(stale);
  assert.equal(node.raw.status().progress.get(2n)!.next, next);
});

// --- what a leader accepts ------------------------------------------------------------------------

test("proposals are dropped while too much is uncommitted, and the first one always passes", () => {
  const node = leaderOf({ uncommittedBytesMax: 10 });
  assert.equal(node.propose("a proposal that is larger than the limit"), "ok");
  assert.equal(node.propose("x"), "dropped");
  // Without data it costs nothing.
  assert.equal(node.propose(""), "ok");
  node.drain();
  node.raw.step(message(MsgAppResp, { from: 2n, to: 1n, term: 1, index: 3 }));
  node.drain();
  assert.equal(node.propose("12345"), "ok");
  assert.equal(node.propose("12345"), "ok");
  assert.equal(node.propose("1"), "dropped");
});

test("a proposal of several entries is all or nothing, and applied in order", () => {
  const node = new TestNode({ voters: [1n], uncommittedBytesMax: 4 }).winElection([]);
  assert.equal(node.propose("a", "b", "c"), "ok");
  assert.equal(node.propose("d", "e"), "dropped");
  node.drain();
  assert.deepEqual(node.appliedTexts, ["a", "b", "c"]);
});

test("followers forward proposals unless told not to", () => {
  for (const forwardProposals of [true, false]) {
    const group = Group.of(2, { forwardProposals });
    group.elect(1n);
    assert.equal(group.node(2n).propose("x"), forwardProposals ? "ok" : "dropped");
    group.settle();
    assert.deepEqual(group.node(1n).appliedTexts, forwardProposals ? ["x"] : []);
  }
});

test("a forwarded proposal that the network repeats is two entries, not one twice", () => {
  const group = Group.of(2);
  group.elect(1n);
  group.node(2n).propose("x");
  const [forwarded] = group.node(2n).drain();
  assert.ok(forwarded);
  group.node(1n).raw.step(forwarded);
  group.node(1n).raw.step(forwarded);
  group.settle();
  assert.deepEqual(group.node(2n).appliedTexts, ["x", "x"]);
  assert.deepEqual(
    group.node(2n).applied.map((entry) => entry.index),
    [1, 2, 3],
  );
});

test("messages that contradict themselves change nothing", () => {
  const follower = new TestNode({ term: 2 });
  const bad = (fields: Partial<Message>): Message =>
    message(MsgApp, { from: 2n, to: 1n, term: 2, ...fields });
  for (const entries of [
    entriesOf(2, 1),
    [...entriesOf(1, 1), ...entriesOf(3, 1)],
    entriesOf(1, 2, 1),
    entriesOf(1, 3),
  ]) {
    assert.equal(follower.raw.step(bad({ entries })), "malformed");
  }
  assert.equal(follower.lead, 0n);
  const leader = leaderOf();
  const tooFar = message(MsgAppResp, { from: 2n, to: 1n, term: 1, index: 99 });
  assert.equal(leader.raw.step(tooFar), "malformed");
  assert.equal(leader.raw.step(message(MessageType.MsgProp, { from: 2n, to: 1n })), "malformed");
});

test("messages of unknown types are ignored by every role", () => {
  const roles = new Set<Role>();
  for (const node of [leaderOf(), new TestNode()]) {
    node.raw.step(message(99, { from: 2n, to: 1n }));
    assert.deepEqual(node.drain(), []);
    roles.add(node.role);
  }
  const candidate = new TestNode();
  candidate.raw.campaign();
  candidate.drain();
  candidate.raw.step(message(99, { from: 2n, to: 1n }));
  assert.deepEqual(candidate.drain(), []);
  roles.add(candidate.role);
  assert.equal(roles.size, 3);
});
