// `migrate`: marks the stored data of a member that does not run as those of another version, step by step, for an older or
// newer server to take the directory over. What differs between our versions' data is this one mark.
//
// Downwards only when the log allows it: an entry that says the cluster agreed on a newer version, or that no older
// server knows, must lie behind the last snapshot.

import { decodeInternalRaftRequest } from "@etcd-ts/api";
import { CorruptionError, DiskError, type Host, type Log, WireError } from "@etcd-ts/base";
import { type Machine, openMachine } from "@etcd-ts/machine";
import { nodeHost } from "@etcd-ts/node";
import { EntryType } from "@etcd-ts/raft";
import { readWal } from "@etcd-ts/storage";
import type { CommandLine } from "../shared/command-line.ts";
import { ExitCode, Failure } from "../shared/exit.ts";
import { quote } from "../shared/go-quote.ts";
import type { Output } from "../shared/output.ts";
import { ConsoleLog } from "./console-log.ts";
import { foreignReason, openingFailure, openStore } from "./offline-store.ts";

/** The major version is 3: only what stands behind the dot. */
type Minor = number;

const lowest: Minor = 5;
const highest: Minor = 7;
/** From this version on the data say which they are. */
const firstMarked: Minor = 6;

interface Version {
  readonly major: number;
  readonly minor: Minor;
}

export async function run(line: CommandLine, output: Output): Promise<number> {
  const { flags } = line;
  const dataDir = flags.string("data-dir");
  const target = parseTarget(flags.string("target-version"));
  const foreign = foreignReason(dataDir);
  if (foreign !== undefined) throw new Failure(ExitCode.error, foreign);
  const host = nodeHost();
  const log = new ConsoleLog(output, host.clock, "etcdutl/migrate");
  const store = await openStore(host, dataDir, flags.milliseconds("timeout"));
  try {
    let walMinor: Minor;
    try {
      walMinor = await versionOfLog(host, `${dataDir}/member/wal`);
    } catch (error) {
      log.error("Failed to finalize config", { error });
      throw error;
    }
    const machine = await openMachine({ backend: store.backend }, () => Promise.resolve());
    try {
      migrate(machine, target, walMinor, log);
    } catch (error) {
      if (!flags.bool("force") || !(error instanceof Failure)) throw error;
      log.info("normal migrate failed, trying with force", { error });
      force(machine, target, log);
    }
    // The store commits when it is closed.
  } catch (error) {
    throw openingFailure(dataDir, error);
  } finally {
    await store.close();
  }
  return ExitCode.success;
}

function parseTarget(text: string): Version {
  const parts = text.split(".");
  if (parts.length !== 2) {
    throw Failure.badArguments(`wrong target version format, expected "X.Y", got ${quote(text)}`);
  }
  const [major, minor] = parts.map((part) => {
    if (!/^[+-]?\d+$/.test(part)) {
      throw Failure.badArguments(
        `failed to parse target version: strconv.ParseInt: parsing ${quote(part)}: invalid syntax`,
      );
    }
    return Number(part);
  }) as [number, number];
  if (major < 3 || (major === 3 && minor < lowest)) {
    throw Failure.badArguments(`target version "${major}.${minor}" not supported. Minimal "3.5"`);
  }
  return { major, minor };
}

/** The lowest version that can read what follows the last snapshot in the log. */
async function versionOfLog(host: Host, folder: string): Promise<Minor> {
  let content: Awaited<ReturnType<typeof readWal>>;
  try {
    content = await readWal(host.disk, folder);
  } catch (error) {
    if (error instanceof DiskError) {
      throw new Failure(ExitCode.error, `failed to open wal: ${error.message}`, { cause: error });
    }
    if (!(error instanceof CorruptionError)) throw error;
    throw new Failure(ExitCode.error, `failed to read wal: ${error.message}`, { cause: error });
  }
  let version = lowest;
  for (const { type, data } of content.entries) {
    if (type !== EntryType.EntryNormal || data.length === 0) continue;
    version = Math.max(version, versionOfEntry(data));
  }
  return version;
}

function versionOfEntry(data: Uint8Array): Minor {
  try {
    const { clusterVersionSet, downgradeVersionTest } = decodeInternalRaftRequest(data);
    if (downgradeVersionTest !== undefined) return firstMarked;
    const agreed = /^3\.(\d+)/.exec(clusterVersionSet?.ver ?? "");
    return agreed === null ? lowest : Number(agreed[1]);
  } catch (error) {
    // A request in the form of version 2, which every version reads.
    if (!(error instanceof WireError)) throw error;
    return lowest;
  }
}

function migrate(machine: Machine, target: Version, walMinor: Minor, log: Log): void {
  const current = versionOfData(machine, log);
  if (target.major === 3 && target.minor === current) {
    log.info("storage version up-to-date", { "storage-version": `3.${current}` });
    return;
  }
  for (const { major, minor } of [{ major: 3, minor: current }, target]) {
    if (major === 3 && minor >= lowest && minor <= highest) continue;
    throw new Failure(
      ExitCode.error,
      `cannot create migration plan: version "${major}.${minor}.0" is not supported`,
    );
  }
  if (target.minor < current && walMinor > target.minor) {
    throw new Failure(
      ExitCode.error,
      "cannot downgrade storage, WAL contains newer entries, as the target version " +
        `(3.${target.minor}.0) is lower than the version (3.${walMinor}.0) detected from WAL logs`,
    );
  }
  const step = target.minor > current ? 1 : -1;
  for (let minor = current; minor !== target.minor; ) {
    minor += step;
    machine.setStorageVersion(minor < firstMarked ? "" : `3.${minor}.0`);
    log.info("updated storage version", { "new-storage-version": `3.${minor}.0` });
  }
}

function versionOfData(machine: Machine, log: Log): Minor {
  const marked = /^3\.(\d+)\./.exec(machine.storageVersion);
  if (marked !== null) return Number(marked[1]);
  if (machine.appliedTerm > 0) return lowest;
  log.error("failed to detect storage schema version");
  throw new Failure(ExitCode.error, "missing term information");
}

function force(machine: Machine, { major, minor }: Version, log: Log): void {
  if (major === 3 && minor < firstMarked) {
    machine.setStorageVersion("");
    log.info("forcefully cleared storage version");
    return;
  }
  machine.setStorageVersion(`${major}.${minor}.0`);
  log.info("forcefully set storage version", { "storage-version": `${major}.${minor}` });
}
