// Files that stock members wrote (one member; 25 puts, a delete, a value of 9,000 bytes, a lease; a snapshot
// every 10 entries; the log shortened to what stands in it).

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { crc32c, keyToBytes } from "@etcd-ts/base";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { EntryType } from "@etcd-ts/raft";
import {
  BoltFile,
  importBolt,
  listSnapFiles,
  loadNewestSnapFile,
  MemoryBackend,
  readWal,
  Wal,
} from "../src/index.ts";
import { WalEncoder } from "../src/wal-encoder.ts";
import { readSegment } from "../src/wal-segment-reader.ts";

const testdata = fileURLToPath(new URL("../../testdata/", import.meta.url));
const host = nodeHost({ log: silentLog });
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

for (const [release, snapshots] of [
  ["stock-3.4.23", 22],
  ["stock-3.5.30", 33],
] as const) {
  const folder = join(testdata, release);

  test(`${release}: the log is read`, async () => {
    const all = await readWal(host.disk, join(folder, "wal"), { startAt: { index: 0, term: 0 } });
    assert.equal(all.metadata.nodeId !== 0n && all.metadata.clusterId !== 0n, true);
    assert.equal(all.hardState.term, 2);
    assert.equal(all.entries[0]?.type, EntryType.EntryConfChange);
    assert.equal(all.entries.length, all.hardState.commit);
    const puts = all.entries.filter((each) => Buffer.from(each.data).includes("value"));
    assert.equal(puts.length, 25);
    const newest = await readWal(host.disk, join(folder, "wal"));
    assert.equal(newest.snapshot.index, snapshots);
    assert.equal(newest.snapshot.confState === undefined, release === "stock-3.4.23");
    assert.equal(newest.entries.length, newest.hardState.commit - snapshots);
  });

  test(`${release}: our encoder writes its entries and states byte for byte`, async () => {
    const path = join(folder, "wal", "0000000000000000-0000000000000000.wal");
    const file = await host.disk.open(path, "read");
    const content = await readSegment(file, true);
    await file.close();
    // Our encoder takes over where the first entry stands.
    const bytes = readFileSync(path);
    let at = 0;
    let crc = 0;
    const ours = new WalEncoder(0);
    for (const entry of content.entries) {
      for (;;) {
        const length = bytes.readUInt32LE(at);
        const frame = bytes.subarray(at, at + 8 + length + (-length & 7));
        at += frame.length;
        if (frame[9] !== 2) {
          const data = recordData(frame);
          crc = crc32c(crc, data);
          continue;
        }
        const encoder = new WalEncoder(crc);
        encoder.entry(entry);
        assert.deepEqual(Buffer.from(encoder.take()), Buffer.from(frame));
        crc = encoder.crc;
        break;
      }
    }
    ours.crcRecord();
    assert.deepEqual(Buffer.from(ours.take()), Buffer.from(bytes.subarray(0, 16)));
  });

  test(`${release}: the log is taken over and continued`, async () => {
    const copy = mkdtempSync(join(tmpdir(), "etcd-ts-storage-"));
    try {
      cpSync(join(folder, "wal"), copy, { recursive: true });
      const startAt = { index: 0, term: 0 };
      const opened = await Wal.open(host, copy, { segmentBytes: 1 << 20, startAt });
      const last = opened.entries.at(-1);
      assert.ok(last);
      const next = { ...last, index: last.index + 1 };
      await new Promise<void>((resolve, reject) => {
        opened.wal.append(undefined, [next], true, (error) => (error ? reject(error) : resolve()));
      });
      await opened.wal.close();
      const again = await readWal(host.disk, copy, { startAt });
      assert.equal(again.entries.at(-1)?.index, next.index);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });

  test(`${release}: the newest .snap file is read`, async () => {
    const directory = join(folder, "snap");
    const files = await listSnapFiles(host.disk, directory);
    assert.deepEqual(
      files.map((file) => file.index),
      [snapshots],
    );
    const snapshot = await loadNewestSnapFile(host.disk, directory);
    assert.equal(snapshot?.metadata?.index, snapshots);
    assert.equal(snapshot?.metadata?.confState?.voters.length, 1);
    assert.match(Buffer.from(snapshot?.data ?? []).toString(), /"Path":/);
  });

  test(`${release}: the database is read, bucket by bucket, and imported`, async () => {
    const file = await host.disk.open(join(folder, "snap", "db"), "read");
    try {
      const bolt = await BoltFile.open(file);
      assert.equal(bolt.pageSize, 4096);
      const keys: string[] = [];
      let largest = 0;
      await bolt.scan("key", (key, value) => {
        keys.push(Buffer.from(key).toString("hex"));
        largest = Math.max(largest, value.length);
      });
      assert.deepEqual(keys, keys.toSorted());
      assert.equal(keys.length, 27);
      assert.ok(largest > 9000);
      const backend = new MemoryBackend({ timers: host.timers });
      await importBolt(bolt, backend, pause);
      assert.equal(backend.get("meta", keyToBytes("consistent_index"))?.length, 8);
      let leases = 0;
      backend.scan("lease", new Uint8Array(0), undefined, 10, () => {
        leases++;
        return true;
      });
      assert.equal(leases, 1);
      assert.equal(readdirSync(folder).length, 2);
    } finally {
      await file.close();
    }
  });
}

/** The data field of a record with a one-byte type and without an unknown field. */
function recordData(frame: Uint8Array): Uint8Array {
  let at = 11; // 08 type 10
  while ((frame[at] as number) >= 0x80) at++;
  at++;
  const end = 8 + Buffer.from(frame).readUInt32LE(0);
  if (at >= end) return new Uint8Array(0);
  at++; // 1a
  while ((frame[at] as number) >= 0x80) at++;
  return frame.subarray(at + 1, end);
}
