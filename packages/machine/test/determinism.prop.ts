// Members that apply one log agree byte by byte, however often one of them dies and comes back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@etcd-ts/base";
import { finish } from "@etcd-ts/machine";
import { Driver } from "./support/driver.ts";
import { RandomRequests } from "./support/random-requests.ts";

/** The log of a member that does a bit of everything. */
function randomLog(seed: number, length: number): Driver {
  const random = new SeededRandom(seed);
  const requests = new RandomRequests(random);
  const d = new Driver();
  for (let i = 0; i < length; i++) {
    const kind = random.below(100);
    const { revision } = d.machine;
    const id = random.pick(requests.leases);
    if (kind < 40) d.apply({ put: requests.put() });
    else if (kind < 55) d.apply({ deleteRange: requests.delete() });
    else if (kind < 75) d.apply({ txn: requests.txn(revision) })?.pending?.cancel();
    else if (kind < 80) d.apply({ leaseGrant: { id, ttl: 10n } });
    else if (kind < 85) d.apply({ leaseRevoke: { id } });
    else if (kind < 90) {
      d.apply({ leaseCheckpoint: { checkpoints: [{ id, remainingTtl: random.below(9) }] } });
    } else if (kind < 94) {
      d.apply({ compaction: { revision: BigInt(random.below(revision + 1)), physical: false } });
    } else if (kind < 96) {
      d.apply({ alarm: { action: random.below(3), memberId: 1n, alarm: random.below(2) } });
    } else if (kind < 98) d.apply({ clusterVersionSet: { ver: random.pick(["3.5.0", "3.7.0"]) } });
    else d.applyData(new Uint8Array(0));
  }
  finish(d.machine.compaction);
  d.commit();
  return d;
}

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
