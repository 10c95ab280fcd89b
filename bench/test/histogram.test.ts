import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@etcd-ts/base";
import { Histogram } from "../src/measure/histogram.ts";

test("quantiles are those of the sorted samples, to 1.5 per cent", () => {
  const random = new SeededRandom(17);
  const histogram = new Histogram();
  const samples: number[] = [];
  for (let n = 0; n < 20_000; n++) {
    // Five orders of magnitude.
    const ms = 0.01 * 10 ** (random.below(5000) / 1000);
    samples.push(ms);
    histogram.add(ms);
  }
  samples.sort((a, b) => a - b);
  for (const share of [0.001, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = samples[Math.ceil(share * samples.length) - 1] as number;
    const found = histogram.quantileMs(share);
    assert.ok(found >= exact * 0.999 && found <= exact * 1.016, `${share}: ${found}, not ${exact}`);
  }
  assert.equal(histogram.count, samples.length);
  assert.equal(histogram.maxMs, samples.at(-1));
  assert.equal(
    histogram.quantileMs(1),
    histogram.maxMs,
    "no quantile lies above the largest sample",
  );
});

test("an empty histogram has no latency, and samples beyond its ends are counted", () => {
  const histogram = new Histogram();
  assert.equal(histogram.quantileMs(0.99), 0);
  assert.equal(histogram.meanMs, 0);
  histogram.add(0);
  histogram.add(1e12);
  assert.equal(histogram.count, 2);
  assert.equal(histogram.maxMs, 1e12);
  assert.ok(histogram.quantileMs(0.5) <= 0.0011);
});
