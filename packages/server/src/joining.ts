// A member that joins a cluster that runs already: it was added there by its peer URLs, and learns from the
// others which cluster that is and which id it got. It begins with an empty log; everything else, its
// own membership included, comes from the leader.
//
//     ask the others for the list of members ──► the list must be ours, member for member, by URLs
//         ──► nobody of an incompatible release ──► a log with the ids that they say, and nothing in it

import type { Host } from "@etcd-ts/base";
import type { Member } from "@etcd-ts/machine";
import { duplicateUrl, initialClusterText, ownEntry, StartError } from "./bootstrap.ts";
import { isLower } from "./cluster-version.ts";
import type { InitialMember, MemberConfig } from "./config.ts";
import { minClusterVersion, ownClusterVersion } from "./config.ts";
import { hexId } from "./ids.ts";
import { versionsOf } from "./member-versions.ts";
import { PeerRequestError, type PeerRequests, type RemoteCluster } from "./peers/index.ts";

export interface Joining {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** All members, as the others say. */
  readonly members: readonly Member[];
}

const fetchMs = 10_000;
/** A member that should found a cluster asks whether it did that already; who is not up yet does not answer. */
const foundedMs = 1000;

/** Throws `StartError` when this member does not belong to the cluster that runs, or none answers. */
export async function joinCluster(
  host: Host,
  config: MemberConfig,
  requests: PeerRequests | undefined,
): Promise<Joining> {
  const own = ownEntry(config);
  const duplicate = duplicateUrl(config.initialCluster);
  if (duplicate !== undefined) throw new StartError(duplicate);
  const urls = othersUrls(config);
  // One that is catching up may not know of all members yet: the first whose list is ours counts.
  const isOurs = (theirs: RemoteCluster) => !(matchMembers(config, theirs) instanceof StartError);
  const cluster = await fetchCluster(requests, urls, fetchMs, isOurs);
  if (cluster === undefined) {
    throw new StartError(
      `cannot fetch cluster info from peer urls: could not retrieve cluster information from ` +
        `the given URLs (${urls.join(",")}): start the others first, or found a new cluster ` +
        "with --initial-cluster-state=new",
    );
  }
  const matched = matchMembers(config, cluster);
  if (matched instanceof StartError) throw matched;
  const memberId = matched.get(own.name)!;
  refuseStarted(cluster, memberId);
  await checkVersions(host, requests, cluster, memberId);
  return { memberId, clusterId: cluster.clusterId, members: cluster.members };
}

/**
 * A member that lost its data directory must not found a cluster again in which it has voted already:
 * throws `StartError` when the others know it as one that was started.
 */
export async function checkNotBootstrapped(
  config: MemberConfig,
  memberId: bigint,
  requests: PeerRequests | undefined,
): Promise<void> {
  const isStarted = (theirs: RemoteCluster) =>
    theirs.members.some(({ id, clientUrls }) => id === memberId && clientUrls.length > 0);
  const cluster = await fetchCluster(requests, othersUrls(config), foundedMs, isStarted);
  if (cluster !== undefined) refuseStarted(cluster, memberId);
}

/**
 * A member that has published its client URLs had a log; without one it has forgotten for whom it voted and
 * what it acknowledged, and would take part as if it never had. Before it published, it may begin anew.
 */
function refuseStarted(cluster: RemoteCluster, memberId: bigint): void {
  const known = cluster.members.find((member) => member.id === memberId);
  if (known === undefined || known.clientUrls.length === 0) return;
  throw new StartError(
    `member ${hexId(memberId)} has already been bootstrapped: its data is lost, so remove it ` +
      "from the cluster, add it again, and start it with --initial-cluster-state=existing",
  );
}

function othersUrls(config: MemberConfig): readonly string[] {
  return config.initialCluster
    .filter((member) => member.name !== config.name)
    .flatMap((member) => member.peerUrls)
    .sort();
}

/**
 * Asks all at once, since one that hangs must not hold up those that answer: the first answer that is
 * `wanted`; without one, any; undefined when nobody answers.
 */
