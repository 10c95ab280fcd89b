// What a KV request must satisfy before it may enter the log, in etcd's order; each check gives the refusal
// or undefined. A transaction's rules in short (`spec` semantics §6.1):
//
// - every level has a budget of operations, which its nested transactions share;
// - every operation is valid on its own, success before failure;
// - within one list of operations no key is put twice, nor put and deleted, nested ones included;
// - no put keeps the value or lease of a key that is deleted before it (ours alone: `KeepCheck`).

import type {
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "@etcd-ts/api";
import { type Bytes, bytesToKey, type Key } from "@etcd-ts/base";
import { catalogue } from "../errors.ts";
import { putCostBytes } from "../quota.ts";
import type { Refusal } from "../refusals.ts";

const sortOrderMax = 2;
const sortTargetMax = 4;

export function checkRange(request: RangeRequest): Refusal | undefined {
  if (request.key.length === 0) return catalogue.emptyKey;
  const { sortOrder, sortTarget } = request;
  if (sortOrder < 0 || sortOrder > sortOrderMax || sortTarget < 0 || sortTarget > sortTargetMax) {
    return catalogue.invalidSortOption;
  }
  return undefined;
}

export function checkPut(request: PutRequest): Refusal | undefined {
  if (request.key.length === 0) return catalogue.emptyKey;
  if (request.ignoreValue && request.value.length > 0) return catalogue.valueProvided;
  if (request.ignoreLease && request.lease !== 0n) return catalogue.leaseProvided;
  return undefined;
}

export function checkDeleteRange(request: DeleteRangeRequest): Refusal | undefined {
  return request.key.length === 0 ? catalogue.emptyKey : undefined;
}

export function checkTxn(request: TxnRequest, opsMax: number): Refusal | undefined {
  const refusal = checkTxnLevel(request, opsMax);
  if (refusal !== undefined) return refusal;
  if (collides(request.success) || collides(request.failure)) return catalogue.duplicateKey;
  for (const ops of [request.success, request.failure]) {
    if (new KeepCheck().keepsDeleted(ops)) return catalogue.keyNotFound;
  }
  return undefined;
}

function collides(ops: readonly RequestOp[]): boolean {
  let writeCount = 0;
  for (const op of ops) {
    if (op.requestTxn !== undefined) writeCount = 2;
    else if (op.requestRange === undefined) writeCount++;
  }
  // One alone, as most transactions have it, needs no look at its key.
  return writeCount > 1 && collectWrites(ops) === undefined;
}

function checkTxnLevel(request: TxnRequest, budget: number): Refusal | undefined {
  const { compare, success, failure } = request;
  const count = Math.max(compare.length, success.length, failure.length);
  if (count > budget) return catalogue.tooManyOps;
  for (const c of compare) if (c.key.length === 0) return catalogue.emptyKey;
  for (const ops of [success, failure]) {
    for (const op of ops) {
      const refusal = checkOp(op, budget - count);
      if (refusal !== undefined) return refusal;
    }
  }
  return undefined;
}

function checkOp(op: RequestOp, budget: number): Refusal | undefined {
  if (op.requestRange !== undefined) return checkRange(op.requestRange);
  if (op.requestPut !== undefined) return checkPut(op.requestPut);
  if (op.requestDeleteRange !== undefined) return checkDeleteRange(op.requestDeleteRange);
  if (op.requestTxn !== undefined) return checkTxnLevel(op.requestTxn, budget);
  return catalogue.keyNotFound;
}

/** `[from, to)`; of a delete exactly as it was written, so an end of 0x00 covers nothing here. */
interface Interval {
  readonly from: Key;
  readonly to: Key;
}

interface Writes {
  readonly puts: Set<Key>;
  readonly deletes: Interval[];
}

/** What a list of operations puts and deletes; undefined when two of them collide. */
function collectWrites(ops: readonly RequestOp[]): Writes | undefined {
  const puts = new Set<Key>();
  const deletes: Interval[] = [];
  for (const { requestDeleteRange: del } of ops) {
    if (del !== undefined) deletes.push(intervalOf(del.key, del.rangeEnd));
  }
  for (const { requestTxn: nested } of ops) {
    if (nested === undefined) continue;
    const then = collectWrites(nested.success);
    const otherwise = collectWrites(nested.failure);
    if (then === undefined || otherwise === undefined) return undefined;
    for (const key of then.puts) {
      if (puts.has(key) || covered(deletes, key)) return undefined;
    }
    for (const key of then.puts) puts.add(key);
    for (const key of otherwise.puts) {
      // Only one of the two branches runs, so they may put the same key.
      if ((puts.has(key) && !then.puts.has(key)) || covered(deletes, key)) return undefined;
      puts.add(key);
    }
    for (const each of then.deletes) deletes.push(each);
    for (const each of otherwise.deletes) deletes.push(each);
  }
  for (const { requestPut: put } of ops) {
    if (put === undefined) continue;
    const key = bytesToKey(put.key);
    if (puts.has(key) || covered(deletes, key)) return undefined;
    puts.add(key);
  }
  return { puts, deletes };
}

function intervalOf(key: Bytes, rangeEnd: Bytes): Interval {
  const from = bytesToKey(key);
  return { from, to: rangeEnd.length === 0 ? `${from}\0` : bytesToKey(rangeEnd) };
}

function covered(deletes: readonly Interval[], key: Key): boolean {
  for (const { from, to } of deletes) if (from <= key && key < to) return true;
  return false;
}

/**
 * A delete "from a key on" (an end of 0x00) covers nothing for the rule above, so that it may come before a
 * put with `ignore_value` or `ignore_lease` of a key that it deletes. The put finds nothing to keep then, and
 * stock members panic when they apply it, at every start from then on. Such a transaction stays out of the log.
 */
class KeepCheck {
  /** The lowest key of the deletes so far that have no end. */
  #deletedFrom: Key | undefined;

  /** Whether one of these operations, in the order in which they run, keeps what is deleted before. */
  keepsDeleted(ops: readonly RequestOp[]): boolean {
    for (const { requestPut: put, requestDeleteRange: del, requestTxn: nested } of ops) {
      if (put !== undefined && (put.ignoreValue || put.ignoreLease)) {
        if (this.#deletedFrom !== undefined && bytesToKey(put.key) >= this.#deletedFrom)
          return true;
      } else if (del !== undefined && del.rangeEnd.length === 1 && del.rangeEnd[0] === 0) {
        this.#deletedFrom = lowest(this.#deletedFrom, bytesToKey(del.key));
      } else if (nested !== undefined) {
        const before = this.#deletedFrom;
        if (this.keepsDeleted(nested.success)) return true;
        const afterSuccess = this.#deletedFrom;
        this.#deletedFrom = before;
        if (this.keepsDeleted(nested.failure)) return true;
        this.#deletedFrom = lowest(afterSuccess, this.#deletedFrom);
      }
    }
    return false;
  }
}

function lowest(a: Key | undefined, b: Key | undefined): Key | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}

/** What a transaction may add to the store at most. */
export function txnCostBytes(request: TxnRequest): number {
  return Math.max(opsCostBytes(request.success), opsCostBytes(request.failure));
}

function opsCostBytes(ops: readonly RequestOp[]): number {
  let cost = 0;
  for (const op of ops) {
    if (op.requestPut !== undefined) {
      cost += putCostBytes + op.requestPut.key.length + op.requestPut.value.length;
    } else if (op.requestTxn !== undefined) {
      cost += txnCostBytes(op.requestTxn);
    }
  }
  return cost;
}

/** Only ranges and nothing nested: such a transaction is a read and never enters the log. */
export function isReadOnlyTxn(request: TxnRequest): boolean {
  return onlyRanges(request.success) && onlyRanges(request.failure);
}

function onlyRanges(ops: readonly RequestOp[]): boolean {
  for (const op of ops) if (op.requestRange === undefined) return false;
  return true;
}

/** A read-only transaction that asks for no linearizable range. */
export function isSerializableTxn(request: TxnRequest): boolean {
  for (const op of request.success) if (!op.requestRange?.serializable) return false;
  for (const op of request.failure) if (!op.requestRange?.serializable) return false;
  return true;
}

/** Whether a range in it, in whichever branch, names a revision. */
export function readsRevision(request: TxnRequest): boolean {
  for (const ops of [request.success, request.failure]) {
    for (const { requestRange, requestTxn } of ops) {
      if (requestRange !== undefined && requestRange.revision !== 0n) return true;
      if (requestTxn !== undefined && readsRevision(requestTxn)) return true;
    }
  }
  return false;
}
