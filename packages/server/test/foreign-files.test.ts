// What other programs leave in a data directory.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DurableCell } from "@etcd-ts/storage";
import { StartError } from "../src/index.ts";
import { MemberWorld } from "./support/member-world.ts";

async function leaveStockDatabase(world: MemberWorld): Promise<void> {
  const { disk } = world.world.host();
  await world.world.settled(disk.makeDirectory("/data/member/snap"));
  const file = await world.world.settled(disk.open("/data/member/snap/db", "create"));
  await world.world.settled(file.close());
}

test("a data directory of a stock member is refused with ways out of it", async () => {
  const world = new MemberWorld();
  await leaveStockDatabase(world);
  await assert.rejects(world.world.settled(world.open()), (error: unknown) => {
    assert.ok(error instanceof StartError);
    assert.match(error.message, /written by another implementation/);
    assert.match(error.message, /member add.*snapshot save.*snapshot restore/);
    return true;
  });
});

test("a stock database beside our own store is named and ignored", async () => {
  const world = await MemberWorld.started();
  await world.put("k", "v");
  await world.stop();
  await leaveStockDatabase(world);
  const { disk } = world.world.host();
  await world.world.settled(disk.makeDirectory("/data/member/store"));
  await world.start();
  assert.equal(await world.get("k"), "v");
  const line = world.world.lines.find((it) => it.message.startsWith("ignoring a database"));
  assert.equal(line?.level, "warn");
  assert.equal(line?.fields?.["path"], "/data/member/snap/db");
  await world.stop();
});

test("a log that went on without our store is refused, and the message says whose it is", async () => {
  const world = await MemberWorld.started({ snapshotCount: 5, snapshotCatchupEntries: 1 });
  const { disk } = world.world.host();
  await world.world.settled(disk.makeDirectory("/data/member/store"));
  await world.put("k", "v");
  await world.stop();
  const image = world.cell.image;
  // Stands for what a stock server does on our log: entries and snapshots that our store knows nothing of.
  await world.start();
  for (let i = 0; i < 20; i++) await world.put(`k${i}`, "v");
  await world.world.run(1000);
  await world.stop();
  await leaveStockDatabase(world);
  world.cell = new DurableCell();
  const { epoch } = world.cell.attach();
  world.cell.begin(image);
  world.cell.settle(epoch);
  await assert.rejects(world.world.settled(world.open()), (error: unknown) => {
    assert.ok(error instanceof StartError, String(error));
    assert.match(error.message, /another implementation of etcd has gone on/);
    assert.match(error.message, /start that one again/);
    return true;
  });
});

test("a second member on the same log is refused, and the message names the log", async () => {
  const world = await MemberWorld.started({ walDir: "/wal" });
  const second = new MemberWorld({ walDir: "/wal", dataDir: "/other" }, world.world);
  await assert.rejects(world.world.settled(second.open()), (error: unknown) => {
    assert.ok(error instanceof StartError, String(error));
    assert.match(error.message, /the log in \/wal is in use by another process/);
    assert.match(error.message, /--wal-dir/);
    return true;
  });
  await world.put("k", "still works");
  await world.stop();
});
