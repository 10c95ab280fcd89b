// The KV service on one member.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Compare,
  CompareTarget,
  DeleteRangeRequest,
  decodeRangeStreamResponse,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  PutRequest,
  RangeRequest,
  type RangeResponse,
  RequestOp,
  SortTarget,
  TxnRequest,
} from "@etcd-ts/api";
import { FakeCall, startStream } from "./support/calls.ts";
import { CallError, MemberWorld } from "./support/member-world.ts";

function rangeOp(key: string, rangeEnd = ""): RequestOp {
  const op = new RequestOp();
  op.requestRange = new RangeRequest();
  op.requestRange.key = Buffer.from(key);
  op.requestRange.rangeEnd = Buffer.from(rangeEnd);
  return op;
}

function putOp(key: string, value: string): RequestOp {
  const op = new RequestOp();
  op.requestPut = new PutRequest();
  op.requestPut.key = Buffer.from(key);
  op.requestPut.value = Buffer.from(value);
  return op;
}

test("puts, ranges, deletes and transactions answer with etcd's revisions", async () => {
  const world = await MemberWorld.started();
  assert.equal((await world.put("a", "1")).header!.revision, 2);
  const second = await world.put("a", "2", (request) => {
    request.prevKv = true;
  });
  assert.equal(Buffer.from(second.prevKv!.value).toString(), "1");
  assert.equal(second.header!.memberId, world.member.memberId);
  assert.equal(second.header!.clusterId, world.member.clusterId);
  assert.ok(second.header!.raftTerm >= 2);

  const txn = new TxnRequest();
  const compare = new Compare();
  compare.key = Buffer.from("a");
  compare.target = CompareTarget.VERSION;
  compare.version = 2n;
  txn.compare = [compare];
  txn.success = [putOp("b", "3"), rangeOp("b")];
  const answer = await world.txn(txn);
  assert.equal(answer.succeeded, true);
  assert.equal(answer.header!.revision, 4);
  assert.equal(answer.responses[1]!.responseRange!.kvs[0]!.modRevision, 4);

  const read = new TxnRequest();
  read.success = [rangeOp("a", "c")];
  const seen = await world.txn(read);
  assert.equal(seen.header!.revision, 4);
  assert.equal(seen.responses[0]!.responseRange!.count, 2);

  assert.equal(await world.delete("a", "z"), 2);
  assert.equal(await world.delete("a", "z"), 0);
  assert.equal((await world.range("a")).header!.revision, 5);
  await world.stop();
});

test("a write that reads a revision that is not there never enters the log", async () => {
  const world = await MemberWorld.started();
  for (let i = 0; i < 5; i++) await world.put("a", String(i));
  await world.compact(4);
  const { machine } = world.member;
  const at = (revision: bigint): RequestOp => {
    const op = rangeOp("a");
    op.requestRange!.revision = revision;
    return op;
  };
  const nested = (op: RequestOp): RequestOp => {
    const outer = new RequestOp();
    outer.requestTxn = new TxnRequest();
    outer.requestTxn.success = [op];
    return outer;
  };
  const txn = (...success: RequestOp[]): TxnRequest => {
    const request = new TxnRequest();
    request.success = success;
    return request;
  };
  const future = "etcdserver: mvcc: required revision is a future revision";
  const compacted = "etcdserver: mvcc: required revision has been compacted";
  const applied = machine.appliedIndex;
  for (const [revision, message] of [
    [7n, future],
    [3n, compacted],
    [-1n, compacted],
  ] as const) {
    const expected = { code: 11, message };
    await assert.rejects(world.txn(txn(putOp("a", "x"), at(revision))), expected);
    await assert.rejects(world.txn(txn(putOp("a", "x"), nested(at(revision)))), expected);
    await assert.rejects(world.txn(txn(nested(at(revision)))), expected);
  }
  assert.equal(machine.appliedIndex, applied);
  // What stands in the branch that is not taken does not count, and what is there is read.
  const other = txn(putOp("a", "x"), at(6n));
  other.failure = [at(99n)];
  const answer = await world.txn(other);
  assert.equal(Buffer.from(answer.responses[1]!.responseRange!.kvs[0]!.value).toString(), "4");
  assert.equal(answer.header!.revision, 7);
  assert.ok(machine.appliedIndex > applied);
  await world.stop();
});

