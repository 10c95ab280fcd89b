import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@etcd-ts/base";
import { Deadlines, LeaseTimer } from "../../src/lease/deadlines.ts";

test("deadlines come up in order, never early, and a renewed or removed one not at its old time", () => {
  let expired = 0;
  for (let seed = 1; seed <= 100; seed++) {
    const random = new SeededRandom(seed);
    const deadlines = new Deadlines();
    const model = new Map<bigint, number>();
    let nowMs = 0;
    for (let step = 0; step < 400; step++) {
      const id = BigInt(random.below(40));
      const dice = random.below(10);
      if (dice < 3) {
        const deadlineMs = nowMs + random.below(100);
        deadlines.add(new LeaseTimer(id, 1, deadlineMs));
        model.set(id, deadlineMs);
      } else if (dice < 6) {
        const timer = deadlines.get(id);
        assert.equal(timer !== undefined, model.has(id));
        if (timer === undefined) continue;
        deadlines.renew(timer, nowMs + random.below(150));
        model.set(id, Math.max(model.get(id) ?? 0, timer.deadlineMs));
        assert.equal(timer.deadlineMs, model.get(id));
      } else if (dice < 7) {
        deadlines.remove(id);
        model.delete(id);
      } else {
        nowMs += random.below(30);
        for (let timer = deadlines.takeExpired(nowMs); timer !== undefined; ) {
          assert.ok(
            (model.get(timer.id) ?? Number.NaN) <= nowMs,
            "never early, never a removed one",
          );
          expired += 1;
          if (random.chance(1, 5)) {
            deadlines.putBack(timer); // its revocation failed: it must come up again
            break;
          }
          deadlines.remove(timer.id);
          model.delete(timer.id);
          timer = deadlines.takeExpired(nowMs);
        }
      }
      assert.equal(deadlines.count, model.size);
    }
    for (let timer = deadlines.takeExpired(1e9); timer !== undefined; ) {
      assert.equal(model.delete(timer.id), true);
      deadlines.remove(timer.id);
      timer = deadlines.takeExpired(1e9);
    }
    assert.equal(model.size, 0, "none is forgotten");
  }
  assert.ok(expired > 1000);
});
