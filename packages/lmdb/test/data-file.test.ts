// Reading the file itself against what a cursor reads, and on damaged files.

import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  type Bytes,
  bytesToKey,
  CorruptionError,
  copyBytes,
  emptyBytes,
  keyToBytes,
  SeededRandom,
} from "@etcd-ts/base";
import type { BucketName } from "@etcd-ts/machine";
import { DataFile } from "../src/data-file.ts";
import { LmdbBackend } from "../src/index.ts";
import { scanFile } from "../src/store-reader.ts";
import { revisionKey, valueFor } from "./numbered.ts";
import { makeTestFolder, removeTestFolder } from "./test-folder.ts";

type Pairs = [key: string, value: string][];

function folder(t: TestContext): string {
  const directory = makeTestFolder();
  t.after(() => removeTestFolder(directory));
  return directory;
}

function commit(backend: LmdbBackend): Promise<void> {
  return new Promise((resolve, reject) => {
    backend.commit((error) => (error ? reject(error) : resolve()));
  });
}

function byCursor(backend: LmdbBackend, bucket: BucketName, from: Bytes): Pairs {
  const pairs: Pairs = [];
  backend.scan(bucket, from, undefined, Number.POSITIVE_INFINITY, (key, value) => {
    pairs.push([bytesToKey(key), bytesToKey(value)]);
    return true;
  });
  return pairs;
}

/** In slices of up to `sliceItems`, as opening a store reads. */
function bySpans(backend: LmdbBackend, bucket: BucketName, from: Bytes, sliceItems: number): Pairs {
  const pairs: Pairs = [];
  let next: Bytes | undefined = from;
  while (next !== undefined) {
    const start: Bytes = next;
    next = undefined;
    let left = sliceItems;
    backend.scanSpans(bucket, start, (keys, keyStart, keyEnd, values, valueStart, valueEnd) => {
      const key = copyBytes(keys.subarray(keyStart, keyEnd));
      pairs.push([bytesToKey(key), bytesToKey(values.subarray(valueStart, valueEnd))]);
      if (--left > 0) return true;
      next = keyToBytes(`${bytesToKey(key)}\0`);
      return false;
    });
  }
  return pairs;
}

function compare(backend: LmdbBackend, random: SeededRandom): void {
  for (const bucket of ["key", "lease", "meta", "members"] as const) {
    const all = byCursor(backend, bucket, emptyBytes);
    assert.deepEqual(bySpans(backend, bucket, emptyBytes, 1 + random.below(700)), all);
    for (let i = 0; i < 5 && all.length > 0; i++) {
      const from = keyToBytes(all[random.below(all.length)]![0] + (i % 2 === 0 ? "" : "\0"));
      assert.deepEqual(bySpans(backend, bucket, from, 1_000), byCursor(backend, bucket, from));
    }
  }
}

test("spans are what a cursor reads: any sizes, deletions, long keys, before and after writing", async (t) => {
  const random = new SeededRandom(20);
  const directory = folder(t);
  for (let round = 0; round < 5; round++) {
    const backend = await LmdbBackend.open(directory);
    compare(backend, random);
    for (let i = 0; i < 3_000; i++) {
      const large = random.chance(1, 100) ? 20_000 : random.chance(1, 10) ? 3_000 : 300;
      backend.put("key", revisionKey(round * 3_000 + i), random.bytes(random.below(large)));
    }
    for (let i = 0; i < 2_000; i++) backend.delete("key", revisionKey(random.below(15_000)));
    for (let i = 0; i < 300; i++) {
      backend.put("lease", random.bytes(8), random.bytes(random.below(20)));
    }
    // Several in a row, which LMDB cannot hold as they are.
    const long = "x".repeat(1_899);
    for (const end of ["", "a", "b", "bb", "c"]) {
      backend.put("members", keyToBytes(long + end), random.bytes(10));
    }
    compare(backend, random);
    await commit(backend);
    compare(backend, random);
    await backend.close();
  }
  const backend = await LmdbBackend.open(directory);
  assert.ok(byCursor(backend, "key", emptyBytes).length > 5_000);
  compare(backend, random);
  await backend.close();
});

test("a file of another format is left to the cursor", async (t) => {
  const directory = folder(t);
  const backend = await LmdbBackend.open(directory);
  for (let i = 1; i <= 10; i++) backend.put("key", revisionKey(i), valueFor(i));
  await commit(backend);
  await backend.close();
  const path = join(directory, "data.mdb");
  const known = DataFile.open(path);
  assert.ok(known !== undefined);
  known.close();
  // Version 1, with shorter page heads.
  const file = openSync(path, "r+");
  writeSync(file, Uint8Array.of(1), 0, 1, 28);
  closeSync(file);
  assert.equal(DataFile.open(path), undefined);
});

test("what breaks the format is damage, and nothing else comes out", async (t) => {
  const directory = folder(t);
  const backend = await LmdbBackend.open(directory);
  for (let i = 1; i <= 2_000; i++) backend.put("key", revisionKey(i), valueFor(i));
  backend.put("key", revisionKey(3_000), new Uint8Array(9_000));
  await commit(backend);
  await backend.close();
  const path = join(directory, "data.mdb");
  const whole = readFileSync(path);
  const scratch = join(directory, "scratch.mdb");
  const random = new SeededRandom(77);
  let damaged = 0;
  for (let round = 0; round < 600; round++) {
    const bytes = Buffer.from(whole);
    // Mostly where the structure is: in the heads of pages, and of the nodes at their ends.
    for (let i = 0; i < 3; i++) {
      const page = random.below(bytes.length / 4096) * 4096;
      const at = random.chance(1, 2) ? random.below(64) : random.below(4096);
      bytes[page + at] = random.below(256);
    }
    const end = random.chance(1, 20) ? random.below(bytes.length) : bytes.length;
    writeFileSync(scratch, bytes.subarray(0, end));
    const file = DataFile.open(scratch);
    if (file === undefined) continue;
    try {
      scanFile(file, "key", emptyBytes, (_keys, keyStart, keyEnd, values, valueStart, valueEnd) => {
        assert.ok(keyStart <= keyEnd && valueStart <= valueEnd && valueEnd <= values.length);
        return true;
      });
    } catch (error) {
      assert.ok(error instanceof CorruptionError, `round ${round}: ${error}`);
      damaged++;
    } finally {
      file.close();
    }
  }
  assert.ok(damaged > 100, `${damaged} damages were seen`);
});
