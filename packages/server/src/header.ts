// Response headers: who answers, at which revision, and the term of the last applied entry.

import { ResponseHeader } from "@etcd-ts/api";

export interface HeaderSource {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Term of the last entry that this member applied. */
  readonly raftTerm: number;
}

/** `revision` 0 for the calls of the Cluster service, which have none. */
export function responseHeader(source: HeaderSource, revision: number): ResponseHeader {
  const header = new ResponseHeader();
  header.clusterId = source.clusterId;
  header.memberId = source.memberId;
  header.revision = revision;
  header.raftTerm = source.raftTerm;
  return header;
}
