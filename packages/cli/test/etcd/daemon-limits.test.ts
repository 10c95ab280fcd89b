// What the process is, and is not, to its system: signals, limits, file systems, log outputs, profiles.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { issueCertificate } from "@etcd-ts/node";
import { binary, inFolder, memberFlags } from "./daemon-process.ts";

test("SIGUSR1 opens no debugger, and neither it nor SIGUSR2 ends the server", () =>
  inFolder(async (directory, start) => {
    const daemon = start(memberFlags(directory));
    const address = await daemon.address();
    daemon.process.kill("SIGUSR1");
    daemon.process.kill("SIGUSR2");
    for (let i = 0; i < 5; i++) assert.equal((await fetch(`http://${address}/health`)).status, 200);
    const ended = await daemon.stop();
    assert.equal(ended.exitCode, 0);
    assert.equal(ended.stderr, "", "Node says there where its debugger listens");
  }));

for (const limit of [20, 60, 150]) {
  test(`a limit of ${limit} open files is refused with etcd's message`, () =>
    inFolder(async (directory) => {
      const command = `ulimit -n ${limit} && exec "$0" "$@"`;
      const args = ["-c", command, binary, ...memberFlags(directory)];
      const { status, stderr } = spawnSync("sh", args, { encoding: "utf8", timeout: 60_000 });
      const last = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "");
      assert.equal(last.level, "fatal", stderr);
      const text = "file descriptor limit of etcd process is too low; please set higher";
      assert.equal(last.msg, text);
      assert.deepEqual([last.limit, last["recommended-limit"]], [limit, 150]);
      assert.equal(status, 1);
      assert.deepEqual(readdirSync(directory), []);
    }));
}

test("a folder where no folder can be: the reason, and no hang", () =>
  inFolder(async (directory, start) => {
    const cases: (readonly [string[], RegExp])[] = [
      [["--data-dir=/proc/none"], /^mkdir \/proc\/none: no such file or directory$/],
      [["--data-dir=/proc/none/below", "--auto-tls"], /^mkdir \/proc\/none: no such file/],
      [["--wal-dir=/proc/none"], /^mkdir \/proc\/none(\.tmp)?: no such file/],
    ];
    const readOnly = `${directory}/read-only`;
    mkdirSync(readOnly);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", readOnly], { stdio: "pipe" });
      cases.push([[`--data-dir=${readOnly}/a/b`], /^mkdir .*\/a: read-only file system$/]);
    } catch {
      // Without the right to mount, the other cases are what is looked at.
    }
    try {
      await Promise.all(
        cases.map(async ([flags, text]) => {
          const https = flags.includes("--auto-tls") ? "https" : "http";
          const urls = `--listen-client-urls=${https}://127.0.0.1:0`;
          const daemon = start(memberFlags(directory, urls, ...flags));
          assert.equal((await daemon.ended).exitCode, 1);
          const fatal = daemon.lines.filter((line) => line.level === "fatal");
          assert.equal(fatal.length, 1, daemon.text());
          assert.match(String(fatal[0]?.["error"]), text);
          assert.equal(fatal[0]?.["stacktrace"], undefined);
        }),
      );
    } finally {
      if (cases.length > 3) execFileSync("umount", ["--lazy", readOnly]);
    }
  }));

test("a config file or a log output that cannot be used is named, with the reason", () =>
  inFolder(async (directory, start) => {
    const cases: readonly (readonly [string, string])[] = [
      [`--config-file=${directory}`, `read ${directory}: is a directory`],
      [`--config-file=${directory}/none`, `open ${directory}/none: no such file or directory`],
      [`--log-outputs=${directory}`, `open sink "${directory}": open ${directory}: is a directory`],
      [
        `--log-outputs=stderr,${directory}/no/log`,
        `open sink "${directory}/no/log": open ${directory}/no/log: no such file or directory`,
      ],
    ];
    await Promise.all(
      cases.map(async ([flag, text]) => {
        const daemon = start(memberFlags(directory, flag));
        assert.equal((await daemon.ended).exitCode, 1);
        const refused = await daemon.line("failed to verify flags");
        assert.equal(refused["error"], text);
        assert.equal(refused["stacktrace"], undefined);
        const loaded = daemon.messages().filter((msg) => msg.startsWith("loaded server config"));
        assert.deepEqual(loaded, []);
      }),
    );
  }));

