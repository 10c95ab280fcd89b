import assert from "node:assert/strict";
import { test } from "node:test";
import { LeaseCheck, Violation } from "../src/index.ts";

test("a lease may end when its time is over, or when somebody asked for it, and not before", () => {
  const check = new LeaseCheck();
  check.granted(1n, 5, 1000);
  check.ended(1n, 6000);
  check.granted(2n, 5, 1000);
  check.endAsked(2n, 2000);
  check.ended(2n, 2100);
  check.granted(3n, 5, 1000);
  assert.throws(() => check.ended(3n, 5999), Violation);
  assert.equal(check.expiredCount, 2);
});

test("a renewal that is answered after the end was promised too much", () => {
  const check = new LeaseCheck();
  check.granted(1n, 5, 1000);
  check.renewed(1n, 3000);
  assert.throws(() => check.ended(1n, 7000), Violation);
  const late = new LeaseCheck();
  late.granted(1n, 5, 1000);
  late.ended(1n, 6000);
  assert.throws(() => late.renewed(1n, 5000), Violation);
});

test("leases that nobody ends are overdue; fast clocks are allowed for", () => {
  const check = new LeaseCheck();
  check.fastestClock = 1.1;
  check.granted(1n, 5, 0);
  assert.deepEqual(check.overdue(4000), []);
  assert.deepEqual(check.overdue(6000), [1n]);
  check.ended(1n, 4546);
  assert.deepEqual(check.overdue(6000), []);
});

test("the answer to a grant may come after the lease has ended, and is held to its promise", () => {
  const check = new LeaseCheck();
  check.ended(1n, 3000);
  check.ended(1n, 3200);
  check.granted(1n, 2, 1000);
  assert.deepEqual(check.overdue(60_000), []);
  assert.equal(check.expiredCount, 1);
  check.ended(2n, 2999);
  assert.throws(() => check.granted(2n, 2, 1000), Violation);
});
