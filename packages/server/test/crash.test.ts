// Power loss between any two disk operations of a scripted run, with everything that was not synced gone.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { MemberOptions } from "../src/index.ts";
import { MemberWorld } from "./support/member-world.ts";

/** Small enough that the script goes through snapshots, new segments and their release. */
const small: Partial<MemberOptions> = {
  snapshotCount: 8,
  snapshotCatchupEntries: 3,
  walSegmentBytes: 2048,
  maxWals: 1,
  maxSnapshots: 2,
  backendBatchIntervalMs: 3,
};

const writeCount = 24;

interface Acknowledged {
  /** Values by key; undefined: deleted. */
  readonly values: Map<string, string | undefined>;
  /** Written but without an answer: it may be there or not. */
  readonly open: Map<string, string | undefined>;
  revision: number;
}

/** Runs the script until it is through or the disk stops; says what was acknowledged. */
async function runScript(world: MemberWorld): Promise<Acknowledged> {
  const done: Acknowledged = { values: new Map(), open: new Map(), revision: 1 };
  const { disk } = world.world;
  const opening = world.open();
  let isOpen = false;
  opening.then(
    (member) => {
      world.member = member;
      member.ready().then(
        () => {
          isOpen = true;
        },
        () => {},
      );
    },
    () => {},
  );
  await world.world.until(() => isOpen || disk.isStopped);
  if (!isOpen) return done;
  for (let i = 0; i < writeCount; i++) {
    const key = `key-${i % 7}`;
    const value = `value-${i}`.padEnd(60, ".");
    const call = world.beginPut(key, value);
    await world.world.until(() => call.ended || disk.isStopped);
    if (!call.ended) {
      done.open.set(key, value);
      return done;
    }
    assert.equal(call.error, undefined);
    done.values.set(key, value);
    done.revision++;
    // Time for the background work: commits, snapshots, segments.
    await world.world.run(2);
  }
  return done;
}

async function check(world: MemberWorld, done: Acknowledged): Promise<void> {
  await world.start();
  for (const [key, value] of done.values) {
    const found = await world.get(key);
    if (found === value) continue;
    assert.ok(done.open.has(key), `${key} holds ${found}`);
    assert.equal(found, done.open.get(key));
  }
  const { header } = await world.range("nothing");
  assert.ok(
    header!.revision >= done.revision && header!.revision <= done.revision + done.open.size,
    `revision ${header!.revision} after ${done.revision} acknowledged`,
  );
  const put = await world.put("afterwards", "works");
  assert.equal(put.header!.revision, header!.revision + 1);
}

test("acknowledged writes survive a crash between any two disk operations", async () => {
  const whole = new MemberWorld(small);
  const all = await runScript(whole);
  assert.equal(all.values.size, 7, "the script runs through");
  const operationCount = whole.world.disk.operationCount;
  const snapshots = whole.world.disk.paths().filter((path) => path.endsWith(".snap"));
  assert.ok(snapshots.length > 0, "the script makes snapshots");
  const segments = whole.world.disk.paths().filter((path) => path.endsWith(".wal"));
  assert.ok(
    segments.length > 1 && !segments.some((path) => path.endsWith("0000000000000000.wal")),
    "the script releases segments",
  );
  let withLoss = 0;
  for (let stopAfter = 0; stopAfter <= operationCount; stopAfter++) {
    const world = new MemberWorld(small);
    world.world.disk.stopAfter = stopAfter;
    const done = await runScript(world);
    if (done.open.size > 0) withLoss++;
    world.crash();
    await check(world, done);
    world.crash();
    if (stopAfter % 4 !== 0) continue;
    // And once more: recovery itself must leave a directory that can be recovered.
    await world.start();
    assert.equal(await world.get("afterwards"), "works");
    world.crash();
  }
  assert.ok(operationCount > 60, `${operationCount} operations`);
  assert.ok(withLoss > 10, "crashes hit writes under way");
});

test("a crash during recovery is recovered from", async () => {
  for (let stopAfter = 0; stopAfter < 40; stopAfter++) {
    const world = new MemberWorld(small);
    const done = await runScript(world);
    world.crash();
    world.world.disk.stopAfter = stopAfter;
    const opening = world.open();
    let isReady = false;
    opening
      .then((member) => member.ready())
      .then(
        () => {
          isReady = true;
        },
        () => {},
      );
    await world.world.until(() => isReady || world.world.disk.isStopped);
    world.crash();
    await check(world, done);
    world.crash();
  }
});

test("commits of the backend may be lost or kept in any number", async () => {
  for (let surviving = 0; surviving < 3; surviving++) {
    const world = new MemberWorld(small);
    const done = await runScript(world);
    world.world.kill();
    world.world.disk.crash();
    world.cell.crash(surviving);
    await check(world, done);
    world.crash();
  }
});
