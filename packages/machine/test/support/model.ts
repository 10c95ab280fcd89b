// The store as simply as it can be said: a list of all changes, and every answer computed from it by brute
// force. The machine is compared with this, operation by operation.

import {
  type Compare,
  CompareResult,
  CompareTarget,
  encodeKeyValue,
  KeyValue,
  type RangeRequest,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnRequest,
} from "@etcd-ts/api";
import { type Bytes, build, compareBytes, crc32c, emptyBytes } from "@etcd-ts/base";
import { EventType, type KvEvent } from "@etcd-ts/machine";
import { text } from "./driver.ts";

export interface Change {
  readonly main: number;
  readonly sub: number;
  readonly key: string;
  /** Undefined: the key was deleted. */
  readonly kv: KeyValue | undefined;
}

export interface ModelRange {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}

type Sorted = (a: KeyValue, b: KeyValue) => number;

const targets: Readonly<Record<number, Sorted>> = {
  [SortTarget.KEY]: (a, b) => compareBytes(a.key, b.key),
  [SortTarget.VERSION]: (a, b) => a.version - b.version,
  [SortTarget.CREATE]: (a, b) => a.createRevision - b.createRevision,
  [SortTarget.MOD]: (a, b) => a.modRevision - b.modRevision,
  [SortTarget.VALUE]: (a, b) => compareBytes(a.value, b.value),
};

export class Model {
  changes: Change[] = [];
  revision = 1;
  compacted = -1;
  readonly leases: Set<bigint> = new Set();
  #sub = 0;

  inRange(key: string, from: string, end: string): boolean {
    if (end === "") return key === from;
    return key >= from && (end === "\0" || key < end);
  }

