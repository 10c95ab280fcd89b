import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { emptyBytes, keyToBytes } from "@etcd-ts/base";
import type { BackendReader, BackendView } from "@etcd-ts/machine";
import { LmdbBackend } from "../src/index.ts";
import { numberIn, revisionKey, valueFor } from "./numbered.ts";
import { makeTestFolder, removeTestFolder } from "./test-folder.ts";

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

function count(reader: BackendReader): number {
  let found = 0;
  reader.scan("key", emptyBytes, undefined, Number.POSITIVE_INFINITY, () => {
    found++;
    return true;
  });
  return found;
}

test("the map grows while views and reads are in use", async (t) => {
  const backend = await LmdbBackend.open(folder(t), { mapBytes: 1 << 20 });
  const views = [];
  for (let round = 1; round <= 16; round++) {
    for (let i = 0; i < 2_000; i++)
      backend.put("key", revisionKey(round * 2_000 + i), valueFor(round));
    const committed = commit(backend);
    assert.equal(count(backend), round * 2_000);
    await committed;
    if (round % 7 === 1) views.push({ view: await backend.view(), count: round * 2_000 });
    for (const each of views) assert.equal(count(each.view), each.count);
    for (let i = 0; i < 50; i++) {
      assert.ok(backend.get("key", revisionKey(2_000 + ((i * 977) % (round * 2_000)))));
    }
  }
  assert.ok(backend.size().allocatedBytes > 8 << 20);
  for (const { view } of views) view.close();
  await backend.close();
});

test("many views of different moments live side by side, in any order of closing", async (t) => {
  const backend = await LmdbBackend.open(folder(t));
  const views: { round: number; view: BackendView }[] = [];
  for (let round = 1; round <= 12; round++) {
    backend.put("key", revisionKey(round), valueFor(round));
    views.push({ round, view: await backend.view() });
    views.push({ round, view: await backend.view() });
    assert.equal(count(backend), round);
  }
  while (views.length > 0) {
    const { view, round } = views.splice(5 % views.length, 1)[0]!;
    assert.equal(count(view), round);
    assert.equal(view.get("key", revisionKey(round))?.length, 300);
    assert.equal(view.get("key", revisionKey(round + 1)), undefined);
    view.close();
    view.close();
    assert.throws(() => count(view), /closed/);
    assert.equal(count(backend), 12);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await backend.close();
});

test("a scan that stops early or throws leaves nothing behind", async (t) => {
  const backend = await LmdbBackend.open(folder(t));
  for (let i = 1; i <= 100; i++) backend.put("key", revisionKey(i), valueFor(i));
  await commit(backend);
  for (let i = 0; i < 300; i++) {
    let seen = 0;
    backend.scan("key", emptyBytes, undefined, 100, () => ++seen < 3);
    assert.throws(() => {
      backend.scan("key", emptyBytes, undefined, 100, () => {
        throw new Error("visitor failed");
      });
    }, /visitor failed/);
    if (i % 50 === 0) {
      backend.put("key", revisionKey(1000 + i), valueFor(i));
      await commit(backend);
    }
  }
  assert.equal(count(backend), 106);
  await backend.close();
});

test("defragmenting leaves views alone, gives space back and survives what a crash leaves", async (t) => {
  const directory = folder(t);
  writeFileSync(join(directory, "data.mdb.copy"), "left by a crash");
  const backend = await LmdbBackend.open(directory);
  assert.equal(existsSync(join(directory, "data.mdb.copy")), false);
  for (let i = 1; i <= 20_000; i++) backend.put("key", revisionKey(i), valueFor(i));
  await commit(backend);
  for (let i = 1; i <= 19_000; i++) backend.delete("key", revisionKey(i));
  const view = await backend.view();
  const bytesBefore = statSync(join(directory, "data.mdb")).size;
  const defragmenting = backend.defragment();
  const later = backend.view();
  for (let i = 0; i < 5; i++) {
    backend.put("meta", keyToBytes("n"), valueFor(i));
    await commit(backend);
  }
  await defragmenting;
  assert.equal(count(view), 1_000);
  view.close();
  assert.ok(statSync(join(directory, "data.mdb")).size < bytesBefore / 5);
  const after = await later;
  assert.equal(count(after), 1_000);
  after.close();
  for (let i = 20_001; i <= 21_000; i++) backend.put("key", revisionKey(i), valueFor(i));
  await commit(backend);
  await Promise.all([backend.defragment(), backend.defragment()]);
  assert.equal(count(backend), 2_000);
  await backend.close();
  const again = await LmdbBackend.open(directory);
  assert.equal(count(again), 2_000);
  await again.close();
  assert.deepEqual(readdirSync(directory).sort(), ["data.mdb", "data.mdb-lock"]);
});

test("close is idempotent, refuses what follows, and right after open it works too", async (t) => {
  const directory = folder(t);
  const first = await LmdbBackend.open(directory);
  await Promise.all([first.close(), first.close()]);
  await assert.rejects(commit(first), /closed/);
  const second = await LmdbBackend.open(directory);
  second.put("meta", keyToBytes("a"), keyToBytes("1"));
  await second.close();
  const third = await LmdbBackend.open(directory);
  assert.equal(third.get("meta", keyToBytes("a"))?.length, 1);
  await third.close();
});

test("two stores in one process keep apart", async (t) => {
  const [one, two] = [await LmdbBackend.open(folder(t)), await LmdbBackend.open(folder(t))];
  one.put("meta", keyToBytes("a"), keyToBytes("1"));
  two.put("meta", keyToBytes("a"), keyToBytes("22"));
  await Promise.all([commit(one), commit(two)]);
  assert.equal(one.get("meta", keyToBytes("a"))?.length, 1);
  assert.equal(two.get("meta", keyToBytes("a"))?.length, 2);
  await one.close();
  assert.equal(two.get("meta", keyToBytes("a"))?.length, 2);
  await two.close();
});

test("nobody sees new content in an earlier turn than whoever waits for it", async (t) => {
  const backend = await LmdbBackend.open(folder(t));
  let known = 0;
  let turns = 0;
  let isOver = false;
  const put = (round: number): void => backend.put("meta", keyToBytes("n"), valueFor(round));
  put(0);
  await commit(backend);
  const look = (): void => {
    turns++;
    assert.equal(numberIn(backend.get("meta", keyToBytes("n")) as Uint8Array), known);
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  for (let round = 1; round <= 10; round++) {
    const view = round % 3 === 0 ? await backend.view() : undefined;
    await backend.replaceContent(async (sink) => {
      sink.put("meta", keyToBytes("n"), valueFor(round));
      for (let i = 0; i < 2_000; i++) {
        sink.put("key", revisionKey(i), valueFor(round));
        if (i % 500 === 0) await sink.flush();
      }
    });
    known = round;
    view?.close();
    if (round % 4 === 0) await backend.defragment();
  }
  isOver = true;
  await new Promise((resolve) => setImmediate(resolve));
  // Each of the ten awaits the other thread some times, and looks meanwhile.
  assert.ok(turns > 10, `${turns} turns`);
  await backend.close();
});
