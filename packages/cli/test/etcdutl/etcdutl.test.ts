// etcdutl without servers: what it prints, what it refuses, and that it leaves alone what it only looks at.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  CompactionRequest,
  encodeInternalRaftRequest,
  InternalRaftRequest,
  LeaseGrantRequest,
  PutRequest,
  RequestHeader,
} from "@etcd-ts/api";
import { build, keyToBytes } from "@etcd-ts/base";
import { LmdbBackend } from "@etcd-ts/lmdb";
import { finish, type Machine, MachineOpening } from "@etcd-ts/machine";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { MemoryBackend, saveBoltFile } from "@etcd-ts/storage";
import { etcdutl } from "../../src/etcdutl/tool.ts";
import { ours } from "../etcdctl/ours.ts";
import { ours as programs } from "./servers.ts";

const host = nodeHost({ log: silentLog });
const folder = mkdtempSync(join(tmpdir(), "etcd-ts-etcdutl-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Result> {
  return ours(args, {}, etcdutl);
}

async function prints(expected: string, ...args: string[]): Promise<void> {
  const { status, stdout, stderr } = await run(...args);
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: expected, stderr: "" });
}

async function fails(status: number, expected: RegExp, ...args: string[]): Promise<void> {
  const result = await run(...args);
  assert.equal(result.status, status, result.stderr);
  assert.match(result.stderr, expected);
  assert.equal(result.stdout, "");
}

class Filled {
  readonly backend: MemoryBackend = new MemoryBackend({ timers: host.timers });
  readonly machine: Machine = finish(new MachineOpening({ backend: this.backend })).machine;

  apply(fields: Partial<InternalRaftRequest>): this {
    const request = build(InternalRaftRequest, {
      ...fields,
      header: build(RequestHeader, { id: 1n }),
    });
    const data = encodeInternalRaftRequest(request);
    this.machine.apply({ index: this.machine.appliedIndex + 1, term: 2, data }, false);
    return this;
  }

  put(key: string, value: string, lease = 0n): this {
    const put = build(PutRequest, { key: keyToBytes(key), value: keyToBytes(value), lease });
    return this.apply({ put });
  }

  async save(name: string): Promise<string> {
    this.machine.sealBatch();
    await saveBoltFile(host.disk, at(name), this.backend, () => Promise.resolve());
    return at(name);
  }
}

/** A data directory of ours with the store version 3.7. */
async function dataDir(name: string, puts = 20): Promise<string> {
  const filled = new Filled();
  for (let i = 0; i < puts; i++) filled.put(`key${i % 7}`, "x".repeat(500));
  filled.machine.setStorageVersion("3.7.0");
  const file = await filled.save(`${name}.db`);
  const { status, stderr } = await run(
    "snapshot",
    "restore",
    file,
    "--skip-hash-check",
    "--data-dir",
    at(name),
  );
  assert.equal(status, 0, stderr);
  return at(name);
}

test("hashkv gives the values that etcd gives", async () => {
  const empty = await new Filled().save("empty.db");
  await prints("1084519789, 1, -1\n", "hashkv", empty);
  const one = new Filled().apply({ leaseGrant: build(LeaseGrantRequest, { id: 1n, ttl: 60n }) });
  const file = await one.put("test-key", "test-value", 1n).save("one.db");
  const before = readFileSync(file);
  await prints("645561629, 2, -1\n", "hashkv", file);
  await prints("1084519789, 1, -1\n", "hashkv", "--rev", "1", file);
  await prints(
    `{"hash":645561629,"hashRevision":2,"compactRevision":-1}\n`,
    "hashkv",
    file,
    "-w",
    "json",
  );
  await prints(
    `"Hash" : 645561629\n"Hash revision" : 2\n"Compact revision" : -1\n`,
    ...["hashkv", file, "--write-out=fields"],
  );
  await fails(
    1,
    /^Error: mvcc: required revision is a future revision\n$/,
    "hashkv",
    file,
    "--rev=3",
  );
  await fails(
    4,
    /^Error: protobuf not supported as output format\n$/,
    "hashkv",
    file,
    "-w",
    "protobuf",
  );
  await fails(4, /^Error: unsupported output format\n$/, "hashkv", file, "-w", "x");
  assert.deepEqual(readFileSync(file), before);
  const compacted = new Filled();
  for (let i = 0; i < 10; i++) compacted.put("k", String(i));
  compacted.apply({ compaction: build(CompactionRequest, { revision: 6n }) });
  finish(compacted.machine.compaction);
  const path = await compacted.save("compacted.db");
  const { stdout } = await run("hashkv", path);
  assert.equal(stdout, `${finish(compacted.machine.hashKv(11n)).hash}, 11, 6\n`);
  await fails(
    1,
    /^Error: mvcc: required revision has been compacted\n$/,
    "hashkv",
    path,
    "--rev",
    "5",
  );
});

