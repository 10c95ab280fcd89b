// The metric families of a member, by etcd's names: what they read, and from where. The daemon renders them,
// with those of the process and of its rpc servers beside them.

import type { Member } from "../member.ts";
import type { MetricFamily } from "../metric-types.ts";
import { idleFamilies } from "./idle-families.ts";
import { serverFamilies } from "./server-families.ts";
import { diskFamilies, ownFamilies, storeFamilies } from "./store-families.ts";

/** Everything that a member counts, parts included. */
export function memberMetrics(member: Member): readonly MetricFamily[] {
  return [
    ...serverFamilies(member),
    ...storeFamilies(member),
    ...diskFamilies(member),
    ...ownFamilies(member),
    ...member.parts.flatMap((part) => part.metrics ?? []),
    ...idleFamilies(),
  ];
}
