// Membership, and a member that has lost its quorum.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeMemberAddResponse,
  decodeMemberListResponse,
  decodeMemberRemoveResponse,
  decodeMemberUpdateResponse,
  encodeMemberAddRequest,
  encodeMemberListRequest,
  encodeMemberPromoteRequest,
  encodeMemberRemoveRequest,
  encodeMemberUpdateRequest,
  encodeMoveLeaderRequest,
  encodePutRequest,
  MemberAddRequest,
  MemberListRequest,
  MemberPromoteRequest,
  MemberRemoveRequest,
  MemberUpdateRequest,
  MoveLeaderRequest,
  PutRequest,
} from "@etcd-ts/api";
import { memberIdOf } from "../src/index.ts";
import { FakeCall, startStream } from "./support/calls.ts";
import { CallError, MemberWorld } from "./support/member-world.ts";
import { digests } from "./support/world.ts";

const service = "/etcdserverpb.Cluster/";

function addRequest(urls: string[], isLearner: boolean): Uint8Array {
  const request = new MemberAddRequest();
  request.peerUrls = urls;
  request.isLearner = isLearner;
  return encodeMemberAddRequest(request);
}

function byId<T extends { id: bigint }>(request: T, id: bigint): T {
  request.id = id;
  return request;
}

async function list(world: MemberWorld, linearizable = true) {
  const request = new MemberListRequest();
  request.linearizable = linearizable;
  const bytes = await world.call(`${service}MemberList`, encodeMemberListRequest(request));
  return decodeMemberListResponse(bytes);
}

function refusal(code: number, message: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CallError, String(error));
    assert.deepEqual([error.code, error.message], [code, message]);
    return true;
  };
}

test("the list of members has no revision in its header", async () => {
  const world = await MemberWorld.started();
  const { header, members } = await list(world);
  assert.equal(header!.revision, 0);
  assert.equal(members.length, 1);
  assert.deepEqual(
    [members[0]!.name, members[0]!.peerUrls, members[0]!.clientUrls, members[0]!.isLearner],
    ["default", ["http://127.0.0.1:2380"], ["http://127.0.0.1:2379"], false],
  );
  await world.stop();
});

test("a learner is added, listed, not ready to be promoted, and removed", async () => {
  const world = await MemberWorld.started();
  const seconds = () => Math.floor((1_700_000_000_000 + world.world.nowMs) / 1000);
  const id = memberIdOf(digests, ["http://127.0.0.1:2390"], "", seconds());
  const added = decodeMemberAddResponse(
    await world.call(`${service}MemberAdd`, addRequest(["http://127.0.0.1:2390"], true)),
  );
  assert.equal(added.member!.id, id);
  assert.equal(added.member!.isLearner, true);
  assert.equal(added.members.length, 2);
  assert.equal((await list(world)).members.length, 2);
  await world.put("a", "the learner does not count");
  await assert.rejects(
    world.call(
      `${service}MemberPromote`,
      encodeMemberPromoteRequest(byId(new MemberPromoteRequest(), id)),
    ),
    refusal(9, "etcdserver: can only promote a learner member which is in sync with leader"),
  );
  await assert.rejects(
    world.call(`${service}MemberAdd`, addRequest(["http://127.0.0.1:2391"], true)),
    refusal(9, "etcdserver: too many learner members in cluster"),
  );
  await assert.rejects(
    world.call(`${service}MemberAdd`, addRequest(["http://127.0.0.1:2380"], false)),
    refusal(9, "etcdserver: Peer URLs already exists"),
  );
  const removed = decodeMemberRemoveResponse(
    await world.call(
      `${service}MemberRemove`,
      encodeMemberRemoveRequest(byId(new MemberRemoveRequest(), id)),
    ),
  );
  assert.equal(removed.members.length, 1);
  await assert.rejects(
    world.call(
      `${service}MemberRemove`,
      encodeMemberRemoveRequest(byId(new MemberRemoveRequest(), id)),
    ),
    refusal(5, "etcdserver: member not found"),
  );
  await world.stop();
  await world.start();
  assert.equal((await list(world)).members.length, 1);
  await world.stop();
});

