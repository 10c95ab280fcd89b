import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCompare, parseOperation } from "../../src/etcdctl/commands/txn.ts";
import { applyEnvironment } from "../../src/etcdctl/environment.ts";
import { globalFlags } from "../../src/etcdctl/options.ts";
import { peerUrlProblem } from "../../src/etcdctl/peer-urls.ts";
import { prefixEnd } from "../../src/etcdctl/values.ts";
import { watchArguments } from "../../src/etcdctl/watch-arguments.ts";
import { parseCsv } from "../../src/shared/csv.ts";
import { Failure } from "../../src/shared/exit.ts";
import { FlagSet } from "../../src/shared/flags.ts";
import { formatDuration, parseDuration } from "../../src/shared/go-duration.ts";
import { parseInt64, parseUint64 } from "../../src/shared/go-number.ts";
import { quote } from "../../src/shared/go-quote.ts";
import { humanBytes } from "../../src/shared/humanize.ts";
import { editDistance } from "../../src/shared/suggest.ts";
import { renderTable } from "../../src/shared/table.ts";
import { splitWords } from "../../src/shared/word-split.ts";

test("quoted text is Go's", () => {
  const cases: [string | Uint8Array, string][] = [
    ['a"b\\c', '"a\\"b\\\\c"'],
    ["\x07\b\f\n\r\t\v\0\x7f", '"\\a\\b\\f\\n\\r\\t\\v\\x00\\x7f"'],
    ["é世🎉", '"é世🎉"'],
    ["\u00a0\u00ad\u200b\u2028\ufeff", '"\\u00a0\\u00ad\\u200b\\u2028\\ufeff"'],
    ["\u{e0001}", '"\\U000e0001"'],
    [Uint8Array.of(0xff, 0xc3, 0x28, 0xe2, 0x82), '"\\xff\\xc3(\\xe2\\x82"'],
    [Uint8Array.of(0xed, 0xa0, 0x80), '"\\xed\\xa0\\x80"'],
  ];
  for (const [value, text] of cases) assert.equal(quote(value), text);
});

test("numbers are read as Go reads them", () => {
  const good: [string, bigint][] = [
    ["0", 0n],
    ["-9223372036854775808", -(2n ** 63n)],
    ["9223372036854775807", 2n ** 63n - 1n],
    ["+5", 5n],
    ["0x1F", 31n],
    ["0b101", 5n],
    ["0o17", 15n],
    ["017", 15n],
    ["1_000", 1000n],
    ["0x_1f", 31n],
    ["-0x10", -16n],
  ];
  for (const [text, value] of good) assert.equal(parseInt64(text, 0), value, text);
  for (const text of ["", "-", "1__0", "_1", "1_", "0x", "08", "1e3", " 1", "0b2", "1.0"]) {
    assert.throws(
      () => parseInt64(text, 0),
      { message: `strconv.ParseInt: parsing ${quote(text)}: invalid syntax` },
      text,
    );
  }
  for (const text of ["9223372036854775808", "-9223372036854775809", "0x8000000000000000"]) {
    assert.throws(() => parseInt64(text, 0), /value out of range$/);
  }
  assert.equal(parseInt64("7fffffffffffffff", 16), 2n ** 63n - 1n);
  assert.throws(() => parseInt64("0x10", 16), /invalid syntax$/);
  assert.throws(() => parseInt64("1_0", 10), /invalid syntax$/);
  assert.equal(parseUint64("ffffffffffffffff", 16), 2n ** 64n - 1n);
  assert.throws(() => parseUint64("-1", 16), /strconv.ParseUint: parsing "-1": invalid syntax$/);
});

