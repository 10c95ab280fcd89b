// The machine against a model that computes every answer by brute force: random operations, every answer and
// event compared, then HASHKV, the records in the backend and the past.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeKeyValue,
  encodeKeyValue,
  type KeyValue,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "@etcd-ts/api";
import { type Bytes, SeededRandom } from "@etcd-ts/base";
import { type ApplyOutcome, finish, type OpResult } from "@etcd-ts/machine";
import { Driver, text } from "./support/driver.ts";
import { describe, Model } from "./support/model.ts";
import { RandomRequests } from "./support/random-requests.ts";

const hex = (bytes: Bytes | undefined): string =>
  bytes === undefined ? "-" : Buffer.from(bytes).toString("hex");
const kvHex = (kv: KeyValue | undefined): string =>
  kv === undefined ? "-" : hex(encodeKeyValue(kv));

class Pair {
  d: Driver;
  readonly model: Model = new Model();
  readonly requests: RandomRequests;
  readonly random: SeededRandom;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.requests = new RandomRequests(this.random);
    this.d = new Driver();
  }

  step(): void {
    const kind = this.random.below(100);
    if (kind < 30) this.put();
    else if (kind < 40) this.delete();
    else if (kind < 60) this.range(this.requests.range(this.model.revision));
    else if (kind < 75) this.txn();
    else if (kind < 83) this.lease();
    else if (kind < 88) this.compact();
    else if (kind < 93) this.hash();
    else if (kind < 97) this.past();
    else this.restart();
    assert.equal(this.d.machine.revision, this.model.revision);
  }

  put(): void {
    const request = this.requests.put();
    const outcome = this.d.apply({ put: request })!;
    this.model.begin();
    const error = this.model.check([{ requestPut: request } as RequestOp], () => true);
    assert.equal(outcome.error, error);
    if (error === undefined) this.comparePut(outcome.result as OpResult, request);
    this.model.end();
  }

  comparePut(result: OpResult, request: PutRequest): void {
    assert.equal(result.kind, "put");
    const key = text(request.key)!;
    const old = this.model.current(key);
    const value = request.ignoreValue ? old!.value : request.value;
    this.model.put(key, value, request.ignoreLease ? old!.lease : request.lease);
    assert.equal(result.revision, this.model.openRevision);
    assert.equal(
      hex(result.kind === "put" ? result.prevKv : undefined),
      kvHex(request.prevKv ? old : undefined),
    );
  }

  delete(): void {
    const request = this.requests.delete();
    const outcome = this.d.apply({ deleteRange: request })!;
    this.model.begin();
    this.compareDelete(outcome.result as OpResult, { requestDeleteRange: request } as RequestOp);
    this.model.end();
  }

  compareDelete(result: OpResult, op: RequestOp): void {
    const request = op.requestDeleteRange!;
    const gone = this.model.delete(text(request.key)!, text(request.rangeEnd)!);
    assert.ok(result.kind === "deleteRange");
    assert.equal(result.deleted, gone.length);
    assert.equal(result.revision, this.model.openRevision);
    assert.deepEqual(result.prevKvs.toArray().map(hex), request.prevKv ? gone.map(kvHex) : []);
  }

  range(request: RangeRequest): void {
    const job = finish(this.d.machine.range(request, 1), 1 + this.random.below(5));
    const expected = this.model.range(request);
    if (typeof expected === "string") assert.equal(job.error, expected);
    else {
      assert.equal(job.error, undefined);
      this.compareRange(job.result, request);
    }
  }

  compareRange(result: OpResult, request: RangeRequest): void {
    const expected = this.model.range(request);
    assert.ok(result.kind === "range" && typeof expected !== "string");
    assert.equal(result.revision, this.model.openRevision);
    assert.deepEqual(result.kvs.toArray().map(hex), expected.kvs.map(kvHex));
    assert.deepEqual([result.more, result.count], [expected.more, expected.count]);
  }

  txn(): void {
    const request = this.requests.txn(this.model.revision);
    const outcome = this.d.apply({ txn: request })!;
    if (outcome.pending !== undefined) finish(outcome.pending, 1);
    const path = new Map<TxnRequest, boolean>();
    const choose = (txn: TxnRequest): void => {
      path.set(txn, this.model.compares(txn));
      for (const op of path.get(txn) ? txn.success : txn.failure) {
        if (op.requestTxn !== undefined) choose(op.requestTxn);
      }
    };
    choose(request);
    const taken = (txn: TxnRequest): boolean => path.get(txn)!;
    const error = this.model.check(taken(request) ? request.success : request.failure, taken);
    assert.equal(outcome.error, error);
    if (error !== undefined) return;
    this.model.begin();
    this.compareTxn(outcome.result as OpResult, request, taken);
    assert.equal((outcome.result as OpResult).revision, this.model.openRevision);
    this.model.end();
  }

  compareTxn(result: OpResult, request: TxnRequest, taken: (txn: TxnRequest) => boolean): void {
    assert.ok(result.kind === "txn");
    assert.equal(result.succeeded, taken(request));
    const ops = taken(request) ? request.success : request.failure;
    assert.equal(result.responses.length, ops.length);
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!;
      const answer = result.responses[i]!;
      if (op.requestRange !== undefined) this.compareRange(answer, op.requestRange);
      if (op.requestPut !== undefined) this.comparePut(answer, op.requestPut);
      if (op.requestDeleteRange !== undefined) this.compareDelete(answer, op);
      if (op.requestTxn !== undefined) this.compareTxn(answer, op.requestTxn, taken);
    }
  }

  lease(): void {
    const id = this.random.pick(this.requests.leases);
    const { model } = this;
    if (this.random.chance(1, 2)) {
      const outcome = this.grant(id);
      assert.equal(outcome.error, model.leases.has(id) ? "leaseExist" : undefined);
      model.leases.add(id);
    } else {
      const outcome = this.d.apply({ leaseRevoke: { id } })!;
      assert.equal(outcome.error, model.leases.has(id) ? undefined : "leaseNotFound");
      model.begin();
      if (model.leases.has(id)) model.revoke(id);
      model.end();
    }
    for (const lease of this.requests.leases) {
      const held = this.d.machine.leases.get(lease)?.keys();
      assert.deepEqual(held, model.leases.has(lease) ? model.keysOf(lease) : undefined);
    }
  }

  grant(id: bigint): ApplyOutcome {
    return this.d.apply({ leaseGrant: { id, ttl: 10n } })!;
  }

  compact(): void {
    const { model } = this;
    const revision = this.random.below(model.revision + 2);
    const outcome = this.d.apply({ compaction: { revision: BigInt(revision), physical: true } })!;
    if (revision <= model.compacted) assert.equal(outcome.error, "compacted");
    else if (revision > model.revision) assert.equal(outcome.error, "futureRev");
    else {
      assert.equal(outcome.error, undefined);
      const previous = model.compacted;
      const expected = model.hashKv(revision, previous, true);
      finish(this.d.machine.compaction, 1 + this.random.below(9));
      model.compacted = revision;
      assert.deepEqual(this.d.records(), model.survivors(revision));
      assert.deepEqual(this.d.machine.compaction.knownHash(revision), {
        hash: expected,
        hashRevision: revision,
        compactRevision: previous,
      });
    }
    this.d.machine.store.index.check();
  }

  hash(): void {
    const { model } = this;
    const revision = this.random.below(model.revision + 2);
    const job = finish(this.d.machine.hashKv(BigInt(revision)), 1 + this.random.below(9));
    const at = revision === 0 ? model.revision : revision;
    if (this.d.machine.compaction.knownHash(revision) !== undefined) return;
    if (at < model.compacted) assert.equal(job.error, "compacted");
    else if (at > model.revision) assert.equal(job.error, "futureRev");
    else {
      assert.equal(job.error, undefined);
      assert.equal(job.hash, model.hashKv(at, model.compacted));
    }
  }

  /** Events since some revision, with what each replaced; and single keys at some revision. */
  past(): void {
    const { model, d } = this;
    const start = this.random.below(model.revision + 2);
    const job = finish(
      d.machine.events(start, () => true),
      1 + this.random.below(9),
    );
    assert.equal(job.error, start < model.compacted ? "compacted" : undefined);
    if (job.error === undefined) {
      const events = job.takeEvents();
      const found = events.map((event) => describe(event, d.machine.prevKv(event)));
      assert.deepEqual(found, model.eventsSince(Math.max(start, 1)));
    }
    const key = this.requests.key();
    const at = this.random.below(model.revision + 1);
    const kv = at < model.compacted ? undefined : model.stateAt(at).get(key)?.kv;
    assert.equal(hex(d.machine.kvAt(key, at)), kvHex(kv));
  }

  /** Everything that was committed is there again. */
  restart(): void {
    const { model } = this;
    this.d.commit();
    const { appliedIndex } = this.d.machine;
    this.d = this.d.crash();
    const { machine } = this.d;
    assert.equal(machine.appliedIndex, appliedIndex);
    assert.equal(machine.compactRevision, model.compacted);
    assert.equal(machine.keyCount, model.stateAt(model.revision).size);
    machine.store.index.check();
  }
}

test("random operations answer as the model does", () => {
  for (let seed = 1; seed <= 12; seed++) {
    const pair = new Pair(seed);
    for (let i = 0; i < 300; i++) {
      try {
        pair.step();
      } catch (cause) {
        throw new Error(`seed ${seed}, step ${i}: ${(cause as Error).stack}`, { cause });
      }
    }
  }
});

test("live events are those that are read back later", () => {
  const pair = new Pair(99);
  for (let i = 0; i < 200; i++) {
    pair.put();
    pair.txn();
    pair.delete();
  }
  const live = pair.d.events.map((event) => describe(event, pair.d.machine.prevKv(event)));
  const job = finish(
    pair.d.machine.events(1, () => true),
    10,
  );
  const back = job.takeEvents();
  assert.ok(back.length > 200);
  assert.deepEqual(
    back.map((event) => describe(event, pair.d.machine.prevKv(event))),
    live,
  );
  const created = pair.d.events.map((event) => event.isCreate);
  assert.deepEqual(
    back.map((event) => event.isCreate),
    created,
  );
  assert.ok(back.every((event) => decodeKeyValue(event.kv).modRevision === event.modRevision));
});