test("URLs of new members may be all that etcd takes", async () => {
  const world = await MemberWorld.started();
  const id = async (urls: string[], expected: string[]): Promise<bigint> => {
    const bytes = await world.call(`${service}MemberAdd`, addRequest(urls, true));
    const { member } = decodeMemberAddResponse(bytes);
    assert.deepEqual(member?.peerUrls, expected);
    return member!.id;
  };
  for (const [given, expected] of [
    ["unix:///run/peer.sock", "unix:///run/peer.sock"],
    ["unixs://x:0", "unixs://x:0"],
    ["unix://a/b", "unix://a/b"],
    ["http://[::1]:2", "http://[::1]:2"],
    ["http://[fe80::1%25eth0]:2", "http://[fe80::1%25eth0]:2"],
    ["HTTPS://A_b.c-d:443", "https://A_b.c-d:443"],
    [" http://:1 ", "http://:1"],
  ] as const) {
    const request = byId(new MemberRemoveRequest(), await id([given], [expected]));
    await world.call(`${service}MemberRemove`, encodeMemberRemoveRequest(request));
  }
  await id(["http://b:1", "http://a:1"], ["http://a:1", "http://b:1"]);
  await world.stop();
});

test("changes are checked as etcd checks them", async () => {
  const world = await MemberWorld.started();
  const { memberId } = world.member;
  const bad = byId(new MemberUpdateRequest(), memberId);
  for (const urls of [
    [],
    ["127.0.0.1:1"],
    ["http://127.0.0.1"],
    ["http://a:1/path"],
    ["ftp://a:1"],
    ["http://::1:2380"],
    ["http://a%zz:1"],
    ["http://[::1:2380"],
    ["http://a:1", "http://b"],
    ["http://a:x"],
    ["http://a:1/"],
    ["http://a:1?q"],
    ["http://::1:2"],
    ["http://a%20b:1"],
    ["http://a b:1"],
    ["unix://"],
    ["unix://a:x"],
    ["http://good:1", "unix://a b"],
  ]) {
    await assert.rejects(
      world.call(`${service}MemberAdd`, addRequest(urls, false)),
      refusal(3, "etcdserver: given member URLs are invalid"),
      urls.join(","),
    );
    bad.peerUrls = urls;
    await assert.rejects(
      world.call(`${service}MemberUpdate`, encodeMemberUpdateRequest(bad)),
      refusal(3, "etcdserver: given member URLs are invalid"),
      urls.join(","),
    );
  }
  await assert.rejects(
    world.call(
      `${service}MemberRemove`,
      encodeMemberRemoveRequest(byId(new MemberRemoveRequest(), memberId)),
    ),
    refusal(2, "etcdserver: re-configuration failed due to not enough started members"),
  );
  await assert.rejects(
    world.call(
      `${service}MemberPromote`,
      encodeMemberPromoteRequest(byId(new MemberPromoteRequest(), memberId)),
    ),
    refusal(9, "etcdserver: can only promote a learner member"),
  );
  await assert.rejects(
    world.call(
      `${service}MemberPromote`,
      encodeMemberPromoteRequest(byId(new MemberPromoteRequest(), 77n)),
    ),
    refusal(5, "etcdserver: member not found"),
  );
  const update = byId(new MemberUpdateRequest(), memberId);
  update.peerUrls = ["http://127.0.0.1:2400"];
  const updated = decodeMemberUpdateResponse(
    await world.call(`${service}MemberUpdate`, encodeMemberUpdateRequest(update)),
  );
  assert.deepEqual(updated.members[0]!.peerUrls, ["http://127.0.0.1:2400"]);
  await world.stop();
  await world.start();
  assert.deepEqual((await list(world)).members[0]!.peerUrls, ["http://127.0.0.1:2400"]);
  await world.stop();
});

