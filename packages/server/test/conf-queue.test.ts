// Raft knows of an applied change only when its whole portion of entries is applied. One that is proposed
// before becomes an empty entry, and the queue must not wait for it for ever.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeMemberUpdateRequest,
  encodePutRequest,
  MemberUpdateRequest,
  PutRequest,
} from "@etcd-ts/api";
import { utf8ToBytes } from "@etcd-ts/base";
import { MemberWorld } from "./support/member-world.ts";

test("membership changes go on when the first is applied in the middle of a portion", async () => {
  const world = await MemberWorld.started();
  const established = { count: 0 };
  const update = (port: number) => {
    const request = new MemberUpdateRequest();
    request.id = world.member.memberId;
    request.peerUrls = [`http://127.0.0.1:${port}`];
    return world.begin("/etcdserverpb.Cluster/MemberUpdate", encodeMemberUpdateRequest(request));
  };
  // Every applied entry takes 1 ms, so that a portion takes several turns.
  const { machine } = world.member;
  const apply = machine.apply.bind(machine);
  machine.apply = (entry, wanted) => {
    world.world.nowMs += 1;
    if (entry.data.length === 0) established.count++;
    return apply(entry, wanted);
  };
  const calls = [update(2381), update(2382), update(2383)];
  for (let i = 0; i < 50; i++) {
    const put = new PutRequest();
    put.key = utf8ToBytes(`k${i}`);
    world.begin("/etcdserverpb.KV/Put", encodePutRequest(put));
  }
  await world.world.run(20_000);
  assert.deepEqual(
    calls.map((call) => (call.ended ? (call.error?.message ?? "ok") : "no answer after 20 s")),
    ["ok", "ok", "ok"],
  );
  const late = update(2384);
  await world.world.run(20_000);
  assert.ok(late.ended, "a later change is answered");
  assert.equal(established.count, 0, "no change became an empty entry");
  await world.stop();
});
