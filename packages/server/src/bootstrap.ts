// From a data directory to a log that raft can start on.
//
// A member that has a log goes on from it; one that has none founds a cluster as `--initial-cluster` says, by
// the same entries in every founding member: at term 1, one AddNode change for each, ascending by id, which
// count as committed from the beginning. A crash before the first hard state was durable leaves a log that
// promised nothing to anybody; founding then simply happens again.

import type { Disk, Host } from "@etcd-ts/base";
import { encodeMemberContext, type Machine } from "@etcd-ts/machine";
import { ConfState, MemoryLog, Snapshot, SnapshotMetadata } from "@etcd-ts/raft";
import { Wal, type WalOptions } from "@etcd-ts/storage";
import type { MemberConfig } from "./config.ts";
import { clusterIdOf, hexId, memberIdOf } from "./ids.ts";

/** Starting is impossible as things are; the message is for the operator. */
export class StartError extends Error {
  override readonly name = "StartError";
}

export interface Founding {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** The founding members, ascending by id, as their configuration changes name them. */
  readonly peers: readonly { readonly id: bigint; readonly context: Uint8Array }[];
}

/** Who the founding members are; checks that this member is one of them, with the URLs it advertises. */
export function foundingOf(host: Host, config: MemberConfig): Founding {
  const own = config.initialCluster.find((member) => member.name === config.name);
  if (own === undefined) {
    throw new StartError(
      `couldn't find local name "${config.name}" in the initial cluster configuration`,
    );
  }
  const spelled = config.initialCluster
    .flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${name}=${url}`))
    .join(",");
  checkAdvertised(config, own.peerUrls, spelled);
  const seenUrls = new Set<string>();
  for (const url of config.initialCluster.flatMap((member) => member.peerUrls)) {
    if (seenUrls.has(url)) throw new StartError(`initial cluster ${spelled} has duplicate url`);
    seenUrls.add(url);
  }
  const members = config.initialCluster
    .map((member) => ({
      ...member,
      peerUrls: [...member.peerUrls].sort(),
      id: memberIdOf(host.digests, member.peerUrls, config.initialClusterToken),
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    memberId: members.find((member) => member.name === config.name)!.id,
    clusterId: clusterIdOf(
      host.digests,
      members.map((member) => member.id),
    ),
    peers: members.map(({ id, name, peerUrls }) => ({
      id,
      context: encodeMemberContext({ id, name, peerUrls, isLearner: false, clientUrls: [] }),
    })),
  };
}

function checkAdvertised(
  config: MemberConfig,
  initialUrls: readonly string[],
  spelled: string,
): void {
  const advertised = config.initialAdvertisePeerUrls;
  for (const url of initialUrls) {
    if (!advertised.includes(url)) {
      throw new StartError(
        `--initial-cluster has ${config.name}=${url} but missing from ` +
          `--initial-advertise-peer-urls=${advertised.join(",")}`,
      );
    }
  }
  for (const url of advertised) {
    if (!initialUrls.includes(url)) {
      throw new StartError(
        `--initial-advertise-peer-urls has ${url} but missing from --initial-cluster=${spelled}`,
      );
    }
  }
}

export interface OpenedLog {
  readonly wal: Wal;
  readonly log: MemoryLog;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** Index of the newest raft snapshot, 0 for none. */
  readonly snapshotIndex: number;
  /** The cluster is to be founded: the log is empty. */
  readonly founding: Founding | undefined;
  /** Bytes of the entries in `log`. */
  readonly logBytes: number;
}

/** Makes the folders of a member; returns whether it has a log already. */
export async function prepareFolders(disk: Disk, config: MemberConfig): Promise<boolean> {
  const memberDir = `${config.dataDir}/member`;
  await disk.makeDirectory(`${memberDir}/snap`);
  await disk.syncDirectory(memberDir);
  await disk.syncDirectory(config.dataDir);
  await disk.syncDirectory(parentOf(config.dataDir));
  return Wal.exists(disk, config.walDir);
}

function parentOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end < 0 ? "." : end === 0 ? "/" : path.slice(0, end);
}

/** The log of a member that has none yet. */
export async function foundLog(
  host: Host,
  config: MemberConfig,
  walOptions: WalOptions,
): Promise<OpenedLog> {
  const founding = foundingOf(host, config);
  const { memberId, clusterId } = founding;
  const wal = await Wal.create(host, config.walDir, { nodeId: memberId, clusterId }, walOptions);
  return {
    wal,
    log: new MemoryLog(),
    memberId,
    clusterId,
    snapshotIndex: 0,
    founding,
    logBytes: 0,
  };
}

/** The log of a member that ran before. `machine` is what its backend holds. */
export async function reopenLog(
  host: Host,
  config: MemberConfig,
  machine: Machine,
  walOptions: WalOptions,
): Promise<OpenedLog> {
  const opened = await Wal.open(host, config.walDir, walOptions);
  const { wal, metadata, snapshot, entries, hardState } = opened;
  const ids = { memberId: metadata.nodeId, clusterId: metadata.clusterId };
  const log = new MemoryLog();
  if (snapshot.index === 0 && hardState.term === 0) {
    // Nothing can have been applied from a log that promised nothing.
    checkBackend(config, machine.appliedIndex, 0, 0);
    const founding = foundingOf(host, config);
    if (founding.memberId !== ids.memberId || founding.clusterId !== ids.clusterId) {
      throw new StartError(
        `the log in ${config.walDir} was begun for member ${hexId(ids.memberId)} of cluster ` +
          `${hexId(ids.clusterId)}; the flags describe another`,
      );
    }
    return { wal, log, ...ids, snapshotIndex: 0, founding, logBytes: 0 };
  }
  const lastIndex = entries.at(-1)?.index ?? snapshot.index;
  checkBackend(config, machine.appliedIndex, snapshot.index, lastIndex);
  if (snapshot.index > 0 || machine.appliedIndex > 0) {
    log.applySnapshot(startingPoint(snapshot.index, snapshot.term, machine));
  }
  log.append(entries);
  // What was applied was committed, even if the hard state that said so did not reach the disk.
  hardState.commit = Math.max(hardState.commit, machine.appliedIndex, snapshot.index);
  log.setHardState(hardState);
  let logBytes = 0;
  for (const entry of entries) logBytes += entry.data.length;
  return { wal, log, ...ids, snapshotIndex: snapshot.index, founding: undefined, logBytes };
}

/**
 * The snapshot at which the log begins, with the configuration as of the applied index: raft starts there,
 * as the changes between the two are applied already. Membership is the source of truth for it.
 */
function startingPoint(index: number, term: number, machine: Machine): Snapshot {
  const confState = new ConfState();
  for (const member of machine.members.list()) {
    (member.isLearner ? confState.learners : confState.voters).push(member.id);
  }
  const metadata = new SnapshotMetadata();
  metadata.index = index;
  metadata.term = term;
  metadata.confState = confState;
  const snapshot = new Snapshot();
  snapshot.metadata = metadata;
  return snapshot;
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

export function backendFolder(config: MemberConfig): string {
  return `${config.dataDir}/member/store`;
}
