// Who belongs to the cluster that a snapshot is restored for: the checks of `etcdutl snapshot restore`, in its order and
// with its words, and the identities that follow.

import type { Digests } from "@etcd-ts/base";
import type { Member } from "@etcd-ts/machine";
import { advertisedMismatch, duplicateUrl } from "../bootstrap.ts";
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
  const mismatch =
    advertisedMismatch(name, own.peerUrls, options.initialAdvertisePeerUrls) ??
    duplicateUrl(initialCluster);
  if (mismatch !== undefined) throw new RestoreError(mismatch);
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
