import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:http2";
import { createServer } from "node:net";
import { test } from "node:test";
import { binary, inFolder, memberFlags } from "./daemon-process.ts";

test("a member starts, serves HTTP and stops with status 0", () =>
  inFolder(async (directory, start) => {
    const daemon = start(memberFlags(directory, "--metrics=extensive"));
    const base = `http://${await daemon.address()}`;

    const inOrder = [
      "Running: ",
      "configuring peer listeners",
      "configuring client listeners",
      "starting an etcd server",
      "Initialize and start etcd server",
      "serving peer traffic",
      "now serving peer/client/metrics",
      "published local member to cluster through raft",
      "ready to serve client requests",
      "serving client traffic insecurely; this is strongly discouraged!",
      "notifying init daemon",
      "successfully notified init daemon",
    ];
    const messages = daemon.messages();
    const positions = inOrder.map((message) => messages.indexOf(message));
    assert.ok(!positions.includes(-1), `${positions}\n${daemon.text()}`);
    assert.deepEqual(
      positions,
      [...positions].sort((a, b) => a - b),
    );
    const begin = await daemon.line("starting an etcd server");
    assert.equal(begin["etcd-version"], "3.7.1");
    assert.equal(begin["snapshot-catchup-entries"], 5000);
    assert.equal(begin["v2-deprecation"], "write-only");
    assert.equal(begin["election-timeout"], "1s");

    const health = await fetch(`${base}/health`);
    assert.equal(await health.text(), '{"health":"true","reason":""}');
    assert.equal(health.headers.get("access-control-allow-origin"), "*");
    const version = await fetch(`${base}/version`);
    assert.deepEqual(await version.json(), {
      etcdserver: "3.7.1",
      etcdcluster: "3.7.0",
      storage: "3.7.0",
    });
    assert.equal(await (await fetch(`${base}/livez`)).text(), "ok\n");
    const ready = await (await fetch(`${base}/readyz?verbose`)).text();
    assert.match(ready, /^\[\+\]data_corruption ok\n(.*\n)*ok\n$/);
    const refused = await fetch(`${base}/version`, { method: "POST", body: "x" });
    assert.equal(refused.status, 405);
    assert.equal(refused.headers.get("allow"), "GET");
    assert.equal(await refused.text(), "Method Not Allowed\n");
    const missing = await fetch(`${base}/nothing/here`);
    assert.equal(missing.status, 404);
    assert.equal(await missing.text(), "404 page not found\n");
    const gateway = await fetch(`${base}/v3/kv/range`, { method: "POST", body: "{}" });
    assert.equal(gateway.status, 501);
    assert.deepEqual(await gateway.json(), {
      code: 12,
      message: "the JSON gateway is not supported by this version of etcd-ts; use gRPC",
    });
    const options = await fetch(`${base}/health`, { method: "OPTIONS" });
    assert.equal(options.status, 200);
    assert.equal(await options.text(), "");

    const metrics = await fetch(`${base}/metrics`);
    assert.match(String(metrics.headers.get("content-type")), /^text\/plain; version=0\.0\.4/);
    const text = await metrics.text();
    for (const line of [
      "# TYPE etcd_server_has_leader gauge",
      "etcd_server_has_leader 1",
      'etcd_server_version{server_version="3.7.1"} 1',
      'etcd_cluster_version{cluster_version="3.7"} 1',
      'etcd_server_feature_enabled{name="LeaseCheckpoint",stage="ALPHA"} 0',
      'grpc_server_started_total{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 0',
      "etcd_server_quota_backend_bytes 2.147483648e+09",
      "etcd_server_health_success 1",
    ]) {
      assert.ok(text.includes(`${line}\n`), `${line} is missing`);
    }
    assert.match(text, /^process_resident_memory_bytes [\d.]+e\+0\d$/m);
    for (const name of ["receive", "transmit"]) {
      const series = new RegExp(`^process_network_${name}_bytes_total [\\d.e+]+$`, "m");
      assert.equal(series.test(text), existsSync("/proc/self/net/netstat"), name);
    }
    const named = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
    assert.equal(new Set(named).size, named.length);

    const debug = await fetch(`${base}/debug/vars`);
    assert.equal(debug.headers.get("content-type"), "application/json; charset=utf-8");
    const variables = (await debug.json()) as Record<string, unknown>;
    const names = ["cmdline", "file_descriptor_limit", "memstats", "raft.status"];
    assert.deepEqual(Object.keys(variables), names);
    assert.equal((variables["cmdline"] as string[])[1], "--name=m1");
    const raft = variables["raft.status"] as Record<string, unknown>;
    assert.equal(raft["raftState"], "StateLeader");
    assert.equal(raft["lead"], raft["id"]);
    assert.equal(raft["leadtransferee"], "0");
    const own = (raft["progress"] as Record<string, Record<string, unknown>>)[String(raft["id"])];
    assert.equal(own?.["state"], "StateReplicate");
    assert.ok(Number(own?.["match"]) > 0);
    assert.equal((await fetch(`${base}/debug/vars`, { method: "POST" })).status, 405);

    const ended = await daemon.stop("SIGTERM");
    assert.equal(ended.exitCode, 0, daemon.text());
    assert.equal(ended.stderr, "");
    assert.equal((await daemon.line("received signal; shutting down"))["signal"], "terminated");
    assert.equal(daemon.lines.at(-1)?.msg, "closed etcd server");
    assert.deepEqual(
      daemon.lines.filter((line) => line.level === "error"),
      [],
    );

    // And again on the same data, stopped by the other signal.
    const second = start(memberFlags(directory));
    await second.address();
    assert.ok(second.messages().includes("server has already been initialized"));
    assert.equal((await second.stop("SIGINT")).exitCode, 0);
    assert.equal((await second.line("received signal; shutting down"))["signal"], "interrupt");
  }));