test("requests that are not canonical are put into the log encoded anew", async () => {
  const world = await MemberWorld.started();
  const request = new PutRequest();
  request.key = Buffer.from("k");
  request.value = Buffer.from("v");
  const odd = Buffer.concat([encodePutRequest(request), Buffer.from([0xf8, 0x07, 0x01])]);
  await world.call("/etcdserverpb.KV/Put", odd);
  const { log } = world.member.opened;
  const entries = log.entries(log.lastIndex(), log.lastIndex() + 1, 1 << 20);
  assert.ok(typeof entries !== "string");
  assert.equal(Buffer.from(entries[0]!.data).includes(Buffer.from([0xf8, 0x07])), false);
  assert.equal(await world.get("k"), "v");
  const del = new DeleteRangeRequest();
  del.key = Buffer.from("k");
  await world.call("/etcdserverpb.KV/DeleteRange", Buffer.from([0x18, 0x00, 0x0a, 0x01, 0x6b]));
  assert.equal(await world.get("k"), undefined);
  await world.stop();
});

test("a physical compaction is answered when everything is removed and durable", async () => {
  const world = await MemberWorld.started({ compactionBatchLimit: 10, compactionSleepMs: 10 });
  for (let i = 0; i < 100; i++) await world.put("k", String(i));
  const { machine, commits } = world.member;
  const committed = commits.count;
  assert.equal(await world.compact(101, true), 101);
  assert.equal(machine.compaction.active, false);
  assert.ok(machine.compaction.removedCount >= 99);
  assert.ok(commits.count > committed);
  await assert.rejects(world.compact(50, true), /required revision has been compacted/);
  await assert.rejects(world.compact(500), /required revision is a future revision/);
  await assert.rejects(
    world.range("k", (request) => {
      request.revision = 50n;
    }),
    (error: CallError) => error.code === 11,
  );
  await world.stop();
});

test("only the removal pauses as the flags say: the hash before it reads on", async () => {
  const world = await MemberWorld.started({ compactionBatchLimit: 10, compactionSleepMs: 1000 });
  for (let i = 0; i < 100; i++) await world.put(`key-${i}`, "v");
  for (let i = 0; i < 19; i++) await world.put("key-0", String(i));
  const startMs = world.world.nowMs;
  // 119 records to hash; 19 to remove.
  await world.compact(120, true);
  const tookMs = world.world.nowMs - startMs;
  assert.ok(tookMs >= 1000, `one pause between two batches, took ${tookMs} ms`);
  assert.ok(tookMs < 3000, `no pauses while hashing, took ${tookMs} ms`);
  await world.stop();
});

test("an interrupted compaction goes on after a restart", async () => {
  const world = await MemberWorld.started({ compactionBatchLimit: 1, compactionSleepMs: 1000 });
  for (let i = 0; i < 20; i++) await world.put("k", String(i));
  await world.compact(21);
  await world.stop();
  await world.start();
  assert.equal(world.member.machine.compaction.active, true);
  await world.world.until(() => !world.member.machine.compaction.active);
  assert.equal(await world.get("k"), "19");
  await world.stop();
});

test("a large range is read in slices, and small reads overtake it", async () => {
  const world = await MemberWorld.started();
  for (let i = 0; i < 40; i++) {
    const txn = new TxnRequest();
    for (let k = 0; k < 100; k++) txn.success.push(putOp(`key-${i}-${k}`, "v"));
    await world.txn(txn);
  }
  const large = world.begin(
    "/etcdserverpb.KV/Range",
    encodeRangeRequest(
      Object.assign(new RangeRequest(), { key: Buffer.from("\0"), rangeEnd: Buffer.from("\0") }),
    ),
  );
  const small = world.begin(
    "/etcdserverpb.KV/Range",
    encodeRangeRequest(Object.assign(new RangeRequest(), { key: Buffer.from("key-0-0") })),
  );
  await world.world.until(() => small.ended);
  assert.equal(large.ended, false);
  await world.answer(large);
  const everything = await world.range("\0", (request) => {
    request.rangeEnd = Buffer.from("\0");
  });
  assert.equal(everything.kvs.length, 4000);
  assert.equal(everything.count, 4000);
  await world.stop();
});

