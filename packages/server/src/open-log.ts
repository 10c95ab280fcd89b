// From a data directory to a log that raft can start on.
//
//     no log ──► "new": found the cluster ──► a log with our ids in it
//        └─────► "existing": ask the others (`joining.ts`) ──► the same
//     a log ──► nothing promised in it yet ──► found or join again
//        └────► a snapshot beyond what the backend holds ──► import the database received with it
//        └────► go on where it ends; or, with `--force-new-cluster`, as the only member (`lone-member.ts`)
//
// A crash before the first hard state was durable leaves a log that promised nothing to anybody; founding or
// joining then simply happens again.

import { DiskError, type Host } from "@etcd-ts/base";
import type { Backend, Machine, Member } from "@etcd-ts/machine";
import { type Entry, type HardState, MemoryLog, Snapshot, SnapshotMetadata } from "@etcd-ts/raft";
import {
  readSnapFile,
  snapFileName,
  Wal,
  type WalOpened,
  type WalOptions,
  type WalSnapshotPoint,
} from "@etcd-ts/storage";
import {
  backendFolder,
  type Founding,
  foundingOf,
  StartError,
  snapshotFolder,
  stockDatabase,
} from "./bootstrap.ts";
import type { MemberConfig } from "./config.ts";
import { hexId } from "./ids.ts";
import { checkNotBootstrapped, joinCluster } from "./joining.ts";
import { becomeLoneMember } from "./lone-member.ts";
import { confStateOf } from "./outgoing-snapshot.ts";
import { databasePath, type PeerRequests, purgeDatabases } from "./peers/index.ts";
import { importDatabase } from "./restore/import-database.ts";
import { readV2Store, type V2Membership } from "./v2-store.ts";

export interface OpenedLog {
  readonly wal: Wal;
  readonly log: MemoryLog;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** Index of the newest raft snapshot, 0 for none. */
  readonly snapshotIndex: number;
  /** The cluster is to be founded: the log is empty. */
  readonly founding: Founding | undefined;
  /** Who belongs to the cluster that this member joins: the log is empty. */
  readonly remotes: readonly Member[];
  /** All others were removed, by the end of the log: there is nobody to wait for. */
  readonly isForcedAlone: boolean;
  /** Bytes of the entries in `log`. */
  readonly logBytes: number;
}

export interface LogParts {
  readonly host: Host;
  readonly config: MemberConfig;
  readonly backend: Backend;
  /** As the backend holds it. */
  readonly machine: Machine;
  readonly walOptions: WalOptions;
  readonly requests: PeerRequests | undefined;
}

/** Throws `StartError`, `CorruptionError`, `DiskError`; then nothing is left open. */
export async function openLog(parts: LogParts, hasLog: boolean): Promise<OpenedLog> {
  try {
    return hasLog ? await reopen(parts) : await begin(parts);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "locked")) throw error;
    const { walDir, dataDir } = parts.config;
    throw new StartError(
      `the log in ${walDir} is in use by another process (${error.path}): every member needs a ` +
        `log of its own; stop the other one, or give this member of ${dataDir} another --wal-dir`,
      { cause: error },
    );
  }
}

// --- without a log ------------------------------------------------------------------------------------

interface Beginning {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly founding: Founding | undefined;
  readonly remotes: readonly Member[];
}

async function begin(parts: LogParts): Promise<OpenedLog> {
  const { host, config, walOptions } = parts;
  const beginning = await beginningOf(parts, true);
  const { memberId, clusterId } = beginning;
  const wal = await Wal.create(host, config.walDir, { nodeId: memberId, clusterId }, walOptions);
  return emptyLog(wal, beginning);
}

async function beginningOf(parts: LogParts, isFirstTime: boolean): Promise<Beginning> {
  const { host, config, requests } = parts;
  if (config.initialClusterState === "existing") {
    const { memberId, clusterId, members } = await joinCluster(host, config, requests);
    return { memberId, clusterId, founding: undefined, remotes: members };
  }
  const founding = foundingOf(host, config);
  const { memberId, clusterId } = founding;
  if (isFirstTime) await checkNotBootstrapped(config, memberId, requests);
  return { memberId, clusterId, founding, remotes: [] };
}

function emptyLog(wal: Wal, beginning: Beginning): OpenedLog {
  return {
    ...beginning,
    wal,
    log: new MemoryLog(),
    snapshotIndex: 0,
    isForcedAlone: false,
    logBytes: 0,
  };
}

// --- with one -----------------------------------------------------------------------------------------

async function reopen(parts: LogParts): Promise<OpenedLog> {
  const { host, config, walOptions } = parts;
  const opened = await Wal.open(host, config.walDir, walOptions);
  try {
    return await goOn(parts, opened);
  } catch (error) {
    await opened.wal.close();
    throw error;
  }
}

