import assert from "node:assert/strict";
import { test } from "node:test";
import { applyEnvironment, parseCommandLine, variableOf } from "../../src/etcd/command-line.ts";
import type { FlagName } from "../../src/etcd/config.ts";
import { defaultDraft, flagRows, ignoredFlags } from "../../src/etcd/flag-table.ts";
import type { EtcdUrl } from "../../src/etcd/url.ts";

function flags(...args: string[]): Record<string, unknown> {
  const parsed = parseCommandLine(args);
  assert.equal(parsed.kind, "flags");
  return parsed.kind === "flags" ? parsed.draft : {};
}

function texts(value: unknown): string[] {
  return (value as EtcdUrl[]).map((url) => url.text);
}

test("without arguments every flag has etcd's default", () => {
  const draft = flags();
  assert.equal(draft["name"], "default");
  assert.equal(draft["heartbeat-interval"], 100);
  assert.equal(draft["snapshot-count"], 10_000);
  assert.equal(draft["pre-vote"], true);
  assert.equal(draft["max-request-bytes"], 1_572_864);
  assert.equal(draft["grpc-keepalive-interval"], 7_200_000_000_000n);
  assert.equal(draft["max-concurrent-streams"], 4_294_967_295);
  assert.deepEqual(texts(draft["listen-client-urls"]), ["http://localhost:2379"]);
  assert.deepEqual(draft["cors"], ["*"]);
  assert.deepEqual(draft["log-outputs"], ["default"]);
  assert.equal(flagRows.length, 114);
});

test("a flag has one dash or two, its value behind a blank or an equals sign", () => {
  for (const args of [["--name", "x"], ["-name", "x"], ["--name=x"], ["-name=x"]]) {
    assert.equal(flags(...args)["name"], "x");
  }
  assert.equal(flags("--name=a=b")["name"], "a=b");
  assert.equal(flags("--name=")["name"], "");
  assert.equal(flags("--name", "first", "--name", "second")["name"], "second");
});

test("a boolean takes its value only behind an equals sign", () => {
  for (const [text, value] of [
    ["true", true],
    ["T", true],
    ["1", true],
    ["0", false],
    ["FALSE", false],
  ]) {
    assert.equal(flags(`--pre-vote=${text}`)["pre-vote"], value);
  }
  assert.equal(flags("--auto-tls")["auto-tls"], true);
  const stray = parseCommandLine(["--pre-vote", "false"]);
  assert.deepEqual(stray, { kind: "bad-argument", message: '"false" is not a valid flag' });
});

test("numbers, durations, levels and lists", () => {
  assert.equal(flags("--log-level=WARN")["log-level"], "warn");
  assert.equal(flags("--log-level=")["log-level"], "info");
  assert.equal(flags("--log-level=Loud")["log-level"], "Loud");
  assert.equal(flags("--heartbeat-interval", "0x10")["heartbeat-interval"], 16);
  assert.equal(flags("--quota-backend-bytes=-1")["quota-backend-bytes"], -1);
  assert.equal(
    flags("--grpc-keepalive-min-time=1m30s")["grpc-keepalive-min-time"],
    90_000_000_000n,
  );
  assert.deepEqual(flags("--host-whitelist=b,a,b")["host-whitelist"], ["a", "b"]);
  assert.deepEqual(flags("--cipher-suites=B,A")["cipher-suites"], ["B", "A"]);
  assert.deepEqual(
    texts(
      flags("--listen-client-urls", " http://[::1]:2 ,http://127.0.0.1:1")["listen-client-urls"],
    ),
    ["http://127.0.0.1:1", "http://[::1]:2"],
  );
  assert.deepEqual(texts(flags("--listen-client-urls", "")["listen-client-urls"]), [
    "http://localhost:2379",
  ]);
});

