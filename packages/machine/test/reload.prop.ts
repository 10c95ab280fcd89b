// A machine whose backend gets another content is, once it is reloaded, what a fresh machine on that backend is; and
// whatever was under way on the old content comes to an end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AlarmAction, AlarmType, RangeRequest, RequestOp, TxnRequest } from "@etcd-ts/api";
import { build, emptyBytes } from "@etcd-ts/base";
import {
  bucketNames,
  finish,
  type Machine,
  MemberChangeType,
  type ReadJob,
} from "@etcd-ts/machine";
import { bytes, Driver, Refusal } from "./support/driver.ts";
import { randomLog } from "./support/random-log.ts";
import type { TinyBackend } from "./support/tiny-backend.ts";

const noPause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function withMembers(d: Driver, count: number): Driver {
  for (let i = 1; i <= count; i++) {
    const context = bytes(`{"id":${i},"peerURLs":["http://p${i}"]}`);
    d.machine.applyConfChange(
      { index: d.machine.appliedIndex + 1, term: 3 },
      { type: MemberChangeType.addNode, nodeId: BigInt(i), context },
    );
  }
  d.machine.setConfState({
    voters: Array.from({ length: count }, (_, i) => BigInt(i + 1)),
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  });
  d.machine.setStorageVersion("3.7.0");
  d.commit();
  return d;
}

async function replace(target: TinyBackend, source: TinyBackend): Promise<void> {
  await target.replaceContent(async (sink) => {
    for (const bucket of bucketNames) {
      source.scan(bucket, emptyBytes, undefined, Number.MAX_SAFE_INTEGER, (key, value) => {
        sink.put(bucket, key, value);
        return true;
      });
      await sink.flush();
    }
  });
}

/** All that one can ask a machine. */
function describe(machine: Machine): unknown {
  const read = (revision: number): unknown => {
    const request = build(RangeRequest, {
      key: bytes("\0"),
      rangeEnd: bytes("\0"),
      revision: BigInt(revision),
    });
    const job = finish(machine.range(request), 5);
    if (job.error !== undefined) return job.error;
    return [
      job.result.count,
      job.result.kvs.toArray().map((kv) => Buffer.from(kv).toString("hex")),
    ];
  };
  const revisions = Array.from({ length: machine.revision + 2 }, (_, i) => i);
  const events: string[] = [];
  const job = finish(
    machine.events(Math.max(machine.compactRevision, 0), () => true),
    3,
  );
  for (const { type, key, modRevision, sub } of job.takeEvents()) {
    events.push(`${type} ${key} ${modRevision}/${sub}`);
  }
  machine.store.index.check();
  return {
    revision: machine.revision,
    compactRevision: machine.compactRevision,
    keyCount: machine.keyCount,
    applied: [machine.appliedIndex, machine.appliedTerm],
    confState: machine.confState,
    storageVersion: machine.storageVersion,
    authEnabled: machine.authEnabled,
    ranges: revisions.map(read),
    hashes: revisions.map((revision) => {
      const hash = finish(machine.hashKv(BigInt(revision)), 4);
      return hash.error ?? [hash.hash, hash.compactRevision, hash.hashRevision];
    }),
    leases: [...machine.leases.all()].map((lease) => [
      lease.id,
      lease.ttl,
      lease.remainingTtl,
      lease.keys(),
    ]),
    alarms: machine.alarms.list(),
    members: machine.members.list(),
    removed: machine.members.removedIds,
    versions: [machine.members.clusterVersion, machine.members.downgrade],
    compaction: machine.compaction.active,
    events,
  };
}

test("after a reload a machine is what a fresh one on the same backend is, and goes on like it", async () => {
  let seen = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const old = withMembers(randomLog(seed, 200), 2);
    const source = withMembers(randomLog(seed + 500, 40 * seed), 3);
    await replace(old.backend, source.backend);
    old.notes.length = 0;
    await old.machine.reload(noPause);
    const told = old.notes.filter((note) => note === "replaced").length;
    assert.equal(told, 1, "observers are told once, and nothing else");
    assert.equal(old.notes.length, 1);
    const fresh = old.crash();
    assert.deepEqual(describe(old.machine), describe(fresh.machine), `seed ${seed}`);
    seen += fresh.machine.keyCount + fresh.machine.leases.size;
    // The next entries do the same to both.
    for (const d of [old, fresh]) {
      d.apply({
        alarm: { action: AlarmAction.DEACTIVATE, memberId: 1n, alarm: AlarmType.NOSPACE },
      });
      d.put("after", "x");
      d.grant(99n);
      d.put("leased", "y", { lease: 99n });
      d.revoke(99n);
      d.delete("a", "b");
      d.compact(d.machine.revision - 1);
      d.commit();
    }
    assert.deepEqual(describe(old.machine), describe(fresh.machine), `seed ${seed}, later`);
    assert.deepEqual(old.backend.dump(), fresh.backend.dump());
  }
  assert.ok(seen > 50);
});

