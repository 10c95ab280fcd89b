// The conditions of a transaction (semantics §6.2). They look at the state before the transaction, all of
// them, those of nested transactions on the taken path too, before anything is written.

import { type Compare, CompareResult, CompareTarget, type TxnRequest } from "@etcd-ts/api";
import { type Bytes, compareBytes, emptyBytes } from "@etcd-ts/base";
import { toInterval } from "./intervals.ts";
import { allSubs, KeyWalk } from "./key-walk.ts";
import type { Store } from "./store.ts";

const walkBatch = 1024;

/** What the compares of `request` and of the transactions on its path say, in preorder. */
export function choosePath(store: Store, request: TxnRequest, path: boolean[] = []): boolean[] {
  let holds = true;
  for (const compare of request.compare) {
    if (!evaluate(store, compare)) {
      holds = false;
      break;
    }
  }
  path.push(holds);
  for (const op of holds ? request.success : request.failure) {
    if (op.requestTxn !== undefined) choosePath(store, op.requestTxn, path);
  }
  return path;
}

/** Whether the relation holds for every key of the interval; no key at all counts as one missing key. */
function evaluate(store: Store, compare: Compare): boolean {
  const interval = toInterval(compare.key, compare.rangeEnd);
  const { index } = store;
  if (interval.isSingle) {
    const slot = index.findLive(interval.from);
    if (slot < 0) return missing(compare);
    return holds(store, compare, index.slots.main(slot), index.slots.sub(slot), slot);
  }
  const walk = new KeyWalk(interval.from, interval.to, {
    main: store.revision,
    subEnd: allSubs,
  });
  let found = false;
  while (!walk.finished) {
    index.collect(walk, walkBatch, Number.MAX_SAFE_INTEGER);
    for (let i = 0; i < walk.keys.length; i++) {
      found = true;
      if (!holds(store, compare, index.mainOf(walk, i), index.subOf(walk, i), walk.slots[i]!)) {
        return false;
      }
    }
  }
  return found || missing(compare);
}

function holds(store: Store, compare: Compare, main: number, sub: number, slot: number): boolean {
  const { slots } = store.index;
  switch (compare.target) {
    case CompareTarget.VERSION:
      return relates(slots.version(slot) - Number(compare.version ?? 0n), compare.result);
    case CompareTarget.CREATE:
      return relates(slots.create(slot) - Number(compare.createRevision ?? 0n), compare.result);
    case CompareTarget.MOD:
      return relates(main - Number(compare.modRevision ?? 0n), compare.result);
    case CompareTarget.VALUE: {
      const stored: Bytes = store.parse(store.read(main, sub)).value();
      return relates(compareBytes(stored, compare.value ?? emptyBytes), compare.result);
    }
    case CompareTarget.LEASE: {
      const stored = store.parse(store.read(main, sub)).lease();
      return relates(compareBig(stored, compare.lease ?? 0n), compare.result);
    }
    default:
      return relates(0, compare.result);
  }
}

function missing(compare: Compare): boolean {
  switch (compare.target) {
    case CompareTarget.VERSION:
      return relates(-Number(compare.version ?? 0n), compare.result);
    case CompareTarget.CREATE:
      return relates(-Number(compare.createRevision ?? 0n), compare.result);
    case CompareTarget.MOD:
      return relates(-Number(compare.modRevision ?? 0n), compare.result);
    case CompareTarget.LEASE:
      return relates(compareBig(0n, compare.lease ?? 0n), compare.result);
    case CompareTarget.VALUE:
      return false;
    default:
      return relates(0, compare.result);
  }
}

/** `difference` is negative, zero or positive as the stored side is less, equal or greater. */
function relates(difference: number, result: number): boolean {
  switch (result) {
    case CompareResult.EQUAL:
      return difference === 0;
    case CompareResult.NOT_EQUAL:
      return difference !== 0;
    case CompareResult.GREATER:
      return difference > 0;
    case CompareResult.LESS:
      return difference < 0;
    default:
      return true;
  }
}

function compareBig(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
