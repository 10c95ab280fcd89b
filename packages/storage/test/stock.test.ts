// There and back with stock members: a folder that one wrote is read here, written anew in our hand, and
// taken over by a stock member.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { emptyBytes, keyToBytes, SeededRandom } from "@etcd-ts/base";
import { nodeHost, silentLog } from "@etcd-ts/node";
import {
  BoltFile,
  importBolt,
  loadNewestSnapFile,
  MemoryBackend,
  readWal,
  saveBoltFile,
  Wal,
  writeSnapFile,
} from "../src/index.ts";
import { append, state } from "./fixtures.ts";
import { noStockReason, StockMember, snapshotStatus, stockReleases } from "./stock-etcd.ts";

const host = nodeHost({ log: silentLog });
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const releases = stockReleases();

if (releases.length === 0) {
  test("stock etcd reads what we write", { skip: noStockReason }, () => {});
}

for (const release of releases) {
  test(`a folder goes from stock ${release.version} to us and back`, async () => {
    const base = mkdtempSync(join(tmpdir(), "etcd-ts-storage-"));
    try {
      // Theirs.
      const first = await StockMember.start(release, `${base}/one`, ["--snapshot-count", "10"]);
      for (let i = 0; i < 25; i++) await first.put(`key${i}`, `value ${i}`);
      await first.put("big", "x".repeat(20_000));
      await first.stop();

      // Read.
      const source = `${base}/one/member`;
      const log = await readWal(host.disk, `${source}/wal`);
      const snapshot = await loadNewestSnapFile(host.disk, `${source}/snap`);
      const confState = snapshot?.metadata?.confState;
      assert.ok(confState && snapshot);
      const backend = new MemoryBackend({ timers: host.timers });
      const file = await host.disk.open(`${source}/snap/db`, "read");
      await importBolt(await BoltFile.open(file), backend, pause);
      await file.close();
      const applied = new DataView(
        Uint8Array.from(backend.get("meta", keyToBytes("consistent_index")) ?? []).buffer,
      ).getBigUint64(0);
      assert.ok(applied >= 27n && Number(applied) <= log.hardState.commit);

      // Written anew: the log begins at what the database holds; what came later stays an entry.
      const target = `${base}/two/member`;
      await host.disk.makeDirectory(`${target}/snap`);
      const index = Number(applied);
      const term = log.entries.find((each) => each.index === index)?.term ?? log.snapshot.term;
      await saveBoltFile(host.disk, `${target}/snap/db`, await backend.view(), pause);
      await writeSnapFile(host.disk, `${target}/snap`, {
        index,
        term,
        confState,
        data: snapshot.data,
      });
      const wal = await Wal.create(host, `${target}/wal`, log.metadata);
      await wal.saveSnapshot({ index, term, confState });
      const rest = log.entries.filter((each) => each.index > index);
      await append(wal, log.hardState, rest);
      await wal.close();

      // Theirs again, and ours once more.
      const second = await StockMember.start(release, `${base}/two`);
      assert.equal(await second.get("key17"), "value 17");
      assert.equal((await second.get("big"))?.length, 20_000);
      await second.put("after", "taken over");
      await second.stop();
      const continued = await readWal(host.disk, `${target}/wal`);
      assert.equal(continued.snapshot.index, index);
      assert.ok(continued.hardState.term > log.hardState.term);
      assert.ok(continued.entries.some((each) => Buffer.from(each.data).includes("taken over")));

      // And a stock member goes on in a log of many segments that we cut.
      const opened = await Wal.open(host, `${target}/wal`, { segmentBytes: 1 << 16 });
      let last = opened.entries.at(-1)?.index ?? index;
      const { term: lastTerm, vote } = opened.hardState;
      for (let i = 0; i < 100; i++) {
        last++;
        const entry = { type: 0, term: lastTerm, index: last, data: emptyBytes };
        const filler = new SeededRandom(i).bytes(3_000);
        await append(opened.wal, state(lastTerm, vote, last), [
          { ...entry, data: putOf(`filler${i}`, filler) },
        ]);
      }
      assert.ok(opened.wal.segments.length >= 3);
      await opened.wal.close();
      const third = await StockMember.start(release, `${base}/two`);
      assert.equal((await third.get("filler99"))?.length !== undefined, true);
      assert.equal(await third.get("after"), "taken over");
      await third.stop();
    } finally {
      rmSync(base, { recursive: true });
    }
  });

  test(`stock ${release.version} checks our databases`, async () => {
    const base = mkdtempSync(join(tmpdir(), "etcd-ts-storage-"));
    try {
      for (const count of [0, 1, 7, 300, 20_000]) {
        const backend = new MemoryBackend({ timers: host.timers });
        const random = new SeededRandom(count + 1);
        for (let i = 1; i <= count; i++) {
          const size = random.chance(1, 500) ? 10_000 + random.below(60_000) : random.below(300);
          backend.put("key", revisionKey(i), random.bytes(size));
        }
        for (let i = 0; i < count; i++) {
          const name = random.bytes(1 + random.below(random.chance(1, 50) ? 3_000 : 30));
          backend.put("authUsers", name, random.bytes(random.below(100)));
        }
        backend.put("meta", keyToBytes("consistent_index"), new Uint8Array(8));
        const path = `${base}/${count}.db`;
        const bytes = await saveBoltFile(host.disk, path, await backend.view(), pause);
        const status = snapshotStatus(release, path);
        assert.equal(status["totalSize"], bytes);
        assert.equal(status["revision"], count);
      }
      writeFileSync(`${base}/bad.db`, new Uint8Array(8192));
      assert.throws(() => snapshotStatus(release, `${base}/bad.db`));
    } finally {
      rmSync(base, { recursive: true });
    }
  });
}

function revisionKey(main: number): Uint8Array {
  const key = new Uint8Array(17);
  const view = new DataView(key.buffer);
  view.setBigUint64(0, BigInt(main));
  key[8] = 0x5f;
  return key;
}

/** An InternalRaftRequest {1 id, 4 put {1 key, 2 value}}, as a member would log it. */
function putOf(key: string, value: Uint8Array): Uint8Array {
  const put = Buffer.concat([field(1, Buffer.from(key)), field(2, value)]);
  return Buffer.concat([Buffer.from([0x08, 0x01]), field(4, put)]);
}

function field(number: number, bytes: Uint8Array): Uint8Array {
  const head = [(number << 3) | 2];
  let length = bytes.length;
  while (length > 127) {
    head.push((length & 127) | 128);
    length >>>= 7;
  }
  return Buffer.concat([Buffer.from([...head, length]), bytes]);
}
