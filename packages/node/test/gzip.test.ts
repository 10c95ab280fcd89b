import assert from "node:assert/strict";
import { test } from "node:test";
import { gzip } from "../src/index.ts";

test("what was compressed comes back", () => {
  for (const size of [0, 1, 1000, 100_000]) {
    const bytes = Buffer.alloc(size, "abc");
    assert.deepEqual(Buffer.from(gzip.decompress(gzip.compress(bytes), 100_000)), bytes);
  }
});

test("a bomb is given up at its limit and rubbish is an error", () => {
  const bomb = gzip.compress(Buffer.alloc(10 << 20));
  assert.throws(() => gzip.decompress(bomb, 1 << 20), RangeError);
  assert.throws(() => gzip.decompress(Buffer.from("no gzip"), 100), Error);
  assert.throws(() => gzip.decompress(bomb.subarray(0, 50), 20 << 20), Error);
});
