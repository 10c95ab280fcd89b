// Damaged data files end in one clear error, never in a signal: each is opened by a process of its own, read, and
// written to.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { CorruptionError, keyToBytes, SeededRandom } from "@etcd-ts/base";
import { LmdbBackend } from "../src/index.ts";
import { revisionKey, valueFor } from "./numbered.ts";
import { makeTestFolder, removeTestFolder } from "./test-folder.ts";

const child = fileURLToPath(new URL("./damage-child.js", import.meta.url));
const pageBytes = 4096;

async function makeStore(directory: string): Promise<string> {
  const backend = await LmdbBackend.open(directory);
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 400; i++) {
      const revision = round * 400 + i + 1;
      backend.put("key", revisionKey(revision), valueFor(revision));
      if (revision % 3 === 0) backend.delete("key", revisionKey(revision - 200));
      if (i % 20 === 0) backend.put("lease", keyToBytes(`lease${revision}`), valueFor(revision));
    }
    backend.put("key", revisionKey((round + 1) * 400), new Uint8Array(20_000));
    await new Promise<void>((resolve) => backend.commit(() => resolve()));
  }
  await backend.close();
  return join(directory, "data.mdb");
}

async function refused(directory: string, expected: RegExp): Promise<void> {
  await assert.rejects(LmdbBackend.open(directory), (error) => {
    assert.ok(error instanceof CorruptionError, String(error));
    assert.equal(error.file, join(directory, "data.mdb"));
    assert.match(error.message, expected);
    return true;
  });
}

test("a folder in the place of the data file is refused by name", async () => {
  const directory = makeTestFolder();
  try {
    mkdirSync(join(directory, "data.mdb"));
    await refused(directory, /not a file/);
  } finally {
    removeTestFolder(directory);
  }
});

test("a data file that cannot be opened is named, with the reason", async () => {
  const directory = makeTestFolder();
  try {
    const path = join(directory, "data.mdb");
    symlinkSync(path, path);
    const message = `open ${path}: too many symbolic links encountered`;
    await assert.rejects(LmdbBackend.open(directory), { name: "DiskError", message });
  } finally {
    removeTestFolder(directory);
  }
});

test("damage that can be told at once is refused by name", async () => {
  const directory = makeTestFolder();
  try {
    const path = await makeStore(directory);
    const good = readFileSync(path);
    const cases: [(bytes: Buffer) => Buffer, RegExp][] = [
      [() => Buffer.from("9 garbage"), /meta page 0: the file is cut off/],
      [(b) => b.subarray(0, pageBytes), /meta page 1: the file is cut off/],
      [(b) => b.fill(0, 0, pageBytes), /meta page 0: not one of LMDB/],
      [(b) => b.fill(0xff, pageBytes, 2 * pageBytes), /meta page 1: not one of LMDB/],
      [(b) => Buffer.concat([b.subarray(0, 28), Buffer.from([9]), b.subarray(29)]), /version 9/],
      [(b) => write32(b, 48, 8192), /meta page 1|differ in the size/],
      [(b) => write32(b, 48, 5000), /a page size of 5000 bytes/],
      [
        (b) => write32(write32(b, 96 + 40, 1e6), pageBytes + 96 + 40, 1e6),
        /beyond the end|not in use/,
      ],
      [
        (b) => write32(write32(b, 48 + 40, 1e6), pageBytes + 48 + 40, 1e6),
        /beyond the end|not in use/,
      ],
      [(b) => b.subarray(0, Math.floor(b.length / 2)), /beyond the end|not in use/],
      [(b) => b.subarray(0, 3 * pageBytes), /beyond the end|not in use/],
    ];
    for (const [change, expected] of cases) {
      writeFileSync(path, change(Buffer.from(good)));
      await refused(directory, expected);
    }
    writeFileSync(path, good);
    await (await LmdbBackend.open(directory)).close();
    // What was cut off at birth is nothing yet.
    truncateSync(path, 0);
    await (await LmdbBackend.open(directory)).close();
  } finally {
    removeTestFolder(directory);
  }
});

function write32(bytes: Buffer, at: number, value: number): Buffer {
  bytes.writeUInt32LE(value, at);
  return bytes;
}

test("files are for their owner alone", async () => {
  const directory = makeTestFolder();
  try {
    const path = await makeStore(directory);
    for (const file of [path, `${path}-lock`]) assert.equal(statSync(file).mode & 0o777, 0o600);
    const backend = await LmdbBackend.open(directory);
    await backend.replaceContent(async (sink) =>
      sink.put("meta", keyToBytes("a"), keyToBytes("1")),
    );
    await backend.defragment();
    await backend.close();
    for (const file of [path, `${path}-lock`]) assert.equal(statSync(file).mode & 0o777, 0o600);
  } finally {
    removeTestFolder(directory);
  }
});

test("a process that opens a damaged file ends by an error or works, and never by a signal", async () => {
  const directory = makeTestFolder();
  try {
    const path = await makeStore(directory);
    const good = readFileSync(path);
    const random = new SeededRandom(77);
    const folders: string[] = [];
    for (let i = 0; i < 48; i++) {
      const folder = join(directory, `damaged-${i}`);
      mkdirSync(folder);
      copyFileSync(path, join(folder, "data.mdb"));
      let bytes = Buffer.from(good);
      const kind = i % 4;
      if (kind === 0) bytes = bytes.subarray(0, random.below(bytes.length));
      else if (kind === 1) {
        // The meta pages' own words.
        const at = random.below(2) * pageBytes + 24 + random.below(136);
        bytes.set(random.bytes(1 + random.below(8)), at);
      } else if (kind === 2) {
        const page = 2 + random.below(bytes.length / pageBytes - 2);
        bytes.fill(random.pick([0, 0xff]), page * pageBytes, (page + 1) * pageBytes);
      } else bytes.set(random.bytes(pageBytes), random.below(bytes.length - pageBytes));
      writeFileSync(join(folder, "data.mdb"), bytes);
      folders.push(folder);
    }
    // One process for all as long as it lives; a signal tells which one it was.
    const run = spawnSync(process.execPath, [child, ...folders], { encoding: "utf8" });
    const lines = run.stdout.trim().split("\n");
    assert.equal(run.signal, null, `ended by ${run.signal} at ${lines.length}: ${run.stderr}`);
    assert.equal(run.status, 0, run.stderr);
    assert.equal(lines.length, folders.length);
    const refusals = lines.filter((line) => line.startsWith("CorruptionError"));
    assert.ok(refusals.length > 20, `${refusals.length} refused`);
    for (const line of lines) assert.match(line, /^(CorruptionError|DiskError|works)/);
  } finally {
    removeTestFolder(directory);
  }
});
