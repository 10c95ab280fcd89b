// Restoring on the simulated disk: what a server finds afterwards, and what a crash at any moment leaves.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, CorruptionError, concatBytes, type Host } from "@etcd-ts/base";
import { finish, type Machine, MachineOpening } from "@etcd-ts/machine";
import { MemoryBackend, readSnapFile, readWal, Wal } from "@etcd-ts/storage";
import {
  clusterIdOf,
  memberIdOf,
  RestoreError,
  type RestoreOptions,
  restoreSnapshot,
  StartError,
} from "../../src/index.ts";
import { MemberWorld } from "../support/member-world.ts";
import { databaseBytes, filledMachine } from "./database-files.ts";

const snapshotPath = "/backup/snapshot.db";
const usual: RestoreOptions = {
  snapshotPath,
  dataDir: "/data",
  name: "default",
  initialCluster: [{ name: "default", peerUrls: ["http://127.0.0.1:2380"] }],
  initialClusterToken: "etcd-cluster",
  initialAdvertisePeerUrls: ["http://127.0.0.1:2380"],
};

const source = filledMachine(5, 120);
const database = await databaseBytes(source.backend);

/** A world in which a snapshot file lies, durably. */
async function worldWith(bytes: Bytes, withDigest = true): Promise<MemberWorld> {
  const world = new MemberWorld();
  const host = world.world.host();
  const hasher = host.digests.sha256();
  hasher.update(bytes);
  const content = withDigest ? concatBytes([bytes, hasher.digest()]) : bytes;
  await world.world.settled(
    (async () => {
      await host.disk.makeDirectory("/backup");
      const file = await host.disk.open(snapshotPath, "create");
      await new Promise<void>((resolve) => file.write(0, [content], () => resolve()));
      await new Promise<void>((resolve) => file.sync(() => resolve()));
      await file.close();
      await host.disk.syncDirectory("/backup");
      await host.disk.syncDirectory("/");
    })(),
  );
  return world;
}

function restore(world: MemberWorld, options: Partial<RestoreOptions> = {}): Promise<void> {
  const host = world.world.host();
  return restoreSnapshot({
    host,
    options: { ...usual, ...options },
    openBackend: async () => new MemoryBackend({ timers: host.timers, cell: world.cell }),
  });
}

async function refused(
  world: MemberWorld,
  options: Partial<RestoreOptions>,
  expected: RegExp,
): Promise<void> {
  const before = world.world.disk.paths();
  await assert.rejects(world.world.settled(restore(world, options)), (error) => {
    assert.ok(error instanceof RestoreError || error instanceof CorruptionError, String(error));
    assert.match(error.message, expected);
    return true;
  });
  assert.deepEqual(world.world.disk.paths(), before, "nothing is left");
}

function stored(world: MemberWorld, host: Host): Machine {
  const backend = new MemoryBackend({ timers: host.timers, cell: world.cell });
  return finish(new MachineOpening({ backend })).machine;
}

