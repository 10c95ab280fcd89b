import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { logTime, nodeLog } from "../src/index.ts";
import { inScratch } from "./scratch.ts";

test("lines are etcd's: level, ts, logger, msg, then the fields", () =>
  inScratch(async (directory) => {
    const path = `${directory}/log`;
    const log = nodeLog({ outputs: [path], level: "debug" });
    log.info("plain");
    log
      .named("raft")
      .debug('with "fields"', { id: 0x8e9e05c52164694dn, n: 1, list: ["a"], none: undefined });
    log.warn("nested", { error: new Error("broken"), deep: { id: 255n, error: new Error("x") } });
    log.error("failed", { error: new Error("why") });
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    log.info("cycle", { cycle });
    log.fatal("end\nof it");
    log.close();
    log.info("dropped");
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      parsed.map((entry) => Object.keys(entry).slice(0, 4).join()),
      [
        "level,ts,msg",
        "level,ts,logger,msg",
        "level,ts,msg,error",
        "level,ts,msg,error",
        "level,ts,msg,cycle",
        "level,ts,msg",
      ],
    );
    assert.match(String(parsed[0]?.["ts"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d{4})$/);
    assert.equal(
      lines[1]!.replace(/"ts":"[^"]*"/, ""),
      '{"level":"debug",,"logger":"raft","msg":"with \\"fields\\"","id":"8e9e05c52164694d","n":1,"list":["a"]}',
    );
    assert.deepEqual(parsed[2]?.["deep"], { id: "ff", error: "x" });
    assert.match(String(parsed[3]?.["stacktrace"]), /^Error: why\n/);
    assert.match(String(parsed[4]?.["cycle"]), /^unprintable/);
    assert.equal(parsed[5]?.["level"], "fatal");
  }));

test("a level holds back what is below it, also after it changed", () =>
  inScratch(async (directory) => {
    const path = `${directory}/log`;
    const log = nodeLog({ outputs: [path, path], level: "warn" });
    const raft = log.named("raft");
    raft.info("no");
    raft.warn("one");
    log.setLevel("debug");
    raft.debug("two");
    log.setLevel("fatal");
    raft.error("no");
    log.close();
    const messages = readFileSync(path, "utf8").match(/"msg":"\w+"/g);
    assert.deepEqual(messages, ['"msg":"one"', '"msg":"two"']);
  }));

test("the console format has tabs", () =>
  inScratch(async (directory) => {
    const path = `${directory}/log`;
    const log = nodeLog({ outputs: [path], format: "console" });
    log.named("a").named("b").info("two\nlines", { k: "v" });
    log.warn("bare");
    log.close();
    const [first, second] = readFileSync(path, "utf8").split("\n");
    assert.deepEqual(first?.split("\t").slice(1), ["info", "a.b", "two\\nlines", '{"k":"v"}']);
    assert.deepEqual(second?.split("\t").slice(1), ["warn", "bare"]);
  }));

test("times have microseconds and the zone", () => {
  const text = logTime(Date.UTC(2026, 0, 2, 3, 4, 5, 678) * 1000 + 90);
  assert.match(text, /^2026-01-0\dT\d\d:\d\d:05\.678090(Z|[+-]\d{4})$/);
  assert.equal(
    Date.parse(text.replace(/([+-]\d\d)(\d\d)$/, "$1:$2").replace("090", "")),
    Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  );
});

test("a file that cannot be opened is an error", () => {
  assert.throws(() => nodeLog({ outputs: ["/nonexistent/log"] }), { code: "ENOENT" });
});
