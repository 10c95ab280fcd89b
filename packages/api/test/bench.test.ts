import assert from "node:assert/strict";
import { test } from "node:test";
import { measureCodecs } from "../bench/codecs.bench.ts";

test("the benchmark of the codecs runs", () => {
  const figures = measureCodecs(1);
  assert.equal(figures.length, 6);
  for (const figure of figures) {
    assert.ok(figure.oursMicroseconds > 0 && figure.protobufjsMicroseconds > 0, figure.name);
  }
});
