import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeInternalRaftRequest } from "@etcd-ts/api";
import { SeededRandom } from "@etcd-ts/base";
import { encodeEnvelope, Operation, operationOf, peekRequestId } from "../src/envelope.ts";
import { RequestIds } from "../src/ids.ts";

const lows = [1, 127, 128, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 42 - 1, 2 ** 42, 2 ** 48 - 1];

test("an envelope decodes to its parts, whatever the id", () => {
  const random = new SeededRandom(11);
  for (const high of [0, 1, 2, 3, 255, 256, 0x7fff, 0x8000, 0xffff]) {
    const ids = new RequestIds(BigInt(high), 0);
    for (const low of [...lows, random.next32() * 65536 + random.below(65536)]) {
      const lease = new Uint8Array([0x08, 0x05]);
      const data = encodeEnvelope(Operation.leaseRevoke, lease, ids, low);
      const decoded = decodeInternalRaftRequest(data);
      assert.equal(decoded.header?.id, ids.whole(low));
      assert.equal(decoded.leaseRevoke?.id, 5n);
      assert.equal(peekRequestId(data, high), low);
      assert.equal(peekRequestId(data, (high + 1) % 65536), -1);
    }
  }
});

test("fields stand in ascending order on both sides of the header", () => {
  const ids = new RequestIds(0x12c8n, 0);
  const before = encodeEnvelope(Operation.put, new Uint8Array([0x0a, 1, 97]), ids, 7);
  assert.equal(before[0], 0x22);
  assert.equal(operationOf(before), Operation.put);
  const behind = encodeEnvelope(Operation.clusterVersionSet, new Uint8Array([0x0a, 1, 97]), ids, 7);
  assert.equal(behind[0], 0xa2);
  assert.equal(operationOf(behind), Operation.clusterVersionSet);
  assert.equal(operationOf(new Uint8Array(0)), 0);
  assert.equal(decodeInternalRaftRequest(behind).clusterVersionSet?.ver, "a");
  assert.equal(peekRequestId(behind, 0x12c8), 7);
});

test("what is no envelope has no request id", () => {
  const random = new SeededRandom(12);
  assert.equal(peekRequestId(new Uint8Array(0), 0), -1);
  for (let i = 0; i < 2000; i++) {
    const found = peekRequestId(random.bytes(random.below(40)), 0x7a31);
    assert.ok(found === -1 || found >= 0);
  }
});