async function stream(
  world: MemberWorld,
  change: (request: RangeRequest) => void,
  room = Number.POSITIVE_INFINITY,
): Promise<RangeResponse[]> {
  const request = new RangeRequest();
  request.key = Buffer.from("\0");
  request.rangeEnd = Buffer.from("\0");
  change(request);
  const call = startStream(world.member.methods, "/etcdserverpb.KV/RangeStream");
  call.room = room;
  call.handler!.onMessage(encodeRangeRequest(request));
  while (!call.ended) {
    await world.world.until(() => call.ended || call.room <= 0);
    if (call.ended) break;
    const sent = call.sent.length;
    await world.world.run(50);
    assert.equal(call.sent.length, sent, "nothing is sent while the client does not take it");
    call.room = room;
    call.handler!.onDrain();
  }
  if (call.error !== undefined) throw new CallError(call.error.code, call.error.message);
  const messages = call.response === undefined ? call.sent : [...call.sent, call.response];
  return messages.map((bytes) => decodeRangeStreamResponse(bytes).rangeResponse!);
}

test("RangeStream sends growing chunks, and the header, more and count with the last", async () => {
  const world = await MemberWorld.started();
  for (let i = 0; i < 95; i++) await world.put(`key-${String(i).padStart(3, "0")}`, "v");
  const chunks = await stream(world, () => {}, 2);
  assert.deepEqual(
    chunks.map((chunk) => chunk.kvs.length),
    [10, 20, 40, 25],
  );
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.header === undefined && chunk.count === 0));
  const last = chunks.at(-1)!;
  assert.equal(last.header!.revision, 96);
  assert.equal(last.count, 95);
  assert.equal(last.more, false);
  const keys = chunks.flatMap((chunk) => chunk.kvs.map((kv) => Buffer.from(kv.key).toString()));
  assert.deepEqual(keys, [...keys].sort());
  assert.equal(new Set(keys).size, 95);

  const limited = await stream(world, (request) => {
    request.limit = 15n;
  });
  assert.deepEqual(
    limited.map((chunk) => chunk.kvs.length),
    [10, 5],
  );
  assert.equal(limited.at(-1)!.more, true);
  assert.equal(limited.at(-1)!.count, 95);

  const counted = await stream(world, (request) => {
    request.countOnly = true;
  });
  assert.equal(counted.length, 1);
  assert.equal(counted[0]!.count, 95);

  const nothing = await stream(world, (request) => {
    request.key = Buffer.from("zzz");
  });
  assert.equal(nothing.length, 1);
  assert.equal(nothing[0]!.header!.revision, 96);
  await world.stop();
});

test("RangeStream reads one revision, whatever is written meanwhile", async () => {
  const world = await MemberWorld.started();
  for (let i = 0; i < 30; i++) await world.put(`key-${i}`, "old");
  const call = startStream(world.member.methods, "/etcdserverpb.KV/RangeStream");
  call.room = 1;
  const request = new RangeRequest();
  request.key = Buffer.from("\0");
  request.rangeEnd = Buffer.from("\0");
  call.handler!.onMessage(encodeRangeRequest(request));
  await world.world.until(() => call.sent.length === 1);
  for (let i = 0; i < 30; i++) await world.put(`key-${i}`, "new");
  call.room = 100;
  call.handler!.onDrain();
  await world.world.until(() => call.ended);
  const chunks = [...call.sent, call.response!].map(
    (bytes) => decodeRangeStreamResponse(bytes).rangeResponse!,
  );
  const values = chunks.flatMap((chunk) => chunk.kvs.map((kv) => Buffer.from(kv.value).toString()));
  assert.deepEqual(new Set(values), new Set(["old"]));
  assert.equal(values.length, 30);
  assert.equal(chunks.at(-1)!.header!.revision, 31);
  await world.stop();
});

test("RangeStream refuses orders and filters", async () => {
  const world = await MemberWorld.started();
  await assert.rejects(
    stream(world, (request) => {
      request.sortOrder = 1;
      request.sortTarget = SortTarget.MOD;
    }),
    (error: CallError) =>
      error.code === 12 && error.message === "RangeStream does not support custom sort orders",
  );
  await assert.rejects(
    stream(world, (request) => {
      request.minModRevision = 1n;
    }),
    (error: CallError) =>
      error.code === 12 && error.message === "RangeStream does not support revision filters",
  );
  await world.stop();
});

