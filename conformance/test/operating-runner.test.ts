// The runner of docs/operating.md itself: that it takes apart what it is given, and that it notices what is wrong.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Expectation } from "../src/operating/expectation.ts";
import { type Procedure, readProcedures } from "../src/operating/procedures.ts";
import { runProcedure } from "../src/operating/run-procedure.ts";
import { Shell } from "../src/operating/shell.ts";

const fence = "```";

function documentOf(...lines: string[]): string {
  return ["text", "<!-- run: tour -->", `${fence}console`, ...lines, fence, "more text"].join("\n");
}

function procedureOf(...lines: string[]): Procedure {
  return readProcedures(documentOf(...lines))[0] as Procedure;
}

describe("procedures of a document", () => {
  test("blocks of one name are one procedure, unmarked ones are none", () => {
    const text = [
      documentOf("$ one", "1"),
      `${fence}console`,
      "$ not run",
      fence,
      "<!-- run: other, stock -->",
      `${fence}console`,
      "$ three",
      fence,
      documentOf("$ two"),
    ].join("\n");
    const found = readProcedures(text);
    assert.deepEqual(
      found.map((it) => [it.name, it.needsStock, it.steps.map((step) => step.command)]),
      [
        ["tour", false, ["one", "two"]],
        ["other", true, ["three"]],
      ],
    );
    assert.deepEqual(found[0]?.steps[0], { line: 4, command: "one", expected: ["1"] });
  });

  test("a command goes on over its lines", () => {
    const { steps } = procedureOf(
      ...["$ f() { # a function", "    echo a", "  }"],
      ...["$ echo \\", "    b", "b"],
      ...["$ cat <<END", "  $ no command", "END", "  $ no command"],
      ...["$ for i in 1 2; do", "  echo $i", "done", "1", "2"],
      ...['$ echo "two', 'lines"', "two", "lines"],
    );
    assert.deepEqual(
      steps.map((it) => it.expected),
      [[], ["b"], ["  $ no command"], ["1", "2"], ["two", "lines"]],
    );
    assert.equal(steps[2]?.command, "cat <<END\n  $ no command\nEND");
  });

  test("a marker that nothing follows is an error", () => {
    assert.throws(() => readProcedures("<!-- run: tour -->\ntext"), /line 1: no console block/);
    assert.throws(() => readProcedures("x\n<!-- run tour -->"), /line 2: a strange marker/);
    assert.throws(() => readProcedures(documentOf("output first")), /line 4: no command/);
  });
});

describe("what a document expects", () => {
  const matches = (expected: string, actual: string): boolean =>
    new Expectation().problem([expected], [actual]) === undefined;

  test("what differs every time may differ, nothing else", () => {
    assert.ok(matches("took = 3.1ms", "took = 12.345678ms"));
    assert.ok(matches("took 1m2s.", "took 940µs."));
    assert.ok(matches("20 kB, 3.7.1", "1.2 MB, 3.5.30"));
    assert.ok(matches("revision …", "revision 17"));
    assert.ok(matches("Member 1512e7959dba47fe removed", "Member  72a10eec82ae7f removed"));
    assert.ok(!matches("Member 1512e7959dba47fe removed", "Member 1512e7959dba47fe added"));
    assert.ok(!matches("took = 3.1ms", "took = soon"));
    assert.ok(!matches("revision 17", "revision 18"));
    assert.ok(!matches("127.0.0.1:12379 is healthy", "127.0.0.1:22379 is healthy"));
    assert.ok(!matches("a.c", "abc"));
  });

  test("an ellipsis alone stands for any lines", () => {
    const problem = (expected: string, actual: string): string | undefined =>
      new Expectation().problem(expected.split("|"), actual === "" ? [] : actual.split("|"));
    assert.equal(problem("a|…|b", "a|b"), undefined);
    assert.equal(problem("a|…|b", "a|x|b|y|b"), undefined);
    assert.equal(problem("…", ""), undefined);
    assert.match(problem("a|…|b", "a|x") as string, /^expected:\n {2}a\n {2}…\n {2}b\nprinted:/);
    assert.notEqual(problem("a", "a|b"), undefined);
    assert.notEqual(problem("a|b", "a"), undefined);
  });

  test("an identifier stays what it was found to be", () => {
    const expectation = new Expectation();
    const [shown, other] = ["1512e7959dba47fe", "844da5cde69ca97c"];
    const [here, there] = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"];
    assert.equal(expectation.problem([`${shown} leads`], [`${here} leads`]), undefined);
    assert.notEqual(expectation.problem([`${shown} leads`], [`${there} leads`]), undefined);
    assert.notEqual(expectation.problem([`${other} leads`], [`${here} leads`]), undefined);
    assert.equal(expectation.problem([`${other} leads`], [`${there} leads`]), undefined);
    assert.equal(expectation.translate(`remove ${other}`), `remove ${there}`);
  });

  test("what a failed attempt to match has learnt is forgotten", () => {
    const expectation = new Expectation();
    const lines = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"];
    assert.equal(expectation.problem(["…", "1512e7959dba47fe"], lines), undefined);
    assert.equal(expectation.translate("1512e7959dba47fe"), "bbbbbbbbbbbbbbbb");
  });
});

