// Changes of the configuration in the notation of the scenarios: `v1 l2 r3 u4`.

import { ConfChangeSingle, ConfChangeType } from "../../src/index.ts";

const types: Readonly<Record<string, number>> = {
  v: ConfChangeType.AddNode,
  l: ConfChangeType.AddLearnerNode,
  r: ConfChangeType.RemoveNode,
  u: ConfChangeType.UpdateNode,
};

/** The changes, or the text of the error. */
export function parseOperations(input: string): ConfChangeSingle[] | string {
  const changes: ConfChangeSingle[] = [];
  if (input === "") return changes;
  for (const token of input.split(" ")) {
    if (token.length < 2) return `unknown token ${token}`;
    const type = types[token[0]!];
    if (type === undefined) return `unknown input: ${token}`;
    const digits = token.slice(1);
    if (!/^\d+$/.test(digits)) return `strconv.ParseUint: parsing "${digits}": invalid syntax`;
    const nodeId = BigInt(digits);
    if (nodeId >= 1n << 64n) return `strconv.ParseUint: parsing "${digits}": value out of range`;
    const change = new ConfChangeSingle();
    change.type = type;
    change.nodeId = nodeId;
    changes.push(change);
  }
  return changes;
}
