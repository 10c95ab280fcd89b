// Databases that were received and are not wanted any more take as much room as the store itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Message, MessageType } from "@etcd-ts/raft";
import type { PeerTransport } from "../../src/index.ts";
import { ClusterWorld } from "../support/cluster-world.ts";

test("a snapshot that raft does not need leaves no database behind", async () => {
  const links = new Map<string, PeerTransport>();
  const cluster = await ClusterWorld.founded(3, {
    seams: {
      transport: (its, _host, { name }) => {
        links.set(name, its);
        return its;
      },
    },
  });
  const leader = await cluster.elected();
  const follower = cluster.followers()[0]!;
  for (let round = 0; round < 3; round++) {
    await cluster.put(leader, "k", `v${round}`);
    await cluster.settled();
    // As a leader does whose answer got lost: it sends the state once more, of which nothing is news.
    const message = new Message();
    message.type = MessageType.MsgSnap;
    message.from = leader.member!.memberId;
    message.to = follower.member!.memberId;
    message.term = leader.member!.term;
    links.get(leader.name)!.send(message);
    await cluster.run(3000);
  }
  assert.ok(
    cluster.trace.filter((line) => line.includes("received and saved database snapshot")).length >=
      3,
  );
  const left = follower.disk.paths().filter((path) => path.includes(".snap.db"));
  assert.deepEqual(left, []);
  await cluster.stop();
});
