// `etcdctl snapshot save` from a stock member, and what `etcdutl snapshot status` says of the file.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { etcdutl } from "../../src/etcdutl/tool.ts";
import { ours } from "./ours.ts";
import {
  findProgram,
  runProgram,
  type StockServer,
  skipWithoutServer,
  startStockServer,
} from "./stock.ts";

const skip = skipWithoutServer;
const stockEtcdutl = findProgram("etcdutl", "ETCDUTL_BIN");
let server: StockServer;
let folder = "";

describe("snapshots", () => {
  before(async () => {
    if (skip !== false) return;
    folder = mkdtempSync(join(tmpdir(), "etcd-ts-snapshot-"));
    server = await startStockServer();
    for (const line of ["put a 1", "put b 2", "put a 3", "del b", "put c 4"]) {
      const { status } = await ours([`--endpoints=${server.endpoint}`, ...line.split(" ")]);
      assert.equal(status, 0);
    }
  });
  after(async () => {
    if (skip !== false) return;
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const save = (path: string) => ours([`--endpoints=${server.endpoint}`, "snapshot", "save", path]);
  const status = (...words: string[]) => ours(["snapshot", "status", ...words], {}, etcdutl);

  test("a snapshot is whole, private and durable under its name", { skip }, async () => {
    const path = join(folder, "x.db");
    writeFileSync(path, "something older");
    const { stdout, stderr, status: exit } = await save(path);
    assert.equal(exit, 0, stderr);
    assert.match(stdout, new RegExp(`^Snapshot saved at ${path}\\n(Server version [0-9.]+\\n)?$`));
    const messages = stderr
      .trimEnd()
      .split("\n")
      .map((it) => JSON.parse(it));
    assert.deepEqual(
      messages.map((it) => it.msg),
      [
        "created temporary db file",
        "opened snapshot stream; downloading",
        "fetching snapshot",
        "completed snapshot read; closing",
        "fetched snapshot",
        "saved",
      ],
    );
    assert.ok(messages.every((it) => it.level === "info"));
    assert.equal(messages[4].endpoint, server.endpoint);
    const bytes = readFileSync(path);
    assert.equal(bytes.length % 512, 32);
    const digest = createHash("sha256").update(bytes.subarray(0, -32)).digest();
    assert.deepEqual(digest, bytes.subarray(-32));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(existsSync(`${path}.part`), false);
  });

  test("a snapshot that fails leaves nothing behind", { skip }, async () => {
    const path = join(folder, "nowhere", "x.db");
    const refused = await save(path);
    assert.equal(refused.status, 5);
    assert.equal(
      refused.stderr,
      `Error: could not open ${path}.part (open ${path}.part: no such file or directory)\n`,
    );
    const late = join(folder, "late.db");
    const { status: exit, stderr } = await ours([
      "--endpoints=127.0.0.1:1",
      "--command-timeout=2s",
      "snapshot",
      "save",
      late,
    ]);
    assert.equal(exit, 5);
    const [created, failed, told, ...more] = stderr.split("\n");
    assert.equal(JSON.parse(created as string).msg, "created temporary db file");
    const { level, logger, msg, error } = JSON.parse(failed as string);
    assert.deepEqual(
      [level, logger, msg],
      ["error", "client", "streamer failed to create ClientStream"],
    );
    assert.match(
      error,
      /"transport: Error while dialing: dial tcp 127\.0\.0\.1:1: connect: connection refused"$/,
    );
    assert.equal(told, "Error: context deadline exceeded");
    assert.deepEqual(more, [""]);
    assert.equal(existsSync(late) || existsSync(`${late}.part`), false);
  });

  test("the status of a snapshot, in every format", { skip }, async () => {
    const path = join(folder, "y.db");
    await save(path);
    const json = JSON.parse((await status(path, "-w", "json")).stdout);
    assert.equal(json.revision, 6);
    assert.equal(json.totalKey, 2);
    assert.equal(json.totalSize, statSync(path).size - 32);
    const simple = (await status(path)).stdout;
    const kilobytes = Math.round(json.totalSize / 1000);
    assert.equal(simple, `${json.hash.toString(16)}, 6, 2, ${kilobytes} kB, ${json.version}\n`);
    assert.equal(
      (await status(path, "-w", "fields")).stdout,
      `"Hash" : ${json.hash}\n"Revision" : 6\n"Keys" : 2\n"Size" : ${json.totalSize}\n"Version" : ${json.version}\n`,
    );
    const table = Buffer.from((await status(path, "-w", "table")).stdout, "latin1").toString(
      "utf8",
    );
    assert.match(table, /│ +HASH +│ REVISION │ TOTAL KEYS │ TOTAL SIZE │ VERSION │/);
    const protobuf = await status(path, "-w", "protobuf");
    assert.equal(protobuf.stderr, "Error: protobuf not supported as output format\n");
    assert.equal(protobuf.status, 4);
    if (stockEtcdutl !== undefined) {
      const theirs = await runProgram(stockEtcdutl, ["snapshot", "status", path, "-w", "json"]);
      assert.equal(json.hash, JSON.parse(theirs.stdout).hash);
    }
  });

  test("a damaged snapshot is said to be one", { skip }, async () => {
    const path = join(folder, "z.db");
    await save(path);
    const bytes = readFileSync(path);
    // The types of all pages behind the two meta pages.
    for (let at = 2 * 4096; at + 12 < bytes.length; at += 4096) bytes.fill(0xff, at + 8, at + 12);
    writeFileSync(path, bytes);
    const broken = await status(path);
    assert.equal(broken.status, 1);
    assert.match(
      broken.stderr,
      /^Error: (invalid database|snapshot file integrity check failed. 1 errors found.\n.+)\n$/,
    );
  });
});
