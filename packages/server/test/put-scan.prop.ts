import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePutRequest, encodePutRequest, PutRequest } from "@etcd-ts/api";
import { SeededRandom } from "@etcd-ts/base";
import { checkPut } from "../src/services/kv-checks.ts";
import { scanPlainPut } from "../src/services/put-scan.ts";

function randomPut(random: SeededRandom): PutRequest {
  const request = new PutRequest();
  request.key = random.bytes(random.pick([0, 1, 5, 127, 128, 300]));
  request.value = random.bytes(random.pick([0, 1, 127, 128, 20_000]));
  request.lease = random.pick([0n, 1n, 127n, 128n, -1n, 2n ** 62n, -(2n ** 63n)]);
  request.prevKv = random.chance(1, 3);
  request.ignoreValue = random.chance(1, 5);
  request.ignoreLease = random.chance(1, 5);
  return request;
}

/** What the scan may let through: nothing but the canonical bytes of a valid request. */
function holds(message: Uint8Array): boolean {
  const size = scanPlainPut(message);
  if (size < 0) return false;
  const decoded = decodePutRequest(message);
  assert.deepEqual(Buffer.from(encodePutRequest(decoded)), Buffer.from(message));
  assert.equal(checkPut(decoded), undefined);
  assert.equal(size, decoded.key.length + decoded.value.length);
  return true;
}

test("a scanned put is the canonical encoding of a valid request; all such without prev_kv are scanned", () => {
  const seed = 20260101;
  const random = new SeededRandom(seed);
  let plain = 0;
  for (let i = 0; i < 3000; i++) {
    const request = randomPut(random);
    const message = encodePutRequest(request);
    const isPlain = holds(message);
    const wanted = checkPut(request) === undefined && !request.prevKv;
    assert.equal(isPlain, wanted, `seed ${seed}, request ${i}`);
    if (isPlain) plain++;
  }
  assert.ok(plain > 500);
});

test("changed and random bytes are never scanned as what they are not", () => {
  const seed = 20260102;
  const random = new SeededRandom(seed);
  let plain = 0;
  for (let i = 0; i < 20_000; i++) {
    const message = Buffer.from(encodePutRequest(randomPut(random)).subarray(0, 400));
    const changes = 1 + random.below(3);
    for (let k = 0; k < changes && message.length > 0; k++) {
      message[random.below(Math.min(message.length, 20))] = random.below(256);
    }
    if (holds(message)) plain++;
    holds(random.bytes(random.below(12)));
  }
  assert.ok(plain > 100, "some changes leave a valid request");
});
