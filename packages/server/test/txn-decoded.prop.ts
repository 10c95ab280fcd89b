// A transaction is applied as it was decoded on arrival where it was proposed, and as the log has it everywhere else:
// the two must be the same, whatever bytes a client sends.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Compare,
  DeleteRangeRequest,
  decodeTxnRequest,
  encodeTxnRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  sizeTxnRequest,
  TxnRequest,
} from "@etcd-ts/api";
import { SeededRandom } from "@etcd-ts/base";

function randomTxn(random: SeededRandom, depth: number): TxnRequest {
  const txn = new TxnRequest();
  for (let i = random.below(3); i > 0; i--) {
    const compare = new Compare();
    compare.key = random.bytes(random.below(4));
    compare.rangeEnd = random.bytes(random.below(2));
    compare.target = random.below(6);
    compare.result = random.below(5);
    if (random.chance(1, 2)) compare.version = random.pick([0n, 1n, -1n, 2n ** 40n]);
    else compare.value = random.bytes(random.below(3));
    txn.compare.push(compare);
  }
  for (const ops of [txn.success, txn.failure]) {
    for (let i = random.below(4); i > 0; i--) ops.push(randomOp(random, depth));
  }
  return txn;
}

function randomOp(random: SeededRandom, depth: number): RequestOp {
  const op = new RequestOp();
  const kind = random.below(depth > 0 ? 5 : 4);
  const key = random.bytes(random.below(4));
  if (kind === 0) {
    op.requestPut = new PutRequest();
    op.requestPut.key = key;
    op.requestPut.value = random.bytes(random.below(200));
    op.requestPut.lease = random.pick([0n, 7n, -1n]);
  } else if (kind === 1) {
    op.requestRange = new RangeRequest();
    op.requestRange.key = key;
    op.requestRange.sortOrder = random.below(4);
    op.requestRange.revision = random.pick([0n, -1n, 2n ** 62n]);
  } else if (kind === 2) {
    op.requestDeleteRange = new DeleteRangeRequest();
    op.requestDeleteRange.rangeEnd = key;
  } else if (kind === 4) op.requestTxn = randomTxn(random, depth - 1);
  return op;
}

test("what was decoded on arrival is what the log says", () => {
  const seed = 20261130;
  const random = new SeededRandom(seed);
  let changed = 0;
  let reencoded = 0;
  for (let i = 0; i < 30_000; i++) {
    const message = encodeTxnRequest(randomTxn(random, 2));
    for (let k = random.below(4); k > 0 && message.length > 0; k--) {
      message[random.below(message.length)] = random.pick([0, 1, 10, 18, 26, 34, 128, 255]);
    }
    let request: TxnRequest;
    try {
      request = decodeTxnRequest(message);
    } catch {
      continue; // refused on arrival
    }
    const isCanonical = sizeTxnRequest(request) === message.length;
    const logged = isCanonical ? message : encodeTxnRequest(request);
    assert.deepEqual(decodeTxnRequest(logged), request, `seed ${seed}, transaction ${i}`);
    if (!isCanonical) reencoded++;
    if (Buffer.compare(encodeTxnRequest(request), message) !== 0) changed++;
  }
  assert.ok(reencoded > 300, `${reencoded} were encoded anew`);
  assert.ok(
    changed > reencoded,
    "some had their fields in another order, and went in as they came",
  );
});
