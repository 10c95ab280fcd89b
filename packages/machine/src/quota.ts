// What a request costs of the space quota (semantics §14). The server asks before it proposes, the machine
// again when it applies.

import type { PutRequest, RequestOp, TxnRequest } from "@etcd-ts/api";

const putOverheadBytes = 256;
export const leaseGrantCost = 64;

export function putCost(request: PutRequest): number {
  return putOverheadBytes + request.key.length + request.value.length;
}

/** That of the dearer branch; only puts cost anything. */
export function txnCost(request: TxnRequest): number {
  return Math.max(branchCost(request.success), branchCost(request.failure));
}

function branchCost(ops: readonly RequestOp[]): number {
  let cost = 0;
  for (const op of ops) {
    if (op.requestPut !== undefined) cost += putCost(op.requestPut);
    else if (op.requestTxn !== undefined) cost += txnCost(op.requestTxn);
  }
  return cost;
}
