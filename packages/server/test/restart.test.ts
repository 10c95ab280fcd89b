// What a member finds when it starts again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeConfChange, EntryType } from "@etcd-ts/raft";
import { readWal, Wal } from "@etcd-ts/storage";
import { StartError } from "../src/index.ts";
import { MemberWorld } from "./support/member-world.ts";

test("the first log is the one that stock etcd writes", async () => {
  const world = await MemberWorld.started();
  await world.stop();
  const { entries, metadata, hardState } = await world.world.settled(
    readWal(world.world.host().disk, "/data/member/wal", {}),
  );
  assert.equal(metadata.nodeId, world.member.memberId);
  assert.equal(metadata.clusterId, world.member.clusterId);
  assert.equal(hardState.term, 2);
  const first = entries[0]!;
  assert.deepEqual([first.type, first.term, first.index], [EntryType.EntryConfChange, 1, 1]);
  const change = decodeConfChange(first.data);
  assert.equal(change.nodeId, world.member.memberId);
  assert.equal(change.id, 0n);
  assert.equal(
    Buffer.from(change.context).toString(),
    `{"id":${world.member.memberId},"peerURLs":["http://127.0.0.1:2380"],"name":"default"}`,
  );
  assert.equal(entries[1]!.data.length, 0, "the leader's empty entry");
  assert.equal(entries.length, 4, "and its attributes and the cluster version");
});

test("everything is there after a stop, and the log is not applied twice", async () => {
  const world = await MemberWorld.started({ snapshotCount: 10, snapshotCatchupEntries: 2 });
  for (let i = 0; i < 35; i++) await world.put(`key-${i % 5}`, String(i));
  const { appliedIndex, revision } = world.member.machine;
  await world.stop();
  const member = await world.start();
  assert.equal(member.machine.revision, revision);
  assert.ok(member.machine.appliedIndex > appliedIndex);
  for (let i = 30; i < 35; i++) assert.equal(await world.get(`key-${i % 5}`), String(i));
  assert.equal((await world.put("more", "x")).header!.revision, revision + 1);
  assert.deepEqual(
    member.machine.members.list().map((m) => [m.name, m.clientUrls]),
    [["default", ["http://127.0.0.1:2379"]]],
  );
  await world.stop();
});

test("a raft snapshot bounds the log in memory, and the log in bytes as well", async () => {
  const world = await MemberWorld.started({ snapshotCount: 20, snapshotCatchupEntries: 5 });
  for (let i = 0; i < 60; i++) await world.put("k", String(i));
  await world.world.run(50);
  const { log } = world.member.opened;
  assert.ok(log.lastIndex() - log.firstIndex() < 30, `${log.firstIndex()}…${log.lastIndex()}`);
  assert.ok(world.member.replica.logBytes < 60 * 100);
  await world.stop();

  const large = await MemberWorld.started({ logBytesMax: 100_000 });
  for (let i = 0; i < 40; i++) await large.put("k", "x".repeat(10_000));
  await large.world.run(50);
  assert.ok(large.member.replica.logBytes <= 110_000, `${large.member.replica.logBytes} bytes`);
  let bytes = 0;
  const { log: kept } = large.member.opened;
  const entries = kept.entries(kept.firstIndex(), kept.lastIndex() + 1, Number.POSITIVE_INFINITY);
  assert.ok(typeof entries !== "string");
  for (const entry of entries) bytes += entry.data.length;
  assert.equal(large.member.replica.logBytes, bytes);
  await large.stop();
});

test("a second process is kept out of the data directory", async () => {
  const world = await MemberWorld.started();
  await assert.rejects(world.world.settled(world.open()), (error: Error) => {
    assert.ok(error instanceof StartError);
    assert.match(error.message, /in use by another process/);
    return true;
  });
  await world.put("still", "works");
  await world.stop();
});

