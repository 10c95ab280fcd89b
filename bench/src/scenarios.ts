// What is measured. A scenario prepares a server and gives the requests of its clients.

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
import { RawClient } from "@etcd-ts/conformance";

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly clientCount: number;
  readonly connectionCount: number;
  /** Keys that are there before the load begins. */
  readonly preloadedKeys: number;
  readonly next: (random: SeededRandom, client: number) => { path: string; message: Bytes };
}

const valueBytes = 256;
const keyCount = 10_000;
const value = new SeededRandom(7).bytes(valueBytes);

export const scenarios: readonly Scenario[] = [
  ...[1, 100, 1000].map((clientCount) => ({
    name: `put-${clientCount}`,
    title: `put 256 B, ${clientCount} client${clientCount === 1 ? "" : "s"}`,
    clientCount,
    connectionCount: Math.min(clientCount, 100),
    preloadedKeys: 0,
    next: (random: SeededRandom) => ({
      path: "/etcdserverpb.KV/Put",
      message: encodePutRequest(putOf(random.below(keyCount))),
    }),
  })),
  {
    name: "get-linearizable",
    title: "get one key, linearizable, 100 clients",
    clientCount: 100,
    connectionCount: 100,
    preloadedKeys: keyCount,
    next: (random) => ({ path: "/etcdserverpb.KV/Range", message: getOf(random, false) }),
  },
  {
    name: "get-serializable",
    title: "get one key, serializable, 100 clients",
    clientCount: 100,
    connectionCount: 100,
    preloadedKeys: keyCount,
    next: (random) => ({ path: "/etcdserverpb.KV/Range", message: getOf(random, true) }),
  },
  {
    name: "range-1000",
    title: "range of 1,000 keys, 10 clients",
    clientCount: 10,
    connectionCount: 10,
    preloadedKeys: keyCount,
    next: (random) => {
      const first = random.below(keyCount - 1000);
      const range = new RangeRequest();
      range.key = keyOf(first);
      range.rangeEnd = keyOf(first + 1000);
      return { path: "/etcdserverpb.KV/Range", message: encodeRangeRequest(range) };
    },
  },
  {
    name: "txn",
    title: "txn (compare, put, get), 100 clients",
    clientCount: 100,
    connectionCount: 100,
    preloadedKeys: keyCount,
    next: (random) => ({ path: "/etcdserverpb.KV/Txn", message: txnOf(random) }),
  },
];

/** 32 bytes, in the order of the numbers. */
export function keyOf(number: number): Bytes {
  return utf8ToBytes(`bench/${String(number).padStart(26, "0")}`);
}

function putOf(number: number): PutRequest {
  const put = new PutRequest();
  put.key = keyOf(number);
  put.value = value;
  return put;
}

function getOf(random: SeededRandom, serializable: boolean): Bytes {
  const range = new RangeRequest();
  range.key = keyOf(random.below(keyCount));
  range.serializable = serializable;
  return encodeRangeRequest(range);
}

function txnOf(random: SeededRandom): Bytes {
  const number = random.below(keyCount);
  const txn = new TxnRequest();
  const compare = new Compare();
  compare.key = keyOf(number);
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
}

/** Puts keys 0 to `count` with values of 256 bytes, 100 to a transaction. */
export async function preload(
  endpoint: string,
  count: number,
  progress?: (done: number) => void,
): Promise<void> {
  const client = new RawClient(endpoint);
  const perTxn = 100;
  const inFlight = 16;
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const txn = new TxnRequest();
      for (const end = Math.min(next + perTxn, count); next < end; next++) {
        const op = new RequestOp();
        op.requestPut = putOf(next);
        txn.success.push(op);
      }
      const size = txn.success.length;
      await client.unary("/etcdserverpb.KV/Txn", encodeTxnRequest(txn));
      done += size;
      progress?.(done);
    }
  };
  try {
    await Promise.all(Array.from({ length: inFlight }, worker));
  } finally {
    client.close();
  }
}
