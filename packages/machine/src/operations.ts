// Put, DeleteRange and Range inside an open transaction of the store; alone or as operations of a Txn.
// `check…` says whether an operation may run, and nothing has been written when it may not.

import type { DeleteRangeRequest, ErrorCode, PutRequest, RangeRequest } from "@etcd-ts/api";
import { type Bytes, copyBytes, type Key } from "@etcd-ts/base";
import { IntervalRead } from "./interval-read.ts";
import { toInterval } from "./intervals.ts";
import type { RangeJob } from "./job.ts";
import { KeyRead } from "./key-read.ts";
import { allSubs } from "./key-walk.ts";
import { KvField, KvList } from "./kv-list.ts";
import { RangeQuery, toNumber } from "./range-query.ts";
import { requestKey } from "./request-key.ts";
import { DeleteResult, PutResult } from "./results.ts";
import type { Store } from "./store.ts";

/** Refusals of a put, in etcd's order: unknown lease, then nothing there to keep. */
export function checkPut(store: Store, request: PutRequest): ErrorCode | undefined {
  if (request.lease !== 0n && store.leases.get(request.lease) === undefined) {
    return "leaseNotFound";
  }
  if (request.ignoreValue || request.ignoreLease) {
    if (store.index.findLive(requestKey(request.key)) < 0) return "keyNotFound";
  }
  return undefined;
}

/** Carries out a put that `checkPut` let through. `wanted`: somebody reads the result. */
export function runPut(store: Store, request: PutRequest, wanted: boolean): PutResult {
  const key: Key = requestKey(request.key);
  let value = request.value;
  let leaseId = request.lease;
  let prevKv: Bytes | undefined;
  const keeps = request.ignoreValue || request.ignoreLease;
  if (keeps || (request.prevKv && wanted)) {
    const kv = store.newestOf(key);
    if (kv !== undefined) {
      if (request.prevKv && wanted) prevKv = copyBytes(kv);
      if (keeps) {
        const fields = store.parse(kv);
        if (request.ignoreValue) value = fields.value();
        if (request.ignoreLease) leaseId = fields.lease();
      }
    }
  }
  store.put(key, value, leaseId, leaseId === 0n ? undefined : store.leases.get(leaseId));
  return new PutResult(store.openRevision, prevKv);
}

export function runDelete(
  store: Store,
  request: DeleteRangeRequest,
  wanted: boolean,
): DeleteResult {
  const removed = new KvList(KvField.prevKvs);
  const interval = toInterval(request.key, request.rangeEnd);
  const count = store.deleteInterval(interval, request.prevKv && wanted ? removed : undefined);
  return new DeleteResult(store.openRevision, count, removed);
}

/** Refusals of a range by its revision. */
export function checkRange(store: Store, revision: number): ErrorCode | undefined {
  if (revision === 0) return undefined;
  if (revision > store.revision) return "futureRev";
  return revision < store.compactRevision ? "compacted" : undefined;
}

/** A range of the state as it is now, changes of an open transaction included, or of a past one. */
export function newRange(store: Store, request: RangeRequest): RangeJob {
  store.rangeCount++;
  const revision = Math.max(0, toNumber(request.revision));
  const at = revision > 0 ? { main: revision, subEnd: allSubs } : store.newest;
  const refusal = checkRange(store, revision);
  if (request.rangeEnd.length === 0) return new KeyRead(store, request, at, refusal);
  return new IntervalRead(store, new RangeQuery(request), at, store.openRevision, refusal);
}