test("a log file is put aside when it is full, compressed, and old ones go", () =>
  inFolder(async (directory, start) => {
    const rotation = JSON.stringify({ maxsize: 1, maxbackups: 1, compress: true });
    const path = `${directory}/etcd.log`;
    // What is there already counts: one more line is one too many.
    writeFileSync(path, `${"x".repeat((1 << 20) - 1)}\n`);
    const daemon = start(
      memberFlags(
        directory,
        `--log-outputs=${path}`,
        "--enable-log-rotation",
        `--log-rotation-config-json=${rotation}`,
      ),
    );
    let backup: string | undefined;
    while (backup === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      backup = readdirSync(directory).find((name) => /^etcd-.*\.log\.gz$/.test(name));
    }
    assert.match(backup, /^etcd-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log\.gz$/);
    assert.equal(gunzipSync(readFileSync(`${directory}/${backup}`)).length, 1 << 20);
    assert.equal(statSync(path).mode & 0o777, 0o644 & ~process.umask());
    assert.equal((await daemon.stop()).stderr, "");
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    assert.ok(lines.every((line) => line.startsWith("{")));
  }));

test("--enable-pprof serves profiles that pprof reads", () =>
  inFolder(async (directory, start) => {
    const daemon = start(memberFlags(directory, "--enable-pprof"));
    const base = `http://${await daemon.address()}/debug/pprof`;
    assert.match(await (await fetch(`${base}/`)).text(), /go tool pprof/);
    assert.match(await (await fetch(`${base}/cmdline`)).text(), /--enable-pprof/);
    // Of two at a time one is refused, unless a pause of the machine lets one end before the other comes.
    let statuses: number[] = [];
    for (let attempt = 0; attempt < 10 && !statuses.includes(500); attempt++) {
      const profiles = [fetch(`${base}/profile?seconds=1`), fetch(`${base}/profile?seconds=1`)];
      statuses = (await Promise.all(profiles)).map(({ status }) => status);
    }
    assert.deepEqual(statuses.sort(), [200, 500]);
    const heap = await fetch(`${base}/heap`);
    const content = gunzipSync(Buffer.from(await heap.arrayBuffer()));
    for (const text of ["inuse_space", "bytes"]) assert.ok(content.includes(text), text);
    assert.equal((await fetch(`${base}/nothing`)).status, 404);
    assert.equal((await daemon.stop()).exitCode, 0);
    const without = start(memberFlags(directory));
    const page = await fetch(`http://${await without.address()}/debug/pprof/`);
    assert.equal(page.status, 404);
    assert.equal((await without.stop()).exitCode, 0);
  }));

test("plain text on a TLS port is told of at once", () =>
  inFolder(async (directory, start) => {
    const made = issueCertificate({
      hosts: ["127.0.0.1"],
      purposes: ["server"],
      validDays: 2,
      nowMs: Date.now() - 3_600_000,
    });
    writeFileSync(`${directory}/cert`, made.certificatePem);
    writeFileSync(`${directory}/key`, made.keyPem);
    const daemon = start(
      memberFlags(
        directory,
        "--listen-client-urls=https://127.0.0.1:0",
        `--cert-file=${directory}/cert`,
        `--key-file=${directory}/key`,
      ),
    );
    const [host = "", port = ""] = (await daemon.address()).split(":");
    const socket = connect(Number(port), host).on("error", () => {});
    socket.write("hi");
    socket.resume();
    await once(socket, "close");
    // One that was only given up when its time had run out is told of in other words.
    const line = await daemon.line("rejected connection on client endpoint");
    assert.equal(line["error"], "tls: first record does not look like a TLS handshake");
    assert.equal((await daemon.stop()).exitCode, 0);
  }));

test("--bootstrap-defrag-threshold-megabytes compares what would be freed", () =>
  inFolder(async (directory, start) => {
    const flag = "--bootstrap-defrag-threshold-megabytes=1";
    const first = start(memberFlags(directory, flag));
    await first.address();
    const skipped = await first.line("Skipping defragmentation");
    assert.equal(skipped["bootstrap-defrag-threshold-bytes"], 1 << 20);
    assert.equal((await first.stop()).exitCode, 0);
  }));
