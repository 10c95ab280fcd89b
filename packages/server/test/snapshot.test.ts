// Maintenance.Snapshot: a file for stock tools, taken while the member goes on.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { decodeSnapshotResponse } from "@etcd-ts/api";
import { loadNewestSnapFile } from "@etcd-ts/storage";
import { startStream } from "./support/calls.ts";
import { MemberWorld } from "./support/member-world.ts";

test("a snapshot comes in blobs with the bytes to come, and ends with its digest", async () => {
  const world = await MemberWorld.started();
  for (let i = 0; i < 60; i++) await world.put(`key-${i}`, "x".repeat(5000));
  const call = startStream(world.member.methods, "/etcdserverpb.Maintenance/Snapshot");
  call.room = 3;
  call.handler!.onMessage(new Uint8Array(0));
  while (!call.ended) {
    await world.world.until(() => call.ended || call.room <= 0);
    const sent = call.sent.length;
    // What is written meanwhile is not in it, and nothing is sent while nobody takes it.
    await world.put("later", String(sent));
    if (!call.ended) assert.equal(call.sent.length, sent);
    call.room = 3;
    call.handler!.onDrain();
  }
  assert.equal(call.error, undefined);
  const messages = [...call.sent, call.response!].map((bytes) => decodeSnapshotResponse(bytes));
  const digest = messages.pop()!;
  assert.equal(digest.remainingBytes, 0);
  const total = messages.reduce((sum, message) => sum + message.blob.length, 0);
  assert.ok(total > 300_000);
  assert.equal(total % 512, 0);
  let left = total;
  for (const [i, message] of messages.entries()) {
    if (i < messages.length - 1) assert.equal(message.blob.length, 32_768);
    left -= message.blob.length;
    assert.equal(message.remainingBytes, left);
    assert.equal(message.version, "3.7.0");
  }
  const file = Buffer.concat(messages.map((message) => message.blob));
  assert.deepEqual(Buffer.from(digest.blob), createHash("sha256").update(file).digest());
  assert.ok(file.includes("key-59"));
  assert.ok(!file.includes("later"));
  assert.equal(world.member.openViewCount, 0);
  await world.stop();
});

test("a client that goes away, and a member that stops, leave no view open", async () => {
  const world = await MemberWorld.started();
  for (let i = 0; i < 60; i++) await world.put(`key-${i}`, "x".repeat(5000));
  const gone = startStream(world.member.methods, "/etcdserverpb.Maintenance/Snapshot");
  gone.room = 1;
  gone.handler!.onMessage(new Uint8Array(0));
  await world.world.until(() => gone.sent.length > 0);
  assert.equal(world.member.openViewCount, 1);
  gone.cancel();
  await world.world.until(() => world.member.openViewCount === 0);

  const cut = startStream(world.member.methods, "/etcdserverpb.Maintenance/Snapshot");
  cut.room = 1;
  cut.handler!.onMessage(new Uint8Array(0));
  await world.world.until(() => cut.sent.length > 0);
  await world.stop();
  assert.deepEqual(cut.error, { code: 14, message: "etcdserver: server stopped" });
  assert.equal(world.member.openViewCount, 0);
});

test("raft snapshots hold the membership as stock members expect it, and only a few are kept", async () => {
  const world = await MemberWorld.started({
    snapshotCount: 5,
    snapshotCatchupEntries: 2,
    maxSnapshots: 2,
  });
  for (let i = 0; i < 40; i++) await world.put("k", String(i));
  await world.world.run(50);
  const files = world.world.disk.paths().filter((path) => path.endsWith(".snap"));
  assert.equal(files.length, 2);
  await world.stop();
  const snapshot = await world.world.settled(
    loadNewestSnapFile(world.world.host().disk, "/data/member/snap"),
  );
  assert.deepEqual(snapshot!.metadata!.confState!.voters, [world.member.memberId]);
  const store = JSON.parse(Buffer.from(snapshot!.data).toString());
  const zero = store.Root.Children["0"].Children;
  const id = world.member.memberId.toString(16);
  const member = zero.members.Children[id];
  assert.equal(member.Path, `/0/members/${id}`);
  assert.deepEqual(JSON.parse(member.Children.raftAttributes.Value), {
    peerURLs: ["http://127.0.0.1:2380"],
  });
  assert.deepEqual(JSON.parse(member.Children.attributes.Value), {
    name: "default",
    clientURLs: ["http://127.0.0.1:2379"],
  });
  assert.equal(zero.version.Value, "3.7.0");
  assert.deepEqual(store.Root.Children["1"].Children, {});
});