async function goOn(parts: LogParts, opened: WalOpened): Promise<OpenedLog> {
  const { host, config, machine } = parts;
  const { wal, metadata, snapshot, hardState } = opened;
  const memberId = metadata.nodeId;
  const { clusterId } = metadata;
  if (snapshot.index === 0 && hardState.term === 0) {
    // Nothing can have been applied from a log that promised nothing.
    checkBackend(config, machine.appliedIndex, 0, 0);
    const beginning = await beginningOf(parts, false);
    if (beginning.memberId !== memberId || beginning.clusterId !== clusterId) {
      throw new StartError(
        `the log in ${config.walDir} was begun for member ${hexId(memberId)} of cluster ` +
          `${hexId(clusterId)}; the flags describe another`,
      );
    }
    return emptyLog(wal, beginning);
  }
  await importReceived(parts, snapshot);
  await purgeDatabases(host.disk, snapshotFolder(config), []);
  const entries = withoutStale(opened.entries, snapshot.term);
  const lastIndex = entries.at(-1)?.index ?? snapshot.index;
  await checkLog(parts, snapshot.index, lastIndex);
  // What was applied was committed, even if the hard state that said so did not reach the disk. It must before a
  // snapshot does that is taken now, which counts only up to there, and for which what stands before it is removed.
  const commit = Math.max(hardState.commit, machine.appliedIndex, snapshot.index);
  if (commit > hardState.commit) {
    hardState.commit = commit;
    await writeHardState(wal, hardState);
  }
  let kept: readonly Entry[] = entries;
  if (config.forceNewCluster) {
    kept = await becomeLoneMember({ host, config, machine, wal, memberId, entries, hardState });
  }
  const log = new MemoryLog();
  if (snapshot.index > 0 || machine.appliedIndex > 0) {
    log.applySnapshot(startingPoint(snapshot.index, snapshot.term, machine));
  }
  log.append(kept);
  log.setHardState(hardState);
  let logBytes = 0;
  for (const entry of kept) logBytes += entry.data.length;
  return {
    wal,
    log,
    memberId,
    clusterId,
    snapshotIndex: snapshot.index,
    founding: undefined,
    remotes: [],
    isForcedAlone: config.forceNewCluster,
    logBytes,
  };
}

function writeHardState(wal: Wal, hardState: HardState): Promise<void> {
  return new Promise((resolve, reject) => {
    wal.append(hardState, [], false, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

/** A snapshot of the leader was recorded, and the process ended before its database was taken over. */
async function importReceived(parts: LogParts, { index, term }: WalSnapshotPoint): Promise<void> {
  const { host, config, backend, machine } = parts;
  if (machine.appliedIndex >= index) return;
  const path = databasePath(snapshotFolder(config), index);
  if ((await host.disk.stat(path)) === undefined) return;
  host.log.info("Recovering from snapshot backend", {
    path,
    "snapshot-index": index,
    "applied-index": machine.appliedIndex,
  });
  const pause = () => new Promise<void>((resolve) => host.timers.soon(resolve));
  const membership = await receivedMembership(host, config, index, term);
  await importDatabase(host.disk, path, backend, { pause, term, membership });
  await machine.reload(pause);
}

/** What came with the database is in the snap file, which was durable before the log's record. */
async function receivedMembership(
  host: Host,
  config: MemberConfig,
  index: number,
  term: number,
): Promise<V2Membership | undefined> {
  const path = `${snapshotFolder(config)}/${snapFileName(term, index)}`;
  if ((await host.disk.stat(path)) === undefined) return undefined;
  const { data } = await readSnapFile(host.disk, path);
  return readV2Store(data, path);
}

/**
 * Entries behind a received snapshot may be from before it: what the log held then, of a term that the
 * snapshot has passed. They were never committed, and what comes before them is not what came before.
 */
function withoutStale(entries: readonly Entry[], snapshotTerm: number): readonly Entry[] {
  const stale = entries.findIndex((entry) => entry.term < snapshotTerm);
  return stale < 0 ? entries : entries.slice(0, stale);
}

/**
 * The snapshot at which the log begins, with the configuration as of the applied index: raft starts there,
 * as the changes between the two are applied already. Membership is the source of truth for it.
 */
function startingPoint(index: number, term: number, machine: Machine): Snapshot {
  const metadata = new SnapshotMetadata();
  metadata.index = index;
  metadata.term = term;
  metadata.confState = confStateOf(machine.members.list());
  const snapshot = new Snapshot();
  snapshot.metadata = metadata;
  return snapshot;
}

async function checkLog(parts: LogParts, snapshotIndex: number, lastIndex: number): Promise<void> {
  const { host, config, machine } = parts;
  try {
    checkBackend(config, machine.appliedIndex, snapshotIndex, lastIndex);
  } catch (error) {
    const stray = stockDatabase(config);
    if (!(error instanceof StartError) || (await host.disk.stat(stray)) === undefined) throw error;
    throw new StartError(
      `${error.message}; another implementation of etcd has gone on with this data directory, its ` +
        `state is in ${stray}: start that one again, then either add this member anew with an ` +
        "empty data directory, or restore a snapshot of it with `etcdutl snapshot restore`",
      { cause: error },
    );
  }
}

/** The backend must stand between the last snapshot and the end of the log. */
function checkBackend(
  config: MemberConfig,
  appliedIndex: number,
  snapshotIndex: number,
  lastIndex: number,
): void {
  const where = backendFolder(config);
  if (appliedIndex === 0 && snapshotIndex > 0) {
    throw new StartError(`database file (${where}) of the backend is missing`);
  }
  if (appliedIndex < snapshotIndex) {
    throw new StartError(
      `database file (${where} index ${appliedIndex}) does not match with snapshot (index ${snapshotIndex})`,
    );
  }
  if (appliedIndex > lastIndex) {
    throw new StartError(
      `the log in ${config.walDir} ends at index ${lastIndex}, before index ${appliedIndex} that the ` +
        `database (${where}) has applied: part of the log is lost`,
    );
  }
}
