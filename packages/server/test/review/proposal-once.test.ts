// A proposal that is posted arrives once or not at all: applied twice it would undo what others wrote between.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Entry, MessageType } from "@etcd-ts/raft";
import { LinksWorld } from "../peers/support/links-world.ts";

test("a posted proposal whose connection breaks before the answer is not posted again", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  a.meets(b); // b does not know a: it refuses the streams, and takes posts
  await world.run(500);
  // Leaves a connection behind that is kept for the next post.
  a.send(MessageType.MsgAppResp, b);
  await world.until(() => b.received.length === 1, 2000, "the first post arrives");
  await world.run(100);
  b.onReceive = () => a.net.cut();
  a.send(MessageType.MsgProp, b, (message) => {
    message.term = 0;
    message.entries = [new Entry()];
  });
  await world.run(5000);
  const proposals = b.received.filter((message) => message.type === MessageType.MsgProp);
  assert.equal(proposals.length, 1);
  a.links.stop();
  b.links.stop();
});
