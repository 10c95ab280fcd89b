// An empty entry that took the place of a refused membership change is no new leadership: leases must not
// start anew with it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMemberContext } from "@etcd-ts/machine";
import {
  ConfChange,
  ConfChangeType,
  Entry,
  EntryType,
  encodeConfChange,
  Message,
  MessageType,
} from "@etcd-ts/raft";
import { MemberWorld } from "./support/member-world.ts";

test("leadership is established once in a term", async () => {
  const world = await MemberWorld.started();
  const part = world.member.parts.find((it) => it.leadershipEstablished !== undefined)!;
  let count = 0;
  const established = part.leadershipEstablished!;
  part.leadershipEstablished = () => {
    count++;
    established();
  };
  // What a second member's forwarded change looks like while the first one is under way.
  const change = (id: bigint) => {
    const it = new ConfChange();
    it.id = id;
    it.type = ConfChangeType.UpdateNode;
    it.nodeId = world.member.memberId;
    const self = world.member.machine.members.get(world.member.memberId)!;
    it.context = encodeMemberContext(self);
    return it;
  };
  const message = new Message();
  message.type = MessageType.MsgProp;
  message.from = 42n;
  for (const id of [5n, 6n]) {
    const entry = new Entry();
    entry.type = EntryType.EntryConfChange;
    entry.data = encodeConfChange(change(id));
    message.entries.push(entry);
  }
  world.member.replica.receive(message);
  await world.world.run(1_000);
  assert.equal(world.failure, undefined);
  assert.equal(count, 0);
  await world.stop();
});
