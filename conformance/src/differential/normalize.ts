// Turns responses into plain trees that can be compared: byte strings as hex, and out of them only what two
// clusters cannot share (cluster and member ids), what time changes (remaining TTLs, within a second) and
// what is left open by definition (the order among equal sort targets, the order of a lease's keys).

import type { RangeRequest, RequestOp, TxnRequest } from "@etcd-ts/api";
import { bytesToHex } from "@etcd-ts/base";
import type { Operation } from "./generator.ts";

export type Tree = null | string | number | boolean | Tree[] | { [name: string]: Tree };

/** Differences between releases that the sheets document; each hides exactly that. */
export interface Quirks {
  /** 3.7 answers a keys_only read from its index, without the lease. */
  readonly keysOnlyDropsLease: boolean;
  /**
   * Which of several reasons a transaction is refused for: since 3.6 the first in the order of its
   * operations, before that the first among the puts, then among the ranges.
   */
  readonly preflightInOrder: boolean;
  /** HashKV tells its revision since 3.6. */
  readonly hashRevisionKnown: boolean;
}

export function normalizeResponse(operation: Operation, response: object, quirks: Quirks): Tree {
  const tree = toTree(response) as { [name: string]: Tree };
  dropIds(tree["header"]);
  switch (operation.kind) {
    case "range":
      tidyRange(tree, operation.request, quirks);
      break;
    case "txn":
      tidyTxn(tree, operation.request, quirks);
      break;
    case "hashKv":
      if (!quirks.hashRevisionKnown) delete tree["hashRevision"];
      break;
    case "leaseTimeToLive":
      tree["ttl"] = tree["ttl"] === "-1" ? "-1" : "alive";
      sortTrees(tree["keys"]);
      break;
    case "leaseLeases":
      sortTrees(tree["leases"]);
      break;
    default:
  }
  return tree;
}

export function toTree(value: unknown): Tree {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" || typeof value === "string" || typeof value === "boolean") {
    return value;
  }
  if (value instanceof Uint8Array) return `0x${bytesToHex(value)}`;
  if (Array.isArray(value)) return value.map(toTree);
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, toTree(field)]));
}

function dropIds(header: Tree | undefined): void {
  if (header === null || typeof header !== "object" || Array.isArray(header)) return;
  delete header["clusterId"];
  delete header["memberId"];
}

function tidyRange(tree: { [name: string]: Tree }, request: RangeRequest, quirks: Quirks): void {
  const kvs = tree["kvs"] as { [name: string]: Tree }[];
  const target = ["key", "version", "createRevision", "modRevision", "value"][request.sortTarget];
  if (request.sortTarget !== 0 && target !== undefined) {
    tree["order"] = kvs.map((kv) => kv[target] ?? null);
    sortTrees(kvs);
  }
  if (request.keysOnly && quirks.keysOnlyDropsLease) for (const kv of kvs) delete kv["lease"];
}

function tidyTxn(tree: { [name: string]: Tree }, request: TxnRequest, quirks: Quirks): void {
  const ops: RequestOp[] = tree["succeeded"] === true ? request.success : request.failure;
  const responses = tree["responses"] as { [name: string]: Tree }[];
  responses.forEach((response, i) => {
    const op = ops[i];
    const range = response["responseRange"];
    const inner = response["responseTxn"];
    if (op?.requestRange !== undefined && isObject(range))
      tidyRange(range, op.requestRange, quirks);
    if (op?.requestTxn !== undefined && isObject(inner)) tidyTxn(inner, op.requestTxn, quirks);
  });
}

function isObject(tree: Tree | undefined): tree is { [name: string]: Tree } {
  return tree !== null && typeof tree === "object" && !Array.isArray(tree);
}

function sortTrees(trees: Tree | undefined): void {
  if (!Array.isArray(trees)) return;
  const texts = new Map(trees.map((it) => [it, JSON.stringify(it)]));
  trees.sort((a, b) => ((texts.get(a) ?? "") < (texts.get(b) ?? "") ? -1 : 1));
}
