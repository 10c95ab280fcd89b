// What applied requests and finished reads come to. KeyValues stay the bytes that are stored; the encoders
// in `response-encoders.ts` put them into API messages without decoding.

import { type Bytes, emptyBytes } from "@etcd-ts/base";
import type { KvList } from "./kv-list.ts";

/** Any answer to an operation of a transaction. */
export type OpResult = PutResult | DeleteResult | RangeResult | TxnResult | NoResult;

export type ApplyResult =
  | PutResult
  | DeleteResult
  | RangeResult
  | TxnResult
  | CompactResult
  | LeaseGrantResult
  | LeaseRevokeResult
  | LeaseCheckpointResult
  | AlarmResult
  | AuthResult
  | NoResult;

export class PutResult {
  readonly kind = "put";
  /** For the response header. */
  readonly revision: number;
  /** Encoded KeyValue. */
  readonly prevKv: Bytes | undefined;

  constructor(revision: number, prevKv: Bytes | undefined) {
    this.revision = revision;
    this.prevKv = prevKv;
  }
}

export class DeleteResult {
  readonly kind = "deleteRange";
  readonly revision: number;
  readonly deleted: number;
  /** Fields `prev_kvs`, ready for the response. */
  readonly prevKvs: KvList;

  constructor(revision: number, deleted: number, prevKvs: KvList) {
    this.revision = revision;
    this.deleted = deleted;
    this.prevKvs = prevKvs;
  }
}

export class RangeResult {
  readonly kind = "range";
  /** Store revision at the time of the read (not the revision that was read). */
  readonly revision: number;
  /** Fields `kvs`, ready for the response. */
  readonly kvs: KvList;
  readonly more: boolean;
  readonly count: number;

  constructor(revision: number, kvs: KvList, more: boolean, count: number) {
    this.revision = revision;
    this.kvs = kvs;
    this.more = more;
    this.count = count;
  }
}

export class TxnResult {
  readonly kind = "txn";
  readonly revision: number;
  readonly succeeded: boolean;
  /**
   * One per executed operation. An entry is a placeholder (`NoResult`) only while the outcome's `pending`
   * job is unfinished.
   */
  readonly responses: readonly OpResult[];

  constructor(revision: number, succeeded: boolean, responses: readonly OpResult[]) {
    this.revision = revision;
    this.succeeded = succeeded;
    this.responses = responses;
  }
}

/** Nothing to tell: an operation with no member set, and entries whose answer is only a header. */
export class NoResult {
  readonly kind = "none";
  readonly revision: number;

  constructor(revision: number) {
    this.revision = revision;
  }
}

export class CompactResult {
  readonly kind = "compact";
  readonly revision: number;
  /** The caller wants to be answered once the removal is done: see `Compaction.whenIdle`. */
  readonly physical: boolean;

  constructor(revision: number, physical: boolean) {
    this.revision = revision;
    this.physical = physical;
  }
}

export class LeaseGrantResult {
  readonly kind = "leaseGrant";
  readonly revision: number;
  readonly id: bigint;
  /** Seconds, after raising to the minimum. */
  readonly ttl: number;

  constructor(revision: number, id: bigint, ttl: number) {
    this.revision = revision;
    this.id = id;
    this.ttl = ttl;
  }
}

export class LeaseRevokeResult {
  readonly kind = "leaseRevoke";
  readonly revision: number;

  constructor(revision: number) {
    this.revision = revision;
  }
}

export class LeaseCheckpointResult {
  readonly kind = "leaseCheckpoint";
  readonly revision: number;

  constructor(revision: number) {
    this.revision = revision;
  }
}

/** An active alarm. `kind` is a number of `AlarmType`, and may be one that we do not know. */
export interface Alarm {
  readonly memberId: bigint;
  readonly kind: number;
}

export class AlarmResult {
  readonly kind = "alarm";
  readonly revision: number;
  readonly alarms: readonly Alarm[];

  constructor(revision: number, alarms: readonly Alarm[]) {
    this.revision = revision;
    this.alarms = alarms;
  }
}

/** The response message of an auth operation without its header, encoded by the auth module. */
export class AuthResult {
  readonly kind = "auth";
  readonly revision: number;
  readonly body: Bytes;

  constructor(revision: number, body: Bytes = emptyBytes) {
    this.revision = revision;
    this.body = body;
  }
}
