import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32c, SeededRandom, utf8ToBytes } from "../src/index.ts";

function bitwise(bytes: Uint8Array): number {
  let state = 0xffffffff;
  for (const byte of bytes) {
    state ^= byte;
    for (let bit = 0; bit < 8; bit++) state = state & 1 ? (state >>> 1) ^ 0x82f63b78 : state >>> 1;
  }
  return ~state >>> 0;
}

test("crc32c gives the check value of the catalogue", () => {
  assert.equal(crc32c(0, utf8ToBytes("123456789")), 0xe3069283);
});

test("crc32c equals the bitwise definition, whole and in two pieces", () => {
  const random = new SeededRandom(1);
  for (let round = 0; round < 500; round++) {
    const bytes = random.bytes(random.below(200));
    const cut = random.below(bytes.length + 1);
    const expected = bitwise(bytes);
    assert.equal(crc32c(0, bytes), expected);
    assert.equal(crc32c(crc32c(0, bytes, 0, cut), bytes, cut), expected);
  }
});