test("a second member is kept out of a data directory, also after kill -9", () =>
  inFolder(async (directory, start) => {
    const first = start(memberFlags(directory));
    const address = await first.address();
    const second = start(memberFlags(directory));
    assert.equal((await second.ended).exitCode, 1);
    const fatal = second.lines.filter((line) => line.level === "fatal");
    assert.equal(fatal.length, 1, second.text());
    assert.match(String(fatal[0]?.["error"]), /in use by another process/);
    assert.equal((await fetch(`http://${address}/health`)).status, 200);
    await first.stop("SIGKILL");
    const third = start(memberFlags(directory));
    await third.address();
    assert.equal((await third.stop()).exitCode, 0);
  }));

/** One fatal line, whose error is as expected, and exit status 1. */
async function failsWith(
  daemon: ReturnType<Parameters<Parameters<typeof inFolder>[0]>[1]>,
  error: RegExp,
) {
  const { exitCode } = await daemon.ended;
  const fatal = daemon.lines.filter((line) => line.level === "fatal");
  assert.equal(fatal.length, 1, daemon.text());
  assert.equal(fatal[0]?.msg, "discovery failed");
  assert.match(String(fatal[0]?.["error"]), error);
  assert.equal(exitCode, 1);
}

test("a port in use is one clear message, and no data is touched", () =>
  inFolder(async (directory, start) => {
    const occupant = createServer();
    await new Promise<void>((resolve) => occupant.listen(0, "127.0.0.1", resolve));
    const { port } = occupant.address() as { port: number };
    for (const flag of ["listen-client-urls", "listen-peer-urls"]) {
      const daemon = start(memberFlags(directory, `--${flag}=http://127.0.0.1:${port}`));
      await failsWith(
        daemon,
        new RegExp(`^listen tcp 127\\.0\\.0\\.1:${port}: bind: address already in use$`),
      );
    }
    assert.deepEqual(readdirSync(directory), []);
    const metrics = start(memberFlags(directory, `--listen-metrics-urls=http://127.0.0.1:${port}`));
    await failsWith(metrics, /bind: address already in use$/);
    occupant.close();
  }));

test("a data directory that cannot be is one clear message", () =>
  inFolder(async (directory, start) => {
    writeFileSync(`${directory}/data`, "a file");
    await failsWith(start(memberFlags(directory)), /data.*: not a directory$/);
    const below = memberFlags(directory, `--data-dir=${directory}/data/below`);
    await failsWith(start(below), /not a directory$/);
  }));

test("a data directory of stock etcd is called that, and stays as it is", () =>
  inFolder(async (directory, start) => {
    const snap = `${directory}/data/member/snap`;
    mkdirSync(snap, { recursive: true });
    writeFileSync(`${snap}/db`, "of another format");
    await failsWith(
      start(memberFlags(directory)),
      /data directory of a stock etcd .*snapshot restore\)$/,
    );
    assert.deepEqual(readdirSync(`${directory}/data/member`), ["snap"]);
  }));

