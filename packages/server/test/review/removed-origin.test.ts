// A request that a removed member made, passed on by a member in good standing, must not end the latter.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Entry, Message, MessageType } from "@etcd-ts/raft";
import { ForwardedProposals } from "../../src/forwarded-proposals.ts";
import { LinksWorld } from "../peers/support/links-world.ts";

test("who passes on what a removed member proposed is not taken for that one", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  a.meets(b); // b does not know a yet: all goes by posts
  b.removedIds.add(9n);
  await world.run(500);
  a.send(MessageType.MsgProp, b, (message) => {
    message.from = 9n;
    message.term = 0;
    message.entries = [new Entry()];
  });
  await world.run(3000);
  assert.equal(a.removedCount, 0, "a was never removed");
  a.links.stop();
  b.links.stop();
});

test("what is passed on is passed on in one's own name", () => {
  const forwarded = new ForwardedProposals();
  const message = new Message();
  message.type = MessageType.MsgProp;
  message.from = 9n;
  message.entries = [new Entry()];
  message.entries[0]!.data = Uint8Array.of(0x22, 0); // an empty put
  assert.equal(forwarded.add(message, 0), 0);
  // Raft fills in this member's id where there is none.
  assert.equal(forwarded.pending?.from, 0n);
});