test("what was under way when the content changed comes to an end", async () => {
  const d = new Driver();
  for (let i = 0; i < 400; i++) d.put(`k${i % 100}`, String(i));
  d.grant(7n);
  d.put("leased", "1", { lease: 7n });
  d.compact(50, false);
  let compacted = 0;
  d.machine.compaction.whenIdle(() => compacted++);
  d.machine.compaction.step(3);
  const all = d.rangeRequest("\0", "\0");
  const sorted = { sortTarget: 4, sortOrder: 2 };
  const events = d.machine.events(100, () => true);
  events.step(10);
  const readTo = events.nextRevision;
  for (let i = 0; i < 400; i++) d.put(`wide${i}`);
  const txn = d.machine.txnReadOnly(
    build(TxnRequest, { success: [build(RequestOp, { requestRange: all })] }),
  );
  const jobs: ReadJob[] = [
    d.machine.range(all, 3),
    d.machine.range(d.rangeRequest("\0", "\0", sorted), 3),
    d.machine.range(d.rangeRequest("\0", "\0", { countOnly: true, revision: 200n }), 1),
    d.machine.hashKv(300n),
    events,
  ];
  if (txn.pending !== undefined) jobs.push(txn.pending);
  const unfinished = jobs.filter((job) => !job.done);
  assert.ok(unfinished.length >= 4);
  const compaction = d.machine.compaction;
  d.commit();
  assert.ok(compaction.active);

  const source = new Driver();
  for (let i = 0; i < 700; i++) source.put(`n${i % 40}`, String(i));
  source.compact(600, false);
  source.commit();
  await replace(d.backend, source.backend);
  let slices = 0;
  const reloading = d.machine.reload(async () => {
    slices++;
    // New reads are refused until the end, and the machine says what it said before.
    assert.equal(d.machine.range(all).error, "leaderChanged");
    assert.equal(d.machine.range(d.rangeRequest("n1")).error, "leaderChanged");
    assert.equal(d.machine.hashKv(0n).error, "leaderChanged");
    assert.equal(d.machine.txnReadOnly(build(TxnRequest, {})).error, "leaderChanged");
    assert.equal(d.machine.events(1, () => true).error, "leaderChanged");
    assert.equal(d.machine.kvAt("k1", 400), undefined);
    assert.equal(d.machine.revision, 802);
    d.machine.sealBatch();
    assert.equal(d.backend.pendingCount, 0);
    await noPause();
  });
  assert.throws(() => d.put("no"), /being replaced/);
  await reloading;
  assert.ok(slices > 1);
  for (const job of unfinished) {
    assert.equal(job.step(1000), true);
    assert.equal(job.done, true);
    assert.equal(job.error, "leaderChanged");
    job.cancel();
  }
  const taken = events.takeEvents();
  assert.equal(events.nextRevision, readTo);
  assert.ok(taken.every((event) => event.modRevision < readTo));
  assert.equal(compacted, 1);
  assert.equal(compaction.step(1), true);
  assert.notEqual(d.machine.compaction, compaction);
  assert.equal(d.machine.store.pins.count, 0);
  // The compaction that the new content was in the middle of.
  assert.ok(d.machine.compaction.active);
  finish(d.machine.compaction);
  assert.equal(d.machine.compactRevision, 600);
  assert.equal(d.keys("n", "o").length, 40);
  assert.throws(() => d.range("\0", "\0", { revision: 300n }), Refusal);
  assert.deepEqual(d.machine.alarms.list(AlarmType.NONE), []);
  assert.throws(() => d.revoke(7n), /leaseNotFound/);
});
