// `snapshot status`: what is in a snapshot file. Reads all of it and changes nothing.

import { statSync } from "node:fs";
import { decodeKeyValue } from "@etcd-ts/api";
import {
  type Bytes,
  bytesToKey,
  bytesToUtf8,
  CorruptionError,
  crc32c,
  DiskError,
  type DiskFile,
  utf8ToBytes,
} from "@etcd-ts/base";
import { nodeHost, silentLog, systemText } from "@etcd-ts/node";
import { BoltFile, readSnapshotTrailer } from "@etcd-ts/storage";
import type { CommandLine } from "../shared/command-line.ts";
import { ExitCode, Failure } from "../shared/exit.ts";
import { always, object, text } from "../shared/go-json.ts";
import { humanBytes } from "../shared/humanize.ts";
import type { Output } from "../shared/output.ts";
import { renderTable } from "../shared/table.ts";

interface SnapshotStatus {
  /** CRC-32C over names of buckets, keys and values. */
  readonly hash: number;
  readonly revision: bigint;
  /** Keys that are alive at that revision. */
  readonly totalKey: number;
  readonly totalSize: number;
  /** Storage version; "" when the file does not tell. */
  readonly version: string;
}

const revisionBytes = 17;
const tombstoneBytes = 18;

export async function run(line: CommandLine, output: Output): Promise<number> {
  const [path, ...more] = line.words;
  if (path === undefined || more.length > 0) {
    throw Failure.badArguments("snapshot status requires exactly one argument");
  }
  const print = printers[line.flags.string("write-out")];
  if (print === undefined) throw new Failure(ExitCode.badFeature, "unsupported output format");
  output.out(print(await readStatus(path)));
  return ExitCode.success;
}

async function readStatus(path: string): Promise<SnapshotStatus> {
  try {
    statSync(path);
  } catch (error) {
    throw new Failure(ExitCode.error, `stat ${path}: ${systemText(error)}`);
  }
  try {
    const file = await nodeHost({ log: silentLog }).disk.open(path, "read");
    try {
      return await examine(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    // A folder, for instance.
    if (!(error instanceof DiskError)) throw error;
    throw new Failure(ExitCode.error, "invalid database", { cause: error });
  }
}

async function examine(file: DiskFile): Promise<SnapshotStatus> {
  const { databaseBytes } = await readSnapshotTrailer(file);
  let database: BoltFile;
  try {
    database = await BoltFile.open(file, databaseBytes);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    throw new Failure(ExitCode.error, "invalid database", { cause: error });
  }
  const alive = new Set<string>();
  let hash = 0;
  let revision = 0n;
  let version = "";
  try {
    for (const bucket of database.buckets) {
      hash = crc32c(hash, utf8ToBytes(bucket));
      await database.scan(bucket, (key, value) => {
        hash = crc32c(crc32c(hash, key), value);
        if (bucket === "key") revision = note(alive, key, value);
        else if (bucket === "meta" && bytesToUtf8(key) === "storageVersion") {
          version = bytesToUtf8(value);
        }
      });
    }
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    const summary = "snapshot file integrity check failed. 1 errors found.";
    throw new Failure(ExitCode.error, `${summary}\n${error.message}`, { cause: error });
  }
  return { hash, revision, totalKey: alive.size, totalSize: database.bytes, version };
}

/** Takes a record of the bucket `key` into account; gives its revision. */
function note(alive: Set<string>, key: Bytes, value: Bytes): bigint {
  if (key.length !== revisionBytes && key.length !== tombstoneBytes) {
    throw new Failure(ExitCode.error, `invalid revision length: ${key.length}`);
  }
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  const main = view.getBigInt64(0);
  if (main < 0n || view.getBigInt64(9) < 0n) {
    throw new Failure(ExitCode.error, "negative revision");
  }
  const name = bytesToKey(decodeKeyValue(value).key);
  if (key.length === tombstoneBytes) alive.delete(name);
  else alive.add(name);
  return main;
}

const printers: Readonly<Record<string, (status: SnapshotStatus) => string>> = {
  simple: (it) => `${columns(it).join(", ")}\n`,
  table: (it) =>
    renderTable(["hash", "revision", "total keys", "total size", "version"], [columns(it)]),
  json: (it) =>
    `${object(
      always("hash", String(it.hash)),
      always("revision", String(it.revision)),
      always("totalKey", String(it.totalKey)),
      always("totalSize", String(it.totalSize)),
      always("version", text(it.version)),
    )}\n`,
  fields: (it) =>
    `"Hash" : ${it.hash}\n"Revision" : ${it.revision}\n"Keys" : ${it.totalKey}\n"Size" : ${it.totalSize}\n"Version" : ${it.version}\n`,
  protobuf: () => {
    throw new Failure(ExitCode.badFeature, "protobuf not supported as output format");
  },
};

function columns(status: SnapshotStatus): string[] {
  return [
    status.hash.toString(16),
    String(status.revision),
    String(status.totalKey),
    humanBytes(status.totalSize),
    status.version,
  ];
}