test("a full disk is one clear reason, before and after the start", (context) =>
  inFolder(async (directory, start) => {
    const mountPoint = `${directory}/small`;
    mkdirSync(mountPoint);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", mountPoint], {
        stdio: "pipe",
      });
    } catch (error) {
      context.skip(`needs the right to mount a tmpfs: ${(error as Error).message.split("\n")[1]}`);
      return;
    }
    try {
      const flags = memberFlags(directory, `--data-dir=${mountPoint}/data`);
      const daemon = start(flags);
      const { exitCode, stderr } = await daemon.ended;
      assert.equal(exitCode, 1);
      assert.equal(stderr, "", "nothing but lines of the log");
      const fatal = daemon.lines.filter((line) => line.level === "fatal");
      assert.equal(fatal.length, 1, daemon.text());
      assert.match(String(fatal[0]?.["error"]), /no space left on device/);
      // With space again the same folder serves.
      execFileSync("mount", ["-o", "remount,size=200m", mountPoint], { stdio: "pipe" });
      const again = start(flags);
      await again.address();
      assert.equal((await again.stop()).exitCode, 0);
    } finally {
      execFileSync("umount", ["--lazy", mountPoint]);
    }
  }));

test("with the log level debug every request is told of", () =>
  inFolder(async (directory, start) => {
    const flags = [
      "--log-level=debug",
      "--metrics=extensive",
      "--warning-unary-request-duration=1h",
    ];
    const daemon = start(memberFlags(directory, ...flags));
    const address = await daemon.address();
    const session = connect(`http://${address}`);
    const put = session.request({
      ":method": "POST",
      ":path": "/etcdserverpb.KV/Put",
      "content-type": "application/grpc",
      te: "trailers",
    });
    put.end(Buffer.from("00000000060a016112017a", "hex"));
    put.resume();
    await once(put, "close");
    const line = await daemon.line("request stats");
    assert.equal(line.level, "debug");
    assert.equal(line["response type"], "/etcdserverpb.KV/Put");
    assert.equal(line["request content"], 'key:"a" value_size:1');
    assert.match(String(line["remote"]), /^127\.0\.0\.1:\d+$/);
    // Both observers of calls are at work.
    const metrics = await (await fetch(`http://${address}/metrics`)).text();
    assert.match(metrics, /^grpc_server_handling_seconds_count\{grpc_method="Put",.*\} 1$/m);
    session.destroy();
    assert.equal((await daemon.stop()).exitCode, 0);
  }));

test("an open watch does not hold up the end, and hears of it", () =>
  inFolder(async (directory, start) => {
    // Calls may take 5 s and two election timeouts before the end gives them up.
    const daemon = start(memberFlags(directory, "--election-timeout=40000"));
    const session = connect(`http://${await daemon.address()}`);
    const watch = session.request({
      ":method": "POST",
      ":path": "/etcdserverpb.Watch/Watch",
      "content-type": "application/grpc",
      te: "trailers",
    });
    // A create request for the key "a": the answer shows that the watch is there.
    watch.write(Buffer.from("00000000050a030a0161", "hex"));
    await once(watch, "data");
    let status: unknown;
    watch.on("trailers", (trailers) => {
      status = trailers["grpc-status"];
    });
    watch.resume();
    const closed = once(watch, "close");
    assert.equal((await daemon.stop()).exitCode, 0);
    await closed;
    assert.equal(status, "14");
    session.destroy();
    const seconds = (line: string): Promise<number> =>
      daemon.line(line).then((found) => Date.parse(String(found["ts"])) / 1000);
    const took = (await seconds("closed etcd server")) - (await seconds("closing etcd server"));
    assert.ok(took < 60, `${took} s`);
  }));

test("a damaged log is one clear message with file and place", () =>
  inFolder(async (directory, start) => {
    const first = start(memberFlags(directory));
    await first.address();
    assert.equal((await first.stop()).exitCode, 0);
    const folder = `${directory}/data/member/wal`;
    const segment = `${folder}/${readdirSync(folder).find((name) => name.endsWith(".wal"))}`;
    const bytes = readFileSync(segment);
    bytes[40] = (bytes[40] as number) ^ 0xff;
    writeFileSync(segment, bytes);
    await failsWith(start(memberFlags(directory)), /\.wal: offset \d+/);
    assert.deepEqual(readFileSync(segment), bytes);
  }));

test("initial cluster and advertised URLs must agree", () =>
  inFolder(async (directory, start) => {
    const cases: readonly (readonly [string, RegExp])[] = [
      [
        "--initial-cluster=other=http://127.0.0.1:1",
        /^couldn't find local name "m1" in the initial cluster configuration$/,
      ],
      [
        "--initial-cluster=m1=http://127.0.0.1:9",
        /missing from --initial-advertise-peer-urls=\S+ \(resolved urls: "\S+" != "http:\/\/127.0.0.1:9"\)$/,
      ],
      [
        "--initial-cluster=m1",
        /^error setting up initial cluster: URL scheme must be http, https, unix, or unixs: $/,
      ],
    ];
    const failures = cases.map(([flag, text], i) =>
      failsWith(start(memberFlags(directory, `--data-dir=${directory}/${i}`, flag)), text),
    );
    await Promise.all(failures);
  }));

