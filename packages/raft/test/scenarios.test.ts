import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { parseScenario, ScenarioError } from "./scenarios/grammar.ts";
import {
  failureText,
  findScenarios,
  rewritten,
  runScenario,
  runScenarios,
} from "./scenarios/runner.ts";
import { sharedScenarios } from "./scenarios/shared-folder.ts";

const shared = sharedScenarios();
const missing = existsSync(shared)
  ? false
  : `no upstream scenarios in ${shared}; ETCD_TS_RAFT_TESTDATA names another folder`;

test("upstream's scenarios are reproduced to the letter", { skip: missing }, () => {
  const files = findScenarios(shared);
  assert.ok(files.length >= 41, `only ${files.length} files in ${shared}`);
  const { failures, directives } = runScenarios(files);
  assert.equal(failures.length, 0, failures.map(failureText).join("\n"));
  assert.ok(directives > 700);
});

// `GOLDEN=rewrite` takes what comes out as what is expected; the difference is for review.
test("our own scenarios are reproduced to the letter", () => {
  const folder = fileURLToPath(new URL("../../testdata/", import.meta.url));
  const files = findScenarios(folder);
  if (process.env["GOLDEN"] === "rewrite") {
    for (const file of files) writeFileSync(file, rewritten(readFileSync(file, "utf8")));
  }
  assert.ok(files.length >= 4, `only ${files.length} files in ${folder}`);
  const { failures } = runScenarios(files);
  assert.equal(failures.length, 0, failures.map(failureText).join("\n"));
});

test("a difference of one character is a failure, and its text shows it", () => {
  const text = "simple\nv1\n----\nvoters=(1)\n1: StateProbe match=0 next=2\n";
  const { failures } = runScenario("x.txt", text);
  assert.equal(failures.length, 1);
  assert.equal(
    failureText(failures[0]!),
    [
      "x.txt:1: simple",
      "    voters=(1)",
      "  - 1: StateProbe match=0 next=2",
      "  + 1: StateProbe match=0 next=1",
      "    ",
      "",
    ].join("\n"),
  );
});

test("a missing line, a line too many, and a broken invariant are failures", () => {
  for (const text of [
    "vote cfg=(1) votes=(y)\n----\n",
    "vote cfg=(1) votes=(y)\n----\nVoteWon\nVoteWon\n",
    "vote cfg=(1) votes=(x)\n----\nVoteWon\n",
    "log-level none\n----\nok\n\nadd-nodes 1 voters=(1) index=2\n----\nok\n\ncampaign 2\n----\nok\n",
  ]) {
    assert.equal(runScenario("x.txt", text).failures.length, 1, text);
  }
});

test("the kind of a file follows from its commands", () => {
  for (const text of [
    "vote cfg=(1) votes=(y)\n----\nVoteWon\n",
    "leave-joint\n----\ncan't leave a non-joint config\n",
    "raft-state\n----\nok\n",
    "nonsense\n----\nunknown command\n",
  ]) {
    assert.deepEqual(runScenario("x.txt", text).failures, [], text);
  }
});

test("directives take keys, values, lists, nested lists and continued lines", () => {
  const [directive] = parseScenario("do a b=c \\\n  d=(e, (f,g), ) h= i=()\nin put\n----\n");
  assert.ok(directive);
  assert.equal(directive.command, "do");
  assert.equal(directive.input, "in put");
  assert.deepEqual(directive.args, [
    { key: "a", values: [] },
    { key: "b", values: ["c"] },
    { key: "d", values: ["e", "(f,g)", ""] },
    { key: "h", values: [""] },
    { key: "i", values: [""] },
  ]);
});

test("output ends at a blank line, or at doubled separators when it holds some", () => {
  const text = "# comment\n\na\n----\nx\n y\n\nb\n----\n----\nx\n\ny\n----\n----\n\nc\n----\n";
  assert.deepEqual(
    parseScenario(text).map(({ command, expected, line }) => [command, expected, line]),
    [
      ["a", "x\n y\n", 3],
      ["b", "x\n\ny\n", 8],
      ["c", "", 17],
    ],
  );
});

test("groups of directives and lines of other systems are read like everybody's", () => {
  const text = "subtest first\n\na b=(c)d\r\n----\r\nx\r\n\r\nsubtest end\n\nb\n----\ny\n";
  assert.deepEqual(
    parseScenario(text).map(({ command, expected, line }) => [command, expected, line]),
    [
      ["a", "x\n", 3],
      ["b", "y\n", 9],
    ],
  );
});

test("an option that nobody knows changes nothing; a form that is no boolean is an error", () => {
  const text =
    "log-level error\n----\nok\n\nadd-nodes 1 voters=(1) index=2 unheard-of=true\n----\nok\n\n" +
    'propose-conf-change 1 v1=maybe\nv2\n----\nstrconv.ParseBool: parsing "maybe": invalid syntax\n';
  assert.deepEqual(runScenario("x.txt", text).failures, []);
});

test("what is no scenario is refused with its line", () => {
  assert.throws(() => parseScenario("a\nb\n"), new ScenarioError("line 1: no ---- behind: a"));
  assert.throws(
    () => parseScenario("\na b=(c\n----\n"),
    /^ScenarioError: line 2: column \d+: a b=\(c$/,
  );
});
