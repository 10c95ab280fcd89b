// One test per rule of the Raft paper (extended version), with the section in its name.

import assert from "node:assert/strict";
import test from "node:test";
import { MessageType, Role } from "../src/index.ts";
import { entriesOf, Group, message, ofType, TestNode } from "./helpers.ts";

const { MsgApp, MsgAppResp, MsgVote, MsgVoteResp, MsgHeartbeat } = MessageType;

// --- terms (§5.1) ---------------------------------------------------------------------------------

for (const role of [Role.follower, Role.candidate, Role.leader]) {
  test(`§5.1: a higher term makes a follower of role ${role}`, () => {
    const node = new TestNode({ term: 1 });
    if (role === Role.candidate) node.raw.campaign();
    if (role === Role.leader) node.winElection();
    node.drain();
    node.raw.step(message(MsgApp, { from: 2n, to: 1n, term: 9 }));
    assert.equal(node.term, 9);
    assert.equal(node.role, Role.follower);
    assert.equal(node.lead, 2n);
  });
}

test("§5.1: a message of a lower term is not processed", () => {
  const node = new TestNode({ term: 5 });
  const entries = entriesOf(1, 4);
  node.raw.step(message(MsgApp, { from: 2n, to: 1n, term: 4, entries }));
  assert.equal(node.raw.hasReady(), false);
  assert.deepEqual(node.terms, []);
});

// --- elections (§5.2) -----------------------------------------------------------------------------

test("§5.2: a node begins as a follower without a leader", () => {
  const node = new TestNode();
  assert.equal(node.role, Role.follower);
  assert.equal(node.lead, 0n);
});

test("§5.2: a leader sends heartbeats every interval, without entries", () => {
  const node = new TestNode({ heartbeatTicks: 3 }).winElection();
  node.tick(2);
  assert.deepEqual(node.drain(), []);
  node.tick(1);
  const sent = node.drain();
  assert.deepEqual(
    sent.map(({ type, to, entries }) => [type, to, entries.length]),
    [
      [MsgHeartbeat, 2n, 0],
      [MsgHeartbeat, 3n, 0],
    ],
  );
});

for (const role of [Role.follower, Role.candidate]) {
  test(`§5.2: an election timeout makes role ${role} campaign in the next term`, () => {
    const node = new TestNode({ term: 1 });
    if (role === Role.candidate) node.raw.campaign();
    node.drain();
    const before = node.term;
    node.tick(20);
    assert.equal(node.role, Role.candidate);
    assert.equal(node.term, before + 1);
    assert.equal(node.raw.basicStatus().vote, 1n);
    assert.deepEqual(
      ofType(node.drain(), MsgVote).map(({ to, term }) => [to, term]),
      [
        [2n, before + 1],
        [3n, before + 1],
      ],
    );
  });
}

for (const [size, granted, rejected, role] of [
  [1, 0, 0, Role.leader],
  [3, 2, 0, Role.leader],
  [3, 1, 0, Role.leader],
  [3, 1, 1, Role.leader],
  [5, 4, 0, Role.leader],
  [5, 2, 0, Role.leader],
  [5, 2, 2, Role.leader],
  [5, 1, 0, Role.candidate],
  [5, 1, 2, Role.candidate],
  [5, 0, 3, Role.follower],
  [3, 0, 2, Role.follower],
] as const) {
  test(`§5.2: of ${size} voters ${granted} grant and ${rejected} refuse: role ${role}`, () => {
    const voters = Array.from({ length: size }, (_, i) => BigInt(i + 1));
    const node = new TestNode({ voters });
    node.raw.campaign();
    node.drain();
    for (let i = 0; i < granted + rejected; i++) {
      const reject = i >= granted;
      node.raw.step(message(MsgVoteResp, { from: voters[i + 1]!, to: 1n, term: 1, reject }));
    }
    assert.equal(node.role, role);
    assert.equal(node.term, 1);
  });
}

for (const [vote, from, reject] of [
  [0n, 2n, false],
  [0n, 3n, false],
  [2n, 2n, false],
  [3n, 3n, false],
  [2n, 3n, true],
  [3n, 2n, true],
] as const) {
  test(`§5.2: having voted for ${vote}, a request of ${from} is ${reject ? "refused" : "granted"}`, () => {
    const node = new TestNode({ term: 1, vote });
    node.raw.step(message(MsgVote, { from, to: 1n, term: 1 }));
    const [answer] = node.drain();
    assert.equal(answer?.type, MsgVoteResp);
    assert.equal(answer.reject, reject);
  });
}

test("§5.2: a vote is durable before it is told", () => {
  const node = new TestNode({ asyncStorageWrites: true });
  node.raw.step(message(MsgVote, { from: 2n, to: 1n, term: 1 }));
  const { messages } = node.raw.ready();
  assert.deepEqual(
    messages.map((each) => each.type),
    [MessageType.MsgStorageAppend],
  );
  assert.equal(messages[0]!.vote, 2n);
  assert.equal(messages[0]!.responses[0]!.type, MsgVoteResp);
});

