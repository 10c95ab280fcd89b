import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Bytes,
  bytesToHex,
  bytesToKey,
  CorruptionError,
  keyToBytes,
  SeededRandom,
} from "@etcd-ts/base";
import { type BackendReader, type BucketName, bucketNames } from "@etcd-ts/machine";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { readMeta, writeMeta } from "../src/bolt-format.ts";
import {
  BoltFile,
  hashDatabase,
  importBolt,
  MemoryBackend,
  readSnapshotTrailer,
  saveBoltFile,
  writeBoltFile,
} from "../src/index.ts";
import { FakeDisk } from "./fake-disk.ts";
import { turnTimers } from "./fixtures.ts";

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function backendOf(items: Iterable<[BucketName, Bytes, Bytes]>): MemoryBackend {
  const backend = new MemoryBackend({ timers: turnTimers });
  for (const [bucket, key, value] of items) backend.put(bucket, key, value);
  return backend;
}

function* randomItems(seed: number, count: number): Generator<[BucketName, Bytes, Bytes]> {
  const random = new SeededRandom(seed);
  for (let i = 0; i < count; i++) {
    const bucket = random.chance(1, 2) ? "key" : random.pick(bucketNames);
    const keyBytes = random.chance(1, 40) ? 1 + random.below(4_000) : 1 + random.below(20);
    const valueBytes = random.chance(1, 60) ? random.below(30_000) : random.below(300);
    yield [bucket, random.bytes(keyBytes), random.bytes(valueBytes)];
  }
}

async function saved(backend: BackendReader): Promise<FakeDisk> {
  const disk = new FakeDisk();
  await saveBoltFile(disk, "/db", backend, pause);
  return disk;
}

function dump(reader: BackendReader): string[] {
  const lines: string[] = [];
  for (const bucket of bucketNames) {
    reader.scan(bucket, new Uint8Array(0), undefined, Number.POSITIVE_INFINITY, (key, value) => {
      lines.push(`${bucket} ${bytesToHex(key)} ${bytesToHex(value)}`);
      return true;
    });
  }
  return lines;
}

async function reread(disk: FakeDisk): Promise<string[]> {
  const file = await disk.open("/db", "read");
  const bolt = await BoltFile.open(file);
  assert.deepEqual(bolt.buckets, [...bucketNames]);
  const backend = new MemoryBackend({ timers: turnTimers });
  await importBolt(bolt, backend, pause);
  return dump(backend);
}

test("a meta page is what bbolt writes", () => {
  const page = writeMeta(0, { pageSize: 4096, root: 403, highWater: 404, txid: 2n });
  assert.equal(
    bytesToHex(page.subarray(16)),
    "edda0ced02000000001000000000000093010000000000000000000000000000" +
      "ffffffffffffffff94010000000000000200000000000000264c778b1274574f",
  );
  assert.equal(readMeta(page)?.root, 403);
  page[20] = 3;
  assert.equal(readMeta(page), undefined);
});

for (const [seed, count] of [
  [1, 0],
  [2, 1],
  [3, 20],
  [4, 500],
  [5, 6_000],
] as const) {
  test(`${count} random pairs survive the way through a file`, async () => {
    const backend = backendOf(randomItems(seed, count));
    const disk = await saved(backend);
    assert.deepEqual(await reread(disk), dump(backend));
  });
}

test("keys of every length up to the longest make sound branch pages", async () => {
  const random = new SeededRandom(9);
  const items: [BucketName, Bytes, Bytes][] = [];
  for (let i = 0; i < 60; i++) {
    items.push(["authUsers", random.bytes(1_500 + random.below(31_000)), random.bytes(5)]);
  }
  const backend = backendOf(items);
  assert.deepEqual(await reread(await saved(backend)), dump(backend));
});

test("the length that is announced is the length that comes, in bounded chunks", async () => {
  const backend = backendOf(randomItems(7, 3_000));
  let announced = -1;
  let written = 0;
  let largest = 0;
  let pauses = 0;
  await writeBoltFile(backend, {
    begin: (bytes) => {
      announced = bytes;
    },
    write: async (chunk) => {
      assert.ok(announced > 0);
      written += chunk.length;
      largest = Math.max(largest, chunk.length);
    },
    pause: async () => {
      pauses++;
    },
  });
  assert.equal(written, announced);
  assert.equal(announced % 4096, 0);
  assert.ok(largest <= 128 << 10 && pauses > 20);
});

test("a sink that fails ends the writing", async () => {
  const sink = {
    begin: () => {},
    write: () => Promise.reject(new Error("client went away")),
    pause: async () => {},
  };
  await assert.rejects(writeBoltFile(backendOf(randomItems(1, 2_000)), sink), /client went away/);
});

test("an older or a damaged meta page does not count", async () => {
  const backend = backendOf(randomItems(3, 100));
  const disk = await saved(backend);
  const bytes = disk.bytesOf("/db");
  bytes[30] = 99; // meta 0
  assert.deepEqual(await reread(disk), dump(backend));
  bytes[4096 + 30] = 99;
  await assert.rejects(reread(disk), /no meta page/);
});

test("a file shorter than its pages is refused", async () => {
  const disk = await saved(backendOf(randomItems(3, 300)));
  const bytes = disk.bytesOf("/db");
  disk.place("/db", bytes.slice(0, bytes.length - 1));
  await assert.rejects(reread(disk), CorruptionError);
});

test("what follows the database in a snapshot file is told apart and checked", async () => {
  const host = nodeHost({ log: silentLog });
  const backend = backendOf(randomItems(8, 50));
  const disk = await saved(backend);
  const database = disk.bytesOf("/db");
  const plain = await disk.open("/db", "read");
  assert.deepEqual(await readSnapshotTrailer(plain), {
    databaseBytes: database.length,
    digest: undefined,
  });
  const digest = await hashDatabase(plain, database.length, host.digests, pause);
  disk.place("/snap", Buffer.concat([database, digest]));
  const file = await disk.open("/snap", "read");
  const trailer = await readSnapshotTrailer(file);
  assert.equal(trailer.databaseBytes, database.length);
  assert.deepEqual(Buffer.from(trailer.digest as Bytes), Buffer.from(digest));
  const bolt = await BoltFile.open(file, trailer.databaseBytes);
  let found = 0;
  for (const bucket of bolt.buckets) await bolt.scan(bucket, () => found++);
  for (const bucket of bolt.buckets) await bolt.scan(bucket, () => found++);
  assert.equal(found, 2 * dump(backend).length);
});

test("a bucket that is not there is empty, and a foreign one is left out", async () => {
  const disk = await saved(backendOf([["meta", keyToBytes("a"), keyToBytes("1")]]));
  const bytes = disk.bytesOf("/db");
  // Names stand in the root page; this one keeps its place in the order.
  const at = Buffer.from(bytes).indexOf("authRoles");
  bytes.set(keyToBytes("authQoles"), at);
  const file = await disk.open("/db", "read");
  const bolt = await BoltFile.open(file);
  assert.equal(bolt.buckets.includes("authQoles"), true);
  await bolt.scan("authRoles", (key) => assert.fail(bytesToKey(key)));
  const backend = new MemoryBackend({ timers: turnTimers });
  await importBolt(bolt, backend, pause);
  assert.equal(dump(backend).length, 1);
});
