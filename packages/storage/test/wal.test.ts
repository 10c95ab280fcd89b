import assert from "node:assert/strict";
import { test } from "node:test";
import { CorruptionError, DiskError, emptyBytes } from "@etcd-ts/base";
import { ConfState, type Entry } from "@etcd-ts/raft";
import { readWal, Wal } from "../src/index.ts";
import { FakeDisk } from "./fake-disk.ts";
import { append, entries, entry, hostOf, metadata, quietLog, state } from "./fixtures.ts";

const directory = "/data/wal";
const firstSegment = `${directory}/0000000000000000-0000000000000000.wal`;
const medium = { segmentBytes: 200_000 };
const small = { segmentBytes: 4096, segmentsKept: 2 };

async function freshDisk(): Promise<FakeDisk> {
  const disk = new FakeDisk();
  await disk.makeDirectory("/data");
  return disk;
}

function indexes(list: readonly Entry[]): string {
  return list.map((each) => `${each.index}/${each.term}`).join(" ");
}

test("a new log begins with the bytes that etcd writes", async () => {
  const disk = await freshDisk();
  assert.equal(await Wal.exists(disk, directory), false);
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  await wal.close();
  assert.equal(await Wal.exists(disk, directory), true);
  const head = Buffer.from(disk.bytesOf(firstSegment).subarray(0, 16)).toString("hex");
  assert.equal(head, "04000000000000840804100000000000");
  assert.equal(disk.bytesOf(firstSegment).length, 4096);
  await assert.rejects(Wal.create(hostOf(disk), directory, metadata, medium), { code: "exists" });
});

test("a log takes no folder that has other files in it", async () => {
  const disk = await freshDisk();
  await disk.makeDirectory(directory);
  await (await disk.open(`${directory}/notes`, "create")).close();
  await assert.rejects(Wal.create(hostOf(disk), directory, metadata, medium), {
    code: "exists",
    message: /^the log folder \/data\/wal has other files in it \(notes\): /,
  });
  assert.deepEqual(await disk.list("/data"), ["wal"]);
  await disk.remove(`${directory}/notes`);
  await (await Wal.create(hostOf(disk), directory, metadata, medium)).close();
});

test("what was appended comes back", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, medium);
  const added = entries(1, 50, 3);
  added.push(entry(51, 3, new Uint8Array(100_000).fill(7)));
  await append(wal, state(3, 7n, 0), added);
  await append(wal, state(3, 7n, 40), [], false);
  await wal.close();
  const opened = await Wal.open(hostOf(disk), directory, medium);
  assert.deepEqual({ ...opened.metadata }, metadata);
  assert.deepEqual({ ...opened.hardState }, { term: 3, vote: 7n, commit: 40 });
  assert.equal(opened.snapshot.index, 0);
  assert.equal(opened.repaired, false);
  assert.deepEqual(
    opened.entries.map((each) => ({ ...each, data: Buffer.from(each.data).toString("hex") })),
    added.map((each) => ({ ...each, data: Buffer.from(each.data).toString("hex") })),
  );
  await opened.wal.close();
});

test("all appends of a turn become one write and one sync, and call back in order", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, medium);
  let writes = 0;
  let syncs = 0;
  disk.failWhen = (operation) => {
    if (operation === "write") writes++;
    if (operation === "sync") syncs++;
    return undefined;
  };
  const order: number[] = [];
  const waiting: Promise<void>[] = [];
  for (let i = 1; i <= 100; i++) {
    waiting.push(append(wal, undefined, [entry(i, 1)], i % 2 === 0).then(() => void order.push(i)));
  }
  assert.equal(wal.pendingCount, 100);
  await Promise.all(waiting);
  assert.deepEqual([writes, syncs], [1, 1]);
  assert.deepEqual(
    order,
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  // While one is in flight, the next gathers.
  const first = append(wal, undefined, [entry(101, 1)]);
  await new Promise((resolve) => setImmediate(resolve));
  const more = [102, 103, 104].map((index) => append(wal, undefined, [entry(index, 1)]));
  await first;
  await Promise.all(more);
  assert.deepEqual([writes, syncs], [3, 3]);
  // A commit alone is written without a sync.
  await append(wal, state(1, 1n, 104), [], false);
  assert.deepEqual([writes, syncs], [4, 3]);
  await wal.close();
});

