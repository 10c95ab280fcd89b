import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { RangeRequest } from "@etcd-ts/api";
import { type Bytes, build, CorruptionError, DiskError, keyToBytes } from "@etcd-ts/base";
import { type Backend, openMachine } from "@etcd-ts/machine";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { DurableCell, MemoryBackend, saveBoltFile } from "@etcd-ts/storage";
import { importDatabase, inspectDatabase } from "../../src/restore/import-database.ts";
import {
  databaseBytes,
  diskOf,
  dump,
  filledMachine,
  hashOf,
  pause,
  turnTimers,
} from "./database-files.ts";

const path = "/data/member/snap/0000000000000010.snap.db";

function oldBackend(cell?: DurableCell): MemoryBackend {
  const backend = new MemoryBackend({ timers: turnTimers, ...(cell && { cell }) });
  backend.put("meta", keyToBytes("old"), keyToBytes("1"));
  return backend;
}

test("an imported database is what was written, and a machine goes on with it", async () => {
  const source = filledMachine(1, 1500);
  const bytes = await databaseBytes(source.backend);
  const backend = oldBackend();
  const machine = await openMachine({ backend: filledMachine(2, 30).backend }, pause);
  const progress: number[] = [];
  await importDatabase(diskOf(path, bytes), path, machine.backend, {
    pause,
    onProgress: (done, all) => {
      assert.ok(done <= all && all === bytes.length);
      progress.push(done);
    },
  });
  await machine.reload(pause);
  assert.deepEqual(dump(machine.backend), dump(source.backend));
  assert.equal(hashOf(machine.backend), hashOf(source.backend));
  assert.equal(machine.revision, source.machine.revision);
  assert.equal(machine.appliedIndex, source.machine.appliedIndex);
  assert.equal(machine.members.list().length, 3);
  assert.equal(machine.leases.size, 5);
  assert.ok(progress.length > 2 && progress.at(-1)! > bytes.length / 2);
  await inspectDatabase(diskOf(path, bytes), path, source.machine.appliedIndex);
  await backend.close();
});