test("what may have a large answer begins when there is room for it, the rest at once", async () => {
  const world = await MemberWorld.started();
  await world.put("a", "1");
  const path = "/etcdserverpb.KV/";
  const start = (name: string, message: Uint8Array): FakeCall => {
    const method = world.member.methods[path + name];
    assert.ok(method?.kind === "unary");
    const call = new FakeCall(path + name);
    call.isFull = true;
    method.handle(call, message);
    return call;
  };
  const range = (change: (request: RangeRequest) => void): Uint8Array => {
    const request = new RangeRequest();
    request.key = Buffer.from("a");
    change(request);
    return encodeRangeRequest(request);
  };
  const write = (...ops: RequestOp[]): Uint8Array => {
    const request = new TxnRequest();
    request.success = [...ops, putOp("w", "x")];
    return encodeTxnRequest(request);
  };
  const deletion = new DeleteRangeRequest();
  deletion.key = Buffer.from("none");
  deletion.prevKv = true;
  const put = new PutRequest();
  put.key = Buffer.from("p");
  put.prevKv = true;
  const read = new TxnRequest();
  read.success = [rangeOp("a", "b")];
  const waiting: [FakeCall, string][] = [
    [
      start(
        "Range",
        range(() => {}),
      ),
      "answer",
    ],
    [
      start(
        "Range",
        range((request) => {
          request.serializable = true;
        }),
      ),
      "answer",
    ],
    [
      start(
        "Range",
        range((request) => {
          request.rangeEnd = Buffer.from("b");
        }),
      ),
      "long",
    ],
    [start("Txn", encodeTxnRequest(read)), "long"],
    [start("Txn", write(rangeOp("a"))), "answer"],
    [start("DeleteRange", encodeDeleteRangeRequest(deletion)), "answer"],
    [start("Put", encodePutRequest(put)), "answer"],
  ];
  put.prevKv = false;
  const small = [start("Put", encodePutRequest(put)), start("Txn", write(putOp("v", "y")))];
  await world.world.until(() => small.every((call) => call.ended));
  await world.world.until(() => waiting.every(([call]) => call.waiting.length === 1));
  const revision = world.member.machine.revision;
  assert.equal(revision, 4, "what waits has not been written");
  for (const [call, lane] of waiting) {
    assert.equal(call.ended, false);
    assert.equal(call.waiting[0]?.lane, lane, call.path);
    call.isFull = false;
    call.waiting[0]?.work.begin();
  }
  await world.world.until(() => waiting.every(([call]) => call.ended));
  assert.ok(waiting.every(([call]) => call.error === undefined));
  assert.equal(world.member.machine.revision, 6);
  await world.stop();
});

test("a read that a received snapshot overtakes is refused, not answered in part", async () => {
  const world = await MemberWorld.started();
  for (let i = 0; i < 3000; i++) world.beginPut(`k${i}`, "v");
  await world.world.until(() => world.member.machine.revision === 3001);
  const request = new RangeRequest();
  request.key = Buffer.from("k");
  request.rangeEnd = Buffer.from("l");
  request.serializable = true;
  const path = "/etcdserverpb.KV/Range";
  const body = encodeRangeRequest(request);
  const txn = new TxnRequest();
  txn.success = [rangeOp("k", "l")];
  txn.success[0]!.requestRange!.serializable = true;
  const calls = [
    world.begin(path, body),
    world.begin("/etcdserverpb.KV/Txn", encodeTxnRequest(txn)),
    startStream(world.member.methods, "/etcdserverpb.KV/RangeStream", body),
  ];
  assert.ok(calls.every((call) => !call.ended && call.response === undefined));
  const pause = () => new Promise<void>((resolve) => world.world.later(0, resolve));
  await world.world.settled(world.member.machine.reload(pause));
  await world.world.until(() => calls.every((call) => call.ended));
  for (const call of calls) {
    assert.equal(call.error?.message, "etcdserver: leader changed", call.path);
    assert.equal(call.error?.code, 14);
  }
  const again = await world.range("k5", (each) => {
    each.serializable = true;
  });
  assert.equal(again.kvs.length, 1);
  await world.stop();
});