test("a restored directory has the new members, their log, and everything of the snapshot", async () => {
  const world = await worldWith(database);
  const initialCluster = ["b", "default", "c"].map((name, i) => ({
    name,
    peerUrls: [`http://10.0.0.${i}:2380`, `http://10.0.1.${i}:2380`],
  }));
  await world.world.settled(
    restore(world, {
      initialCluster,
      initialClusterToken: "new",
      initialAdvertisePeerUrls: [...initialCluster[1]!.peerUrls].reverse(),
    }),
  );
  const host = world.world.host();
  const ids = initialCluster
    .map(({ peerUrls }) => memberIdOf(host.digests, peerUrls, "new"))
    .sort((a, b) => (a < b ? -1 : 1));
  const own = memberIdOf(host.digests, initialCluster[1]!.peerUrls, "new");
  const log = await world.world.settled(readWal(host.disk, "/data/member/wal"));
  assert.deepEqual({ ...log.metadata }, { nodeId: own, clusterId: clusterIdOf(host.digests, ids) });
  assert.deepEqual([log.snapshot.index, log.snapshot.term], [3, 1]);
  assert.deepEqual(log.snapshot.confState?.voters, ids);
  assert.deepEqual([log.hardState.term, log.hardState.vote, log.hardState.commit], [1, ids[0], 3]);
  const snap = await world.world.settled(
    readSnapFile(host.disk, "/data/member/snap/0000000000000001-0000000000000003.snap"),
  );
  assert.deepEqual(snap.metadata?.confState?.voters, ids);
  const machine = stored(world, host);
  assert.deepEqual([machine.appliedIndex, machine.appliedTerm], [3, 1]);
  assert.deepEqual(machine.confState?.voters, ids);
  assert.deepEqual(
    machine.members.list().map(({ id, name }) => [id, name]),
    ids.map((id) => [
      id,
      initialCluster.find((it) => memberIdOf(host.digests, it.peerUrls, "new") === id)!.name,
    ]),
  );
  assert.deepEqual(machine.members.removedIds, []);
  assert.equal(machine.revision, source.machine.revision);
  assert.equal(machine.keyCount, source.machine.keyCount);
  assert.equal(machine.leases.size, 5);
  assert.equal(machine.alarms.list().length, 1);
  assert.equal(machine.members.clusterVersion, "3.7.0");
  assert.equal(machine.storageVersion, "3.7.0");
  const hash = finish(machine.hashKv(0n)).hash;
  assert.equal(hash, finish(source.machine.hashKv(0n)).hash);
});

test("a server starts on a restored directory", async () => {
  const world = await worldWith(database);
  await world.world.settled(restore(world));
  await world.start();
  const all = await world.range("\0", (request) => {
    request.rangeEnd = new Uint8Array(1);
  });
  assert.equal(all.kvs.length, source.machine.keyCount);
  assert.equal(all.header!.revision, source.machine.revision);
  await world.stop();
});

test("a bumped revision leaves nothing of the past to read", async () => {
  const world = await worldWith(database);
  const bumped = source.machine.revision + 1000;
  await world.world.settled(restore(world, { bumpRevision: 1000, markCompacted: true }));
  const machine = stored(world, world.world.host());
  assert.equal(machine.revision, bumped);
  assert.equal(machine.compactRevision, bumped);
  assert.ok(machine.compaction.active);
  finish(machine.compaction);
  assert.equal(machine.revision, bumped);
  await world.start();
  await assert.rejects(
    world.range("key/1", (request) => {
      request.revision = BigInt(bumped - 1);
    }),
    /compacted/,
  );
  const all = await world.range("\0", (request) => {
    request.rangeEnd = new Uint8Array(1);
  });
  assert.equal(all.kvs.length, source.machine.keyCount);
  assert.equal(all.header!.revision, bumped);
  await world.stop();
});

