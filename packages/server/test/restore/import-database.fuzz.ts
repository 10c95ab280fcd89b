// Damaged databases: each is refused with a `CorruptionError` that names the file, or it is one that a machine can open
// and whose structure holds; and whatever it was, a refused one leaves the backend as it was.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, CorruptionError, SeededRandom } from "@etcd-ts/base";
import { openMachine } from "@etcd-ts/machine";
import { MemoryBackend } from "@etcd-ts/storage";
import { importDatabase } from "../../src/restore/import-database.ts";
import { databaseBytes, diskOf, dump, filledMachine, pause, turnTimers } from "./database-files.ts";

const path = "/snapshot.db";
const pageBytes = 4096;

function mutate(good: Bytes, random: SeededRandom): Bytes {
  let bytes: Bytes = new Uint8Array(good);
  const pages = bytes.length / pageBytes;
  for (let i = 1 + random.below(3); i > 0; i--) {
    const page = 2 + random.below(pages - 2);
    // Most of the time where the structure is: heads of pages and their tables.
    const near = random.chance(3, 4) ? random.below(200) : random.below(pageBytes);
    const at = Math.min(page * pageBytes + near, bytes.length - 8);
    if (at < 0) break;
    const choice = random.below(6);
    if (choice === 0) bytes[at] = bytes[at]! ^ (1 << random.below(8));
    else if (choice === 1) bytes.set(random.bytes(1 + random.below(8)), at);
    else if (choice === 2) bytes.fill(random.pick([0, 255]), at, at + random.below(64));
    else if (choice === 3) bytes = bytes.slice(0, random.below(bytes.length));
    else {
      const from = (2 + random.below(pages - 2)) * pageBytes;
      bytes.copyWithin(page * pageBytes, from, from + pageBytes);
    }
  }
  return bytes;
}

test("damaged databases are refused, or are whole ones", async () => {
  const { backend: source } = filledMachine(3, 150);
  const good = await databaseBytes(source);
  const random = new SeededRandom(41);
  let refusedCount = 0;
  let takenCount = 0;
  for (let round = 0; round < 400; round++) {
    const bytes = mutate(good, random);
    const backend = new MemoryBackend({ timers: turnTimers });
    backend.put("meta", new Uint8Array([1]), new Uint8Array([2]));
    const before = dump(backend);
    try {
      await importDatabase(diskOf(path, bytes), path, backend, { pause: () => Promise.resolve() });
      takenCount++;
      // It must be one that can be worked with.
      await openMachine({ backend }, pause);
    } catch (error) {
      assert.ok(error instanceof CorruptionError, `round ${round}: ${(error as Error).stack}`);
      assert.equal(error.file, path, `round ${round}: ${error.message}`);
      assert.deepEqual(dump(backend), before);
      refusedCount++;
    }
  }
  assert.ok(refusedCount > 200 && takenCount > 10, `${refusedCount} refused, ${takenCount} taken`);
});