// The messages are those that etcd prints before its usage.
const refusals: readonly (readonly [string[], string])[] = [
  [["--foo"], "flag provided but not defined: -foo"],
  [["--enable-v2"], "flag provided but not defined: -enable-v2"],
  [
    ["--experimental-initial-corrupt-check"],
    "flag provided but not defined: -experimental-initial-corrupt-check",
  ],
  [["--name"], "flag needs an argument: -name"],
  [["---name"], "bad flag syntax: ---name"],
  [["--=x"], "bad flag syntax: --=x"],
  [["--heartbeat-interval", "x"], 'invalid value "x" for flag -heartbeat-interval: parse error'],
  [["--heartbeat-interval", "-1"], 'invalid value "-1" for flag -heartbeat-interval: parse error'],
  [["--quota-backend-bytes=1e9"], 'invalid value "1e9" for flag -quota-backend-bytes: parse error'],
  [
    ["--snapshot-count=99999999999999999999"],
    'invalid value "99999999999999999999" for flag -snapshot-count: value out of range',
  ],
  [["--pre-vote=x"], 'invalid boolean value "x" for -pre-vote: parse error'],
  [
    ["--initial-cluster-state", "foo"],
    'invalid value "foo" for flag -initial-cluster-state: invalid value',
  ],
  [["--discovery-fallback=foo"], 'invalid value "foo" for flag -discovery-fallback: invalid value'],
  [
    ["--v2-deprecation=not-yet"],
    'invalid value "not-yet" for flag -v2-deprecation: invalid value "not-yet"',
  ],
  [
    ["--grpc-keepalive-min-time", "5"],
    'invalid value "5" for flag -grpc-keepalive-min-time: parse error',
  ],
  [
    ["--max-concurrent-streams", "5000000000"],
    'invalid value "5000000000" for flag -max-concurrent-streams: strconv.ParseUint: parsing "5000000000": value out of range',
  ],
  [
    ["--listen-client-urls", "foo"],
    'invalid value "foo" for flag -listen-client-urls: URL scheme must be http, https, unix, or unixs: foo',
  ],
  [
    ["--listen-client-urls", "http://localhost:1/x"],
    'invalid value "http://localhost:1/x" for flag -listen-client-urls: URL must not contain a path: http://localhost:1/x',
  ],
  [
    ["--listen-peer-urls", "http://127.0.0.1"],
    'invalid value "http://127.0.0.1" for flag -listen-peer-urls: URL address does not have the form "host:port": http://127.0.0.1',
  ],
  [
    ["--listen-peer-urls", "http://[::1"],
    'invalid value "http://[::1" for flag -listen-peer-urls: parse "http://[::1": missing \']\' in host',
  ],
  [
    ["--listen-peer-urls", "http://a b:1"],
    'invalid value "http://a b:1" for flag -listen-peer-urls: parse "http://a b:1": invalid character " " in host name',
  ],
  [
    ["--listen-peer-urls", "http://u@x"],
    'invalid value "http://u@x" for flag -listen-peer-urls: URL address does not have the form "host:port": http://u@x',
  ],
  [
    ["--listen-peer-urls", "http:x:1"],
    'invalid value "http:x:1" for flag -listen-peer-urls: URL address does not have the form "host:port": http:x:1',
  ],
  [
    ["--listen-peer-urls", ":x"],
    'invalid value ":x" for flag -listen-peer-urls: parse ":x": missing protocol scheme',
  ],
  [
    ["--listen-peer-urls", "1http://x:1"],
    'invalid value "1http://x:1" for flag -listen-peer-urls: parse "1http://x:1": first path segment in URL cannot contain colon',
  ],
  [
    ["--listen-peer-urls", "http://x%zz:1"],
    'invalid value "http://x%zz:1" for flag -listen-peer-urls: parse "http://x%zz:1": invalid URL escape "%zz"',
  ],
  [
    ["--listen-peer-urls", "ftp://a:1/%zz"],
    'invalid value "ftp://a:1/%zz" for flag -listen-peer-urls: parse "ftp://a:1/%zz": invalid URL escape "%zz"',
  ],
  [
    ["--listen-peer-urls", "http://x:1x"],
    'invalid value "http://x:1x" for flag -listen-peer-urls: parse "http://x:1x": invalid port ":1x" after host',
  ],
  [
    ["--cors", "foo"],
    'invalid value "foo" for flag -cors: URL scheme must be http, https, unix, or unixs: foo',
  ],
  [
    ["--feature-gates", "X=true"],
    'invalid value "X=true" for flag -feature-gates: unrecognized feature gate: X',
  ],
  [
    ["--feature-gates", "LeaseCheckpoint"],
    'invalid value "LeaseCheckpoint" for flag -feature-gates: missing bool value for LeaseCheckpoint',
  ],
];