test("§5.2: a candidate's own vote counts once it is durable", () => {
  const node = new TestNode({ voters: [1n] });
  node.raw.campaign();
  const ready = node.raw.ready();
  assert.equal(ready.hardState?.vote, 1n);
  assert.equal(node.role, Role.candidate);
  node.raw.advance();
  assert.equal(node.role, Role.leader);
});

for (const term of [1, 2]) {
  test(`§5.2: a candidate of term 1 follows a leader of term ${term}`, () => {
    const node = new TestNode();
    node.raw.campaign();
    node.drain();
    node.raw.step(message(MsgApp, { from: 2n, to: 1n, term }));
    assert.equal(node.role, Role.follower);
    assert.equal(node.term, term);
    assert.equal(node.lead, 2n);
  });
}

test("§5.2: election timeouts are spread over [n, 2n - 1]", () => {
  const seen = new Set<number>();
  const node = new TestNode();
  for (let i = 0; i < 500; i++) {
    const before = node.term;
    let ticks = 0;
    while (node.term === before) {
      node.tick(1);
      node.drain();
      ticks += 1;
    }
    seen.add(ticks);
  }
  assert.deepEqual(
    [...seen].sort((a, b) => a - b),
    [10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
  );
});

test("§5.2: timeouts of several nodes seldom fall together", () => {
  const nodes = [1n, 2n, 3n, 4n, 5n].map(
    (id) => new TestNode({ id, voters: [1n, 2n, 3n, 4n, 5n] }),
  );
  let conflicts = 0;
  for (let round = 0; round < 1000; round++) {
    let campaigns = 0;
    while (campaigns === 0) {
      for (const node of nodes) {
        const before = node.term;
        node.tick(1);
        node.drain();
        if (node.term !== before) campaigns += 1;
      }
    }
    if (campaigns > 1) conflicts += 1;
    for (const node of nodes) {
      node.raw.step(message(MsgApp, { from: 9n, to: node.id, term: node.term + 1 }));
      node.drain();
    }
  }
  assert.ok(conflicts < 400, `${conflicts} of 1000 elections began with more than one candidate`);
});

// --- replication (§5.3) ---------------------------------------------------------------------------

test("§5.3: a leader appends a proposal and sends it with what comes before", () => {
  const node = new TestNode().winElection();
  for (const from of [2n, 3n])
    node.raw.step(message(MsgAppResp, { from, to: 1n, term: 1, index: 1 }));
  node.drain();
  node.propose("x");
  const ready = node.handle();
  assert.deepEqual(
    ready.entries.map(({ index, term }) => [index, term]),
    [[2, 1]],
  );
  assert.deepEqual(
    ofType(ready.messages, MsgApp).map((each) => [
      each.to,
      each.index,
      each.logTerm,
      each.entries.length,
      each.commit,
    ]),
    [
      [2n, 1, 1, 1, 1],
      [3n, 1, 1, 1, 1],
    ],
  );
});

for (const [size, acks, committed] of [
  [1, 0, true],
  [3, 0, false],
  [3, 1, true],
  [3, 2, true],
  [5, 1, false],
  [5, 2, true],
  [5, 4, true],
] as const) {
  test(`§5.3: an entry that ${acks} of ${size - 1} followers have is ${committed ? "" : "not "}committed`, () => {
    const voters = Array.from({ length: size }, (_, i) => BigInt(i + 1));
    const node = new TestNode({ voters }).winElection(voters.slice(1));
    for (let i = 1; i <= acks; i++) {
      node.raw.step(message(MsgAppResp, { from: voters[i]!, to: 1n, term: 1, index: 1 }));
    }
    node.drain();
    assert.equal(node.commit, committed ? 1 : 0);
    assert.equal(node.applied.length, committed ? 1 : 0);
  });
}

for (const terms of [[], [2], [1, 2], [1]]) {
  test(`§5.3: with a new entry all before it commit: terms ${terms.join(" ") || "none"}`, () => {
    const node = new TestNode({ terms, term: 2 }).winElection();
    node.propose("x");
    const last = terms.length + 2;
    node.drain();
    node.raw.step(message(MsgAppResp, { from: 2n, to: 1n, term: 3, index: last }));
    node.drain();
    assert.deepEqual(
      node.applied.map((entry) => entry.term),
      [...terms, 3, 3],
    );
  });
}

test("§5.3: followers apply in log order what the leader says is committed", () => {
  const node = new TestNode({ term: 1 });
  const entries = entriesOf(1, 1, 1, 1);
  node.raw.step(message(MsgApp, { from: 2n, to: 1n, term: 1, entries, commit: 2 }));
  node.drain();
  assert.deepEqual(
    node.applied.map((entry) => entry.index),
    [1, 2],
  );
});

test("§5.3: a follower commits only what it has in common with the leader", () => {
  const node = new TestNode({ terms: [1, 1, 1], term: 2 });
  // The append proves the logs equal through index 1; entry 2 and 3 may be others than the leader's.
  node.raw.step(message(MsgApp, { from: 2n, to: 1n, term: 2, index: 1, logTerm: 1, commit: 3 }));
  assert.equal(node.commit, 1);
});

for (const [index, logTerm, answer] of [
  [0, 0, { index: 1 }],
  [1, 1, { index: 1 }],
  [2, 2, { index: 2 }],
  [1, 2, { index: 1, reject: true, rejectHint: 1, logTerm: 1 }],
  [2, 3, { index: 2, reject: true, rejectHint: 2, logTerm: 2 }],
  [3, 3, { index: 3, reject: true, rejectHint: 2, logTerm: 2 }],
  [3, 1, { index: 3, reject: true, rejectHint: 1, logTerm: 1 }],
] as const) {
  test(`§5.3: a follower with terms 1 2 answers an append behind ${logTerm}/${index}`, () => {
    const commit = index === 0 ? 1 : 0;
    const node = new TestNode({ terms: [1, 2], commit, term: 4 });
    node.raw.step(message(MsgApp, { from: 2n, to: 1n, term: 4, index, logTerm }));
    const [response] = ofType(node.drain(), MsgAppResp);
    assert.ok(response);
    for (const [key, value] of Object.entries({ reject: false, ...answer })) {
      assert.equal(response[key as keyof typeof response], value, key);
    }
  });
}

for (const [index, logTerm, given, wanted] of [
  [2, 2, [3], [1, 2, 3]],
  [1, 1, [3, 4], [1, 3, 4]],
  [0, 0, [1], [1, 2]],
  [0, 0, [3], [3]],
] as const) {
  test(`§5.3: terms ${given.join(" ")} behind ${index} make of 1 2 the log ${wanted.join(" ")}`, () => {
    const node = new TestNode({ terms: [1, 2], term: 4 });
    const entries = entriesOf(index + 1, ...given);
    node.raw.step(message(MsgApp, { from: 2n, to: 1n, term: 4, index, logTerm, entries }));
    node.drain();
    assert.deepEqual(node.terms, wanted);
  });
}

const figure7 = [
  [1, 1, 1, 4, 4, 5, 5, 6, 6],
  [1, 1, 1, 4],
  [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
  [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
  [1, 1, 1, 4, 4, 4, 4],
  [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
];
for (const terms of figure7) {
  test(`§5.3: a leader makes the log ${terms.join("")} of figure 7 its own`, () => {
    const leaderTerms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const group = new Group([
      new TestNode({ id: 1n, terms: leaderTerms, term: 8, commit: 3 }),
      new TestNode({ id: 2n, terms, term: 7, commit: 3 }),
      new TestNode({ id: 3n, terms: [], term: 7 }),
    ]);
    // The third has no entry, so its vote is certain, whatever the second says.
    group.elect(1n);
    group.node(1n).propose("x");
    group.settle();
    assert.deepEqual(group.node(2n).terms, [...leaderTerms, 9, 9]);
    assert.deepEqual(group.node(3n).terms, [...leaderTerms, 9, 9]);
  });
}

// --- safety (§5.4) --------------------------------------------------------------------------------

test("§5.4.1: a vote request tells the last index and term", () => {
  const node = new TestNode({ terms: [1, 2], term: 2 });
  node.raw.campaign();
  for (const request of ofType(node.drain(), MsgVote)) {
    assert.deepEqual([request.index, request.logTerm, request.term], [2, 2, 3]);
  }
});

for (const [own, logTerm, index, reject] of [
  [[1], 1, 1, false],
  [[1], 1, 2, false],
  [[1, 1], 1, 1, true],
  [[1], 2, 1, false],
  [[1], 2, 2, false],
  [[1, 1], 2, 1, false],
  [[2], 1, 1, true],
  [[2], 1, 2, true],
  [[1, 2], 1, 3, true],
] as const) {
  test(`§5.4.1: with ${own.join(" ")} the log that ends in ${logTerm}/${index} is ${reject ? "" : "not "}refused`, () => {
    const node = new TestNode({ terms: own, term: 2 });
    node.raw.step(message(MsgVote, { from: 2n, to: 1n, term: 3, logTerm, index }));
    const [answer] = ofType(node.drain(), MsgVoteResp);
    assert.equal(answer?.reject, reject);
  });
}

for (const [index, commit] of [
  [1, 0],
  [2, 0],
  [3, 3],
] as const) {
  test(`§5.4.2: a quorum for index ${index} commits ${commit}, entry 3 being the first of the term`, () => {
    const node = new TestNode({ terms: [1, 2], term: 2 }).winElection();
    node.raw.step(message(MsgAppResp, { from: 2n, to: 1n, term: 3, index }));
    assert.equal(node.commit, commit);
  });
}