test("a lost backend behind a snapshot is noticed", async () => {
  const world = await MemberWorld.started({ snapshotCount: 10, snapshotCatchupEntries: 2 });
  for (let i = 0; i < 30; i++) await world.put("k", String(i));
  await world.world.run(50);
  await world.stop();
  const lost = new MemberWorld(world.options);
  Object.assign(lost, { world: world.world });
  await assert.rejects(lost.world.settled(lost.open()), /of the backend is missing/);
});

test("a lost backend without a snapshot is built again from the log", async () => {
  const world = await MemberWorld.started();
  for (let i = 0; i < 5; i++) await world.put(`k${i}`, String(i));
  await world.stop();
  const again = new MemberWorld(world.options);
  Object.assign(again, { world: world.world });
  await again.start();
  assert.equal(await again.get("k4"), "4");
  await again.stop();
});

test("a lost log beside a used backend is refused", async () => {
  const world = await MemberWorld.started();
  await world.put("k", "v");
  await world.stop();
  for (const path of world.world.disk.paths()) {
    if (path.endsWith(".wal")) world.world.disk.overwrite(path, undefined);
  }
  await assert.rejects(world.world.settled(world.open()), /the log is lost/);
});

test("a log that ends before what was applied is refused", async () => {
  const world = await MemberWorld.started();
  for (let i = 0; i < 5; i++) await world.put(`k${i}`, String(i));
  const path = world.world.disk.paths().find((p) => p.endsWith(".wal"))!;
  const early = world.world.disk.contents(path)!;
  for (let i = 0; i < 5; i++) await world.put(`k${i}`, String(i));
  await world.stop();
  world.world.disk.overwrite(path, early);
  await assert.rejects(world.world.settled(world.open()), /part of the log is lost/);
  assert.equal(world.world.disk.locks.size, 0, "the locks are given back");
});

test("a log that was begun anew beside a used backend is refused, and nothing is founded", async () => {
  const world = await MemberWorld.started();
  await world.put("a", "1");
  const { walDir } = world.member.config;
  const { memberId: nodeId, clusterId } = world.member;
  await world.stop();
  const host = world.world.host();
  await world.world.settled(host.disk.remove(walDir));
  const wal = await world.world.settled(Wal.create(host, walDir, { nodeId, clusterId }));
  await world.world.settled(wal.close());
  await assert.rejects(world.world.settled(world.open()), (error: unknown) => {
    assert.ok(error instanceof StartError, String(error));
    assert.match(error.message, /ends at index 0, before index \d+ .* part of the log is lost/);
    return true;
  });
});

test("flags that contradict each other are explained", async () => {
  const open = (options: ConstructorParameters<typeof MemberWorld>[0]) => {
    const world = new MemberWorld(options);
    return world.world.settled(world.open());
  };
  await assert.rejects(open({ name: "other" }), /couldn't find local name "other"/);
  await assert.rejects(
    open({ initialAdvertisePeerUrls: ["http://10.0.0.1:2380"] }),
    /--initial-cluster has default=http:\/\/127.0.0.1:2380 but missing from/,
  );
  await assert.rejects(
    open({ initialAdvertisePeerUrls: ["http://127.0.0.1:2380", "http://10.0.0.1:2380"] }),
    /--initial-advertise-peer-urls has http:\/\/10.0.0.1:2380 but missing from --initial-cluster=default=http:\/\/10.0.0.1:2380,default=http:\/\/127.0.0.1:2380$/,
  );
  await assert.rejects(
    open({
      initialCluster: [
        { name: "default", peerUrls: ["http://127.0.0.1:2380"] },
        { name: "b", peerUrls: ["http://127.0.0.1:2380"] },
      ],
    }),
    /has duplicate url/,
  );
  await assert.rejects(
    open({
      initialCluster: [
        { name: "default", peerUrls: ["http://127.0.0.1:2380"] },
        { name: "b", peerUrls: ["http://127.0.0.1:2381"] },
      ],
    }),
    /more than one member/,
  );
});
