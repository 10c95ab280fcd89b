// Every micro-benchmark runs at a tiny size, and what is fast agrees with what is plain.

import assert from "node:assert/strict";
import { test } from "node:test";
import { microBenchmarks } from "../src/micro/all.ts";
import { figureLine } from "../src/micro/main.ts";
import { measureMicro } from "../src/micro/micro-benchmark.ts";

for (const benchmark of microBenchmarks) {
  test(`${benchmark.name}: ${benchmark.title}`, async () => {
    const prepared = await benchmark.prepare();
    try {
      await prepared.check();
      assert.notEqual(await prepared.fast.run(3), undefined);
      if (prepared.plain !== undefined) assert.notEqual(prepared.plain.run(3), undefined);
    } finally {
      await prepared.close?.();
    }
  });
}

test("a figure is the median of its passes, with the plain version beside it", async () => {
  let closed = false;
  const spin = (ms: number) => (count: number) => {
    const end = performance.now() + ms * count;
    while (performance.now() < end);
    return count;
  };
  const figure = await measureMicro(
    {
      name: "spin",
      title: "spin",
      prepare: () => ({
        unit: "turn",
        fast: { run: spin(0.1) },
        plain: { what: "slowly", run: spin(0.4) },
        check: () => undefined,
        close: () => {
          closed = true;
        },
      }),
    },
    2,
  );
  assert.ok(closed);
  assert.ok(figure.nanoseconds >= 100_000 && figure.fastest <= figure.nanoseconds);
  // A spin takes its time at least; how much longer it takes is up to what else the machine does.
  assert.ok((figure.plain?.nanoseconds ?? 0) >= 400_000);
  assert.match(figureLine(figure), /^spin +.* [µm]s \(.*\) per turn; slowly .* times as long$/);
});

test("a fast version that is wrong is not measured", async () => {
  const wrong = {
    name: "wrong",
    title: "wrong",
    prepare: () => ({
      unit: "turn",
      fast: { run: () => 1 },
      check: () => {
        throw new Error("1 where 2 is right");
      },
    }),
  };
  await assert.rejects(measureMicro(wrong, 1), /1 where 2 is right/);
});
