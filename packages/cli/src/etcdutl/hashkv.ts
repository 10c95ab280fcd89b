// `hashkv`: the hash by which members compare their key spaces, of a database file (a snapshot, or a stock member's
// `db`) or of the store of a member of ours that does not run.
//
// A file is read into a store of its own first, in memory when it is small, and then asked like any other: what is live
// at a revision is nothing that one pass over a file could tell.

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Host } from "@etcd-ts/base";
import { LmdbBackend } from "@etcd-ts/lmdb";
import { type Backend, openMachine } from "@etcd-ts/machine";
import { nodeHost, silentLog, systemText } from "@etcd-ts/node";
import { importDatabase } from "@etcd-ts/server";
import { MemoryBackend } from "@etcd-ts/storage";
import type { CommandLine } from "../shared/command-line.ts";
import { ExitCode, Failure } from "../shared/exit.ts";
import { always, object } from "../shared/go-json.ts";
import type { Output } from "../shared/output.ts";
import { renderTable } from "../shared/table.ts";
import { findStore, openingFailure, openStore } from "./offline-store.ts";

interface HashKv {
  readonly hash: number;
  readonly hashRevision: number;
  readonly compactRevision: number;
}

const inMemoryBytesMax = 32 << 20;

export async function run(line: CommandLine, output: Output): Promise<number> {
  const path = line.words[0] as string;
  const print = printers[line.flags.string("write-out")];
  if (print === undefined) throw new Failure(ExitCode.badFeature, "unsupported output format");
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(path);
  } catch (error) {
    throw new Failure(ExitCode.error, `stat ${path}: ${systemText(error)}`, { cause: error });
  }
  const host = nodeHost({ log: silentLog });
  const revision = line.flags.int("rev");
  let result: HashKv;
  if (findStore(path) !== undefined) {
    const store = await openStore(host, path, line.flags.milliseconds("timeout"));
    try {
      result = await hashOf(store.backend, path, revision);
    } finally {
      await store.close();
    }
  } else if (stat.isDirectory()) {
    throw new Failure(
      ExitCode.error,
      `failed to open database ${path}: a folder without a store of a member`,
    );
  } else if (stat.size <= inMemoryBytesMax) {
    result = await hashOfFile(host, path, new MemoryBackend({ timers: host.timers }), revision);
  } else {
    const folder = mkdtempSync(join(tmpdir(), "etcdutl-hashkv-"));
    try {
      result = await hashOfFile(host, path, await LmdbBackend.open(folder), revision);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  output.out(print(result));
  return ExitCode.success;
}

async function hashOfFile(
  host: Host,
  path: string,
  backend: Backend,
  revision: bigint,
): Promise<HashKv> {
  try {
    await importDatabase(host.disk, path, backend, { pause: () => Promise.resolve() });
    return await hashOf(backend, path, revision);
  } catch (error) {
    throw openingFailure(path, error);
  } finally {
    await backend.close();
  }
}

async function hashOf(backend: Backend, path: string, revision: bigint): Promise<HashKv> {
  try {
    const machine = await openMachine({ backend }, () => Promise.resolve());
    const job = machine.hashKv(revision);
    const refused = refusals[job.error ?? ""];
    if (refused !== undefined) throw new Failure(ExitCode.error, refused);
    while (!job.step(10_000));
    return job;
  } catch (error) {
    throw openingFailure(path, error);
  }
}

const refusals: Readonly<Record<string, string>> = {
  futureRev: "mvcc: required revision is a future revision",
  compacted: "mvcc: required revision has been compacted",
};

const printers: Readonly<Record<string, (it: HashKv) => string>> = {
  simple: (it) => `${columns(it).join(", ")}\n`,
  table: (it) => renderTable(["hash", "hash revision", "compact revision"], [columns(it)]),
  json: (it) =>
    `${object(
      always("hash", String(it.hash)),
      always("hashRevision", String(it.hashRevision)),
      always("compactRevision", String(it.compactRevision)),
    )}\n`,
  fields: (it) =>
    `"Hash" : ${it.hash}\n"Hash revision" : ${it.hashRevision}\n"Compact revision" : ${it.compactRevision}\n`,
  protobuf: () => {
    throw new Failure(ExitCode.badFeature, "protobuf not supported as output format");
  },
};

function columns(it: HashKv): string[] {
  return [String(it.hash), String(it.hashRevision), String(it.compactRevision)];
}