function fetchCluster(
  requests: PeerRequests | undefined,
  urls: readonly string[],
  timeoutMs: number,
  isWanted: (cluster: RemoteCluster) => boolean,
): Promise<RemoteCluster | undefined> {
  return new Promise((resolve, reject) => {
    let waiting = urls.length;
    let other: RemoteCluster | undefined;
    if (requests === undefined || waiting === 0) resolve(undefined);
    for (const url of requests === undefined ? [] : urls) {
      requests!.cluster([url], timeoutMs).then(
        (cluster) => {
          waiting--;
          other ??= cluster;
          if (isWanted(cluster)) resolve(cluster);
          else if (waiting === 0) resolve(other);
        },
        (error: unknown) => {
          if (!(error instanceof PeerRequestError)) reject(error);
          waiting--;
          if (waiting === 0) resolve(other);
        },
      );
    }
  });
}

/** Ids by name: each of our members is one of theirs, by its URLs, and the other way round; or why not. */
function matchMembers(
  config: MemberConfig,
  cluster: RemoteCluster,
): Map<string, bigint> | StartError {
  const spelled = initialClusterText(config.initialCluster);
  const refused = (why: string) =>
    new StartError(`error validating peerURLs {${describe(cluster)}}: ${why}`);
  if (cluster.members.length !== config.initialCluster.length) {
    return refused(
      `member count is unequal (--initial-cluster names ${config.initialCluster.length}: ${spelled})`,
    );
  }
  const left = [...cluster.members];
  const matched = new Map<string, bigint>();
  for (const member of config.initialCluster) {
    const at = left.findIndex((theirs) => sameUrls(theirs.peerUrls, member.peerUrls));
    if (at < 0) {
      return refused(
        `PeerURLs: no match found for existing member (${missing(member, left)}), last resolver error (<nil>)`,
      );
    }
    matched.set(member.name, left[at]!.id);
    left.splice(at, 1);
  }
  return matched;
}

function missing(member: InitialMember, left: readonly Member[]): string {
  const first = left.find((theirs) => theirs.name === member.name) ?? left[0];
  return `${first === undefined ? "" : hexId(first.id)}, [${(first?.peerUrls ?? []).join(" ")}]`;
}

function sameUrls(a: readonly string[], b: readonly string[]): boolean {
  const wanted = new Set(b);
  return new Set(a).size === wanted.size && a.every((url) => wanted.has(url));
}

function describe(cluster: RemoteCluster): string {
  const members = cluster.members.map(
    ({ id, name, peerUrls, clientUrls, isLearner }) =>
      `&{ID:${hexId(id)} RaftAttributes:{PeerURLs:[${peerUrls.join(" ")}] IsLearner:${isLearner}} ` +
      `Attributes:{Name:${name} ClientURLs:[${clientUrls.join(" ")}]}}`,
  );
  return `ClusterID:${hexId(cluster.clusterId)} Members:[${members.join(" ")}]`;
}

/** Somebody must be there whose cluster we can be in: not newer than we, not older than we can talk to. */
async function checkVersions(
  host: Host,
  requests: PeerRequests | undefined,
  cluster: RemoteCluster,
  memberId: bigint,
): Promise<void> {
  const others = cluster.members.filter((member) => member.id !== memberId);
  let hasCompatible = false;
  for (const [id, versions] of await versionsOf(requests, others)) {
    if (versions === undefined || versions.cluster === "") continue;
    const tooNew = isLower(ownClusterVersion, versions.cluster);
    const tooOld = isLower(versions.cluster, minClusterVersion);
    if (!tooNew && !tooOld) {
      hasCompatible = true;
      continue;
    }
    host.log.warn("cluster version of remote member is not compatible; too high or too low", {
      "remote-member-id": hexId(id),
      "remote-member-cluster-version": versions.cluster,
      "minimum-cluster-version-supported": minClusterVersion,
      "local-cluster-version": ownClusterVersion,
    });
    throw incompatible(versions.cluster);
  }
  if (!hasCompatible) throw incompatible("not known: no member has told one");
}

function incompatible(version: string): StartError {
  return new StartError(
    `incompatible with current running cluster (its version is ${version}, ours is ${ownClusterVersion})`,
  );
}
