import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { etcdctl } from "../../src/etcdctl/tool.ts";
import { bytesToText, textToBytes } from "../../src/shared/byte-text.ts";
import { parseCommandLine } from "../../src/shared/command-line.ts";
import { formatDuration, parseDuration } from "../../src/shared/go-duration.ts";
import { parseInt64 } from "../../src/shared/go-number.ts";
import { quote, unquoteBody } from "../../src/shared/go-quote.ts";
import { splitWords } from "../../src/shared/word-split.ts";

/** Any code points but surrogates, the special ones more often than not. */
const anyText = fc
  .array(
    fc.oneof(
      fc.constantFrom(0x22, 0x27, 0x5c, 0x60, 0x20, 0x0a, 0x00),
      fc.nat(0x7f),
      fc.nat(0xd7ff),
      fc.integer({ min: 0xe000, max: 0x10ffff }),
    ),
    { maxLength: 40 },
  )
  .map((points) => String.fromCodePoint(...points));

test("any bytes survive the way through text", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      assert.deepEqual(Buffer.from(textToBytes(bytesToText(bytes))), Buffer.from(bytes));
    }),
  );
});

test("text survives too", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      assert.equal(bytesToText(textToBytes(text)), text);
    }),
  );
});

test("unquoting undoes quoting", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const body = quote(bytes).slice(1, -1);
      assert.deepEqual(Buffer.from(unquoteBody(body)!), Buffer.from(bytes));
    }),
  );
});

test("quoted words come back from a line, whatever they hold", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 12 }), { maxLength: 6 }), (words) => {
      const line = words.map(quote).join("  ");
      const found = splitWords(line).map((it) => Buffer.from(textToBytes(it)).toString("hex"));
      assert.deepEqual(
        found,
        words.map((it) => Buffer.from(it).toString("hex")),
      );
    }),
  );
});

test("any line splits into words without an exception", () => {
  fc.assert(
    fc.property(anyText, (line) => {
      assert.ok(Array.isArray(splitWords(line)));
    }),
  );
});

test("durations survive", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }), (ns) => {
      assert.equal(parseDuration(formatDuration(ns)), ns);
    }),
  );
});

test("64-bit numbers survive in any base", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      const size = value < 0n ? -value : value;
      const sign = value < 0n ? "-" : "";
      assert.equal(parseInt64(value.toString(), 10), value);
      assert.equal(parseInt64(sign + size.toString(16), 16), value);
      assert.equal(parseInt64(`${sign}0x${size.toString(16)}`, 0), value);
      assert.equal(parseInt64(`${sign}0b${size.toString(2)}`, 0), value);
      assert.equal(parseInt64(`${sign}0o${size.toString(8)}`, 0), value);
    }),
  );
});

const word = fc.oneof(
  fc.constantFrom(
    "get",
    "put",
    "lease",
    "grant",
    "endpoint",
    "status",
    "member",
    "e",
    "comp",
    "help",
    "--",
    "-",
    "-w",
    "-wjson",
    "-w=json",
    "-w=",
    "--write-out",
    "--prefix",
    "--prefix=true",
    "--limit",
    "--limit=3",
    "--endpoints=a,b",
    "-i",
    "-id",
    "--cluster",
    "-h",
    "--help",
    "--=",
    "---",
    "",
  ),
  fc.string({ maxLength: 6 }),
);

test("any command line is run, shown help for or refused with a message", () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (argv) => {
      const parsed = parseCommandLine(etcdctl.root, argv);
      if (parsed.kind === "run" || parsed.kind === "help") {
        assert.equal(parsed.line.path[0], etcdctl.root);
        // Nothing is invented: every word that is left was typed.
        for (const it of parsed.line.words) assert.ok(argv.includes(it));
      } else {
        assert.ok("message" in parsed && parsed.message !== "");
      }
    }),
    { numRuns: 1000 },
  );
});

test("flags mean the same before, between and after the words", () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray(["--prefix", "--limit=7", "-w=json", "--order=DESCEND"]),
      fc.array(fc.nat(3), { minLength: 4, maxLength: 4 }),
      (flags, places) => {
        const argv: string[] = ["get", "a", "b"];
        // A flag of `get` has no meaning before `get`.
        for (const [i, flag] of flags.entries()) {
          argv.splice(1 + Math.min(places[i]!, argv.length), 0, flag);
        }
        const parsed = parseCommandLine(etcdctl.root, argv);
        assert.equal(parsed.kind, "run");
        if (parsed.kind !== "run") return;
        const { flags: read, words, path } = parsed.line;
        assert.equal(path[1]?.name, "get");
        assert.deepEqual(words, ["a", "b"]);
        assert.equal(read.bool("prefix"), flags.includes("--prefix"));
        assert.equal(read.int("limit"), flags.includes("--limit=7") ? 7n : 0n);
        assert.equal(read.string("write-out"), flags.includes("-w=json") ? "json" : "simple");
      },
    ),
  );
});
