// Who else opens a log that is open already is refused, ours and stock, whatever became of other lock files.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DiskError } from "@etcd-ts/base";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { ConfState } from "@etcd-ts/raft";
import { readWal, Wal } from "../src/index.ts";
import { FakeDisk } from "./fake-disk.ts";
import { append, entries, hostOf, metadata, state } from "./fixtures.ts";
import { noStockReason, StockMember, stockReleases } from "./stock-etcd.ts";

const directory = "/data/wal";
const firstName = "0000000000000000-0000000000000000.wal";
const small = { segmentBytes: 4096, segmentsKept: 2 };
const confState = new ConfState();
confState.voters = [1n];

async function freshDisk(): Promise<FakeDisk> {
  const disk = new FakeDisk();
  await disk.makeDirectory("/data");
  return disk;
}

function segmentsIn(paths: readonly string[]): string[] {
  return paths.filter((path) => path.endsWith(".wal"));
}

test("a log that is open cannot be opened a second time", async () => {
  const base = mkdtempSync(join(tmpdir(), "etcd-ts-wal-lock-"));
  const host = nodeHost({ log: silentLog });
  const folder = `${base}/wal`;
  const path = `${folder}/${firstName}`;
  const refused = { name: "DiskError", code: "locked", path };
  try {
    const first = await Wal.create(host, folder, metadata, { segmentBytes: 1 << 16 });
    await append(first, state(1, 1n, 0), entries(1, 3, 1));
    await assert.rejects(Wal.open(host, folder), refused);
    await assert.rejects(Wal.open(host, folder), (error: Error) => error.message.includes(path));
    // Looking at it is free.
    assert.equal((await readWal(host.disk, folder)).entries.length, 3);
    await append(first, undefined, entries(4, 4, 1));
    await first.close();
    const { wal: second, entries: found } = await Wal.open(host, folder, {
      segmentBytes: 1 << 16,
    });
    assert.equal(found.length, 4);
    await assert.rejects(Wal.open(host, folder), refused);
    await second.close();
    await (await Wal.open(host, folder, { segmentBytes: 1 << 16 })).wal.close();
  } finally {
    rmSync(base, { recursive: true });
  }
});

test("every segment that matters is locked, the prepared one too, and released with its entries", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  let sawPrepared = false;
  for (let i = 1; i <= 60; i++) {
    await append(wal, state(1, 1n, i), entries(i, i, 1, i));
    assert.deepEqual(segmentsIn(disk.lockedPaths), segmentsIn(disk.paths));
    sawPrepared ||= disk.lockedPaths.some((path) => path.endsWith(".tmp"));
  }
  assert.ok(sawPrepared, "no prepared segment was locked");
  assert.ok(wal.segments.length > 3, `${wal.segments.length} segments`);
  await wal.saveSnapshot({ index: 60, term: 1, confState });
  await wal.releaseTo(60);
  // Two are kept, one is needed.
  assert.equal(segmentsIn(disk.paths).length, 2);
  assert.deepEqual(segmentsIn(disk.lockedPaths), segmentsIn(disk.paths).slice(1));
  await wal.close();
  assert.deepEqual(disk.lockedPaths, []);
  // Opened again, the older one is not even looked at.
  const opened = await Wal.open(hostOf(disk), directory, small);
  assert.deepEqual(segmentsIn(disk.lockedPaths), segmentsIn(disk.paths).slice(1));
  await opened.wal.close();
});

test("a log that cannot be opened leaves no lock behind", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  for (let i = 1; i <= 30; i++) await append(wal, state(1, 1n, 0), entries(i, i, 1, i));
  await wal.close();
  const bytes = disk.bytesOf(`${directory}/${firstName}`);
  bytes[700] = (bytes[700] as number) ^ 4;
  await assert.rejects(Wal.open(hostOf(disk), directory, small), { name: "CorruptionError" });
  assert.deepEqual(disk.lockedPaths, []);
  bytes[700] = (bytes[700] as number) ^ 4;
  // One segment in the middle belongs to somebody else.
  const other = await disk.lock(`${directory}/${firstName}`);
  await assert.rejects(Wal.open(hostOf(disk), directory, small), { code: "locked" });
  await other.release();
  assert.deepEqual(disk.lockedPaths, []);
  await (await Wal.open(hostOf(disk), directory, small)).wal.close();
});

test("a segment that appears while the log is being opened means that somebody writes it", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  await append(wal, state(1, 1n, 0), entries(1, 2, 1));
  await wal.close();
  let lists = 0;
  const next = `${directory}/0000000000000001-0000000000000003.wal`;
  disk.failWhen = (operation) => {
    if (operation === "list" && ++lists === 2) disk.place(next, new Uint8Array(100));
    return undefined;
  };
  await assert.rejects(Wal.open(hostOf(disk), directory, small), { code: "locked", path: next });
  assert.deepEqual(disk.lockedPaths, []);
});

test("two that make a log in one folder at the same time do not mix", async () => {
  for (let delay = 0; delay < 40; delay++) {
    const disk = await freshDisk();
    const first = Wal.create(hostOf(disk), directory, metadata, small);
    first.catch(() => {});
    for (let i = 0; i < delay; i++) await new Promise((resolve) => setImmediate(resolve));
    const second = Wal.create(hostOf(disk), directory, { nodeId: 5n, clusterId: 6n }, small);
    const outcomes = await Promise.allSettled([first, second]);
    const made = outcomes.filter((each) => each.status === "fulfilled").map((each) => each.value);
    assert.ok(made.length <= 1, `delay ${delay}: both have it`);
    for (const each of outcomes) {
      if (each.status === "rejected") assert.ok(each.reason instanceof DiskError, `delay ${delay}`);
    }
    for (const wal of made) {
      await append(wal, state(1, 1n, 0), entries(1, 2, 1));
      await wal.close();
      assert.equal((await readWal(disk, directory)).entries.length, 2, `delay ${delay}`);
    }
  }
});

const releases = stockReleases();
if (releases.length === 0) {
  test("stock etcd and we refuse each other's open logs", { skip: noStockReason }, () => {});
}

for (const release of releases) {
  test(`stock ${release.version} and we refuse each other's open logs`, async () => {
    const base = mkdtempSync(join(tmpdir(), "etcd-ts-wal-lock-"));
    const host = nodeHost({ log: silentLog });
    try {
      const member = await StockMember.start(release, `${base}/one`);
      const folder = `${base}/one/member/wal`;
      await member.put("a", "b");
      await assert.rejects(Wal.open(host, folder), { code: "locked" });
      assert.equal(existsSync(`${folder}/${firstName}.broken`), false);
      // It goes on undisturbed.
      await member.put("a", "c");
      assert.equal(await member.get("a"), "c");
      await member.stop();
      const { wal } = await Wal.open(host, folder);
      await assert.rejects(
        StockMember.start(release, `${base}/one`),
        /lock|temporarily unavailable/,
      );
      await wal.close();
      const again = await StockMember.start(release, `${base}/one`);
      assert.equal(await again.get("a"), "c");
      await again.stop();
    } finally {
      rmSync(base, { recursive: true });
    }
  });
}