test("a sync that takes more than a second is said", async () => {
  const disk = await freshDisk();
  const said: unknown[] = [];
  let nowMs = 0;
  const wal = await Wal.create(
    {
      ...hostOf(disk),
      clock: { monotonicMs: () => nowMs, wallMs: () => 0 },
      log: { ...quietLog, warn: (message, fields) => void said.push([message, fields]) },
    },
    directory,
    metadata,
    medium,
  );
  let syncMs = 1000;
  disk.failWhen = (operation) => {
    if (operation === "sync") nowMs += syncMs;
    return undefined;
  };
  await append(wal, undefined, [entry(1, 1)]);
  assert.deepEqual(said, []);
  syncMs = 1234.5;
  await append(wal, undefined, [entry(2, 1)]);
  assert.deepEqual(said, [["slow fdatasync", { took: "1.234500s", "expected-duration": "1s" }]]);
  await wal.close();
});

test("a later entry of the same index replaces what follows", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, medium);
  await append(wal, state(1, 1n, 2), entries(1, 6, 1));
  await append(wal, state(2, 1n, 2), entries(4, 5, 2));
  await wal.close();
  const opened = await Wal.open(hostOf(disk), directory, medium);
  assert.equal(indexes(opened.entries), "1/1 2/1 3/1 4/2 5/2");
  await opened.wal.close();
});

test("segments are cut, named, chained and read back", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  for (let i = 1; i <= 40; i++) await append(wal, state(1, 1n, i - 1), entries(i, i, 1, i));
  assert.ok(wal.segments.length >= 3, `${wal.segments.length} segments`);
  const names = disk.paths.filter((path) => path.endsWith(".wal"));
  assert.equal(names.length, wal.segments.length);
  const second = names[1] as string;
  assert.match(second, /\/0000000000000001-[0-9a-f]{16}\.wal$/);
  await wal.close();
  // A segment with a successor is cut to what stands in it.
  assert.notEqual(disk.bytesOf(names[0] as string).length, disk.bytesOf(names.at(-1)!).length);
  const opened = await Wal.open(hostOf(disk), directory, small);
  assert.equal(opened.entries.length, 40);
  assert.equal(opened.hardState.commit, 39);
  for (let i = 41; i <= 60; i++) await append(opened.wal, undefined, entries(i, i, 1, i));
  await opened.wal.close();
  const again = await readWal(disk, directory);
  assert.equal(again.entries.length, 60);
  assert.equal(
    disk.paths.some((path) => path.endsWith(".tmp")),
    false,
  );
});

test("a burst across segment boundaries keeps its order", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  const order: number[] = [];
  const all = Array.from({ length: 200 }, (_, i) =>
    append(wal, undefined, entries(i + 1, i + 1, 1, i)).then(() => void order.push(i)),
  );
  await Promise.all(all);
  assert.deepEqual(
    order,
    Array.from({ length: 200 }, (_, i) => i),
  );
  await wal.close();
  assert.equal((await readWal(disk, directory)).entries.length, 200);
});

test("the log continues from the newest committed snapshot, and old segments go", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  const confState = new ConfState();
  confState.voters = [1n, 0xffffffffffffffffn];
  for (let i = 1; i <= 80; i++) {
    await append(wal, state(2, 1n, i), entries(i, i, 2, i));
    if (i === 30 || i === 60) await wal.saveSnapshot({ index: i, term: 2, confState });
  }
  // Not committed: does not count.
  await wal.saveSnapshot({ index: 81, term: 2, confState });
  const before = wal.segments.length;
  await wal.releaseTo(60);
  assert.ok(wal.segments.length < before && wal.segments.length >= small.segmentsKept);
  assert.ok((wal.segments[0]?.firstIndex as number) <= 60);
  await wal.close();
  const opened = await Wal.open(hostOf(disk), directory, small);
  assert.equal(opened.snapshot.index, 60);
  assert.deepEqual(opened.snapshot.confState?.voters, [1n, 0xffffffffffffffffn]);
  assert.equal(opened.entries[0]?.index, 61);
  assert.equal(opened.entries.length, 20);
  await opened.wal.close();
  const content = await readWal(disk, directory, { accept: (point) => point.index !== 60 }).catch(
    (error: unknown) => error,
  );
  // Its segments are gone, or it continues from 30.
  if (content instanceof CorruptionError) assert.match(content.message, /snapshot not found|slice/);
  else assert.equal((content as { snapshot: { index: number } }).snapshot.index, 30);
  await assert.rejects(
    readWal(disk, directory, { startAt: { index: 60, term: 9 } }),
    /wal: snapshot mismatch/,
  );
  await assert.rejects(
    readWal(disk, directory, { startAt: { index: 59, term: 2 } }),
    /wal: snapshot not found/,
  );
});

