import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { replaceResults, writeDocs } from "../src/report/docs.ts";
import { goalLine, plain, toMarkdown } from "../src/report/markdown.ts";
import {
  median,
  mergeReports,
  type Report,
  ratioOf,
  type ScenarioResult,
  verdictsOf,
} from "../src/report/report.ts";
import { niceStep, toSvg } from "../src/report/svg.ts";
import { atLeast, atMost, type Sample } from "../src/scenario.ts";
import { sweepPanels } from "../src/scenarios/sweep.ts";

function result(ours: readonly Sample[], stock: readonly Sample[]): ScenarioResult {
  return {
    name: "put-1",
    title: "put, 1 client",
    figures: [
      { key: "perSecond", label: "throughput", unit: "/s" },
      { key: "p99Ms", label: "p99", unit: "ms" },
      { key: "stallMs", label: "stall", unit: "ms" },
      { key: "secret", label: "secret", unit: "", hidden: true },
    ],
    goals: [atLeast("perSecond", 1.5), atMost("p99Ms", 0.5), atMost("stallMs", 100, "value")],
    against: "stock 3.5.30",
    rounds: 3,
    measureMs: 5000,
    at: "2026-01-01T00:00:00Z",
    ours,
    stock,
    remarks: ["etcd-ts: a remark", "etcd-ts: a remark"],
  };
}

function report(results: readonly ScenarioResult[], quick = false): Report {
  return { version: "1.2.3", machine: "a machine", quick, results };
}

const ours = [
  { perSecond: 3000, p99Ms: 2, stallMs: 7, secret: 1 },
  { perSecond: 1000, p99Ms: 1, stallMs: 8, secret: 1 },
  { perSecond: 2000, p99Ms: 3, stallMs: 9, secret: 1 },
];
const stock = [
  { perSecond: 1000, p99Ms: 3 },
  { perSecond: 1100, p99Ms: 3 },
];