describe("running a procedure", () => {
  const run = (...lines: string[]): Promise<void> =>
    runProcedure(procedureOf(...lines), { programs: "/nowhere", stock: "/usr" });

  test("what the document shows passes", async () => {
    await run(
      ...["$ x=1; y() { echo $((x + $1)); }", "$ y 2", "3"],
      ...['$ echo \'{"level":"info"}\' said >&2; echo heard', '{"level":"info"} said', "heard"],
      ...['$ echo \'{"level":"warn","msg":"a log line"}\' >&2'],
      ...["$ echo 'Error: none'; false", "Error: none"],
      ...["$ test /opt/etcd/bin = /usr/bin"],
      ...["$ env | grep -c ^ETCD_ || true", "0"],
    );
  });

  test("other output, and a status that does not fit, are told with their line", async () => {
    await assert.rejects(
      run("$ true", "$ echo two", "three"),
      /line 5, .*\n\$ echo two\nexpected:/,
    );
    await assert.rejects(run("$ false"), /line 4, .*\n\$ false\nexit status 1/);
    await assert.rejects(run("$ echo Error: x", "Error: x"), /exit status 0/);
    await assert.rejects(
      run("$ echo said > m1.log; exit 3"),
      /the shell ended \(3\)[\s\S]*m1.log:\nsaid/,
    );
  });

  test("ports are others than in the text, in the same order, and printed as in the text", async () => {
    await run(
      ...["$ echo 127.0.0.1:12379 > a; echo 127.0.0.1:22379 > b; cat a b | sort"],
      ...["127.0.0.1:12379", "127.0.0.1:22379"],
      ...["$ grep -c 12379 a || true", "0"],
    );
  });

  test("everything that was started is ended, also when a command hangs", async () => {
    const folder = mkdtempSync(join(tmpdir(), "etcd-ts-shell-"));
    const shell = new Shell(folder, { PATH: process.env["PATH"] ?? "" });
    try {
      const { lines } = await shell.run("sleep 1000 & echo $!", 60_000);
      await assert.rejects(shell.run("sleep 1000", 50), /does not end within 50 ms/);
      await shell.close();
      const pid = Number(lines[0]);
      assert.ok(pid > 1);
      await untilGone(pid);
    } finally {
      await shell.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** The process was killed; whoever inherited it reaps it in a moment. */
async function untilGone(pid: number): Promise<void> {
  const endMs = performance.now() + 60_000;
  for (;;) {
    try {
      process.kill(pid, 0);
      // Dead, and nobody has asked for its status: an init that does not reap.
      if (/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) return;
    } catch {
      return;
    }
    assert.ok(performance.now() < endMs, `process ${pid} is still there`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