test("hashkv refuses what is no database by one line", async () => {
  await fails(1, /^Error: stat .*none.db: no such file or directory\n$/, "hashkv", at("none.db"));
  writeFileSync(at("junk.db"), "junk");
  await fails(
    1,
    /^Error: failed to open database .*junk.db: .*no meta page\n$/,
    "hashkv",
    at("junk.db"),
  );
  await fails(1, /^Error: failed to open database .*a folder without a store/, "hashkv", folder);
  const usage = await run("hashkv");
  assert.equal(usage.status, 1);
  assert.match(
    usage.stderr,
    /^Error: accepts 1 arg\(s\), received 0\nUsage:[\s\S]*\nError: accepts 1 arg\(s\), received 0\n$/,
  );
});

test("hashkv of a member's directory is that of the snapshot which it came from", async () => {
  const path = await dataDir("hashed");
  const { stdout } = await run("hashkv", at("hashed.db"));
  for (const place of [path, `${path}/`, `${path}/member/store`, `${path}/member/store/data.mdb`]) {
    await prints(stdout, "hashkv", place);
  }
});

test("a directory that is in use is waited for, and then refused", async () => {
  const path = await dataDir("used");
  const lock = await host.disk.lock(`${path}/member/lock`);
  const refused = /^Error: failed to open database .*timeout: another process uses it\n$/;
  await fails(1, refused, "hashkv", path, "--timeout=120ms");
  await fails(1, refused, "defrag", "--data-dir", path, "--timeout=60ms");
  const waiting = run("hashkv", path, "--timeout=0");
  await new Promise((resolve) => setTimeout(resolve, 100));
  await lock.release();
  assert.equal((await waiting).status, 0);
});

test("defrag gives space back, and says how much", async () => {
  const path = await dataDir("fragmented");
  const store = await LmdbBackend.open(`${path}/member/store`);
  for (let i = 0; i < 500; i++) store.put("lease", keyToBytes(`x${i}`), new Uint8Array(2000));
  await new Promise<void>((resolve) => store.commit(() => resolve()));
  for (let i = 0; i < 500; i++) store.delete("lease", keyToBytes(`x${i}`));
  await store.close();
  const file = `${path}/member/store/data.mdb`;
  const before = statSync(file).size;
  const { stdout } = await run("hashkv", path);
  const { status, stdout: out, stderr } = await run("defrag", "--data-dir", path);
  assert.deepEqual([status, out], [0, ""]);
  assert.match(
    stderr,
    /^\S+Z?\tinfo\tetcdutl\/defrag\tdefragmenting\t\{"path": "[^"]*", "current-db-size-bytes": \d+, /,
  );
  assert.match(
    stderr,
    /\tfinished defragmenting directory\t\{.*"current-db-size-bytes-diff": -\d+, .*"took": "[^"]+"\}\n$/,
  );
  assert.ok(statSync(file).size < before / 4);
  await prints(stdout, "hashkv", path);
  await fails(
    1,
    /^Error: Failed to defragment etcd data\[nodir\] \(stat nodir\/member\/snap\/db: no such file or directory\)\n$/,
    ...["defrag", "--data-dir", "nodir"],
  );
  mkdirSync(at("stock/member/snap"), { recursive: true });
  writeFileSync(at("stock/member/snap/db"), "");
  await fails(
    1,
    /a data directory of stock etcd: use its own etcdutl/,
    "defrag",
    "--data-dir",
    at("stock"),
  );
  const usage = await run("defrag");
  assert.match(usage.stderr, /^Error: required flag\(s\) "data-dir" not set\nUsage:/);
  assert.equal(usage.status, 1);
});

test("a damaged store is refused by one line", async () => {
  const path = await dataDir("damaged");
  truncateSync(`${path}/member/store/data.mdb`, 9000);
  const refused =
    /^Error: failed to open database .+\/member\/store: .+\/data.mdb: offset \d+: .*\n$/;
  await fails(1, refused, "hashkv", path);
  await fails(1, refused, "defrag", "--data-dir", path);
  await fails(1, refused, "migrate", "--data-dir", path, "--target-version", "3.6");
});