test("the median of an even count lies between the middle two", () => {
  assert.equal(median([5, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

test("a goal in times of stock's compares medians, and one without a comparison is not measured", () => {
  const both = result(ours, stock);
  assert.equal(ratioOf(both, "perSecond"), 2000 / 1050);
  assert.deepEqual(
    verdictsOf(both).map((it) => it.reached),
    [true, false, true],
  );
  assert.deepEqual(
    verdictsOf(result(ours, [])).map((it) => it.reached),
    [undefined, undefined, true],
  );
  assert.deepEqual(
    verdictsOf(result([], [])).map((it) => it.reached),
    [undefined, undefined, undefined],
  );
});

test("the table shows medians, spreads, ratios, goals and whether they are reached", () => {
  assert.equal(
    toMarkdown(report([result(ours, stock)])),
    `etcd-ts 1.2.3 against stock 3.5.30 on a machine.

2 goals reached, 1 missed.

| scenario | figure | etcd-ts | stock | ratio | goal | |
|---|---|---:|---:|---:|---:|---|
| put, 1 client | throughput | 2,000 /s (1,000–3,000) | 1,050 /s (1,000–1,100) | 1.90 | ≥ 1.5 × | yes |
|  | p99 | 2 ms (1–3) | 3 ms (3–3) | 0.67 | ≤ 0.5 × | **no** |
|  | stall | 8 ms (7–9) |  |  | ≤ 100 ms | yes |

- put, 1 client: etcd-ts: a remark.
`,
  );
});

test("a quick run and a failure say so", () => {
  const failed = { ...result([], []), failure: "etcd-ts: it broke\nwith a long log" };
  const text = toMarkdown(report([failed], true));
  assert.match(text, /Quick run/);
  assert.match(text, /put, 1 client: failed: etcd-ts: it broke\.\n/);
  assert.match(text, /\| put, 1 client \| not measured \|/);
  assert.match(text, /3 not measured/);
  assert.doesNotMatch(text, /long log/);
});

test("what holds for several scenarios is said once", () => {
  const named = (title: string, remarks: readonly string[]) => ({
    ...result(ours, stock),
    title,
    remarks,
  });
  const some = toMarkdown(report([named("a", ["x", "y"]), named("b", ["x"]), named("c", [])]));
  assert.match(some, /\n- a; b: x\.\n- a: y\.\n$/);
  const many = Array.from("abcdefg", (title) => named(title, title === "g" ? [] : ["x"]));
  assert.match(toMarkdown(report(many)), /\n- a; b; c; d; and 2 others: x\.\n$/);
  const all = toMarkdown(report([named("a", ["x"]), { ...named("b", ["x"]), leftOut: true }]));
  assert.match(all, /\n- All: x\.\n- b: left out, for the time of a quick run was over\.\n$/);
});

test("numbers have as many digits as they deserve", () => {
  assert.deepEqual([0, 0.123, 1.5, 12.34, 123.4, 1234.5, 7, Number.POSITIVE_INFINITY].map(plain), [
    "0",
    "0.12",
    "1.50",
    "12.3",
    "123",
    "1,235",
    "7",
    "∞",
  ]);
  assert.equal(goalLine(atMost("a", 2, "value"), { key: "a", label: "a", unit: "ms" }), "≤ 2 ms");
  assert.equal(goalLine(atLeast("a", 2), undefined), "≥ 2 × stock");
});

test("kept results stay, measured ones take their place, in the order of the scenarios", () => {
  const named = (name: string, title: string) => ({ ...result(ours, stock), name, title });
  const before = report([named("a", "old"), named("c", "old")]);
  const merged = mergeReports(before, report([named("b", "new"), named("c", "new")], true), [
    "a",
    "b",
    "c",
  ]);
  assert.deepEqual(
    merged.results.map((it) => `${it.name} ${it.title}`),
    ["a old", "b new", "c new"],
  );
  assert.equal(merged.quick, true, "one quick part makes the whole unfit for conclusions");
});

const points = (scale: number): Sample => ({
  "1.perSecond": 100 * scale,
  "1.p50Ms": 0.3,
  "1.p99Ms": 0.9,
  "1000.perSecond": 9000 * scale,
  "1000.p50Ms": 20,
  "1000.p99Ms": 45,
});

test("the plot has a panel for each sweep, a line for each percentile, and a point for each number of clients", () => {
  const sweep = { ...result([points(2)], [points(1)]), name: "sweep-put", against: "stock <3.5>" };
  const panels = sweepPanels(report([sweep]));
  assert.equal(panels.length, 1);
  assert.deepEqual(panels[0]?.curves[1]?.points[1], {
    clients: 1000,
    perSecond: 9000,
    p50Ms: 20,
    p99Ms: 45,
  });
  const svg = toSvg(panels) ?? "";
  assert.equal(svg.match(/<polyline/g)?.length, 4);
  assert.equal(svg.match(/<circle/g)?.length, 8);
  assert.ok(svg.includes("stock &lt;3.5&gt;") && !svg.includes("<3.5>"));
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  assert.equal(toSvg(sweepPanels(report([]))), undefined);
});

test("the axis counts in steps of 1, 2 or 5", () => {
  assert.deepEqual([0.7, 1, 1.1, 30, 700, 10_001].map(niceStep), [1, 1, 2, 50, 1000, 20_000]);
});

test("--docs puts the table between the markers, again and again", () => {
  const folder = mkdtempSync(join(tmpdir(), "etcd-bench-test-"));
  try {
    const page = join(folder, "performance.md");
    const markers = [
      "<!-- results: begin (written by `npm run bench -- --docs`) -->",
      "<!-- results: end -->",
    ];
    writeFileSync(page, `# Before\n\n${markers.join("\nold\n")}\n\nafter\n`);
    const swept = { ...result([points(1)], []), name: "sweep-put" };
    writeDocs(report([result(ours, stock), swept]), page);
    const once = readFileSync(page, "utf8");
    assert.match(once, /^# Before\n\n<!--.*-->\n\netcd-ts 1\.2\.3/);
    assert.match(
      once,
      /!\[Latency against load\]\(performance\.svg\)\n\n<!-- results: end -->\n\nafter\n$/,
    );
    assert.doesNotMatch(once, /old/);
    assert.match(readFileSync(join(folder, "performance.svg"), "utf8"), /^<svg/);
    writeDocs(report([result(ours, stock), swept]), page);
    assert.equal(readFileSync(page, "utf8"), once);
    const own = fileURLToPath(new URL("../../../docs/performance.md", import.meta.url));
    assert.match(replaceResults(readFileSync(own, "utf8"), "new results"), /\n\nnew results\n\n/);
    assert.throws(() => replaceResults("no markers", "x"), /no place for the results/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