  /** What is alive at a point, by key. */
  stateAt(main: number, subEnd: number = Number.MAX_SAFE_INTEGER): Map<string, Change> {
    const state = new Map<string, Change>();
    for (const change of this.changes) {
      if (change.main > main || (change.main === main && change.sub >= subEnd)) break;
      if (change.kv === undefined) state.delete(change.key);
      else state.set(change.key, change);
    }
    return new Map([...state].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  range(request: RangeRequest): ModelRange | string {
    const revision = Number(request.revision);
    if (revision > this.revision) return "futureRev";
    if (revision > 0 && revision < this.compacted) return "compacted";
    const state = this.stateAt(revision > 0 ? revision : Number.MAX_SAFE_INTEGER);
    const from = text(request.key)!;
    const end = text(request.rangeEnd)!;
    let kvs = [...state.values()]
      .filter((change) => this.inRange(change.key, from, end))
      .map((change) => change.kv!);
    const count = kvs.length;
    if (request.countOnly) return { kvs: [], more: false, count };
    const limit = Number(request.limit);
    const filters =
      request.minModRevision !== 0n ||
      request.maxModRevision !== 0n ||
      request.minCreateRevision !== 0n ||
      request.maxCreateRevision !== 0n;
    const isDefault =
      request.sortOrder === SortOrder.NONE ||
      (request.sortOrder === SortOrder.ASCEND && request.sortTarget === SortTarget.KEY);
    if (limit > 0 && !filters && isDefault) kvs = kvs.slice(0, limit + 1);
    const above = (bound: bigint, value: number): boolean => bound !== 0n && value > bound;
    const below = (bound: bigint, value: number): boolean => bound !== 0n && value < bound;
    kvs = kvs.filter(
      (kv) =>
        !above(request.maxModRevision, kv.modRevision) &&
        !below(request.minModRevision, kv.modRevision) &&
        !above(request.maxCreateRevision, kv.createRevision) &&
        !below(request.minCreateRevision, kv.createRevision),
    );
    if (request.sortTarget !== SortTarget.KEY || request.sortOrder === SortOrder.DESCEND) {
      const sign = request.sortOrder === SortOrder.DESCEND ? -1 : 1;
      kvs = [...kvs].sort((a, b) => sign * targets[request.sortTarget]!(a, b));
    }
    let more = false;
    if (limit > 0 && kvs.length > limit) {
      kvs = kvs.slice(0, limit);
      more = true;
    }
    if (request.keysOnly) {
      const lease = request.sortTarget === SortTarget.VALUE;
      kvs = kvs.map((kv) => Object.assign(new KeyValue(), kv, { value: emptyBytes }));
      if (!lease) for (const kv of kvs) kv.lease = 0n;
    }
    return { kvs, more, count };
  }

  begin(): void {
    this.#sub = 0;
  }

  end(): void {
    if (this.#sub > 0) this.revision++;
    this.#sub = 0;
  }

  get openRevision(): number {
    return this.#sub > 0 ? this.revision + 1 : this.revision;
  }

  current(key: string): KeyValue | undefined {
    return this.stateAt(Number.MAX_SAFE_INTEGER).get(key)?.kv;
  }

  put(key: string, value: Bytes, lease: bigint): void {
    const main = this.revision + 1;
    const old = this.current(key);
    const kv = build(KeyValue, {
      key: Buffer.from(key, "latin1"),
      value,
      lease,
      createRevision: old?.createRevision ?? main,
      modRevision: main,
      version: (old?.version ?? 0) + 1,
    });
    this.changes.push({ main, sub: this.#sub++, key, kv });
  }

  delete(from: string, end: string): KeyValue[] {
    const gone: KeyValue[] = [];
    for (const [key, change] of this.stateAt(Number.MAX_SAFE_INTEGER)) {
      if (!this.inRange(key, from, end)) continue;
      gone.push(change.kv!);
      this.changes.push({ main: this.revision + 1, sub: this.#sub++, key, kv: undefined });
    }
    return gone;
  }

  revoke(id: bigint): void {
    this.leases.delete(id);
    for (const [key, change] of this.stateAt(Number.MAX_SAFE_INTEGER)) {
      if (change.kv!.lease === id) this.delete(key, "");
    }
  }

  keysOf(id: bigint): string[] {
    return [...this.stateAt(Number.MAX_SAFE_INTEGER).values()]
      .filter((change) => change.kv!.lease === id)
      .map((change) => change.key);
  }

  compares(request: TxnRequest): boolean {
    return request.compare.every((compare) => this.#holds(compare));
  }

  #holds(compare: Compare): boolean {
    const kvs = [...this.stateAt(this.revision).values()]
      .filter((change) => this.inRange(change.key, text(compare.key)!, text(compare.rangeEnd)!))
      .map((change) => change.kv!);
    if (kvs.length === 0) {
      return compare.target !== CompareTarget.VALUE && this.#relates(compare, new KeyValue());
    }
    return kvs.every((kv) => this.#relates(compare, kv));
  }

  #relates(compare: Compare, kv: KeyValue): boolean {
    const big = (value: number | bigint, operand: bigint | undefined): number =>
      BigInt(value) < (operand ?? 0n) ? -1 : BigInt(value) > (operand ?? 0n) ? 1 : 0;
    const difference = [
      () => big(kv.version, compare.version),
      () => big(kv.createRevision, compare.createRevision),
      () => big(kv.modRevision, compare.modRevision),
      () => compareBytes(kv.value, compare.value ?? emptyBytes),
      () => big(kv.lease, compare.lease),
    ][compare.target]!();
    if (compare.result === CompareResult.EQUAL) return difference === 0;
    if (compare.result === CompareResult.NOT_EQUAL) return difference !== 0;
    return compare.result === CompareResult.GREATER ? difference > 0 : difference < 0;
  }

  /** Why the operations on the taken path cannot run. */
  check(ops: readonly RequestOp[], taken: (txn: TxnRequest) => boolean): string | undefined {
    const now = this.stateAt(this.revision);
    for (const op of ops) {
      if (op.requestRange !== undefined) {
        const revision = Number(op.requestRange.revision);
        if (revision > this.revision) return "futureRev";
        if (revision !== 0 && revision < this.compacted) return "compacted";
      }
      const put = op.requestPut;
      if (put !== undefined) {
        if (put.lease !== 0n && !this.leases.has(put.lease)) return "leaseNotFound";
        const keeps = put.ignoreLease || put.ignoreValue;
        if (keeps && !now.has(text(put.key)!)) return "keyNotFound";
      }
      const txn = op.requestTxn;
      if (txn !== undefined) {
        const error = this.check(taken(txn) ? txn.success : txn.failure, taken);
        if (error !== undefined) return error;
      }
    }
    return undefined;
  }

  /** Revisions that stay after a compaction at R, from the full list of changes. */
  survivors(at: number): string[] {
    const kept: string[] = [];
    for (const change of this.changes) {
      const newer = this.changes.find(
        (other) =>
          other.key === change.key &&
          (other.main > change.main || (other.main === change.main && other.sub > change.sub)),
      );
      const name = `${change.main}/${change.sub}${change.kv === undefined ? "t" : ""}`;
      if (change.main > at) kept.push(name);
      else if (change.kv === undefined) {
        if (change.main === at) kept.push(name);
      } else if (newer === undefined || newer.main > at) kept.push(name);
    }
    return kept;
  }

  /** `compacting`: the hash that a compaction at `revision` takes; deletions there count as kept. */
  hashKv(revision: number, compacted: number, compacting = false): number {
    const keep = new Set<Change>(this.stateAt(revision).values());
    if (compacting) {
      for (const change of this.changes) {
        if (change.main === revision && change.kv === undefined) keep.add(change);
      }
    }
    const kept = new Set(this.survivors(compacted));
    let hash = crc32c(0, Buffer.from("key"));
    for (const change of this.changes) {
      const name = `${change.main}/${change.sub}${change.kv === undefined ? "t" : ""}`;
      if (change.main > revision || !kept.has(name)) continue;
      if (change.main <= compacted && keep.size > 0 && !keep.has(change)) continue;
      if (change.main === compacted && change.kv === undefined) continue;
      const key = Buffer.alloc(change.kv === undefined ? 18 : 17);
      key.writeBigUInt64BE(BigInt(change.main), 0);
      key[8] = 0x5f;
      key.writeBigUInt64BE(BigInt(change.sub), 9);
      if (change.kv === undefined) key[17] = 0x74;
      const kv = change.kv ?? build(KeyValue, { key: Buffer.from(change.key, "latin1") });
      hash = crc32c(crc32c(hash, key), encodeKeyValue(kv));
    }
    return hash;
  }

  /** Lines as `describe` makes them of events. */
  eventsSince(start: number, end: number = this.revision): string[] {
    const kept = new Set(this.survivors(this.compacted));
    return this.changes
      .filter((change) => change.main >= start && change.main <= end)
      .filter((change) =>
        kept.has(`${change.main}/${change.sub}${change.kv === undefined ? "t" : ""}`),
      )
      .map((change) => {
        const prev =
          change.main - 1 < this.compacted
            ? undefined
            : this.stateAt(change.main - 1).get(change.key)?.kv;
        const isCreate = change.kv !== undefined && change.kv.createRevision === change.main;
        const hasPrev = prev !== undefined && !isCreate;
        return line(
          change.main,
          change.sub,
          change.key,
          change.kv === undefined ? undefined : encodeKeyValue(change.kv),
          hasPrev ? encodeKeyValue(prev) : undefined,
        );
      });
  }
}

export function describe(event: KvEvent, prev: Bytes | undefined): string {
  const kv = event.type === EventType.put ? event.kv : undefined;
  return line(event.modRevision, event.sub, event.key, kv, prev);
}

function line(
  main: number,
  sub: number,
  key: string,
  kv: Bytes | undefined,
  prev: Bytes | undefined,
): string {
  const hex = (bytes: Bytes | undefined): string =>
    bytes === undefined ? "-" : Buffer.from(bytes).toString("hex");
  return `${main}/${sub} ${JSON.stringify(key)} ${hex(kv)} ${hex(prev)}`;
}
