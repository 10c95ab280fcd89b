// Who belongs to the cluster that a snapshot is restored for: the checks of `etcdutl snapshot restore`, in its order and
// with its words, and the identities that follow.

import type { Digests } from "@etcd-ts/base";
import type { Member } from "@etcd-ts/machine";
import type { InitialMember } from "../config.ts";
import { clusterIdOf, memberIdOf } from "../ids.ts";

/** Restoring is impossible as things are; the message is for the operator. */
export class RestoreError extends Error {
  override readonly name = "RestoreError";
}

export interface RestoredCluster {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Ascending by id. */
  readonly members: readonly Member[];
}

export interface ClusterOptions {
  readonly name: string;
  readonly initialCluster: readonly InitialMember[];
  readonly initialClusterToken: string;
  readonly initialAdvertisePeerUrls: readonly string[];
}

export function restoredCluster(digests: Digests, options: ClusterOptions): RestoredCluster {
  const { name, initialCluster, initialClusterToken } = options;
  const own = initialCluster.find((member) => member.name === name);
  if (own === undefined) {
    throw new RestoreError(
      `couldn't find local name "${name}" in the initial cluster configuration`,
    );
  }
  checkAdvertised(name, [...own.peerUrls].sort(), [...options.initialAdvertisePeerUrls].sort());
  checkDuplicates(initialCluster);
  const members = initialCluster
    .map((member) => ({
      id: memberIdOf(digests, member.peerUrls, initialClusterToken),
      name: member.name,
      peerUrls: [...member.peerUrls].sort(),
      isLearner: false,
      clientUrls: [],
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const clusterId = clusterIdOf(
    digests,
    members.map((member) => member.id),
  );
  return { clusterId, memberId: memberIdOf(digests, own.peerUrls, initialClusterToken), members };
}

function checkAdvertised(
  name: string,
  initial: readonly string[],
  advertised: readonly string[],
): void {
  const difference = urlDifference(advertised, initial);
  if (difference === undefined) return;
  const notAdvertised = initial.filter((url) => !advertised.includes(url));
  if (notAdvertised.length > 0) {
    throw new RestoreError(
      `--initial-cluster has ${notAdvertised.map((url) => `${name}=${url}`).join(",")} but missing from ` +
        `--initial-advertise-peer-urls=${advertised.join(",")} (${difference})`,
    );
  }
  const notInitial = advertised.filter((url) => !initial.includes(url));
  throw new RestoreError(
    `--initial-advertise-peer-urls has ${notInitial.join(",")} but missing from ` +
      `--initial-cluster=${advertised.map((url) => `${name}=${url}`).join(",")}`,
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

function checkDuplicates(cluster: readonly InitialMember[]): void {
  const urls = cluster.flatMap((member) => member.peerUrls);
  if (new Set(urls).size === urls.length) return;
  const spelled = cluster
    .flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${name}=${url}`))
    .sort()
    .join(",");
  throw new RestoreError(`initial cluster ${spelled} has duplicate url`);
}