test("only the segments that are needed are read", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, { segmentBytes: 4096 });
  const confState = new ConfState();
  for (let i = 1; i <= 100; i++) await append(wal, state(1, 1n, i), entries(i, i, 1, i));
  await wal.saveSnapshot({ index: 100, term: 1, confState });
  await wal.close();
  const opens: string[] = [];
  disk.failWhen = (operation, path) => {
    if (operation === "open") opens.push(path);
    return undefined;
  };
  assert.equal((await readWal(disk, directory)).snapshot.index, 100);
  assert.ok(opens.length <= 2, `${opens.length} segments were opened`);
});

test("garbage behind the end is wiped out before anything is appended", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  await append(wal, state(1, 1n, 0), entries(1, 2, 1));
  await wal.close();
  disk.bytesOf(firstSegment).fill(0xee, 3000, 3600);
  const opened = await Wal.open(hostOf(disk), directory, small);
  assert.equal(opened.entries.length, 2);
  await opened.wal.close();
  assert.ok(
    disk
      .bytesOf(firstSegment)
      .subarray(3000)
      .every((byte) => byte === 0),
  );
});

test("a torn tail is cut off, with a copy put aside", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, medium);
  await append(wal, state(1, 1n, 0), [entry(1, 1, new Uint8Array(100).fill(1))]);
  const torn = wal.writtenBytes;
  await append(wal, undefined, [entry(2, 1, new Uint8Array(3000).fill(2))]);
  await wal.close();
  disk.bytesOf(firstSegment).fill(0, 1024, 1536);
  assert.ok(torn < 1024);
  const opened = await Wal.open(hostOf(disk), directory, medium);
  assert.equal(opened.repaired, true);
  assert.equal(indexes(opened.entries), "1/1");
  assert.ok(disk.bytesOf(`${firstSegment}.broken`).length > 3000);
  await append(opened.wal, undefined, [entry(2, 2)]);
  await opened.wal.close();
  const again = await Wal.open(hostOf(disk), directory, medium);
  assert.equal(again.repaired, false);
  assert.equal(indexes(again.entries), "1/1 2/2");
  await again.wal.close();
});

test("a damaged middle is refused, with file and offset", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, medium);
  await append(wal, state(1, 1n, 0), [entry(1, 1, new Uint8Array(2000).fill(1))]);
  await append(wal, undefined, [entry(2, 1, new Uint8Array(2000).fill(2))]);
  await wal.close();
  const bytes = disk.bytesOf(firstSegment);
  bytes[700] = (bytes[700] as number) ^ 4;
  await assert.rejects(Wal.open(hostOf(disk), directory, medium), (error: unknown) => {
    assert.ok(error instanceof CorruptionError);
    assert.equal(error.file, firstSegment);
    assert.ok(error.position > 0 && error.position < 700);
    assert.match(error.message, /wal: crc mismatch/);
    return true;
  });
});

test("a damaged length word does not drop what follows", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, medium);
  await append(wal, state(1, 1n, 0), [entry(1, 1)]);
  const at = 16; // behind the checksum record
  await wal.close();
  for (let bit = 0; bit < 64; bit++) {
    const copy = new FakeDisk();
    const bytes = disk.bytesOf(firstSegment).slice(0, 512);
    bytes[at + (bit >> 3)] = (bytes[at + (bit >> 3)] as number) ^ (1 << (bit & 7));
    copy.place(firstSegment, bytes);
    await assert.rejects(Wal.open(hostOf(copy), directory, medium), CorruptionError, `bit ${bit}`);
  }
});

test("a damaged length word that reaches into zeros, or past the end, drops nothing either", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, medium);
  await append(wal, state(1, 1n, 0), [entry(1, 1, new Uint8Array(40).fill(1))]);
  await append(wal, undefined, [entry(2, 1, new Uint8Array(100).fill(2))]);
  await append(wal, undefined, [entry(3, 1, new Uint8Array(100).fill(3))]);
  await wal.close();
  const whole = disk.bytesOf(firstSegment).slice();
  assert.equal(whole.length, medium.segmentBytes, "zeros follow");
  // The records are found by their length words, from the beginning on.
  const words: number[] = [];
  for (let position = 0; whole[position] !== 0; ) {
    words.push(position);
    const length = (whole[position] as number) + 256 * (whole[position + 1] as number);
    position += 8 + length + (-length & 7);
  }
  assert.ok(words.length >= 6);
  for (const word of words) {
    // The checksum record has no data, and so only its padding to contradict.
    if (word % 512 > 512 - 32 || word === 0) continue;
    for (let bit = 0; bit < 64; bit++) {
      const copy = new FakeDisk();
      const bytes = whole.slice();
      bytes[word + (bit >> 3)] = (bytes[word + (bit >> 3)] as number) ^ (1 << (bit & 7));
      // Nothing tells a word that became zero from one that was never written.
      if (bytes.subarray(word, word + 8).every((byte) => byte === 0)) continue;
      copy.place(firstSegment, bytes);
      await assert.rejects(
        Wal.open(hostOf(copy), directory, medium),
        CorruptionError,
        `bit ${bit} of the word at ${word}`,
      );
    }
  }
});

