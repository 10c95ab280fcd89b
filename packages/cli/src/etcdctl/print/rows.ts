// Rows that the simple format joins with commas and the table format draws.

import type { MemberListResponse } from "@etcd-ts/api";
import { humanBytes } from "../../shared/humanize.ts";
import type { EndpointHash, EndpointHealth, EndpointStatus } from "./printer.ts";

export interface Rows {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function memberRows(response: MemberListResponse): Rows {
  return {
    header: ["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"],
    rows: response.members.map((member) => [
      member.id.toString(16),
      member.name === "" ? "unstarted" : "started",
      member.name,
      member.peerUrls.join(","),
      member.clientUrls.join(","),
      String(member.isLearner),
    ]),
  };
}

export function healthRows(list: readonly EndpointHealth[]): Rows {
  return {
    header: ["endpoint", "health", "took", "error"],
    rows: list.map((it) => [it.endpoint, String(it.health), it.took, it.error]),
  };
}

export function statusRows(list: readonly EndpointStatus[]): Rows {
  return {
    header: [
      "endpoint",
      "ID",
      "version",
      "storage version",
      "db size",
      "in use",
      "percentage not in use",
      "quota",
      "is leader",
      "is learner",
      "raft term",
      "raft index",
      "raft applied index",
      "errors",
      "downgrade target version",
      "downgrade enabled",
    ],
    rows: list.map(({ endpoint, status }) => [
      endpoint,
      (status.header?.memberId ?? 0n).toString(16),
      status.version,
      status.storageVersion,
      humanBytes(status.dbSize),
      humanBytes(status.dbSizeInUse),
      percentageNotInUse(status.dbSizeInUse, status.dbSize),
      humanBytes(status.dbSizeQuota),
      String(status.leader === status.header?.memberId),
      String(status.isLearner),
      String(status.raftTerm),
      String(status.raftIndex),
      String(status.raftAppliedIndex),
      status.errors.join(", "),
      status.downgradeInfo?.targetVersion ?? "",
      String(status.downgradeInfo?.enabled ?? false),
    ]),
  };
}

export function hashRows(list: readonly EndpointHash[]): Rows {
  return {
    header: ["endpoint", "hash", "hash revision"],
    rows: list.map(({ endpoint, hash }) => [
      endpoint,
      String(hash.hash),
      String(hash.hashRevision),
    ]),
  };
}

/** `100 - floor(inUse * 100 / size)`, with a percent sign; an empty file has nothing unused. */
function percentageNotInUse(inUse: number | bigint, size: number | bigint): string {
  if (BigInt(size) === 0n) return "0%";
  return `${100n - (BigInt(inUse) * 100n) / BigInt(size)}%`;
}
