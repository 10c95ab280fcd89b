// What became of one log entry.

import type { ErrorCode } from "@etcd-ts/api";
import type { ReadJob } from "./job.ts";
import type { ApplyResult } from "./results.ts";

/** A committed entry of type EntryNormal, as raft hands it out. `data` may be a view. */
export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
}

export class ApplyOutcome {
  readonly index: number;
  /** Row of the error catalogue; then `result` is undefined. */
  readonly error: ErrorCode | undefined;
  readonly result: ApplyResult | undefined;
  /** Store revision after the entry. */
  readonly revision: number;
  /**
   * Ranges inside a transaction that were too long for one slice: the owner steps this job to its end, and
   * only then answers with `result`. They read the state as it was inside the transaction, whatever is
   * applied meanwhile. Cancel it when nobody wants the answer any more.
   */
  readonly pending: ReadJob | undefined;
  /**
   * The request was carried out although it went over this member's quota, and answers `noSpace`: the
   * member must raise its NOSPACE alarm.
   */
  readonly overQuota: boolean;

  constructor(
    index: number,
    error: ErrorCode | undefined,
    result: ApplyResult | undefined,
    revision: number,
    pending: ReadJob | undefined = undefined,
    overQuota = false,
  ) {
    this.index = index;
    this.error = error;
    this.result = result;
    this.revision = revision;
    this.pending = pending;
    this.overQuota = overQuota;
  }
}
