import type { Member } from "@etcd-ts/server";

/** The body of the peer port's `/members`. Ids do not fit a JSON number of JavaScript, so by hand. */
export function memberListJson(member: Member): { json: string; clusterId: string } {
  const members = member.machine.members.list().map((each) => {
    const fields = [`"id":${each.id}`, `"peerURLs":${JSON.stringify(each.peerUrls)}`];
    if (each.isLearner) fields.push('"isLearner":true');
    if (each.name !== "") fields.push(`"name":${JSON.stringify(each.name)}`);
    if (each.clientUrls.length > 0) fields.push(`"clientURLs":${JSON.stringify(each.clientUrls)}`);
    return `{${fields.join(",")}}`;
  });
  return { json: `[${members.join(",")}]`, clusterId: member.clusterId.toString(16) };
}
