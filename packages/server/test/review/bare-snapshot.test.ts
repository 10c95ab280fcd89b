// A snapshot is its message and its database: the message alone, from a stream or as a post, would leave a
// record in the log that no start can follow.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Message, MessageType, Snapshot, SnapshotMetadata } from "@etcd-ts/raft";
import { verdictOn } from "../../src/peers/inbound.ts";

test("MsgSnap without a database is not for raft", () => {
  const message = new Message();
  message.type = MessageType.MsgSnap;
  message.from = 1n;
  message.to = 2n;
  message.term = 9;
  message.snapshot = new Snapshot();
  message.snapshot.metadata = new SnapshotMetadata();
  message.snapshot.metadata.index = 100;
  assert.equal(verdictOn(message, 2n), "not-from-outside");
});
