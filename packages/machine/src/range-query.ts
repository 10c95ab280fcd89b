// A Range request taken apart once: intervals as keys, 64-bit numbers as numbers. (A bound beyond 2^53 is
// rounded, which changes no comparison with a revision that exists.)

import { type RangeRequest, SortOrder, SortTarget } from "@etcd-ts/api";
import type { Bytes } from "@etcd-ts/base";
import { type Interval, toInterval } from "./intervals.ts";
import type { KvFields } from "./kv-codec.ts";
import type { KvList } from "./kv-list.ts";

/** By what the result is sorted; "none" means in key order as it is found. */
export type Sorting = "none" | "key" | "version" | "create" | "mod" | "value";

export class RangeQuery {
  readonly interval: Interval;
  /** 0: no limit. */
  readonly limit: number;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly sorting: Sorting;
  readonly descending: boolean;
  /** Only the first limit + 1 keys are looked at, whatever they sort by (semantics §3.2 step 4). */
  readonly sortsTruncated: boolean;
  /** With `keysOnly`: the lease is kept, because the answer comes from the stored KeyValue. */
  readonly keepsLease: boolean;
  readonly hasFilters: boolean;
  readonly minMod: number;
  readonly maxMod: number;
  readonly minCreate: number;
  readonly maxCreate: number;

  constructor(request: RangeRequest) {
    this.interval = toInterval(request.key, request.rangeEnd);
    this.limit = Math.max(0, toNumber(request.limit));
    this.keysOnly = request.keysOnly;
    this.countOnly = request.countOnly;
    this.minMod = toNumber(request.minModRevision);
    this.maxMod = toNumber(request.maxModRevision);
    this.minCreate = toNumber(request.minCreateRevision);
    this.maxCreate = toNumber(request.maxCreateRevision);
    this.hasFilters =
      this.minMod !== 0 || this.maxMod !== 0 || this.minCreate !== 0 || this.maxCreate !== 0;
    const order = request.sortOrder;
    const target = request.sortTarget;
    this.descending = order === SortOrder.DESCEND;
    this.sorting =
      target === SortTarget.KEY && !this.descending ? "none" : (sortings[target] ?? "none");
    this.sortsTruncated =
      this.sorting !== "none" && order === SortOrder.NONE && this.limit > 0 && !this.hasFilters;
    this.keepsLease = target === SortTarget.VALUE;
  }

  matches(modRevision: number, createRevision: number): boolean {
    return (
      (this.maxMod === 0 || modRevision <= this.maxMod) &&
      (this.minMod === 0 || modRevision >= this.minMod) &&
      (this.maxCreate === 0 || createRevision <= this.maxCreate) &&
      (this.minCreate === 0 || createRevision >= this.minCreate)
    );
  }

  /** Adds a stored KeyValue to `list`, or with `keysOnly`, for which its fields are needed, what is left of it. */
  pack(list: KvList, kv: Bytes, fields: KvFields | undefined): void {
    if (!this.keysOnly) {
      list.add(kv);
      return;
    }
    const { valueFieldStart, valueEnd, leaseFieldStart, leaseFieldEnd } = fields!;
    const end = this.keepsLease || leaseFieldEnd === leaseFieldStart ? kv.length : leaseFieldStart;
    if (valueEnd === valueFieldStart) {
      list.add(end === kv.length ? kv : kv.subarray(0, end));
      return;
    }
    const position = list.reserve(valueFieldStart + end - valueEnd);
    list.chunk.set(kv.subarray(0, valueFieldStart), position);
    list.chunk.set(kv.subarray(valueEnd, end), position + valueFieldStart);
  }
}

/** Most are zero, and asking that is cheaper than converting. */
export function toNumber(value: bigint): number {
  return value === 0n ? 0 : Number(value);
}

const sortings: readonly Sorting[] = ["key", "version", "create", "mod", "value"];
