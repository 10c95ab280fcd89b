import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRetention } from "../../src/etcd/retention.ts";

test("a retention is hours, a duration or a number of revisions", () => {
  const hourMs = 3_600_000;
  assert.deepEqual(parseRetention("periodic", "0"), { mode: "off" });
  assert.deepEqual(parseRetention("periodic", "2"), { mode: "periodic", periodMs: 2 * hourMs });
  assert.deepEqual(parseRetention("periodic", "10m"), { mode: "periodic", periodMs: 600_000 });
  assert.deepEqual(parseRetention("revision", "1000"), { mode: "revision", revisions: 1000 });
  assert.throws(() => parseRetention("periodic", "x"), {
    name: "RetentionError",
    message: 'error parsing CompactionRetention: time: invalid duration "x"',
  });
  assert.throws(() => parseRetention("revision", "10m"), { name: "RetentionError" });
});
