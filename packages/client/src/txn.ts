// Compares and operations of transactions, as functions that read like the condition they make.
//
//     client.txn({
//       compare: [compare.modRevision("lock", "=", 0)],
//       success: [op.put("lock", "me")],
//       failure: [op.get({ key: "lock" })],
//     });

import {
  Compare,
  CompareResult,
  CompareTarget,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "@etcd-ts/api";
import type { Bytes } from "@etcd-ts/base";
import { type BytesInput, type KeySelection, selectKeys, toBytes } from "./keys.ts";

export type Relation = "=" | "!=" | "<" | ">";

const results: Readonly<Record<Relation, number>> = {
  "=": CompareResult.EQUAL,
  "!=": CompareResult.NOT_EQUAL,
  "<": CompareResult.LESS,
  ">": CompareResult.GREATER,
};

function comparison(
  keys: BytesInput | KeySelection,
  relation: Relation,
  target: number,
  set: (it: Compare) => void,
): Compare {
  const it = new Compare();
  const selected = selectKeys(isBytesInput(keys) ? { key: keys } : keys);
  it.key = selected.key;
  it.rangeEnd = selected.rangeEnd;
  it.result = results[relation];
  it.target = target;
  set(it);
  return it;
}

/** Compares hold for every key of a range, or for the one key given. A missing key has zeros everywhere. */
export const compare: {
  version(keys: BytesInput | KeySelection, relation: Relation, version: bigint | number): Compare;
  createRevision(
    keys: BytesInput | KeySelection,
    relation: Relation,
    revision: bigint | number,
  ): Compare;
  modRevision(
    keys: BytesInput | KeySelection,
    relation: Relation,
    revision: bigint | number,
  ): Compare;
  value(keys: BytesInput | KeySelection, relation: Relation, value: BytesInput): Compare;
  lease(keys: BytesInput | KeySelection, relation: Relation, lease: bigint): Compare;
} = {
  version: (keys, relation, version) =>
    comparison(keys, relation, CompareTarget.VERSION, (it) => {
      it.version = BigInt(version);
    }),
  createRevision: (keys, relation, revision) =>
    comparison(keys, relation, CompareTarget.CREATE, (it) => {
      it.createRevision = BigInt(revision);
    }),
  modRevision: (keys, relation, revision) =>
    comparison(keys, relation, CompareTarget.MOD, (it) => {
      it.modRevision = BigInt(revision);
    }),
  value: (keys, relation, value) =>
    comparison(keys, relation, CompareTarget.VALUE, (it) => {
      it.value = toBytes(value);
    }),
  lease: (keys, relation, lease) =>
    comparison(keys, relation, CompareTarget.LEASE, (it) => {
      it.lease = lease;
    }),
};

export type PutExtras = Partial<
  Pick<PutRequest, "lease" | "prevKv" | "ignoreValue" | "ignoreLease">
>;
export type RangeExtras = Partial<Omit<RangeRequest, "key" | "rangeEnd">>;
export type DeleteExtras = Partial<Pick<DeleteRangeRequest, "prevKv">>;

/** Operations of a transaction. */
export const op: {
  get(keys: KeySelection, extras?: RangeExtras): RequestOp;
  put(key: BytesInput, value: BytesInput, extras?: PutExtras): RequestOp;
  delete(keys: KeySelection, extras?: DeleteExtras): RequestOp;
  txn(parts: TxnParts): RequestOp;
} = {
  get(keys, extras = {}) {
    const it = new RequestOp();
    it.requestRange = rangeRequest(keys, extras);
    return it;
  },
  put(key, value, extras = {}) {
    const it = new RequestOp();
    it.requestPut = putRequest(key, value, extras);
    return it;
  },
  delete(keys, extras = {}) {
    const it = new RequestOp();
    it.requestDeleteRange = deleteRequest(keys, extras);
    return it;
  },
  txn(parts) {
    const it = new RequestOp();
    it.requestTxn = txnRequest(parts);
    return it;
  },
};

export interface TxnParts {
  /** All have to hold. */
  readonly compare?: readonly Compare[];
  /** Run when they do. */
  readonly success?: readonly RequestOp[];
  /** Run when not. */
  readonly failure?: readonly RequestOp[];
}

export function rangeRequest(keys: KeySelection, extras: RangeExtras): RangeRequest {
  return Object.assign(new RangeRequest(), extras, selectKeys(keys));
}

export function putRequest(key: BytesInput, value: BytesInput, extras: PutExtras): PutRequest {
  return Object.assign(new PutRequest(), extras, { key: toBytes(key), value: toBytes(value) });
}

export function deleteRequest(keys: KeySelection, extras: DeleteExtras): DeleteRangeRequest {
  return Object.assign(new DeleteRangeRequest(), extras, selectKeys(keys));
}

export function txnRequest(parts: TxnParts): TxnRequest {
  return Object.assign(new TxnRequest(), {
    compare: [...(parts.compare ?? [])],
    success: [...(parts.success ?? [])],
    failure: [...(parts.failure ?? [])],
  });
}

function isBytesInput(keys: BytesInput | KeySelection): keys is BytesInput {
  return typeof keys === "string" || (keys as Bytes) instanceof Uint8Array;
}