test("durations are read and written as Go does", () => {
  const cases: [string, bigint, string][] = [
    ["0", 0n, "0s"],
    ["300ms", 300_000_000n, "300ms"],
    ["1m30s", 90_000_000_000n, "1m30s"],
    ["1.5h", 5_400_000_000_000n, "1h30m0s"],
    ["-5s", -5_000_000_000n, "-5s"],
    ["1h1m1.005s", 3_661_005_000_000n, "1h1m1.005s"],
    [".5us", 500n, "500ns"],
    ["100µs", 100_000n, "100µs"],
    ["1.608114ms", 1_608_114n, "1.608114ms"],
    ["5.000903138s", 5_000_903_138n, "5.000903138s"],
    ["100ns", 100n, "100ns"],
  ];
  for (const [text, ns, shown] of cases) {
    assert.equal(parseDuration(text), ns, text);
    assert.equal(formatDuration(ns), shown);
  }
  assert.throws(() => parseDuration("5"), { message: 'time: missing unit in duration "5"' });
  assert.throws(() => parseDuration("5x"), { message: 'time: unknown unit "x" in duration "5x"' });
  for (const text of ["", "s", ".s", "-", "9999999999h"]) {
    assert.throws(() => parseDuration(text), { message: `time: invalid duration ${quote(text)}` });
  }
});

