// Lines of `testdata/*.jsonl`: what a stock etcd answered to a request, one by one from an empty store.
// Header ids and terms are left out; so is the lease in keys-only answers, which releases differ about.

import {
  type KeyValue,
  type RangeRequest,
  type RangeResponse,
  ResponseHeader,
  type TxnRequest,
  type TxnResponse,
} from "@etcd-ts/api";
import { fromJson, toJson } from "@etcd-ts/api/json";
import { build } from "@etcd-ts/base";

export interface GoldenOp {
  readonly requestType: string;
  readonly responseType: string;
  /** Path of the HTTP gateway. */
  readonly path: string;
}

export const goldenOps: Readonly<Record<string, GoldenOp>> = {
  put: op("Put", "/v3/kv/put"),
  range: op("Range", "/v3/kv/range"),
  delete: op("DeleteRange", "/v3/kv/deleterange"),
  txn: op("Txn", "/v3/kv/txn"),
  compact: op("Compaction", "/v3/kv/compaction"),
  grant: op("LeaseGrant", "/v3/lease/grant"),
  revoke: op("LeaseRevoke", "/v3/lease/revoke"),
  hashKv: op("HashKV", "/v3/maintenance/hash"),
};

export interface GoldenLine {
  readonly op: string;
  readonly request: string;
  /** JSON of the response, or the text of the error. */
  readonly response?: string;
  readonly error?: string;
}

function op(name: string, path: string): GoldenOp {
  return {
    requestType: `etcdserverpb.${name}Request`,
    responseType: `etcdserverpb.${name}Response`,
    path,
  };
}

export function parseRequest(line: GoldenLine): object {
  return fromJson(goldenOps[line.op]!.requestType, line.request);
}

export function requestJson(name: string, request: object): string {
  return toJson(goldenOps[name]!.requestType, request);
}

/** The response as it is compared. */
export function responseJson(name: string, request: object, response: object): string {
  const { header } = response as { header?: ResponseHeader };
  if (header !== undefined) {
    const { revision } = header;
    Object.assign(response, { header: build(ResponseHeader, { revision }) });
  }
  if (name === "range") dropLeases(request as RangeRequest, response as RangeResponse);
  if (name === "txn") dropInTxn(request as TxnRequest, response as TxnResponse);
  if (name === "hashKv") Object.assign(response, { hashRevision: 0 });
  return toJson(goldenOps[name]!.responseType, response);
}

function dropInTxn(request: TxnRequest, response: TxnResponse): void {
  const ops = response.succeeded ? request.success : request.failure;
  for (let i = 0; i < ops.length; i++) {
    const { requestRange, requestTxn } = ops[i]!;
    const { responseRange, responseTxn } = response.responses[i]!;
    if (requestRange && responseRange) dropLeases(requestRange, responseRange);
    if (requestTxn && responseTxn) dropInTxn(requestTxn, responseTxn);
  }
}

function dropLeases(request: RangeRequest, response: RangeResponse): void {
  if (request.keysOnly) for (const kv of response.kvs as KeyValue[]) kv.lease = 0n;
}
