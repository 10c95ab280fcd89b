// Which releases the members of the cluster are of, as they say themselves at their peer URLs.

import type { Member } from "@etcd-ts/machine";
import { PeerRequestError, type PeerRequests, type RemoteVersions } from "./peers/index.ts";

/** No answer for so long counts as none. */
const answerMs = 2000;

/** By id; undefined: did not answer. Without a way to ask, nobody answers. */
export async function versionsOf(
  requests: PeerRequests | undefined,
  members: readonly Member[],
): Promise<ReadonlyMap<bigint, RemoteVersions | undefined>> {
  const found = new Map<bigint, RemoteVersions | undefined>();
  await Promise.all(
    members.map(async ({ id, peerUrls }) => {
      found.set(id, undefined);
      if (requests === undefined) return;
      try {
        found.set(id, await requests.versions(peerUrls, answerMs));
      } catch (error) {
        if (!(error instanceof PeerRequestError)) throw error;
      }
    }),
  );
  return found;
}