test("without a quorum writes and linearizable reads fail as in etcd, local reads go on", async () => {
  const world = await MemberWorld.started();
  await world.put("a", "1");
  const adding = world.begin(`${service}MemberAdd`, addRequest(["http://127.0.0.1:2390"], false));
  await world.answer(adding);
  // The other voter never comes: what is proposed is not committed.
  const handed = world.beginPut("a", "2");
  const reading = world.begin("/etcdserverpb.KV/Range", new Uint8Array([0x0a, 1, 97]));
  await world.world.until(() => world.member.leaderId === 0n);
  const late = world.beginPut("a", "3");
  const watching = startStream(world.member.methods, "/grpc.health.v1.Health/Watch");
  watching.handler!.onMessage(new Uint8Array(0));
  const request = new PutRequest();
  request.key = Buffer.from("a");
  const unary = world.begin("/etcdserverpb.KV/Put", encodePutRequest(request), {
    hasleader: "true",
  });
  assert.deepEqual(unary.error, { code: 14, message: "etcdserver: no leader" });

  const local = await world.range("a", (it) => {
    it.serializable = true;
  });
  assert.equal(Buffer.from(local.kvs[0]!.value).toString(), "1");
  assert.equal((await list(world, false)).members.length, 2);

  await world.world.until(() => handed.ended && reading.ended && late.ended, 20_000);
  assert.deepEqual(handed.error, {
    code: 14,
    message: "etcdserver: request timed out, possibly due to connection lost",
  });
  assert.deepEqual(reading.error, { code: 14, message: "etcdserver: request timed out" });
  assert.deepEqual(late.error, { code: 4, message: "context deadline exceeded" });

  const health = await world.world.settled(
    world.member.http.handle({ method: "GET", target: "/health" }),
  );
  assert.equal(health!.body, '{"health":"false","reason":"RAFT NO LEADER"}\n');
  const locally = await world.world.settled(
    world.member.http.handle({ method: "GET", target: "/health?serializable=true" }),
  );
  assert.equal(locally!.status, 200);
  await world.stop();
  assert.equal(watching.sent.length, 2, "serving, then not serving");
});

test("moving the leader to a member that never answers ends at the caller's deadline, in etcd's words", async () => {
  const world = await MemberWorld.started();
  const { member } = decodeMemberAddResponse(
    await world.call(`${service}MemberAdd`, addRequest(["http://127.0.0.1:2390"], false)),
  );
  const path = "/etcdserverpb.Maintenance/MoveLeader";
  const method = world.member.methods[path]!;
  assert.ok(method.kind === "unary");
  const request = new MoveLeaderRequest();
  request.targetId = member!.id;
  const move = (timeoutMs: number | undefined): FakeCall => {
    const call = new FakeCall(path);
    if (timeoutMs !== undefined) call.deadlineMs = world.world.nowMs + timeoutMs;
    method.handle(call, encodeMoveLeaderRequest(request));
    return call;
  };
  const startMs = world.world.nowMs;
  const limited = move(300);
  const given = move(300);
  const unlimited = move(undefined);
  given.cancel();
  await world.world.until(() => limited.ended);
  const tookMs = world.world.nowMs - startMs;
  assert.ok(tookMs <= 301, `${tookMs} ms`);
  assert.deepEqual(limited.error, {
    code: 2,
    message: "etcdserver: request timed out, leader transfer took too long",
  });
  assert.equal(given.error, undefined);
  assert.ok(!unlimited.ended);
  await world.stop();
  assert.deepEqual(unlimited.error, { code: 14, message: "etcdserver: server stopped" });
});

test("a stream that wants a leader ends when there has been none for three checks", async () => {
  const world = await MemberWorld.started();
  const method = world.member.methods["/grpc.health.v1.Health/Watch"]!;
  assert.equal(method.kind, "stream");
  const call = startStream(world.member.methods, "/grpc.health.v1.Health/Watch");
  call.headers.set("hasleader", "true");
  if (method.kind === "stream") method.open(call).onMessage(new Uint8Array(0));
  await world.answer(
    world.begin(`${service}MemberAdd`, addRequest(["http://127.0.0.1:2390"], false)),
  );
  await world.world.until(() => world.member.leaderId === 0n);
  const lost = world.world.nowMs;
  await world.world.until(() => call.ended);
  assert.deepEqual(call.error, { code: 14, message: "etcdserver: no leader" });
  const took = world.world.nowMs - lost;
  assert.ok(took > 2000 && took <= 3100, `${took} ms`);
  await world.stop();
});
