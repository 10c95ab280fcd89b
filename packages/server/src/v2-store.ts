// Membership in the form in which stock members up to 3.6 keep it inside a raft snapshot: the JSON of the
// old v2 tree. A 3.7 member ignores it; we write it so that a stock member can take our files over.
//
// Ids do not fit into a double, so the texts are put together by hand; every string goes through
// `JSON.stringify`.

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