test("damage in an earlier segment is never repaired", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  for (let i = 1; i <= 40; i++) await append(wal, state(1, 1n, 0), entries(i, i, 1, i));
  await wal.close();
  const bytes = disk.bytesOf(firstSegment);
  disk.place(firstSegment, bytes.subarray(0, bytes.length - 16));
  await assert.rejects(Wal.open(hostOf(disk), directory, medium), CorruptionError);
  bytes.fill(0, 1024, 1536);
  disk.place(firstSegment, bytes);
  await assert.rejects(Wal.open(hostOf(disk), directory, medium), CorruptionError);
});

test("a missing segment and a foreign one are refused", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  for (let i = 1; i <= 60; i++) await append(wal, state(1, 1n, 0), entries(i, i, 1, i));
  await wal.close();
  const names = disk.paths.filter((path) => path.endsWith(".wal"));
  assert.ok(names.length >= 4);
  const middle = disk.bytesOf(names[1] as string);
  await disk.remove(names[1] as string);
  await assert.rejects(readWal(disk, directory), /sequence numbers do not increase/);
  const other = new FakeDisk();
  await other.makeDirectory("/data");
  const foreign = await Wal.create(hostOf(other), directory, { nodeId: 1n, clusterId: 2n }, small);
  for (let i = 1; i <= 60; i++) await append(foreign, state(1, 1n, 0), entries(i, i, 1, i));
  await foreign.close();
  const otherNames = other.paths.filter((path) => path.endsWith(".wal"));
  disk.place(names[1] as string, other.bytesOf(otherNames[1] as string));
  await assert.rejects(readWal(disk, directory), /conflicting metadata|crc mismatch/);
  disk.place(names[1] as string, middle);
  assert.equal((await readWal(disk, directory)).entries.length, 60);
  await disk.remove(names[0] as string);
  await assert.rejects(readWal(disk, directory), /wal: snapshot not found/);
  await assert.rejects(readWal(disk, "/data/none"), /wal: file not found/);
});

test("a committed entry that is missing is damage", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, medium);
  await append(wal, state(1, 1n, 9), entries(1, 5, 1));
  await wal.close();
  await assert.rejects(readWal(disk, directory), /committed but the log ends at 5/);
});

for (const operation of ["write", "sync"]) {
  test(`after a failed ${operation} the log is dead for ever`, async () => {
    const disk = await freshDisk();
    const wal = await Wal.create(hostOf(disk), directory, metadata, medium);
    await append(wal, state(1, 1n, 0), entries(1, 1, 1));
    let failures = 0;
    disk.failWhen = (each, path) => {
      if (each !== operation || failures > 0) return undefined;
      failures++;
      return new DiskError("io", path, `${path}: input/output error`);
    };
    const outcomes = await Promise.allSettled([
      append(wal, undefined, entries(2, 2, 1)),
      append(wal, undefined, entries(3, 3, 1)),
    ]);
    assert.deepEqual(
      outcomes.map((each) => each.status),
      ["rejected", "rejected"],
    );
    assert.equal(failures, 1);
    await assert.rejects(append(wal, undefined, entries(2, 2, 1)), { code: "io" });
    await assert.rejects(wal.saveSnapshot({ index: 1, term: 1, confState: new ConfState() }), {
      code: "io",
    });
    assert.equal(wal.failure?.name, "DiskError");
    assert.equal(wal.pendingCount, 0);
    await wal.close();
  });
}

test("a disk that is full at a cut ends the log, and loses nothing", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  disk.failWhen = (operation, path) =>
    operation === "preallocate" ? new DiskError("no-space", path, `${path}: full`) : undefined;
  let acknowledged = 0;
  await assert.rejects(
    async () => {
      for (let i = 1; i <= 100; i++) {
        await append(wal, undefined, entries(i, i, 1, i));
        acknowledged = i;
      }
    },
    { code: "no-space" },
  );
  await wal.close();
  disk.failWhen = undefined;
  const opened = await Wal.open(hostOf(disk), directory, small);
  assert.ok(acknowledged > 5 && opened.entries.length >= acknowledged);
  await append(opened.wal, undefined, entries(opened.entries.length + 1, 60, 1));
  await opened.wal.close();
});