test("sizes are humanised", () => {
  const cases: [number, string][] = [
    [0, "0 B"],
    [9, "9 B"],
    [10, "10 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [9000, "9.0 kB"],
    [16384, "16 kB"],
    [20480, "20 kB"],
    [81920, "82 kB"],
    [2147483648, "2.1 GB"],
  ];
  for (const [bytes, text] of cases) assert.equal(humanBytes(bytes), text);
});

test("lists in flags are comma separated values", () => {
  assert.deepEqual(parseCsv(""), []);
  assert.deepEqual(parseCsv("a,b"), ["a", "b"]);
  assert.deepEqual(parseCsv("a,"), ["a", ""]);
  assert.deepEqual(parseCsv('"a,b",c'), ["a,b", "c"]);
  assert.deepEqual(parseCsv('"a""b"'), ['a"b']);
  assert.throws(() => parseCsv('a"b'), /bare " in non-quoted-field/);
  assert.throws(() => parseCsv('"a'), /extraneous or missing " in quoted-field/);
});

test("words of a line", () => {
  const cases: [string, string[]][] = [
    ["", []],
    ["  a\t b ", ["a", "b"]],
    ["'hello world'", ["hello world"]],
    ['"hello world"', ["hello world"]],
    ["''", [""]],
    ['""', [""]],
    ['"hello\\"world"', ['hello"world']],
    ['put "a\\x41" \'b"c\'', ["put", "aA", 'b"c']],
    ['"unclosed here', ["unclosed", "here"]],
    ["it's", ["it's"]],
  ];
  for (const [line, words] of cases) assert.deepEqual(splitWords(line), words, line);
});

test("tables take cells of several lines and wide characters", () => {
  assert.equal(
    renderTable(["a_b", "c"], [["x\nlonger", "世"]]),
    "┌────────┬────┐\n│  A B   │ C  │\n├────────┼────┤\n│      x │ 世 │\n│ longer │    │\n└────────┴────┘\n",
  );
});

test("the end of a prefix range", () => {
  const hex = (text: string) => Buffer.from(prefixEnd(Buffer.from(text, "hex"))).toString("hex");
  assert.equal(hex("61"), "62");
  assert.equal(hex("61ff"), "62");
  assert.equal(hex("ffff"), "00");
  assert.equal(hex(""), "00");
});

test("edit distances", () => {
  assert.equal(editDistance("gett", "get"), 1);
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(editDistance("", "abc"), 3);
});

const fails = (exitCode: number, message: string) => (error: unknown) => {
  assert.ok(error instanceof Failure);
  assert.equal(error.message, message);
  assert.equal(error.exitCode, exitCode);
  return true;
};

test("compares of a transaction", () => {
  const compare = parseCompare('mod("a\\x00b")  != "12" ignored');
  assert.deepEqual(Buffer.from(compare.key), Buffer.from("a\0b"));
  assert.equal(compare.modRevision, 12n);
  assert.equal(compare.result, 3);
  assert.equal(compare.target, 2);
  assert.equal(parseCompare("ver(`a`) > `3`").version, 3n);
  assert.equal(parseCompare('create( "a") < "3"').createRevision, 3n);
  assert.deepEqual(Buffer.from(parseCompare('val("a") = "x y"').value!), Buffer.from("x y"));
  assert.equal(parseCompare('lease("a") = "12ab34cd56ef7890"').lease, 0x12ab34cd56ef7890n);
  assert.equal(parseCompare('lease("a") = "0"').lease, 0n);
  const problems: [string, string][] = [
    ["mod", "malformed comparison: mod"],
    ['mod("a")="1"', 'malformed comparison: mod("a")="1"; got mod("a")  ""'],
    ['mod("a") = x', 'malformed comparison: mod("a") = x; got mod("a") = ""'],
    ["mod('a') = \"1\"", 'malformed comparison: mod(\'a\') = "1"; got mod("")  ""'],
    ['foo("a") = "1"', 'malformed comparison: foo("a") = "1" (unknown target foo)'],
    ['mod ("a") = "1"', 'malformed comparison: mod ("a") = "1" (unknown target mod )'],
    ['mod("a") = "x"', 'invalid txn compare request: mod("a") = "x"'],
    ['mod("a") >= "1"', 'malformed comparison: mod("a") >= "1" (unknown operator >=)'],
  ];
  for (const [line, message] of problems)
    assert.throws(() => parseCompare(line), fails(3, message));
});

test("operations of a transaction", async () => {
  const output = { out: () => undefined, err: () => undefined };
  const put = (await parseOperation('put k "v w" --prev-kv', output)).requestPut;
  assert.deepEqual(Buffer.from(put!.value), Buffer.from("v w"));
  assert.equal(put!.prevKv, true);
  const get = (await parseOperation("get k --prefix --limit=3", output)).requestRange;
  assert.equal(get!.limit, 3n);
  assert.deepEqual(Buffer.from(get!.rangeEnd), Buffer.from("l"));
  const del = (await parseOperation("de k --from-key", output)).requestDeleteRange;
  assert.deepEqual(Buffer.from(del!.rangeEnd), Buffer.from([0]));
  const problems: [string, number, string][] = [
    ["get", 3, "invalid txn compare request: get"],
    ["foo bar", 3, "invalid txn request: foo bar"],
    ["help get", 3, "invalid txn request: help get"],
    ["get --help", 3, "invalid txn request: get --help"],
    ["put a b --xx", 3, "invalid txn request: put a b --xx"],
    ["put a", 128, "put command needs 1 argument and input from stdin or 2 arguments"],
    ["get a --order up", 4, "bad sort order up"],
  ];
  for (const [line, exitCode, message] of problems) {
    await assert.rejects(parseOperation(line, output), fails(exitCode, message));
  }
});

test("arguments of watch", () => {
  const none = { key: "", rangeEnd: "" };
  const key = { key: "foo bar", rangeEnd: "" };
  const range = { key: "foo", rangeEnd: "zoo" };
  type Case = [string[], number | undefined, typeof none, string[], string[]];
  const cases: Case[] = [
    [["foo"], undefined, none, ["foo"], []],
    [["foo", "bar"], undefined, none, ["foo", "bar"], []],
    [["foo", "bar", "baz"], undefined, none, ["foo"], []],
    [["foo", "echo", "watch"], 1, none, ["foo"], ["echo", "watch"]],
    [["foo", "bar", "echo", "echo"], 2, none, ["foo", "bar"], ["echo", "echo"]],
    [[], undefined, key, ["foo bar"], []],
    [["echo", "hi"], 0, key, ["foo bar"], ["echo", "hi"]],
    [["sh", "-c", "x"], 0, range, ["foo", "zoo"], ["sh", "-c", "x"]],
  ];
  for (const [words, dash, variables, keys, command] of cases) {
    assert.deepEqual(watchArguments(words, dash, variables), { keys, command });
  }
});

test("variables complete the flags of the command line", () => {
  const run = (environment: Record<string, string>, set: Record<string, string> = {}) => {
    const flags = new FlagSet(globalFlags);
    for (const [name, value] of Object.entries(set)) flags.set(flags.spec(name)!, value);
    const lines: string[] = [];
    const note = (level: string) => (message: string, fields: Readonly<Record<string, unknown>>) =>
      void lines.push(`${level} ${message.split(" ", 1)[0]} ${fields["environment-variable"]}`);
    const log = { warn: note("warn"), fatal: note("fatal") };
    return {
      ok: applyEnvironment(flags, globalFlags, environment, ["ETCDCTL_WATCH_KEY"], log),
      flags,
      lines,
    };
  };
  const given = run({
    ETCDCTL_ENDPOINTS: "a:1,b:2",
    ETCDCTL_COMMAND_TIMEOUT: "abc",
    ETCDCTL_HEX: "true",
    ETCDCTL_WATCH_KEY: "k",
    ETCDCTL_FOO: "1",
    ETCDCTL_DEBUG: "",
    OTHER: "x",
  });
  assert.equal(given.ok, true);
  assert.deepEqual(given.flags.strings("endpoints"), ["a:1", "b:2"]);
  assert.equal(given.flags.text("command-timeout"), "5s");
  assert.equal(given.flags.bool("hex"), true);
  assert.deepEqual(
    given.lines,
    [
      "warn unrecognized ETCDCTL_COMMAND_TIMEOUT=abc",
      "warn unrecognized ETCDCTL_FOO=1",
      "warn unrecognized ETCDCTL_DEBUG=",
    ].filter((line) => !line.includes("COMMAND_TIMEOUT")),
  );

  const conflict = run({ ETCDCTL_ENDPOINTS: "" }, { endpoints: "a:1" });
  assert.equal(conflict.ok, false);
  assert.deepEqual(conflict.lines, ["fatal conflicting ETCDCTL_ENDPOINTS"]);
});

test("peer URLs are judged as Go judges them", () => {
  const fine = ["http://a:", "http://a:99999", "http://:0", "http://a:1?q", "http://a:1#f"];
  fine.push("http://u@a:1", "http://[::1]:1", "http://[fe80::1%25eth0]:1", "HTTP://A:1");
  fine.push(" https://a:1 ", "http://\u00e9:1", 'http://a"b:1', "http://a%e9:1", "http://a:1?%zz");
  fine.push("unix:1", "unix://", "unix:///tmp/x", "unixs://a:1/p");
  for (const url of fine) assert.equal(peerUrlProblem(url), undefined, url);
  const form = 'URL address does not have the form "host:port"';
  for (const url of ["http://", "http:", "http://a", "http://[::1]", "http:a:1", "http:///x"]) {
    assert.equal(peerUrlProblem(url), `${form}: ${url}`);
  }
  for (const url of ["http://::1:1", "http://a:1:2"]) {
    assert.equal(peerUrlProblem(url), `${form}: ${url}`);
  }
  assert.equal(peerUrlProblem("http://a:1/"), "URL must not contain a path: http://a:1/");
  for (const url of ["", "a", "/a", "a:1", "http//a:1", "ftp://a:1/x", "mailto:x", "*"]) {
    assert.equal(peerUrlProblem(url), `URL scheme must be http, https, unix, or unixs: ${url}`);
  }
  const wrong: [string, string][] = [
    ["http://a:b", 'invalid port ":b" after host'],
    ["http://a:-1", 'invalid port ":-1" after host'],
    ["http://[a]b:1", 'invalid port "b:1" after host'],
    ["http://[::1:1", "missing ']' in host"],
    ["http://a b:1", 'invalid character " " in host name'],
    ["http://a\\b:1", 'invalid character "\\\\" in host name'],
    ["http://a%zz:1", 'invalid URL escape "%zz"'],
    ["http://a%41:1", 'invalid URL escape "%41"'],
    ["http://[fe80::1%eth0]:1", 'invalid URL escape "%et"'],
    ["http://a:1/%zz", 'invalid URL escape "%zz"'],
    ["http://a:1#%zz", 'invalid URL escape "%zz"'],
    ["http://a\x01:1", "net/url: invalid control character in URL"],
    ["http://u:p w@a:1", "net/url: invalid userinfo"],
    ["://a:1", "missing protocol scheme"],
    ["1http://a:1", "first path segment in URL cannot contain colon"],
    ["10.0.0.1:1", "first path segment in URL cannot contain colon"],
  ];
  for (const [url, why] of wrong) {
    assert.equal(peerUrlProblem(url), `parse ${quote(url)}: ${why}`);
  }
});