test("a config file, through a link, from another folder", () =>
  inFolder(async (directory, start) => {
    symlinkSync(binary, `${directory}/link-to-etcd`);
    writeFileSync(
      `${directory}/etcd.yaml`,
      `name: from-file
data-dir: ${directory}/data
listen-client-urls: http://127.0.0.1:0
listen-peer-urls: http://127.0.0.1:0
advertise-client-urls: http://127.0.0.1:1
log-level: debug
log-outputs: [stderr, ${directory}/log]
`,
    );
    const daemon = start(["--config-file", `${directory}/etcd.yaml`, "--name=ignored"], {
      program: `${directory}/link-to-etcd`,
      environment: { ETCD_NAME: "ignored" },
    });
    await daemon.address();
    assert.equal((await daemon.line("starting an etcd server"))["name"], "from-file");
    assert.equal((await daemon.stop()).exitCode, 0);
    const copied = readFileSync(`${directory}/log`, "utf8").trimEnd().split("\n");
    assert.equal(JSON.parse(copied.at(-1) as string).msg, "closed etcd server");
  }));

test("variables of the environment configure the member", () =>
  inFolder(async (directory, start) => {
    const environment = Object.fromEntries(
      memberFlags(directory).map((flag) => {
        const [name = "", value = ""] = flag.slice(2).split(/=(.*)/s);
        return [`ETCD_${name.toUpperCase().replaceAll("-", "_")}`, value];
      }),
    );
    const daemon = start([], { environment: { ...environment, ETCD_UNHEARD_OF: "1" } });
    await daemon.address();
    assert.equal((await daemon.line("starting an etcd server"))["name"], "m1");
    const unknown = await daemon.line("unrecognized environment variable");
    assert.equal(unknown["environment-variable"], "ETCD_UNHEARD_OF=1");
    assert.equal((await daemon.stop()).exitCode, 0);
    const shadowed = start(["--name=x"], { environment });
    assert.equal((await shadowed.ended).exitCode, 1);
    assert.equal(shadowed.lines.at(-1)?.level, "fatal");
  }));

test("wrong command lines: what is said and the exit status", () =>
  inFolder(async (_directory, start) => {
    const unknown = await start(["--no-such-flag"]).ended;
    assert.equal(unknown.exitCode, 2);
    assert.match(unknown.stderr, /^flag provided but not defined: -no-such-flag\nUsage:\n/);
    const stray = start(["stray"]);
    assert.equal((await stray.ended).exitCode, 1);
    const refused = await stray.line("failed to verify flags");
    assert.equal(refused["error"], '"stray" is not a valid flag');
    const level = await start(["--log-level=loud"]).ended;
    assert.equal(level.exitCode, 2);
    assert.match(level.stderr, /unrecognized level: "loud"/);
    const later = start(["--enable-distributed-tracing"]);
    assert.equal((await later.ended).exitCode, 1);
    const text = String((await later.line("failed to verify flags"))["error"]);
    assert.equal(text, "--enable-distributed-tracing is not supported by this version of etcd-ts");
    const gateway = await start(["gateway", "start"]).ended;
    assert.equal(gateway.exitCode, 1);
    assert.match(gateway.stderr, /not supported/);
  }));

test("version and help", () =>
  inFolder(async (_directory, start) => {
    const version = await start(["--version"]).ended;
    assert.equal(version.exitCode, 0);
    const lines = version.stdout.trimEnd().split("\n");
    assert.equal(lines[0], "etcd Version: 3.7.1");
    assert.deepEqual(
      lines.map((line) => line.split(":")[0]),
      ["etcd Version", "Git SHA", "Go Version", "Go OS/Arch"],
    );
    const help = await start(["--help"]).ended;
    assert.equal(help.exitCode, 0);
    assert.match(help.stderr, /^Usage:\n\n {2}etcd \[flags\]\n/);
    assert.match(help.stdout, /\nMember:\n {2}--name 'default'\n {4}\S/);
    const groups = help.stdout.match(/^[A-Z].*:$/gm);
    assert.deepEqual(groups, [
      "Member:",
      "Clustering:",
      "Security:",
      "Auth:",
      "Profiling and Monitoring:",
      "Logging:",
      "Distributed tracing:",
      "Features:",
      "Unsafe feature:",
      "Of etcd-ts alone:",
    ]);
  }));
