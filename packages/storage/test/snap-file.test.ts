import assert from "node:assert/strict";
import { test } from "node:test";
import { CorruptionError, utf8ToBytes } from "@etcd-ts/base";
import { ConfState } from "@etcd-ts/raft";
import {
  listSnapFiles,
  loadNewestSnapFile,
  purgeSnapFiles,
  readSnapFile,
  writeSnapFile,
} from "../src/index.ts";
import { FakeDisk } from "./fake-disk.ts";

const directory = "/data/snap";

async function withSnapshots(...marks: [term: number, index: number][]): Promise<FakeDisk> {
  const disk = new FakeDisk();
  await disk.makeDirectory(directory);
  const confState = new ConfState();
  confState.voters = [1n, 2n];
  for (const [term, index] of marks) {
    await writeSnapFile(disk, directory, { term, index, confState, data: utf8ToBytes("{}") });
  }
  return disk;
}

test("a snapshot file is written whole, under etcd's name, and read back", async () => {
  const disk = await withSnapshots([2, 0x1a]);
  assert.deepEqual(disk.paths, [`${directory}/0000000000000002-000000000000001a.snap`]);
  const snapshot = await readSnapFile(disk, disk.paths[0] as string);
  assert.equal(snapshot.metadata?.index, 26);
  assert.deepEqual(snapshot.metadata?.confState?.voters, [1n, 2n]);
  assert.equal(Buffer.from(snapshot.data).toString(), "{}");
});

test("files are listed newest first, by term and then index", async () => {
  const disk = await withSnapshots([2, 500], [10, 20], [2, 1000]);
  disk.place(`${directory}/db`, new Uint8Array(1));
  const files = await listSnapFiles(disk, directory);
  assert.deepEqual(
    files.map((file) => `${file.term}/${file.index}`),
    ["10/20", "2/1000", "2/500"],
  );
  assert.deepEqual(await listSnapFiles(disk, "/none"), []);
});

test("a broken file is set aside and the next older one taken", async () => {
  const disk = await withSnapshots([2, 10], [2, 20], [2, 30], [2, 40]);
  const path = (index: string): string => `${directory}/0000000000000002-${index}.snap`;
  const damaged = disk.bytesOf(path("000000000000001e"));
  damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
  disk.place(path("0000000000000028"), new Uint8Array(0));
  const found = await loadNewestSnapFile(disk, directory);
  assert.equal(found?.metadata?.index, 20);
  assert.deepEqual(
    disk.paths.filter((each) => each.endsWith(".broken")),
    [`${path("000000000000001e")}.broken`, `${path("0000000000000028")}.broken`],
  );
  const older = await loadNewestSnapFile(disk, directory, (file) => file.index < 20);
  assert.equal(older?.metadata?.index, 10);
  assert.equal(await loadNewestSnapFile(disk, directory, () => false), undefined);
});

test("only the newest files are kept, with the databases that belong to them", async () => {
  const disk = await withSnapshots([1, 1], [1, 2], [1, 3], [2, 4], [2, 5], [3, 6], [3, 7]);
  disk.place(`${directory}/0000000000000006.snap.db`, new Uint8Array(1));
  disk.place(`${directory}/0000000000000007.snap.db`, new Uint8Array(1));
  disk.place(`${directory}/0000000000000003-0000000000000006.snap.tmp`, new Uint8Array(1));
  disk.place(`${directory}/0000000000000003-0000000000000008.snap.tmp`, new Uint8Array(1));
  disk.place(`${directory}/db`, new Uint8Array(1));
  await purgeSnapFiles(disk, directory, 5);
  assert.deepEqual(
    disk.paths.map((each) => each.slice(directory.length + 1)),
    [
      "0000000000000001-0000000000000003.snap",
      "0000000000000002-0000000000000004.snap",
      "0000000000000002-0000000000000005.snap",
      "0000000000000003-0000000000000006.snap",
      "0000000000000003-0000000000000007.snap",
      "0000000000000003-0000000000000008.snap.tmp", // being written, perhaps
      "0000000000000007.snap.db",
      "db",
    ],
  );
});

test("a file that cannot be a snapshot is damage", async () => {
  const disk = await withSnapshots();
  for (const bytes of [[], [8], [8, 1], [8, 0, 18, 1, 0], [8, 1, 18, 0], [255, 255]]) {
    disk.place(`${directory}/x.snap`, Uint8Array.from(bytes));
    await assert.rejects(readSnapFile(disk, `${directory}/x.snap`), CorruptionError);
  }
});