test("migrate goes step by step, and only where the data can go", async () => {
  const path = await dataDir("migrated");
  const migrate = (target: string, ...more: string[]): Promise<Result> =>
    run("migrate", "--data-dir", path, "--target-version", target, ...more);
  const says = async (target: string, expected: RegExp, ...more: string[]): Promise<void> => {
    const { status, stdout, stderr } = await migrate(target, ...more);
    assert.deepEqual([status, stdout], [0, ""], stderr);
    assert.match(stderr, expected);
  };
  await says("3.7", /\tstorage version up-to-date\t\{"storage-version": "3.7"\}\n$/);
  await says(
    "3.5",
    /\tupdated storage version\t\{"new-storage-version": "3.6.0"\}\n.*\tupdated storage version\t\{"new-storage-version": "3.5.0"\}\n$/,
  );
  await says("3.5", /\tstorage version up-to-date\t\{"storage-version": "3.5"\}\n$/);
  await says("3.6", /\tupdated storage version\t\{"new-storage-version": "3.6.0"\}\n$/);
  const refuses = async (status: number, target: string, expected: string): Promise<void> => {
    const result = await migrate(target);
    assert.deepEqual([result.status, result.stdout], [status, ""]);
    assert.equal(result.stderr, `Error: ${expected}\n`);
  };
  await refuses(1, "3.8", 'cannot create migration plan: version "3.8.0" is not supported');
  await refuses(128, "3.4", 'target version "3.4" not supported. Minimal "3.5"');
  await refuses(128, "abc", 'wrong target version format, expected "X.Y", got "abc"');
  await refuses(128, "3.6.0", 'wrong target version format, expected "X.Y", got "3.6.0"');
  const parse = 'failed to parse target version: strconv.ParseInt: parsing "a": invalid syntax';
  await refuses(128, "3.a", parse);
  await says(
    "3.8",
    /\tnormal migrate failed, trying with force\t\{"error": "cannot create [^\n]*\n.*\tforcefully set storage version\t\{"storage-version": "3.8"\}\n$/,
    "--force",
  );
  await says("3.5", /\tforcefully cleared storage version\n$/, "--force");
  const missing = await run("migrate", "--data-dir", "nodir", "--target-version", "3.6");
  assert.equal(missing.stderr, "Error: stat nodir/member/snap/db: no such file or directory\n");
  const usage = await run("migrate");
  assert.match(usage.stderr, /^Error: required flag\(s\) "data-dir", "target-version" not set\n/);
});

test("snapshot status of a folder, or of a member's store, is one line", async () => {
  await fails(1, /^Error: invalid database\n$/, "snapshot", "status", folder);
  const path = await dataDir("status");
  await fails(
    1,
    /^Error: invalid database\n$/,
    "snapshot",
    "status",
    `${path}/member/store/data.mdb`,
  );
});

test("snapshot restore checks its words before anything is made", async () => {
  const file = await new Filled().put("a", "b").save("restored.db");
  const target = at("never");
  const restore = (...more: string[]): string[] => [
    ...["snapshot", "restore", file, "--data-dir", target],
    ...more,
  ];
  await fails(
    128,
    /^Error: snapshot restore requires exactly one argument\n$/,
    "snapshot",
    "restore",
  );
  await fails(128, /^Error: snapshot restore requires exactly one argument\n$/, ...restore("b.db"));
  const both = /^Error: --mark-compacted required if --revision-bump > 0\n$/;
  await fails(128, both, ...restore("--bump-revision=1"));
  await fails(128, both, ...restore("--mark-compacted"));
  await fails(
    1,
    /^Error: URL scheme must be http, .*: foo\n$/,
    ...restore("--initial-advertise-peer-urls=foo"),
  );
  await fails(1, /^Error: couldn't find local name "x" in the/, ...restore("--name=x"));
  await fails(1, /Error: snapshot missing hash but --skip-hash-check=false\n$/, ...restore());
  await fails(
    1,
    /Error: read .*: is a directory\n$/,
    "snapshot",
    "restore",
    folder,
    "--data-dir",
    target,
  );
  assert.equal(existsSync(target), false);
  const done = await run(...restore("--skip-hash-check"));
  assert.equal(done.status, 0);
  assert.deepEqual(
    done.stderr.split("\n").map((line) => line.split("\t")[3]),
    [
      "restoring snapshot",
      "Trimming membership information from the backend...",
      "added member",
      "restored snapshot",
      undefined,
    ],
  );
  await fails(
    1,
    /^Error: data-dir ".*never" not empty or could not be read\n$/,
    ...restore("--skip-hash-check"),
  );
});

test("the data directory is named after the member when none is given", () => {
  const cwd = at("elsewhere");
  mkdirSync(cwd);
  const args = ["snapshot", "restore", at("restored.db"), "--skip-hash-check", "--name=n1"];
  const more = ["--initial-cluster=n1=http://localhost:2380"];
  const { status, stderr } = spawnSync(programs.restorer, [...args, ...more], {
    cwd,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  assert.ok(existsSync(join(cwd, "n1.etcd/member/store/data.mdb")));
  assert.match(stderr, /"wal-dir": "n1.etcd\/member\/wal", "data-dir": "n1.etcd"/);
});
