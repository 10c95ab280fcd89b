import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMetrics, stallBetween } from "../src/measure/metrics.ts";

const metrics = (max: number, counts: readonly [number, number, number]): string => `
# HELP etcd_ts_event_loop_stall_seconds How late a probe came.
# TYPE etcd_ts_event_loop_stall_seconds histogram
etcd_ts_event_loop_stall_seconds_bucket{le="0.001"} ${counts[0]}
etcd_ts_event_loop_stall_seconds_bucket{le="0.01"} ${counts[1]}
etcd_ts_event_loop_stall_seconds_bucket{le="+Inf"} ${counts[2]}
etcd_ts_event_loop_stall_max_seconds ${max}
`;

test("names keep their labels, comments are left out", () => {
  const values = parseMetrics(metrics(0.02, [1, 2, 3]));
  assert.equal(values.size, 4);
  assert.equal(values.get('etcd_ts_event_loop_stall_seconds_bucket{le="0.01"}'), 2);
});

test("a stall longer than all before is known exactly", () => {
  const before = parseMetrics(metrics(0.005, [10, 11, 11]));
  const after = parseMetrics(metrics(0.025, [20, 21, 22]));
  assert.equal(stallBetween(before, after), 25);
});

test("a stall shorter than one before is bounded by its bucket", () => {
  const before = parseMetrics(metrics(0.04, [10, 11, 12]));
  assert.equal(stallBetween(before, parseMetrics(metrics(0.04, [20, 22, 23]))), 10);
  assert.equal(stallBetween(before, parseMetrics(metrics(0.04, [20, 21, 22]))), 1);
});

test("a stall in the last bucket is bounded by the longest of all", () => {
  const before = parseMetrics(metrics(0.04, [10, 11, 12]));
  assert.equal(stallBetween(before, parseMetrics(metrics(0.04, [10, 11, 13]))), 40);
});

test("a server that does not tell has no stalls, rather than none", () => {
  assert.equal(stallBetween(new Map(), parseMetrics("etcd_server_has_leader 1\n")), undefined);
});
