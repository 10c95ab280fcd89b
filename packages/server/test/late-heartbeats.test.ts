import assert from "node:assert/strict";
import { test } from "node:test";
import type { Log } from "@etcd-ts/base";
import { LateHeartbeats } from "../src/late-heartbeats.ts";

test("late heartbeats are said, once for all of ten seconds", () => {
  const said: [string, unknown][] = [];
  const log: Log = {
    debug: assert.fail,
    info: assert.fail,
    error: assert.fail,
    warn: (message, fields) => void said.push([message, fields]),
    named: () => log,
  };
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs, wallMs: () => 0 };
  const late = new LateHeartbeats({ clock, log }, 100);
  late.tick(100);
  assert.deepEqual(said, []);
  late.tick(350);
  assert.equal(said.length, 1);
  assert.match(said[0]![0], /^leader failed to send out heartbeat on time;/);
  assert.deepEqual(said[0]![1], {
    "heartbeat-interval": "100ms",
    "expected-duration": "200ms",
    "exceeded-duration": "250ms",
  });
  nowMs = 9_999;
  late.tick(500);
  assert.equal(said.length, 1);
  nowMs = 10_000;
  late.tick(101);
  assert.equal(said.length, 2);
});
