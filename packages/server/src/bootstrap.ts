// How a cluster begins: who founds it, by `--initial-cluster`, and the folders in which each of them keeps
// its part. The same entries stand first in the log of every founding member: at term 1, one AddNode change
// for each, ascending by id, which count as committed from the beginning.

import type { Disk, Host } from "@etcd-ts/base";
import { encodeMemberContext } from "@etcd-ts/machine";
import { Wal } from "@etcd-ts/storage";
import type { InitialMember, MemberConfig } from "./config.ts";
import { clusterIdOf, memberIdOf } from "./ids.ts";

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
  const own = ownEntry(config);
  checkAdvertised(config, own.peerUrls, initialClusterText(config.initialCluster));
  checkDuplicates(config);
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

/** This member's line of `--initial-cluster`. */
export function ownEntry(config: MemberConfig): InitialMember {
  const own = config.initialCluster.find((member) => member.name === config.name);
  if (own !== undefined) return own;
  throw new StartError(
    `couldn't find local name "${config.name}" in the initial cluster configuration`,
  );
}

/** As `--initial-cluster` spells it. */
export function initialClusterText(members: readonly InitialMember[]): string {
  return members.flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${name}=${url}`)).join(",");
}

export function checkDuplicates({ initialCluster }: MemberConfig): void {
  const seenUrls = new Set<string>();
  for (const url of initialCluster.flatMap((member) => member.peerUrls)) {
    if (seenUrls.has(url)) {
      const spelled = initialClusterText(initialCluster);
      throw new StartError(`initial cluster ${spelled} has duplicate url`);
    }
    seenUrls.add(url);
  }
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

/** Makes the folders of a member; returns whether it has a log already. */
export async function prepareFolders(disk: Disk, config: MemberConfig): Promise<boolean> {
  const memberDir = `${config.dataDir}/member`;
  await disk.makeDirectory(snapshotFolder(config));
  await disk.syncDirectory(memberDir);
  await disk.syncDirectory(config.dataDir);
  await disk.syncDirectory(parentOf(config.dataDir));
  return Wal.exists(disk, config.walDir);
}

function parentOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end < 0 ? "." : end === 0 ? "/" : path.slice(0, end);
}

export function backendFolder(config: MemberConfig): string {
  return `${config.dataDir}/member/store`;
}

/** Raft snapshots, and databases that are being received. */
export function snapshotFolder(config: MemberConfig): string {
  return `${config.dataDir}/member/snap`;
}

/** The database of a stock member in the same data directory. */
export function stockDatabase(config: MemberConfig): string {
  return `${snapshotFolder(config)}/db`;
}
