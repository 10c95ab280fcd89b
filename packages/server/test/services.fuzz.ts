// Random and mutated requests to every method: a call ends with an answer or a refusal, nothing throws, and
// the member lives and still works afterwards.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CompactionRequest,
  Compare,
  encodeCompactionRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "@etcd-ts/api";
import { SeededRandom } from "@etcd-ts/base";
import { type FakeCall, startStream, startUnary } from "./support/calls.ts";
import { MemberWorld } from "./support/member-world.ts";

const caseCount = 4000;

function seeds(): Uint8Array[] {
  const put = new PutRequest();
  put.key = Buffer.from("key");
  put.value = Buffer.from("value");
  put.prevKv = true;
  const range = new RangeRequest();
  range.key = Buffer.from("a");
  range.rangeEnd = Buffer.from("z");
  range.limit = 3n;
  range.sortOrder = 1;
  range.sortTarget = 3;
  const op = new RequestOp();
  op.requestPut = put;
  const nested = new RequestOp();
  nested.requestTxn = new TxnRequest();
  nested.requestTxn.success = [op];
  const compare = new Compare();
  compare.key = put.key;
  compare.version = 1n;
  const txn = new TxnRequest();
  txn.compare = [compare];
  txn.success = [nested];
  txn.failure = [op];
  const compaction = new CompactionRequest();
  compaction.revision = 5n;
  // The ends of what 64 bits hold; most requests have a number for their first field.
  const lowest = new CompactionRequest();
  lowest.revision = -(2n ** 63n);
  const highest = new CompactionRequest();
  highest.revision = 2n ** 63n - 1n;
  return [
    encodePutRequest(put),
    encodeRangeRequest(range),
    encodeTxnRequest(txn),
    encodeCompactionRequest(compaction),
    encodeCompactionRequest(lowest),
    encodeCompactionRequest(highest),
    new Uint8Array(0),
  ];
}

function mutated(random: SeededRandom, source: Uint8Array): Uint8Array {
  const bytes = Buffer.from(source);
  switch (random.below(4)) {
    case 0:
      return random.bytes(random.below(40));
    case 1:
      return bytes.subarray(0, random.below(bytes.length + 1));
    case 2:
      return Buffer.concat([bytes, random.bytes(random.below(10))]);
    default:
      for (let i = 0; i <= random.below(4) && bytes.length > 0; i++) {
        bytes[random.below(bytes.length)] = random.below(256);
      }
      return bytes;
  }
}

test("no request harms a member", async () => {
  const seed = 20261122;
  const random = new SeededRandom(seed);
  const world = await MemberWorld.started();
  const sources = seeds();
  // A voter that never comes would cost the quorum, and that is no fault.
  const paths = Object.keys(world.member.methods).filter((path) => !path.endsWith("/MemberAdd"));
  assert.ok(paths.length > 20);
  const unary: FakeCall[] = [];
  const streams: FakeCall[] = [];
  let answeredCount = 0;
  for (let i = 0; i < caseCount; i++) {
    const path = random.pick(paths);
    const message = mutated(random, random.pick(sources));
    try {
      if (world.member.methods[path]!.kind === "unary") {
        unary.push(startUnary(world.member.methods, path, message));
      } else {
        streams.push(startStream(world.member.methods, path, message));
      }
    } catch (error) {
      assert.fail(`seed ${seed}, case ${i}, ${path}: ${String(error)}`);
    }
    if (i % 100 !== 99) continue;
    await world.world.until(() => unary.every((call) => call.ended));
    answeredCount += unary.filter((call) => call.response !== undefined).length;
    unary.length = 0;
    for (const call of streams.splice(0)) call.cancel();
    assert.equal(world.failure, undefined);
  }
  assert.ok(answeredCount > 300, `${answeredCount} of ${caseCount} were valid requests`);
  await world.put("after", "all");
  const { revision } = world.member.machine;
  await world.stop();
  await world.start();
  assert.equal(world.member.machine.revision, revision);
  assert.equal(await world.get("after"), "all");
  await world.stop();
});
