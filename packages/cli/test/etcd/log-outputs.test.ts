// Outputs of the log beside streams and plain files, without a process around them.

import assert from "node:assert/strict";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { nodeLog } from "@etcd-ts/node";
import { connectJournal, JournalError } from "../../src/etcd/journal.ts";
import { RotatingFile } from "../../src/etcd/log-rotation.ts";
import type { LogRotation } from "../../src/etcd/rotation-config.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "etcd-ts-log-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const keepAll: LogRotation = {
  megabytes: 0,
  days: 0,
  backups: 0,
  localTime: false,
  compress: false,
};

function line(text: string): Uint8Array {
  return Buffer.from(`${text}\n`);
}

test("a file is put aside before the line that would make it too long", () =>
  inFolder(async (folder) => {
    let now = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
    const path = `${folder}/etcd.log`;
    const options = { path, bytesMax: 10, now: () => now, failed: assert.ifError };
    const file = new RotatingFile({ ...options, rotation: { ...keepAll, backups: 2 } });
    for (const text of ["one", "two", "three", "a line that is too long by itself", "four"]) {
      file.write(line(text));
      now += 1000;
    }
    await file.tidied;
    // Three were put aside, and two are kept.
    assert.deepEqual(readdirSync(folder).sort(), [
      "etcd-2026-01-02T03-04-08.678.log",
      "etcd-2026-01-02T03-04-09.678.log",
      "etcd.log",
    ]);
    assert.equal(readFileSync(path, "utf8"), "four\n");
    const last = `${folder}/etcd-2026-01-02T03-04-09.678.log`;
    assert.equal(readFileSync(last, "utf8"), "a line that is too long by itself\n");
    file.close();
    // A later process goes on where this one was.
    const again = new RotatingFile({ ...options, rotation: keepAll });
    again.write(line("five"));
    assert.equal(readFileSync(path, "utf8"), "four\nfive\n");
    again.close();
  }));

test("what is too old goes, what stays is compressed, and other files are left alone", () =>
  inFolder(async (folder) => {
    const now = Date.now();
    const path = `${folder}/log`;
    const old = `${folder}/log-2020-01-01T00-00-00.000`;
    const half = `${folder}/log-2020-01-01T00-00-01.000.gz.part`;
    const others = [`${folder}/log-of-somebody`, `${folder}/other-2020-01-01T00-00-00.000`];
    for (const each of [old, half, ...others]) {
      writeFileSync(each, "");
      utimesSync(each, 0, 0);
    }
    const rotation = { ...keepAll, days: 1, compress: true };
    const options = { path, bytesMax: 5, now: () => now, failed: assert.ifError };
    const file = new RotatingFile({ ...options, rotation });
    file.write(line("first"));
    file.write(line("second"));
    await file.tidied;
    assert.ok(!existsSync(old));
    assert.ok(!existsSync(half));
    for (const other of others) assert.ok(existsSync(other), other);
    const backups = readdirSync(folder).filter((name) => name.endsWith(".gz"));
    assert.equal(backups.length, 1);
    assert.equal(gunzipSync(readFileSync(`${folder}/${backups[0]}`)).toString(), "first\n");
    file.close();
  }));

test("a file that cannot be put aside is written on, and that is said", () =>
  inFolder(async (folder) => {
    const failures: Error[] = [];
    mkdirSync(`${folder}/logs`);
    const file = new RotatingFile({
      path: `${folder}/logs/log`,
      rotation: keepAll,
      bytesMax: 8,
      now: () => 0,
      failed: (error) => failures.push(error),
    });
    file.write(line("first"));
    // The file is somewhere else now, still open.
    renameSync(`${folder}/logs`, `${folder}/moved`);
    file.write(line("second"));
    assert.match(failures.at(-1)?.message ?? "", /ENOENT/);
    file.write(line("3"));
    assert.equal(failures.length, 2, "once for each length of a file");
    assert.equal(readFileSync(`${folder}/moved/log`, "utf8"), "first\nsecond\n3\n");
    file.close();
  }));

test("the journal gets a line with its priority for each event", () =>
  inFolder(async (folder) => {
    const path = `${folder}/journal`;
    const server = createServer().listen(path);
    await once(server, "listening");
    const accepted = once(server, "connection");
    const output = await connectJournal(path);
    const [socket] = (await accepted) as [Socket];
    let text = "";
    socket.on("data", (chunk) => {
      text += String(chunk);
    });
    const log = nodeLog({ outputs: [output], level: "debug" });
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
    log.fatal("the last words");
    log.close();
    await once(socket, "close");
    const lines = text.trimEnd().split("\n");
    assert.deepEqual(lines.slice(0, 7), ["etcd", "", "6", "1", "0", "0", "0"]);
    const entries = lines.slice(7).map((entry) => /^<(\d)>(\{.*\})$/.exec(entry));
    assert.deepEqual(
      entries.map((entry) => entry?.[1]),
      ["7", "6", "4", "3", "2"],
    );
    assert.equal(JSON.parse(entries[4]?.[2] ?? "").msg, "the last words");
    server.close();
    await assert.rejects(
      connectJournal(`${folder}/none`),
      (error) =>
        error instanceof JournalError && /can't find journal \(dial unix/.test(error.message),
    );
  }));
