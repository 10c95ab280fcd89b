// How metrics are written down. What they say is tested where they are counted.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Histogram, type MetricFamily } from "@etcd-ts/server";
import { metricsText } from "../../src/etcd/metrics-text.ts";

test("families, series and labels come in the order of the Go client library", () => {
  const took = new Histogram([0.5, 1]);
  took.observe(0.75);
  const families: MetricFamily[] = [
    {
      name: "b_seconds",
      help: "Time.",
      type: "histogram",
      labelNames: ["op", "done"],
      collect: (emit) => emit(["Put", "yes"], took),
    },
    {
      name: "a_total",
      help: "Two\nlines.",
      type: "counter",
      labelNames: ["type", "name"],
      collect: (emit) => {
        emit(["readyz", "read"], 2e6);
        emit(["livez", "read"], 1);
        emit(["livez", 'a "quoted" \\'], 0.5);
      },
    },
    { name: "c", help: "None.", type: "gauge", labelNames: ["x"], collect: () => {} },
  ];
  const expected = [
    "# HELP a_total Two\\nlines.",
    "# TYPE a_total counter",
    'a_total{name="a \\"quoted\\" \\\\",type="livez"} 0.5',
    'a_total{name="read",type="livez"} 1',
    'a_total{name="read",type="readyz"} 2e+06',
    "# HELP b_seconds Time.",
    "# TYPE b_seconds histogram",
    'b_seconds_bucket{done="yes",op="Put",le="0.5"} 0',
    'b_seconds_bucket{done="yes",op="Put",le="1"} 1',
    'b_seconds_bucket{done="yes",op="Put",le="+Inf"} 1',
    'b_seconds_sum{done="yes",op="Put"} 0.75',
    'b_seconds_count{done="yes",op="Put"} 1',
    "",
  ];
  assert.equal(metricsText(families), expected.join("\n"));
});
