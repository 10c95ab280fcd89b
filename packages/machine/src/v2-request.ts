// What is left of etcd's v2 store in logs of 3.4 to 3.6: members publish themselves and the leader sets the
// cluster version by writes to two paths (peer protocol §10.4). Anything else, such as SYNC for expired v2
// keys, concerns a store that we do not have and changes nothing.
//
//     PUT /0/members/<id hex>/attributes   {"name":"…","clientURLs":[…]}
//     PUT /0/version                       3.4.0

import { decodeV2Request } from "@etcd-ts/api";
import { type Bytes, WireError } from "@etcd-ts/base";
import { undecodable } from "./envelope.ts";
import { JsonError, parseJson } from "./json64.ts";

export type V2Effect =
  | { readonly kind: "none" }
  | { readonly kind: "version"; readonly version: string }
  | {
      readonly kind: "attributes";
      readonly memberId: bigint;
      readonly name: string;
      readonly clientUrls: readonly string[];
    };

const attributesPath = /^\/0\/members\/([0-9a-f]{1,16})\/attributes$/;

export function readV2Request(data: Bytes, start: number, end: number, index: number): V2Effect {
  try {
    const request = decodeV2Request(data, start, end);
    if (request.method !== "PUT") return { kind: "none" };
    if (request.path === "/0/version") return { kind: "version", version: request.val };
    const member = attributesPath.exec(request.path);
    if (member === null) return { kind: "none" };
    const json = parseJson(request.val);
    return {
      kind: "attributes",
      memberId: BigInt(`0x${member[1]}`),
      name: json.text("name"),
      clientUrls: json.texts("clientURLs"),
    };
  } catch (cause) {
    if (!(cause instanceof WireError || cause instanceof JsonError)) throw cause;
    throw undecodable(index, cause.message, cause);
  }
}
