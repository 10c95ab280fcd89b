import assert from "node:assert/strict";
import { test } from "node:test";
import { canReusePort } from "@etcd-ts/node";
import { finish, parseCommandLine } from "../../src/etcd/command-line.ts";
import type { ParsedConfig } from "../../src/etcd/config.ts";
import { unsupported } from "../../src/etcd/unsupported.ts";
import { validate, validateLogFlags } from "../../src/etcd/validate.ts";

function parse(...args: string[]): ParsedConfig {
  const line = parseCommandLine(args);
  assert.ok(line.kind === "flags");
  return finish(line.draft, line.given, false);
}

function problem(...args: string[]): string {
  const parsed = parse(...args);
  try {
    validateLogFlags(parsed.config);
    validate(parsed);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

test("the defaults are valid", () => {
  assert.equal(problem(), "");
});

// In the order in which etcd checks: each row also breaks what the next one breaks, and says its own.
const inOrder: readonly (readonly [string[], string])[] = [
  [
    ["--discovery-fallback=proxy"],
    'v2 proxy is deprecated, and --discovery-fallback can\'t be configured as "proxy"',
  ],
  [["--logger=foo"], 'unknown logger option "foo"'],
  [
    ["--log-outputs=systemd/journal,stderr"],
    "running with systemd/journal but other '--log-outputs' values ([\"stderr\" \"systemd/journal\"]) are configured with 'default'; override 'default' value with something else",
  ],
  [["--log-format=x"], "unknown log format: x, supported values json, console"],
  [
    ["--enable-log-rotation"],
    "--log-outputs requires a single file path when --log-rotate-config-json is defined",
  ],
  [
    ["--listen-peer-urls=http://example.com:1"],
    "expected IP in URL for binding (http://example.com:1)",
  ],
  [
    ["--initial-advertise-peer-urls=http://:1"],
    '--initial-advertise-peer-urls "http://:1" must be "host:port" (unexpected empty host (http://:1))',
  ],
  [
    ["--advertise-client-urls=http://:1"],
    '--advertise-client-urls "http://:1" must be in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket" (unexpected empty host (http://:1))',
  ],
  [
    ["--initial-cluster=a=http://x:1", "--discovery-srv=example.com"],
    'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"',
  ],
  [["--discovery-token=t"], "both --discovery-token and --discovery-endpoints must be set"],
  [["--heartbeat-interval=0"], "--heartbeat-interval must be >0 (set to 0ms)"],
  [["--election-timeout=0"], "--election-timeout must be >0 (set to 0ms)"],
  [
    ["--election-timeout=499"],
    "--election-timeout[499ms] should be at least as 5 times as --heartbeat-interval[100ms]",
  ],
  [
    ["--election-timeout=50001"],
    "--election-timeout[50001ms] is too long, and should be set less than 50000ms",
  ],
  [
    ["--listen-client-urls=http://127.0.0.1:1"],
    "--advertise-client-urls is required when --listen-client-urls is set explicitly",
  ],
  [["--auto-compaction-mode=foo"], 'unknown auto-compaction-mode "foo"'],
  [
    ["--feature-gates=LeaseCheckpointPersist=true"],
    "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint",
  ],
  [["--compact-hash-check-time=0"], "--compact-hash-check-time must be >0 (set to 0s)"],
  [
    ["--tls-min-version=TLS1.1"],
    'unexpected TLS version "TLS1.1" (must be one of: TLS1.2, TLS1.3)',
  ],
];

for (const [i, [args, message]] of inOrder.entries()) {
  test(`${args.join(" ")} is refused as by etcd, before what is checked later`, () => {
    assert.equal(problem(...args), message);
    for (const [later] of inOrder.slice(i + 1)) {
      const sameFlags = later.some((flag) =>
        args.some((arg) => arg.split("=")[0] === flag.split("=")[0]),
      );
      // These two make another check fail as well.
      if (sameFlags || (args[0] === "--advertise-client-urls=http://:1" && later.length === 0))
        continue;
      assert.equal(problem(...later, ...args), message, later.join(" "));
    }
  });
}

test("the other refusals", () => {
  assert.equal(problem("--logger=capnslog"), "--logger=capnslog is removed in v3.5");
  assert.equal(problem("--auto-compaction-mode="), "undefined auto-compaction-mode");
  assert.equal(
    problem("--log-outputs=default,stderr"),
    'multi logoutput for "default" is not supported yet',
  );
  assert.equal(
    problem("--tls-min-version=TLS1.3", "--tls-max-version=TLS1.2"),
    "min version (TLS1.3) is greater than max version (TLS1.2)",
  );
  assert.equal(
    problem("--tls-min-version=TLS1.3", "--cipher-suites=X"),
    "cipher suites cannot be configured when only TLS1.3 is enabled",
  );
  assert.match(
    problem("--enable-distributed-tracing", "--distributed-tracing-sampling-rate=-1"),
    /^distributed tracing configurition is not valid: \(/,
  );
  assert.equal(problem("--listen-peer-urls=unix://some-name"), "");
  assert.equal(problem("--listen-peer-urls=http://[::1]:1,http://0.0.0.0:2"), "");
});

test("how to rotate the log is checked", () => {
  const rotation = (text: string): string =>
    problem("--enable-log-rotation", "--log-outputs=/x", `--log-rotation-config-json=${text}`);
  assert.equal(rotation('{"maxsize": 1, "MaxAge": 2, "localtime": true}'), "");
  const invalid = /^invalid log rotation config: /;
  for (const text of ["", "[]", "{", '{"maxsize": "1"}', '{"maxage": -1}', '{"compress": 1}']) {
    assert.match(rotation(text), invalid, text);
  }
});

test("what is not supported yet is refused by name, its default is not", () => {
  const refused: readonly (readonly [string[], string])[] = [
    [["--discovery-srv=example.com"], "--discovery-srv"],
    [["--auth-token=jwt,pub-key=x"], "--auth-token=jwt,pub-key=x"],
    [["--feature-gates=PriorityRequest=true"], "--feature-gates=PriorityRequest=true"],
    [["--feature-gates=CompactHashCheck=true"], "--feature-gates=CompactHashCheck=true"],
    [["--feature-gates=AllAlpha=true"], "--feature-gates=CompactHashCheck=true"],
  ];
  for (const [args, what] of refused) {
    assert.equal(
      unsupported(parse(...args)),
      `${what} is not supported by this version of etcd-ts`,
    );
  }
  // Where there is more to say than that.
  const mlock = /^--memory-mlock is not supported by this version of etcd-ts: Node\.js cannot/;
  assert.match(unsupported(parse("--memory-mlock")) ?? "", mlock);
  const gateway = /^--enable-grpc-gateway is not supported .*: the JSON gateway is not served yet/;
  assert.match(unsupported(parse("--enable-grpc-gateway")) ?? "", gateway);
  const port = unsupported(parse("--socket-reuse-port"));
  if (canReusePort()) assert.equal(port, undefined);
  else assert.match(port ?? "", /^--socket-reuse-port needs Node\.js 22\.12, 23\.1 or later/);
  assert.equal(unsupported(parse()), undefined);
  assert.equal(unsupported(parse("--enable-grpc-gateway=false")), undefined);
  assert.equal(unsupported(parse("--force-new-cluster", "--enable-pprof")), undefined);
  assert.equal(unsupported(parse("--memory-mlock=false", "--bcrypt-cost=10")), undefined);
});
