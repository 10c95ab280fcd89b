// Hot path: a range of one key, the most frequent of all reads. It is done within the call that asks for it.

import type { ErrorCode, RangeRequest } from "@etcd-ts/api";
import { type RangeJob, replacedError } from "./job.ts";
import type { ReadPoint } from "./key-walk.ts";
import { KvField, KvList } from "./kv-list.ts";
import { RangeQuery } from "./range-query.ts";
import { requestKey } from "./request-key.ts";
import { RangeResult } from "./results.ts";
import type { Store } from "./store.ts";

const noKvs = new KvList(KvField.kvs);

/** Reads one key where the reader stands, with what else the request asks for. */
function readKey(store: Store, request: RangeRequest, at: ReadPoint): RangeResult {
  const { index } = store;
  const headerRevision = store.openRevision;
  if (!index.look(requestKey(request.key), at.main, at.subEnd)) {
    return new RangeResult(headerRevision, noKvs, false, 0);
  }
  if (!isPlain(request)) return special(store, request, headerRevision);
  if (index.foundNewest) {
    // What the leaf's other keys are does not matter.
    const packed = store.values.of(index.foundLeaf, 1, Number.MAX_SAFE_INTEGER);
    if (packed !== undefined) {
      const place = index.foundPlace;
      const { bytes } = packed;
      const kvs = KvList.ofPacked(KvField.kvs, bytes, packed.startOf(place), packed.ends[place]!);
      return new RangeResult(headerRevision, kvs, false, 1);
    }
  }
  const kvs = KvList.ofOne(KvField.kvs, store.read(index.foundMain, index.foundSub));
  return new RangeResult(headerRevision, kvs, false, 1);
}

/** All of the key, as it is stored. */
function isPlain(request: RangeRequest): boolean {
  return !(
    request.countOnly ||
    request.keysOnly ||
    request.minModRevision !== 0n ||
    request.maxModRevision !== 0n ||
    request.minCreateRevision !== 0n ||
    request.maxCreateRevision !== 0n
  );
}

/** A part of the key that `look` found, or nothing of it: the count does not heed filters (semantics §3.2). */
function special(store: Store, request: RangeRequest, headerRevision: number): RangeResult {
  const query = new RangeQuery(request);
  const kvs = new KvList(KvField.kvs);
  if (!query.countOnly) {
    const { foundMain } = store.index;
    const kv = store.read(foundMain, store.index.foundSub);
    const fields = store.parse(kv);
    if (query.matches(foundMain, fields.createRevision)) query.pack(kvs, kv, fields);
  }
  return new RangeResult(headerRevision, kvs, false, 1);
}

/** A range of one key as others see it that may take longer. */
export class KeyRead implements RangeJob {
  readonly done = true;
  readonly error: ErrorCode | undefined;
  readonly #result: RangeResult | undefined;

  constructor(store: Store, request: RangeRequest, at: ReadPoint, error?: ErrorCode) {
    this.error = store.isReplaced ? replacedError : error;
    this.#result = this.error === undefined ? readKey(store, request, at) : undefined;
  }

  get result(): RangeResult {
    return this.#result!;
  }

  step(): boolean {
    return true;
  }

  cancel(): void {}
}
