// The way of appends into the log around a snapshot.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ConfState,
  type Entry,
  HardState,
  Message,
  MessageType,
  Snapshot,
  SnapshotMetadata,
} from "@etcd-ts/raft";
import { AppendLine, type ArrivedSnapshot } from "../../src/append-line.ts";

function stateOf(term: number, commit: number): HardState {
  const state = new HardState();
  state.term = term;
  state.commit = commit;
  return state;
}

function snapshotAppend(index: number): Message {
  const message = new Message();
  message.type = MessageType.MsgStorageAppend;
  message.snapshot = new Snapshot();
  message.snapshot.metadata = new SnapshotMetadata();
  message.snapshot.metadata.index = index;
  message.snapshot.metadata.term = 3;
  message.snapshot.metadata.confState = new ConfState();
  return message;
}

test("a commit index that is held back is in the log before a snapshot waits for its turn", () => {
  const commits: number[] = [];
  const arrived: ArrivedSnapshot[] = [];
  const line = new AppendLine({
    wal: {
      append(state: HardState | undefined, _entries: readonly Entry[], _sync, done) {
        if (state !== undefined) commits.push(state.commit);
        done(undefined);
      },
      saveSnapshot: async () => {},
      hold: () => {},
      flush: () => {},
    },
    syncsLog: true,
    hungTicks: 20,
    snapshotArrived: (it) => arrived.push(it),
    wake: () => {},
    failed: (error) => {
      throw error;
    },
  });
  const bare = new Message();
  bare.type = MessageType.MsgStorageAppend;
  line.persist(bare, stateOf(3, 100), false);
  assert.deepEqual(commits, [], "nobody's business alone");
  line.persist(snapshotAppend(200), stateOf(3, 200), false);
  assert.equal(arrived.length, 1);
  // The log keeper, whose mark at 100 is under way, asks for it before it records the mark.
  line.writeState();
  assert.deepEqual(commits, [100]);
});
