// Membership in the form in which stock members up to 3.6 keep it inside a raft snapshot: the JSON of the
// old v2 tree. A 3.7 member ignores it; we write it so that a stock member can take our files over, and read
// what members before 3.6 send: to those it is the truth, and their buckets may be behind it.
//
// Written by hand, every string through `JSON.stringify`; ids are hexadecimal texts in it, so `JSON.parse`
// loses nothing that counts.

import { type Bytes, bytesToUtf8, CorruptionError } from "@etcd-ts/base";
import type { Member } from "@etcd-ts/machine";
import { hexId } from "./ids.ts";

export function v2StoreJson(
  members: readonly Member[],
  removedIds: readonly bigint[],
  clusterVersion: string,
): string {
  const membersAt = "/0/members";
  const memberNodes = members.map((member) => {
    const path = `${membersAt}/${hexId(member.id)}`;
    const raft = member.isLearner
      ? { peerURLs: member.peerUrls, isLearner: true }
      : { peerURLs: member.peerUrls };
    const leaves: [string, string][] = [
      ["raftAttributes", leaf(`${path}/raftAttributes`, JSON.stringify(raft))],
    ];
    if (member.name !== "" || member.clientUrls.length > 0) {
      const attributes = { name: member.name, clientURLs: member.clientUrls };
      leaves.push(["attributes", leaf(`${path}/attributes`, JSON.stringify(attributes))]);
    }
    return [hexId(member.id), folder(path, leaves)] as [string, string];
  });
  const removedAt = "/0/removed_members";
  const removedNodes = removedIds.map(
    (id) => [hexId(id), leaf(`${removedAt}/${hexId(id)}`, "removed")] as [string, string],
  );
  const zero: [string, string][] = [["members", folder(membersAt, memberNodes)]];
  if (removedNodes.length > 0) zero.push(["removed_members", folder(removedAt, removedNodes)]);
  if (clusterVersion !== "") zero.push(["version", leaf("/0/version", clusterVersion)]);
  const root = folder("/", [
    ["0", folder("/0", zero)],
    ["1", folder("/1", [])],
  ]);
  return `{"Root":${root},"CurrentIndex":0,"CurrentVersion":2}`;
}

function folder(path: string, children: readonly (readonly [string, string])[]): string {
  const inside = children.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",");
  return node(path, "", `{${inside}}`);
}

function leaf(path: string, value: string): string {
  return node(path, value, "null");
}

function node(path: string, value: string, children: string): string {
  return (
    `{"Path":${JSON.stringify(path)},"CreatedIndex":0,"ModifiedIndex":0,` +
    `"ExpireTime":"0001-01-01T00:00:00Z","Value":${JSON.stringify(value)},"Children":${children}}`
  );
}

/** What a v2 store says about the cluster. */
export interface V2Membership {
  readonly members: readonly Member[];
  readonly removedIds: readonly bigint[];
  /** Empty while it is not decided. */
  readonly clusterVersion: string;
}

/**
 * The membership in a snapshot's data; undefined when there is none in it, as from a 3.7 member. Throws
 * `CorruptionError` when it is not what a member could have sent.
 */
export function readV2Store(data: Bytes, where: string): V2Membership | undefined {
  if (data.length === 0) return undefined;
  try {
    const zero = child(objectOf(JSON.parse(bytesToUtf8(data)))["Root"], "0");
    const members = children(child(zero, "members")).map(([id, node]) => memberOf(id, node));
    if (members.length === 0) return undefined;
    return {
      members,
      removedIds: children(child(zero, "removed_members")).map(([id]) => parseId(id)),
      clusterVersion: textIn(child(zero, "version")),
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CorruptionError(where, 0, `the members in the snapshot cannot be read: ${why}`, {
      cause,
    });
  }
}

function memberOf(id: string, node: unknown): Member {
  const raft = attributesOf(child(node, "raftAttributes"));
  const attributes = attributesOf(child(node, "attributes"));
  return {
    id: parseId(id),
    peerUrls: textsOf(raft["peerURLs"]),
    isLearner: raft["isLearner"] === true,
    name: typeof attributes["name"] === "string" ? attributes["name"] : "",
    clientUrls: textsOf(attributes["clientURLs"]),
  };
}

function parseId(text: string): bigint {
  if (!/^[0-9a-f]{1,16}$/.test(text)) throw new Error(`${JSON.stringify(text)} is no id`);
  return BigInt(`0x${text}`);
}

/** The JSON in a leaf; nothing in one that is not there: a member that has not published itself. */
function attributesOf(node: unknown): Record<string, unknown> {
  const value = textIn(node);
  return value === "" ? {} : objectOf(JSON.parse(value));
}

function textsOf(value: unknown): string[] {
  const list: unknown = value ?? [];
  if (!Array.isArray(list) || !list.every((item) => typeof item === "string")) {
    throw new Error("URLs are no list of texts");
  }
  return list;
}

function textIn(node: unknown): string {
  const value = node === undefined ? "" : (objectOf(node)["Value"] ?? "");
  if (typeof value !== "string") throw new Error("a value is no text");
  return value;
}

function child(node: unknown, name: string): unknown {
  return children(node).find(([key]) => key === name)?.[1];
}

function children(node: unknown): [string, unknown][] {
  return node === undefined ? [] : Object.entries(objectOf(objectOf(node)["Children"] ?? {}));
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error("something is no object");
  }
  return value as Record<string, unknown>;
}
