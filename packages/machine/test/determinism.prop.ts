// Members that apply one log agree byte by byte, however often one of them dies and comes back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@etcd-ts/base";
import { finish } from "@etcd-ts/machine";
import { Driver } from "./support/driver.ts";
import { randomLog } from "./support/random-log.ts";

test("a member that crashes again and again ends where the others do", () => {
  for (let seed = 1; seed <= 10; seed++) {
    const one = randomLog(seed, 300);
    const random = new SeededRandom(seed + 1000);
    let two = new Driver();
    let crashes = 0;
    while (two.machine.appliedIndex < one.log.length) {
      const entry = one.log[two.machine.appliedIndex]!;
      two.machine.apply(entry, random.chance(1, 2));
      if (random.chance(1, 3)) two.machine.compaction.step(1 + random.below(4));
      if (random.chance(1, 10)) two.commit();
      if (random.chance(1, 25)) {
        two = two.crash();
        crashes++;
      }
    }
    finish(two.machine.compaction);
    two.commit();
    assert.ok(crashes > 2);
    const three = two.crash();
    finish(three.machine.compaction);
    assert.deepEqual(two.backend.dump(), one.backend.dump(), `seed ${seed}`);
    for (const d of [two, three]) {
      assert.equal(d.machine.revision, one.machine.revision);
      assert.equal(d.machine.compactRevision, one.machine.compactRevision);
      assert.equal(freshHash(d), freshHash(one));
      d.machine.store.index.check();
    }
    const hashes = [one, two].map((d) => finish(d.machine.hash(d.backend.viewNow()), 5).hash);
    assert.equal(hashes[0], hashes[1]);
  }
});

/** Without the hashes that a member remembers of its compactions. */
function freshHash(d: Driver): number {
  return finish(d.crash().machine.hashKv(0n), 9).hash;
}

test("what was not committed is gone, and the applied index says from where to apply again", () => {
  const d = new Driver();
  d.put("a", "1");
  d.commit();
  d.put("a", "2");
  const again = d.crash();
  assert.equal(again.value("a"), "1");
  assert.deepEqual([again.machine.appliedIndex, again.machine.appliedTerm], [1, 2]);
  again.machine.apply(d.log[1]!, false);
  assert.equal(again.value("a"), "2");
});

test("a seal without anything applied writes nothing", () => {
  const d = new Driver();
  d.machine.sealBatch();
  assert.equal(d.backend.pendingCount, 0);
  d.put("a");
  d.commit();
  d.machine.sealBatch();
  assert.equal(d.backend.pendingCount, 0);
});
