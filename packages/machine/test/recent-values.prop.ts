import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, SeededRandom } from "@etcd-ts/base";
import { RecentValues } from "../src/recent-values.ts";

for (const bytesMax of [64 << 10, 512 << 10]) {
  test(`what is found is what was written, whatever was written since (${bytesMax >> 10} KiB)`, () => {
    const seed = 20261130 + bytesMax;
    const random = new SeededRandom(seed);
    const values = new RecentValues(bytesMax);
    const written: { main: number; sub: number; kv: Bytes }[] = [];
    let main = 2 ** 33;
    let found = 0;
    let foundOld = 0;
    let writtenBytes = 0;
    assert.equal(values.find(0, 0), undefined);
    for (let i = 0; i < 20_000; i++) {
      main += random.pick([1, 1, 1, 1000]);
      for (let sub = random.pick([0, 0, 0, 5]); sub >= 0; sub--) {
        const kv = random.bytes(random.pick([0, 1, 40, 300, 500, 4000, 5000]));
        values.add(main, sub, kv);
        written.push({ main, sub, kv });
        writtenBytes += kv.length;
      }
      for (const back of [1, 1 + random.below(100), 1 + random.below(1000)]) {
        const expected = written.at(-back);
        if (expected === undefined) continue;
        const kv = values.find(expected.main, expected.sub);
        if (kv === undefined) continue;
        assert.deepEqual(Buffer.from(kv), Buffer.from(expected.kv), `seed ${seed}, ${main}`);
        found++;
        if (back > 20) foundOld++;
      }
      assert.equal(values.find(main + 1, 0), undefined);
      assert.equal(values.find(main, 1000), undefined);
    }
    assert.ok(writtenBytes > 20 * bytesMax, "it was filled many times");
    assert.ok(found > 5000 && foundOld > 100, `${found} found, ${foundOld} of them old`);
  });
}

test("a large value is left out", () => {
  const values = new RecentValues(64 << 10);
  values.add(1, 0, new Uint8Array(10));
  values.add(2, 0, new Uint8Array(513));
  assert.equal(values.find(2, 0), undefined);
  assert.equal(values.find(1, 0)?.length, 10);
});
