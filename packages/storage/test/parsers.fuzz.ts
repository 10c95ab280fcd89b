// Mutated and random bytes for everything here that reads files: the log, `.snap` files and bbolt databases.
// They may be refused with a `CorruptionError`, or read as something; never crash, hang or take memory
// without bound.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, CorruptionError, SeededRandom } from "@etcd-ts/base";
import { type BucketName, bucketNames } from "@etcd-ts/machine";
import { ConfState } from "@etcd-ts/raft";
import {
  BoltFile,
  MemoryBackend,
  readSnapFile,
  readWal,
  saveBoltFile,
  Wal,
  writeSnapFile,
} from "../src/index.ts";
import { FakeDisk } from "./fake-disk.ts";
import { append, entries, hostOf, metadata, state, turnTimers } from "./fixtures.ts";

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const segment = "/data/wal/0000000000000000-0000000000000000.wal";

/** Some flipped bits, overwritten words, zeroed, cut, copied or inserted pieces. */
function mutate(original: Bytes, random: SeededRandom): Bytes {
  let bytes: Bytes = original.slice();
  for (let i = 1 + random.below(4); i > 0; i--) {
    const at = random.below(Math.max(1, bytes.length));
    const length = Math.min(1 + random.below(64), bytes.length - at);
    switch (random.below(7)) {
      case 0:
        bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
        break;
      case 1:
        bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
        break;
      case 2:
        bytes.fill(random.pick([0, 0xff]), at, at + length);
        break;
      case 3:
        bytes = bytes.slice(0, at);
        break;
      case 4:
        bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length));
        break;
      case 5:
        bytes.set(random.bytes(length), at);
        break;
      default:
        new DataView(bytes.buffer).setUint32(
          Math.min(at & ~3, Math.max(0, bytes.length - 4)),
          random.next32(),
          true,
        );
    }
    if (bytes.length < 8) return random.bytes(random.below(100));
  }
  return bytes;
}

/** Runs `read` on many inputs; returns how many were refused. */
async function fuzz(
  name: string,
  original: Bytes,
  count: number,
  read: (bytes: Bytes) => Promise<void>,
): Promise<number> {
  let refused = 0;
  for (let seed = 1; seed <= count; seed++) {
    const random = new SeededRandom(seed);
    const bytes =
      seed % 10 === 0 ? random.bytes(random.below(2 * original.length)) : mutate(original, random);
    try {
      await read(bytes);
    } catch (error) {
      if (!(error instanceof CorruptionError)) {
        throw new Error(`${name}, seed ${seed}: ${String(error)}`, { cause: error });
      }
      refused++;
    }
  }
  return refused;
}

test("the log's reader takes any bytes", async () => {
  const disk = new FakeDisk();
  await disk.makeDirectory("/data");
  const options = { segmentBytes: 16_384 };
  const wal = await Wal.create(hostOf(disk), "/data/wal", metadata, options);
  await append(wal, state(1, 1n, 5), entries(1, 20, 1));
  const confState = new ConfState();
  confState.voters = [1n];
  await wal.saveSnapshot({ index: 5, term: 1, confState });
  await append(wal, state(2, 1n, 20), entries(18, 30, 2));
  await wal.close();
  const original = disk.bytesOf(segment);
  const used = original.findLastIndex((byte) => byte !== 0) + 200;
  const refused = await fuzz("wal", original.subarray(0, used), 800, async (bytes) => {
    const copy = new FakeDisk();
    copy.place(segment, bytes);
    const read = await readWal(copy, "/data/wal");
    for (const [i, entry] of read.entries.entries()) {
      assert.equal(entry.index, read.snapshot.index + 1 + i);
    }
    assert.ok(read.hardState.commit <= read.lastIndex);
    // What is readable can be opened, and is the same then.
    const opened = await Wal.open(hostOf(copy), "/data/wal", options);
    await opened.wal.close();
    assert.equal(opened.entries.length, read.entries.length);
    assert.deepEqual((await readWal(copy, "/data/wal")).last.torn, false);
  });
  assert.ok(refused > 300, `${refused} refused`);
});

test("the reader of .snap files takes any bytes", async () => {
  const disk = new FakeDisk();
  await disk.makeDirectory("/snap");
  const confState = new ConfState();
  confState.voters = [1n, 2n, 3n];
  const data = new SeededRandom(1).bytes(300);
  await writeSnapFile(disk, "/snap", { index: 7, term: 2, confState, data });
  const [path] = disk.paths as [string];
  const refused = await fuzz("snap", disk.bytesOf(path), 2_000, async (bytes) => {
    const copy = new FakeDisk();
    copy.place(path, bytes);
    assert.equal((await readSnapFile(copy, path)).metadata?.index, 7);
  });
  assert.ok(refused > 1_000, `${refused} refused`);
});

test("the reader of databases takes any bytes", async () => {
  const random = new SeededRandom(3);
  const backend = new MemoryBackend({ timers: turnTimers });
  for (let i = 0; i < 600; i++) {
    const bucket: BucketName = random.chance(1, 2) ? "key" : random.pick(bucketNames);
    const size = random.chance(1, 50) ? 9_000 : random.below(100);
    backend.put(bucket, random.bytes(1 + random.below(30)), random.bytes(size));
  }
  const disk = new FakeDisk();
  await saveBoltFile(disk, "/db", backend, pause);
  const original = disk.bytesOf("/db");
  const refused = await fuzz("bolt", original, 1_500, async (mutated) => {
    // Damage behind the checksummed metas is what matters.
    const bytes = mutated.slice();
    if (bytes.length > 8_192) bytes.set(original.subarray(0, 8_192));
    const copy = new FakeDisk();
    copy.place("/db", bytes);
    const file = await copy.open("/db", "read");
    const bolt = await BoltFile.open(file);
    for (const bucket of bolt.buckets) {
      let bytesSeen = 0;
      await bolt.scan(bucket, (key, value) => {
        bytesSeen += key.length + value.length;
      });
      assert.ok(bytesSeen <= bytes.length);
    }
  });
  assert.ok(refused > 500, `${refused} refused`);
});

test("page headers and elements with every wild number are refused or harmless", async () => {
  const backend = new MemoryBackend({ timers: turnTimers });
  for (let i = 0; i < 3_000; i++) {
    const key = new Uint8Array(17);
    new DataView(key.buffer).setUint32(4, i);
    backend.put("key", key, new Uint8Array(40));
  }
  const disk = new FakeDisk();
  await saveBoltFile(disk, "/db", backend, pause);
  const original = disk.bytesOf("/db");
  const wild = [0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff];
  let refused = 0;
  let read = 0;
  const pages = original.length / 4096;
  for (const page of [2, 3, Math.floor(pages / 2), pages - 2, pages - 1]) {
    for (let at = 0; at < 64; at += 4) {
      for (const value of wild) {
        const bytes = original.slice();
        new DataView(bytes.buffer).setUint32(page * 4096 + at, value, true);
        const copy = new FakeDisk();
        copy.place("/db", bytes);
        try {
          const bolt = await BoltFile.open(await copy.open("/db", "read"));
          await bolt.scan("key", () => {});
          read++;
        } catch (error) {
          assert.ok(error instanceof CorruptionError, `page ${page} at ${at}: ${String(error)}`);
          refused++;
        }
      }
    }
  }
  assert.ok(refused > 300 && read > 20, `${refused} refused, ${read} read`);
});
