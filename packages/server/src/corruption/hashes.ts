// HASHKV for other members and for the corruption checks: as the call of the same name, as a promise.

import { errorRows } from "@etcd-ts/api";
import type { HashFailure, PeerHash } from "../peers/index.ts";
import type { MemberContext } from "../seams.ts";

/** Hash over the keys at a revision, 0 for the present one. Rejects when the member fails meanwhile. */
export async function hashJobOf(
  context: MemberContext,
  revision: bigint,
): Promise<PeerHash | HashFailure> {
  const { machine, slicer, clusterId, memberId } = context;
  const job = machine.hashKv(revision);
  if (job.error === undefined) await slicer.finish(job);
  if (job.error !== undefined) {
    const failure =
      job.error === "compacted" ? "compacted" : job.error === "futureRev" ? "future" : "other";
    return { failure, message: errorRows[job.error].message };
  }
  return {
    revision: machine.revision,
    clusterId,
    memberId,
    raftTerm: context.raftTerm,
    hash: job.hash,
    compactRevision: job.compactRevision,
    hashRevision: job.hashRevision,
  };
}
