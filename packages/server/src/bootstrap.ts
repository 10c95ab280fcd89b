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
  const mismatch =
    advertisedMismatch(own.name, own.peerUrls, config.initialAdvertisePeerUrls) ??
    duplicateUrl(config.initialCluster);
  if (mismatch !== undefined) throw new StartError(mismatch);
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

/** As `--initial-cluster` spells it, sorted. */
export function initialClusterText(members: readonly InitialMember[]): string {
  const entries = members.flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${name}=${url}`));
  return entries.sort().join(",");
}

/** Says that two members have the same URL, or one has it twice. */
export function duplicateUrl(members: readonly InitialMember[]): string | undefined {
  const urls = members.flatMap((member) => member.peerUrls);
  if (new Set(urls).size === urls.length) return undefined;
  return `initial cluster ${initialClusterText(members)} has duplicate url`;
}

/** Says that the URLs of a member in `--initial-cluster` are not those that it advertises. */
export function advertisedMismatch(
  name: string,
  initialUrls: readonly string[],
  advertisedUrls: readonly string[],
): string | undefined {
  const initial = [...initialUrls].sort();
  const advertised = [...advertisedUrls].sort();
  const difference = urlDifference(advertised, initial);
  if (difference === undefined) return undefined;
  const entries = (urls: readonly string[]): string =>
    urls.map((url) => `${name}=${url}`).join(",");
  const notAdvertised = initial.filter((url) => !advertised.includes(url));
  if (notAdvertised.length > 0) {
    return (
      `--initial-cluster has ${entries(notAdvertised)} but missing from ` +
      `--initial-advertise-peer-urls=${advertised.join(",")} (${difference})`
    );
  }
  const notInitial = advertised.filter((url) => !initial.includes(url));
  return (
    `--initial-advertise-peer-urls has ${notInitial.join(",")} but missing from ` +
    `--initial-cluster=${entries(advertised)}`
  );
}

/** Both sorted. What differs first, undefined when nothing does. */
function urlDifference(a: readonly string[], b: readonly string[]): string | undefined {
  if (a.length !== b.length) return `len(${quoted(a)}) != len(${quoted(b)})`;
  const at = a.findIndex((url, i) => url !== b[i]);
  if (at < 0) return undefined;
  return `resolved urls: ${JSON.stringify(a[at])} != ${JSON.stringify(b[at])}`;
}

function quoted(urls: readonly string[]): string {
  return `[${urls.map((url) => JSON.stringify(url)).join(" ")}]`;
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