test("what cannot be restored is refused, and nothing is left of it", async () => {
  const world = await worldWith(database);
  await refused(world, { name: "x" }, /couldn't find local name "x" in the initial cluster/);
  await refused(
    world,
    { initialAdvertisePeerUrls: ["http://a:1"] },
    /^--initial-cluster has default=http:\/\/127.0.0.1:2380 but missing from --initial-advertise-peer-urls=http:\/\/a:1 \(resolved urls: "http:\/\/a:1" != "http:\/\/127.0.0.1:2380"\)$/,
  );
  await refused(
    world,
    { initialAdvertisePeerUrls: ["http://127.0.0.1:2380", "http://a:1"] },
    /^--initial-advertise-peer-urls has http:\/\/a:1 but missing from --initial-cluster=default=/,
  );
  const twice = [...usual.initialCluster, { name: "b", peerUrls: ["http://127.0.0.1:2380"] }];
  await refused(
    world,
    { initialCluster: twice },
    /^initial cluster b=http:\/\/127.0.0.1:2380,default=http:\/\/127.0.0.1:2380 has duplicate url$/,
  );
  await refused(
    world,
    { dataDir: "/backup" },
    /^data-dir "\/backup" not empty or could not be read$/,
  );
  await refused(world, { walDir: "/backup" }, /^wal-dir "\/backup" exists$/);
  await refused(world, { snapshotPath: "/none.db" }, /^open \/none.db: no such file or directory$/);
  await refused(world, { bumpRevision: 2 ** 53, markCompacted: true }, /beyond what revisions/);
  await refused(
    await worldWith(database, false),
    {},
    /^snapshot missing hash but --skip-hash-check=false$/,
  );
  const flipped = new Uint8Array(concatBytes([database, new Uint8Array(32)]));
  await refused(await worldWith(flipped, false), {}, /^expected sha256 \[0 0 .*\], got \[\d+ \d+/);
  const torn = new Uint8Array(database);
  torn.fill(0, 3 * 4096, 4 * 4096);
  await refused(await worldWith(torn), {}, /page 3 \(bucket "key"\)/);
  await refused(await worldWith(torn, false), { skipHashCheck: true }, /page 3 \(bucket "key"\)/);
  // A directory that exists and is empty is taken, and a file without a digest when that is allowed.
  const plain = await worldWith(database, false);
  const { disk } = plain.world.host();
  await plain.world.settled(disk.makeDirectory("/data"));
  await plain.world.settled(restore(plain, { skipHashCheck: true, walDir: "/logs/wal" }));
  assert.ok(plain.world.disk.paths().some((path) => path.startsWith("/logs/wal/")));
  await refused(plain, {}, /^data-dir "\/data" not empty/);
});

test("after a crash at any moment a server finds all of it, or refuses, or there is no log", async () => {
  const outcomes = new Map<string, number>();
  const small = filledMachine(5, 12);
  const bytes = await databaseBytes(small.backend);
  for (const walDir of ["", "/logs/wal"]) {
    for (let stopAfter = 0; ; stopAfter++) {
      const world = await worldWith(bytes);
      Object.assign(world.options, walDir === "" ? {} : { walDir });
      world.world.disk.stopAfter = world.world.disk.operationCount + stopAfter;
      let done = false;
      const restoring = restore(world, { walDir });
      let failure: unknown;
      restoring.then(
        () => {
          done = true;
        },
        (error: unknown) => {
          failure = error;
        },
      );
      await world.world.until(() => done || world.world.disk.isStopped || failure !== undefined);
      assert.equal(failure, undefined);
      world.crash();
      const { disk } = world.world.host();
      const hasLog = await world.world.settled(
        Wal.exists(disk, walDir === "" ? "/data/member/wal" : walDir),
      );
      let outcome = "no log";
      if (hasLog) {
        try {
          await world.start();
          const { header } = await world.range("none");
          assert.equal(header!.revision, small.machine.revision, `after ${stopAfter} operations`);
          outcome = "all of it";
          await world.stop();
        } catch (error) {
          if (!(error instanceof StartError)) throw error;
          assert.match(error.message, /of the backend is missing/);
          outcome = "refused";
        }
      }
      assert.ok(!done || outcome === "all of it");
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (done) break;
    }
  }
  assert.ok((outcomes.get("all of it") ?? 0) >= 2 && (outcomes.get("no log") ?? 0) > 10);
});

test("a server refuses the log while the store is not there yet", async () => {
  for (const commits of [false, true]) {
    const world = await worldWith(database);
    const host = world.world.host();
    let isFilling = false;
    void restoreSnapshot({
      host,
      options: usual,
      openBackend: async () => {
        const backend = new MemoryBackend({
          timers: host.timers,
          cell: world.cell,
          commitDelayMs: 1e6,
        });
        isFilling = true;
        return commits ? backend : new Promise(() => undefined);
      },
    });
    await world.world.until(() => isFilling && (!commits || world.cell.inFlightCount > 0));
    world.crash();
    await assert.rejects(world.start(), (error) => {
      assert.ok(error instanceof StartError);
      assert.match(
        error.message,
        /database file \(\/data\/member\/store\) of the backend is missing/,
      );
      return true;
    });
  }
});