for (const [args, message] of refusals) {
  test(`${args.join(" ")} is refused as by etcd`, () => {
    assert.deepEqual(parseCommandLine(args), { kind: "bad-flag", message });
  });
}

test("help and version win over what follows, not over what came before", () => {
  assert.equal(parseCommandLine(["-h", "--foo"]).kind, "help");
  assert.equal(parseCommandLine(["--help"]).kind, "help");
  assert.equal(parseCommandLine(["--name", "x", "--version"]).kind, "version");
  assert.equal(parseCommandLine(["--foo", "--help"]).kind, "bad-flag");
  assert.equal(parseCommandLine(["--version", "x"]).kind, "bad-argument");
});

test("flags of the past are accepted and forgotten", () => {
  for (const name of ignoredFlags) assert.deepEqual(flags(`--${name}=1`, `-${name}`), flags());
});

test("stray arguments are refused, also behind two dashes", () => {
  const refused = { kind: "bad-argument", message: '"x" is not a valid flag' };
  assert.deepEqual(parseCommandLine(["x", "--name", "y"]), refused);
  assert.deepEqual(parseCommandLine(["--name", "y", "--", "x"]), refused);
});

function environment(values: Record<string, string>, ...args: string[]) {
  const parsed = parseCommandLine(args);
  assert.ok(parsed.kind === "flags");
  const said: string[] = [];
  const outcome = applyEnvironment(values, parsed.draft, parsed.given, {
    used: (name, value) => said.push(`used ${name}=${value}`),
    unrecognized: (variable) => said.push(`unrecognized ${variable}`),
  });
  return { outcome, said, draft: parsed.draft, given: parsed.given };
}

test("every flag has an environment variable", () => {
  assert.equal(variableOf("listen-client-urls"), "ETCD_LISTEN_CLIENT_URLS");
  const { outcome, said, draft, given } = environment({
    ETCD_NAME: "from-env",
    ETCD_PRE_VOTE: "false",
    ETCD_DATA_DIR: "",
    HOME: "/root",
  });
  assert.deepEqual(outcome, { kind: "ok" });
  assert.equal(draft["name"], "from-env");
  assert.equal(draft["pre-vote"], false);
  assert.deepEqual([...given].sort(), ["name", "pre-vote"] satisfies FlagName[]);
  assert.deepEqual(said, ["used ETCD_NAME=from-env", "used ETCD_PRE_VOTE=false"]);
});

test("a variable beside its flag, a bad value and an unknown variable", () => {
  assert.deepEqual(environment({ ETCD_NAME: "x" }, "--name", "y").outcome, {
    kind: "shadowed",
    variable: "ETCD_NAME",
  });
  assert.deepEqual(environment({ ETCD_HEARTBEAT_INTERVAL: "x" }).outcome, {
    kind: "bad-value",
    message: 'invalid value "x" for ETCD_HEARTBEAT_INTERVAL: parse error',
  });
  assert.deepEqual(environment({ ETCD_PRE_VOTE: "x" }).outcome, {
    kind: "bad-value",
    message: 'invalid value "x" for ETCD_PRE_VOTE: parse error',
  });
  const { outcome, said } = environment({ ETCD_FOO: "1", ETCD_SNAPSHOT: "1" });
  assert.equal(outcome.kind, "ok");
  assert.deepEqual(said, ["unrecognized ETCD_FOO=1"]);
});

test("drafts do not share their defaults", () => {
  const draft = defaultDraft();
  draft["name"] = "changed";
  assert.equal(defaultDraft()["name"], "default");
});
