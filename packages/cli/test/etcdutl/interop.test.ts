// Snapshots between ours and stock: whoever made the file, whoever restores it, the members that start on it agree on
// everything.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  type Addresses,
  freeAddresses,
  noStock,
  ours,
  output,
  type Release,
  runTool,
  Server,
  stockReleases,
} from "./servers.ts";

const releases = stockReleases();
const skip = releases.length === 0 ? noStock : false;
const newest = releases.find((release) => release.restorer.endsWith("etcdutl"));
const skipBump =
  newest === undefined
    ? "no stock etcd 3.5 (with its etcdutl) in $ETCD_TS_STOCK_DIRS or on PATH"
    : false;
/** Asks all members, so that answers differ in nothing but what was asked for. */
const client = (newest ?? releases[0])?.etcdctl ?? ours.etcdctl;

const folder = mkdtempSync(join(tmpdir(), "etcd-ts-interop-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let places = 0;
const place = (): string => join(folder, `place-${++places}`);

function ctl(server: Server, ...args: string[]): Promise<string> {
  return output(client, ["--endpoints", server.addresses.client, ...args]);
}

/** Some of everything that a snapshot carries. */
async function fill(server: Server): Promise<void> {
  for (let i = 0; i < 12; i++) await ctl(server, "put", `key/${i % 5}`, `value ${i}`);
  await ctl(server, "put", "large", "x".repeat(40_000));
  const granted = await ctl(server, "lease", "grant", "3000");
  const lease = /lease (\w+) granted/.exec(granted)?.[1] as string;
  await ctl(server, "put", `--lease=${lease}`, "leased", "1");
  await ctl(server, "lease", "grant", "7000");
  await ctl(server, "del", "key/3");
  await ctl(server, "compact", "9");
  for (let i = 0; i < 4; i++) await ctl(server, "put", `later/${i}`, "");
  await ctl(server, "del", "later/1");
}

interface Facts {
  readonly hash: string;
  readonly pairs: unknown;
  readonly past: unknown;
  readonly revision: number;
  readonly leases: unknown;
  readonly attached: string[];
  readonly members: unknown;
}

/** All that one can ask about what was restored. */
async function factsOf(server: Server): Promise<Facts> {
  const json = async (...args: string[]) => JSON.parse(await ctl(server, ...args, "-w", "json"));
  const all = await json("get", "", "--prefix");
  const revision = all.header.revision as number;
  const past = await runTool(client, [
    ...["--endpoints", server.addresses.client, "-w", "json"],
    ...["get", "", "--prefix", `--rev=${revision - 3}`],
  ]);
  const leases = ((await json("lease", "list")).leases ?? []) as { id?: number; ID?: number }[];
  const listed = (await ctl(server, "lease", "list")).trim().split("\n").slice(1).sort();
  const attached: string[] = [];
  for (const id of listed) {
    const text = await ctl(server, "lease", "timetolive", id, "--keys");
    attached.push(text.replace(/remaining\(\d+s\)/, ""));
  }
  const members = (await json("member", "list")).members as Record<string, unknown>[];
  return {
    hash: await ctl(server, "endpoint", "hashkv").then((text) => text.split(", ")[1] as string),
    pairs: all.kvs,
    past: past.status === 0 ? JSON.parse(past.stdout).kvs : past.stderr.replace(/^.*?Error/s, ""),
    revision,
    leases: leases.length,
    attached,
    members: members.map(({ ID, name, peerURLs }) => ({ ID, name, peerURLs })),
  };
}

async function restore(
  release: Release,
  snapshot: string,
  addresses: Addresses,
  ...more: string[]
): Promise<string> {
  const dataDir = place();
  await output(release.restorer, [
    ...["snapshot", "restore", snapshot, "--data-dir", dataDir, "--name", "m"],
    ...["--initial-cluster", `m=${addresses.peerUrl}`],
    ...["--initial-advertise-peer-urls", addresses.peerUrl],
    ...more,
  ]);
  return dataDir;
}

async function save(release: Release, server: Server): Promise<string> {
  const path = place();
  await output(release.etcdctl, ["--endpoints", server.addresses.client, "snapshot", "save", path]);
  return path;
}

/** Restores and starts with the programs of a release, and asks; a restart must change nothing. */
async function restoredFacts(
  release: Release,
  snapshot: string,
  addresses: Addresses,
  ...more: string[]
): Promise<Facts> {
  const dataDir = await restore(release, snapshot, addresses, ...more);
  let server = await Server.start(release, dataDir, addresses);
  let facts: Facts;
  try {
    facts = await factsOf(server);
  } finally {
    await server.stop();
  }
  if (release !== ours) return facts;
  server = await Server.start(release, dataDir, addresses);
  try {
    assert.deepEqual(await factsOf(server), facts, "after a restart");
    await ctl(server, "put", "afterwards", "works");
  } finally {
    await server.stop();
  }
  return facts;
}

/** What must be the same although the cluster is another one. */
function carried(facts: Facts): Partial<Facts> {
  const { hash, pairs, past, revision, leases, attached } = facts;
  return { hash, pairs, past, revision, leases, attached };
}

for (const source of [ours, ...releases]) {
  describe(`a snapshot of ${source.version}`, { skip }, () => {
    let snapshot: string;
    let facts: Facts;
    let addresses: Addresses;
    before(async () => {
      addresses = await freeAddresses();
      const server = await Server.start(source, place(), addresses);
      try {
        await fill(server);
        facts = await factsOf(server);
        snapshot = await save(source, server);
      } finally {
        await server.stop();
      }
    });

    test("is described alike by all tools of its time", async () => {
      const statusOf = async (release: Release): Promise<Record<string, unknown>> =>
        JSON.parse(await output(release.restorer, ["snapshot", "status", snapshot, "-w", "json"]));
      const own = await statusOf(ours);
      for (const release of releases) {
        const { hash, revision, totalSize } = await statusOf(release);
        assert.deepEqual(
          [hash, revision, totalSize],
          [own["hash"], own["revision"], own["totalSize"]],
          release.version,
        );
      }
      const [hash, revision] = (await output(ours.restorer, ["hashkv", snapshot]))
        .trim()
        .split(", ");
      assert.equal(hash, facts.hash.trim());
      assert.equal(Number(revision), facts.revision);
    });

    test("is restored by ours and by stock, and all make the same cluster of it", async () => {
      const mine = await restoredFacts(ours, snapshot, addresses);
      assert.deepEqual(carried(mine), carried(facts));
      for (const release of releases) {
        const theirs = await restoredFacts(release, snapshot, addresses);
        assert.deepEqual(mine, theirs, `restored by ${release.version}`);
      }
    });

    // Once is enough: the file is the same whoever made the snapshot.
    if (source !== (newest ?? releases[0])) return;
    test("with a bumped revision, too", { skip: skipBump }, async () => {
      const bump = ["--bump-revision=1000000", "--mark-compacted"];
      const mine = await restoredFacts(ours, snapshot, addresses, ...bump);
      const theirs = await restoredFacts(newest as Release, snapshot, addresses, ...bump);
      assert.deepEqual(mine, theirs);
      assert.equal(mine.revision, facts.revision + 1_000_000);
      assert.match(String(mine.past), /required revision has been compacted/);
    });

    test("a copy of a member's own database is restored without a digest", async () => {
      const dataDir = await restore(source, snapshot, addresses);
      const database = join(dataDir, "member", "snap", "db");
      const refused = await runTool(ours.restorer, [
        ...["snapshot", "restore", database, "--data-dir", place()],
        ...["--name", "m", "--initial-cluster", `m=${addresses.peerUrl}`],
        ...["--initial-advertise-peer-urls", addresses.peerUrl],
      ]);
      assert.equal(refused.status, 1);
      assert.match(refused.stderr, /Error: snapshot missing hash but --skip-hash-check=false\n$/);
      const restored = await restoredFacts(ours, database, addresses, "--skip-hash-check");
      assert.deepEqual(carried(restored), carried(facts));
    });
  });
}

test("the tools leave the same files with the same modes", { skip: skipBump }, async () => {
  const addresses = await freeAddresses();
  const server = await Server.start(ours, place(), addresses);
  let snapshot: string;
  try {
    await fill(server);
    snapshot = await save(ours, server);
  } finally {
    await server.stop();
  }
  const [mine, theirs] = [
    await restore(ours, snapshot, addresses),
    await restore(newest as Release, snapshot, addresses),
  ];
  const files = (dataDir: string, below: string): string[] =>
    readdirSync(join(dataDir, "member", below)).sort();
  assert.deepEqual(files(mine, "wal"), files(theirs, "wal"));
  assert.deepEqual(
    files(mine, "snap"),
    files(theirs, "snap").filter((name) => name !== "db"),
  );
  for (const path of ["", "member", "member/wal", "member/snap", "member/store"]) {
    assert.equal(statSync(join(mine, path)).mode & 0o777, 0o700, path);
  }
});
