// The requests of the load, encoded beforehand, so that the generator spends its time on sending.

import {
  Compare,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "@etcd-ts/api";
import { type Bytes, SeededRandom, utf8ToBytes } from "@etcd-ts/base";

export const paths = {
  put: "/etcdserverpb.KV/Put",
  range: "/etcdserverpb.KV/Range",
  txn: "/etcdserverpb.KV/Txn",
  compact: "/etcdserverpb.KV/Compact",
  watch: "/etcdserverpb.Watch/Watch",
  grant: "/etcdserverpb.Lease/LeaseGrant",
  keepAlive: "/etcdserverpb.Lease/LeaseKeepAlive",
  status: "/etcdserverpb.Maintenance/Status",
} as const;

export interface Request {
  readonly path: string;
  readonly message: Bytes;
}

/** The next request of a client. */
export type NextRequest = (client: number) => Request;

export const valueBytes = 256;
const value = new SeededRandom(7).bytes(valueBytes);
/** Distinct requests of one kind that are made beforehand. */
const poolSize = 16_384;

/** 32 bytes, in the order of the numbers. */
export function keyOf(number: number): Bytes {
  return utf8ToBytes(`bench/${String(number).padStart(26, "0")}`);
}

export function putOf(number: number, content: Bytes = value): PutRequest {
  const put = new PutRequest();
  put.key = keyOf(number);
  put.value = content;
  return put;
}

/** Puts at random below `keyCount`. */
export function puts(keyCount: number, seed: number, content: Bytes = value): NextRequest {
  return fromPool(seed, paths.put, (random) => {
    return encodePutRequest(putOf(random.below(keyCount), content));
  });
}

export function gets(keyCount: number, seed: number, serializable: boolean): NextRequest {
  return fromPool(seed, paths.range, (random) => {
    const range = new RangeRequest();
    range.key = keyOf(random.below(keyCount));
    range.serializable = serializable;
    return encodeRangeRequest(range);
  });
}

export function ranges(keyCount: number, seed: number, length: number): NextRequest {
  return fromPool(seed, paths.range, (random) => {
    const first = random.below(keyCount - length);
    const range = new RangeRequest();
    range.key = keyOf(first);
    range.rangeEnd = keyOf(first + length);
    return encodeRangeRequest(range);
  });
}

/** If a key is not of version 0: put it, and get another. */
export function txns(keyCount: number, seed: number): NextRequest {
  return fromPool(seed, paths.txn, (random) => {
    const number = random.below(keyCount);
    const txn = new TxnRequest();
    const compare = new Compare();
    compare.key = keyOf(number);
    // VERSION GREATER 0
    compare.target = 0;
    compare.result = 1;
    compare.version = 0n;
    txn.compare.push(compare);
    const put = new RequestOp();
    put.requestPut = putOf(number);
    const get = new RequestOp();
    get.requestRange = new RangeRequest();
    get.requestRange.key = keyOf(random.below(keyCount));
    txn.success.push(put, get);
    return encodeTxnRequest(txn);
  });
}

/** Linearizable gets, and every tenth a put. */
export function mixed(keyCount: number, seed: number): NextRequest {
  const read = gets(keyCount, seed, false);
  const write = puts(keyCount, seed + 1);
  const random = new SeededRandom(seed + 2);
  return (client) => (random.below(10) === 0 ? write(client) : read(client));
}

export function fromPool(
  seed: number,
  path: string,
  make: (random: SeededRandom) => Bytes,
): NextRequest {
  const random = new SeededRandom(seed);
  const pool = Array.from({ length: poolSize }, () => ({ path, message: make(random) }));
  let next = 0;
  return () => pool[next++ % poolSize] as Request;
}