test("reads that go on all the while see the old state, are refused, or see the new one", async () => {
  const host = nodeHost({ log: silentLog });
  const folder = mkdtempSync(join(tmpdir(), "etcd-ts-import-"));
  try {
    const [one, two] = [filledMachine(1, 300), filledMachine(7, 500)];
    const files: string[] = [];
    for (const [i, { backend }] of [one, two].entries()) {
      files.push(join(folder, `${i}.db`));
      await saveBoltFile(host.disk, files[i]!, backend, pause);
    }
    const machine = await openMachine({ backend: filledMachine(1, 300).backend }, pause);
    const request = build(RangeRequest, { key: keyToBytes("\0"), rangeEnd: keyToBytes("\0") });
    const seen = new Map<string, number>();
    let isOver = false;
    const look = (): void => {
      // In three steps, so that states change under it.
      const job = machine.range(request, 4);
      const next = (steps: number): void => {
        if (!job.done) job.step(40);
        if (job.done || steps === 0) {
          const what = job.error ?? (job.done ? `${job.result.count} keys` : "unfinished");
          seen.set(what, (seen.get(what) ?? 0) + 1);
          job.cancel();
          if (!isOver) setImmediate(look);
        } else setImmediate(next, steps - 1);
      };
      next(30);
    };
    look();
    for (let round = 0; round < 6; round++) {
      await importDatabase(host.disk, files[(round + 1) % 2]!, machine.backend, { pause });
      await machine.reload(pause);
      const expected = round % 2 === 0 ? two : one;
      assert.equal(machine.keyCount, expected.machine.keyCount);
    }
    isOver = true;
    await pause();
    const counts = [one, two].map(({ machine: { keyCount } }) => `${keyCount} keys`);
    assert.deepEqual([...seen.keys()].sort(), [...counts, "leaderChanged"].sort());
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the term of a database that has none is taken from the snapshot", async () => {
  const { backend: source } = filledMachine(1, 10);
  source.delete("meta", keyToBytes("term"));
  const bytes = await databaseBytes(source);
  const backend = oldBackend();
  await importDatabase(diskOf(path, bytes), path, backend, { pause, term: 7 });
  const machine = await openMachine({ backend }, pause);
  assert.equal(machine.appliedTerm, 7);
  const other = filledMachine(1, 10);
  const withTerm = await databaseBytes(other.backend);
  await importDatabase(diskOf(path, withTerm), path, backend, { pause, term: 7 });
  assert.equal((await openMachine({ backend }, pause)).appliedTerm, 4);
});

async function refused(bytes: Bytes, expected: RegExp, index?: number): Promise<void> {
  const backend = oldBackend();
  const before = dump(backend);
  const disk = diskOf(path, bytes);
  const check = (error: unknown): boolean => {
    assert.ok(error instanceof CorruptionError, String(error));
    assert.equal(error.file, path);
    assert.match(error.message, expected);
    return true;
  };
  if (index === undefined) {
    await assert.rejects(importDatabase(disk, path, backend, { pause }), check);
    assert.deepEqual(dump(backend), before);
  }
  await assert.rejects(inspectDatabase(disk, path, index ?? 0), check);
}

test("damage is refused with file and page, and the backend keeps what it held", async () => {
  const { backend } = filledMachine(1, 1000);
  const good = await databaseBytes(backend);
  const with_ = (change: (bytes: Bytes, view: DataView) => void): Bytes => {
    const bytes = new Uint8Array(good);
    change(bytes, new DataView(bytes.buffer));
    return bytes;
  };
  const head = new DataView(good.buffer);
  // A leaf in the middle of the bucket.
  let page = 6;
  while (head.getUint32(page * 4096, true) !== page || head.getUint8(page * 4096 + 8) !== 2) page++;
  const at = page * 4096;
  const damages: [(view: DataView) => void, string][] = [
    [(view) => view.setUint32(at, 77, true), "the page carries another id"],
    [(view) => view.setUint16(at + 8, 0x10, true), "a page of type 16"],
    [(view) => view.setUint32(at + 28, 1 << 30, true), "leaf element 0 is out of bounds"],
    [(view) => view.setUint16(at + 10, 4000, true), "more than the page holds"],
  ];
  for (const [change, what] of damages) {
    const bytes = with_((_, view) => change(view));
    await refused(bytes, new RegExp(`: page ${page} \\(bucket "key"\\): .*(${what})`));
  }
  await refused(good.subarray(0, good.length - 4096), /more than the file's/);
  await refused(new Uint8Array(8192), /no meta page/);
  await refused(new Uint8Array(0), /no meta page/);
  const both = "meta, both damaged";
  await refused(
    with_((bytes) => {
      bytes.set(keyToBytes(both), 16);
      bytes.set(keyToBytes(both), 4096 + 16);
    }),
    /no meta page/,
  );
});

test("content that no machine could open is refused before anything is replaced", async () => {
  const cases: [(backend: Backend) => void, RegExp][] = [
    [
      (b) => b.put("key", keyToBytes("short"), keyToBytes("x")),
      /bucket "key", key 73686f7274: no rev/,
    ],
    [
      (b) => b.put("key", new Uint8Array(17).fill(0x5f), keyToBytes("x")),
      /bucket "key", key 5f5f5f5f5f/,
    ],
    [(b) => b.put("lease", keyToBytes("12345678"), keyToBytes("x")), /bucket "lease"/],
    [(b) => b.put("members", keyToBytes("1"), keyToBytes("{")), /bucket members/],
    [(b) => b.put("members_removed", keyToBytes("zz"), keyToBytes("removed")), /members_removed/],
    [(b) => b.put("alarm", keyToBytes("\xff\xff"), keyToBytes("")), /bucket alarm/],
    [(b) => b.put("meta", keyToBytes("consistent_index"), keyToBytes("1")), /consistent_index/],
    [(b) => b.put("meta", keyToBytes("confState"), keyToBytes("[")), /confState/],
    [
      (b) => b.put("meta", keyToBytes("scheduledCompactRev"), keyToBytes("1")),
      /scheduledCompactRev/,
    ],
    [(b) => b.put("cluster", keyToBytes("downgrade"), keyToBytes("{")), /downgrade/],
  ];
  for (const [change, expected] of cases) {
    const { backend } = filledMachine(1, 10);
    change(backend);
    await refused(await databaseBytes(backend), expected);
  }
});

test("a database at another index than the snapshot's is refused", async () => {
  const { backend, machine } = filledMachine(1, 10);
  const bytes = await databaseBytes(backend);
  for (const off of [-1, 1]) {
    const index = machine.appliedIndex + off;
    await refused(bytes, new RegExp(`stands at index ${machine.appliedIndex}.*at ${index}`), index);
  }
});

test("a missing file is said to be missing", async () => {
  const isMissing = (error: unknown): boolean =>
    error instanceof DiskError && error.code === "not-found";
  await assert.rejects(
    importDatabase(diskOf(path, new Uint8Array(0)), "/other", oldBackend(), { pause }),
    isMissing,
  );
});

test("a crash at any moment leaves the old content or the new", async () => {
  const source = filledMachine(1, 60);
  const bytes = await databaseBytes(source.backend);
  const outcomes = new Set<string>();
  for (let turns = 0; turns < 14; turns++) {
    for (const surviving of [0, 1]) {
      const cell = new DurableCell();
      const backend = oldBackend(cell);
      await new Promise<void>((resolve) => backend.commit(() => resolve()));
      const before = dump(backend);
      let imported = false;
      void importDatabase(diskOf(path, bytes), path, backend, { pause }).then(() => {
        imported = true;
      });
      for (let i = 0; i < turns; i++) await pause();
      cell.crash(surviving);
      const found = dump(new MemoryBackend({ timers: turnTimers, cell }));
      const isOld = found.join() === before.join();
      assert.ok(isOld || found.join() === dump(source.backend).join());
      assert.ok(!imported || !isOld, "what was imported stays");
      outcomes.add(`${isOld ? "old" : "new"} ${imported}`);
    }
  }
  assert.deepEqual([...outcomes].sort(), ["new false", "new true", "old false"]);
});
