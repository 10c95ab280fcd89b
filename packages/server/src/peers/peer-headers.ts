// The header fields by which members introduce themselves, and the checks that every request passes first.

import type { FieldList, Fields } from "@etcd-ts/rpc/http1";
import { hexId } from "../ids.ts";
import {
  areCompatible,
  implementationName,
  minClusterVersionText,
  parseVersion,
  refusesOldStore,
} from "./versions.ts";

/** Who we are, as we tell others. */
export interface Introduction {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** `M.m.p`. */
  readonly serverVersion: string;
  readonly peerUrls: readonly string[];
}

export function requestFields(own: Introduction): FieldList {
  return [
    ["X-Server-From", hexId(own.memberId)],
    ["X-Server-Version", own.serverVersion],
    ["X-Min-Cluster-Version", minClusterVersionText],
    ["X-Etcd-Cluster-ID", hexId(own.clusterId)],
    ["X-PeerURLs", own.peerUrls.join(",")],
    ["X-Server-Implementation", implementationName],
  ];
}

/** On every answer, errors included. */
export function answerFields(own: Introduction): FieldList {
  return [
    ["X-Etcd-Cluster-ID", hexId(own.clusterId)],
    ["X-Server-Version", own.serverVersion],
    ["X-Server-Implementation", implementationName],
  ];
}

/** Whether these fields are of a member that ends when it meets a write to the old store. */
export function areOfStrictMember(fields: Fields): boolean {
  return refusesOldStore(fields.get("x-server-version"), fields.get("x-server-implementation"));
}

export const incompatibleVersion = "incompatible version";
export const clusterIdMismatch = "cluster ID mismatch";

/** Why a request is refused with 412; undefined: it is not. */
export function incompatibility(own: Introduction, fields: Fields): string | undefined {
  const version = parseVersion(own.serverVersion)!;
  const announced = fields.get("x-server-version");
  const announcedMin = fields.get("x-min-cluster-version");
  if (!areCompatible(version, announced, announcedMin)) return incompatibleVersion;
  return fields.get("x-etcd-cluster-id") === hexId(own.clusterId) ? undefined : clusterIdMismatch;
}

/** An id as members write it; undefined for anything else. */
export function parseId(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[0-9A-Fa-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
}

/** URLs that an unknown member says it listens on. */
export function announcedUrls(fields: Fields): readonly string[] {
  const text = fields.get("x-peerurls") ?? "";
  return text === "" ? [] : text.split(",").slice(0, 16);
}
