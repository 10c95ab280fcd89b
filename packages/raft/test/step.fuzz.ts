// Messages of any type with any fields, to nodes of any role: each is taken, refused with a code, or breaks an
// invariant (which stops the member: a commit index beyond the log, a conflict with what is committed). It never
// ends in another error, and refusals change nothing.

import assert from "node:assert/strict";
import test from "node:test";
import { InvariantError, SeededRandom, utf8ToBytes } from "@etcd-ts/base";
import {
  appendThread,
  applyThread,
  ConfState,
  Entry,
  Message,
  Snapshot,
  SnapshotMetadata,
} from "../src/index.ts";
import { TestNode } from "./helpers.ts";

const seed = Number(process.env["RAFT_SEED"] ?? 20_250_103);
const count = Number(process.env["RAFT_FUZZ"] ?? 20_000);

test(`hostile messages never end in anything but a code or a broken invariant (seed ${seed})`, () => {
  const random = new SeededRandom(seed);
  let node = freshNode(random);
  const results = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    let result: string;
    try {
      const dice = random.below(100);
      if (dice < 3) node.tick(1 + random.below(20));
      else if (dice < 5) node.raw.campaign();
      if (random.chance(2, 3)) node.drain();
      result = node.raw.step(randomMessage(random));
    } catch (error) {
      if (!(error instanceof InvariantError)) throw new Error(`message ${i}`, { cause: error });
      result = "invariant";
      node = freshNode(random);
    }
    results.set(result, (results.get(result) ?? 0) + 1);
  }
  for (const result of ["ok", "dropped", "local-message", "unknown-peer", "malformed"]) {
    assert.ok((results.get(result) ?? 0) > 20, `${result}: ${results.get(result)}`);
  }
});

function freshNode(random: SeededRandom): TestNode {
  const node = new TestNode({
    terms: [1, 1, 2],
    commit: 1,
    preVote: random.chance(1, 2),
    checkQuorum: random.chance(1, 2),
    messageBytesMax: 100,
  });
  return random.chance(1, 2) ? node.winElection() : node;
}

function randomMessage(random: SeededRandom): Message {
  const message = new Message();
  message.type = random.below(26);
  message.from = random.pick([0n, 1n, 2n, 2n, 3n, 3n, 9n, appendThread, applyThread]);
  message.to = 1n;
  message.term = random.below(6);
  message.index = random.below(8);
  message.logTerm = random.below(4);
  message.commit = random.below(5);
  message.reject = random.chance(1, 3);
  message.rejectHint = random.below(8);
  message.context = random.pick([
    utf8ToBytes(""),
    utf8ToBytes("CampaignTransfer"),
    random.bytes(8),
  ]);
  for (let i = random.below(4); i > 0; i--) {
    const entry = new Entry();
    entry.type = random.below(4);
    entry.term = random.below(5);
    entry.index = message.index + 1 + message.entries.length + (random.chance(1, 10) ? 1 : 0);
    entry.data = random.bytes(random.below(5));
    message.entries.push(entry);
  }
  if (random.chance(1, 3)) {
    message.snapshot = new Snapshot();
    if (random.chance(2, 3)) {
      const metadata = new SnapshotMetadata();
      metadata.index = random.below(20);
      metadata.term = random.below(5);
      if (random.chance(3, 4)) {
        metadata.confState = new ConfState();
        metadata.confState.voters = [1n, 2n].slice(random.below(3));
        if (random.chance(1, 5)) metadata.confState.learners = [1n];
      }
      message.snapshot.metadata = metadata;
    }
  }
  return message;
}