test("appends after close are refused and close is idempotent", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, medium);
  const last = append(wal, state(1, 1n, 0), [entry(1, 1, emptyBytes)]);
  await Promise.all([wal.close(), wal.close(), last]);
  await assert.rejects(append(wal, undefined, [entry(2, 1)]), /closed/);
  assert.equal((await readWal(disk, directory)).entries.length, 1);
});

const someone = new ConfState();
someone.voters = [1n];

test("a log that begins at a received snapshot holds no entries, and goes on behind it", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  await append(wal, state(2, 1n, 3), entries(1, 9, 2));
  // 4 to 9 were never committed; the snapshot lies across them.
  const recorded = wal.saveSnapshot({ index: 7, term: 1, confState: someone });
  await append(wal, state(4, 1n, 7), []);
  await recorded;
  await wal.releaseTo(7);
  await wal.close();
  const opened = await Wal.open(hostOf(disk), directory, small);
  assert.equal(opened.snapshot.index, 7);
  assert.equal(opened.hardState.commit, 7);
  assert.equal(indexes(opened.entries), "", "what stood there before continues nothing");
  for (let i = 8; i <= 60; i++) await append(opened.wal, state(4, 1n, i), entries(i, i, 4, i));
  await opened.wal.saveSnapshot({ index: 50, term: 4, confState: someone });
  await opened.wal.releaseTo(50);
  await opened.wal.close();
  const again = await Wal.open(hostOf(disk), directory, small);
  assert.equal(again.snapshot.index, 50);
  assert.equal(again.entries[0]?.index, 51);
  assert.equal(again.entries.length, 10);
  await again.wal.close();
});

test("a snapshot far beyond the log needs nothing in between", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, small);
  await append(wal, state(1, 1n, 2), entries(1, 3, 1));
  const recorded = wal.saveSnapshot({ index: 1000, term: 3, confState: someone });
  await append(wal, state(3, 1n, 1000), []);
  await append(wal, undefined, entries(1001, 1004, 3));
  await recorded;
  await wal.close();
  const { snapshot, entries: found } = await readWal(disk, directory);
  assert.equal(snapshot.index, 1000);
  assert.equal(indexes(found), "1001/3 1002/3 1003/3 1004/3");
});

test("a received snapshot that was not committed when the log went on without it never counts", async () => {
  const disk = await freshDisk();
  const wal = await Wal.create(hostOf(disk), directory, metadata, medium);
  await append(wal, state(1, 1n, 5), entries(1, 5, 1));
  await wal.saveSnapshot({ index: 5, term: 1, confState: someone });
  // The crash comes before its commit index is in the log.
  await wal.saveSnapshot({ index: 10, term: 2, confState: someone });
  await wal.close();
  const opened = await Wal.open(hostOf(disk), directory, medium);
  assert.equal(opened.snapshot.index, 5);
  // The leader had the entries after all. The machine may be far behind its log at the next crash.
  await append(opened.wal, state(2, 1n, 14), entries(6, 15, 2));
  await opened.wal.close();
  const again = await Wal.open(hostOf(disk), directory, medium);
  assert.equal(again.snapshot.index, 5);
  assert.equal(again.entries.length, 10);
  await again.wal.close();
});

test("a failure is said once: by whoever waits for it, or by the log when nobody does", async () => {
  const lines: string[] = [];
  const log = { ...quietLog, error: (message: string) => void lines.push(message) };
  const disk = await freshDisk();
  const wal = await Wal.create({ ...hostOf(disk), log }, directory, metadata, medium);
  const broken = (path: string): DiskError => new DiskError("io", path, `${path}: broken`);
  disk.failWhen = (operation, path) => (operation === "write" ? broken(path) : undefined);
  await assert.rejects(append(wal, undefined, entries(1, 1, 1)), { code: "io" });
  await wal.close();
  assert.deepEqual(lines, []);
  disk.failWhen = (operation, path) => (operation === "preallocate" ? broken(path) : undefined);
  const { wal: other } = await Wal.open({ ...hostOf(disk), log }, directory, {
    segmentBytes: 1 << 20,
  });
  while (other.failure === undefined) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(lines, ["the log failed"]);
  await other.close();
});
