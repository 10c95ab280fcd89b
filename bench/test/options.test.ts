import assert from "node:assert/strict";
import { test } from "node:test";
import { choose, parseOptions, UsageError, usage } from "../src/options.ts";
import { scenarios } from "../src/scenarios/all.ts";

test("without arguments everything is measured, in full", () => {
  assert.deepEqual(parseOptions([]), {
    mode: "run",
    names: [],
    quick: false,
    rounds: 3,
    measureMs: 5000,
    largeKeyCount: 1_000_000,
    only: undefined,
    dir: undefined,
    out: "bench/results",
    keep: false,
  });
});

test("--quick shortens what was not said otherwise", () => {
  const quick = parseOptions(["--quick"]);
  assert.deepEqual([quick.rounds, quick.measureMs, quick.largeKeyCount], [1, 600, 100_000]);
  const longer = parseOptions(["--quick", "--rounds", "4", "--seconds", "0.5", "--keys", "5000"]);
  assert.deepEqual([longer.rounds, longer.measureMs, longer.largeKeyCount], [4, 500, 5000]);
});

test("scenarios are named with the flag, with commas, or bare", () => {
  const { names } = parseOptions(["--scenario", "put-1,txn", "--scenario", "mixed", "churn"]);
  assert.deepEqual(names, ["put-1", "txn", "mixed", "churn"]);
});

test("each mode has its flag, and names after --micro are micro-benchmarks", () => {
  for (const mode of ["help", "list", "docs", "micro"] as const) {
    assert.equal(parseOptions([`--${mode}`]).mode, mode);
  }
  assert.deepEqual(parseOptions(["--micro", "frames"]).names, ["frames"]);
});

for (const [args, message] of [
  [["--rounds", "0"], /--rounds takes a whole number from 1 on, not "0"/],
  [["--rounds", "1.5"], /whole number/],
  [["--rounds", ""], /whole number/],
  [["--seconds", "soon"], /--seconds takes a number from 0.1 on, not "soon"/],
  [["--only", "mine"], /--only takes ours or stock, not "mine"/],
  [["--fast"], /--fast/],
  [["--docs", "--list"], /exclude each other/],
  [["--micro", "--scenario", "put-1"], /no meaning with --micro/],
] as const) {
  test(`${args.join(" ")} is refused`, () => {
    assert.throws(() => parseOptions(args), { name: "UsageError", message });
  });
}

test("an unknown scenario is refused with the names there are", () => {
  assert.throws(
    () => choose(scenarios, ["put-1", "putt"], "scenario"),
    (error) =>
      error instanceof UsageError &&
      error.message.startsWith("no scenario is called putt; there are: put-1, put-100"),
  );
  assert.deepEqual(
    choose(scenarios, ["txn", "put-1"], "scenario").map((it) => it.name),
    ["put-1", "txn"],
  );
});

test("names of scenarios are unique, and every goal is about a figure of its scenario", () => {
  assert.equal(new Set(scenarios.map((it) => it.name)).size, scenarios.length);
  for (const { name, goals, figures } of scenarios) {
    const keys = new Set(figures.map((it) => it.key));
    assert.equal(keys.size, figures.length, name);
    for (const goal of goals) assert.ok(keys.has(goal.figure), `${name}: ${goal.figure}`);
  }
});

test("the usage names every flag", () => {
  for (const flag of [
    "scenario",
    "list",
    "quick",
    "rounds",
    "seconds",
    "keys",
    "only",
    "dir",
    "out",
    "keep",
    "docs",
    "micro",
    "help",
  ]) {
    assert.match(usage, new RegExp(`--${flag}\\b`));
  }
});
