// Opening: rebuilds the index from bucket `key`, in slices, and takes up what was going on. Each record is
// looked at once, in order of revisions; of its KeyValue only the key and a few numbers are read.
//
//     leases ──► records, oldest first: index, keys of leases ──► sort, tree ──► interrupted compaction

import { type Bytes, CorruptionError, emptyBytes } from "@etcd-ts/base";
import { leaseTtlSecondsMinDefault, type MachineOptions } from "./applier.ts";
import type { Backend } from "./backend.ts";
import { IndexBuilder } from "./index-builder.ts";
import type { Job } from "./job.ts";
import { KvFields } from "./kv-codec.ts";
import { isRevisionKey, isTombstoneKey, mainOf, subOf } from "./revision-key.ts";
import type { MachineState } from "./state.ts";

/** Brings a new state back from the backend. */
export class StateOpening implements Job {
  readonly #state: MachineState;
  readonly #backend: Backend;
  readonly #fields: KvFields = new KvFields();
  readonly #builder: IndexBuilder;
  #next: Bytes | undefined = emptyBytes;
  /** Records read so far. */
  recordCount = 0;
  /** Records that this step may still read. */
  #left = 0;
  #done = false;

  constructor(state: MachineState, options: MachineOptions) {
    this.#state = state;
    const { leases, store } = state;
    const { backend } = options;
    this.#backend = backend;
    const ttlMin = options.leaseTtlSecondsMin ?? leaseTtlSecondsMinDefault;
    this.#builder = new IndexBuilder(store.index, leases);
    backend.scan("lease", emptyBytes, undefined, Number.MAX_SAFE_INTEGER, (_key, value) => {
      leases.restore(value, ttlMin);
      return true;
    });
  }

  get done(): boolean {
    return this.#done;
  }

  step(itemCount: number): boolean {
    if (this.#done) return true;
    const itemMax = Math.max(1, itemCount);
    const from = this.#next;
    if (from === undefined) {
      if (this.#builder.step(itemMax)) this.#finish();
      return this.#done;
    }
    this.#left = itemMax;
    this.#next = undefined;
    const backend = this.#backend;
    if (backend.scanSpans === undefined) backend.scan("key", from, undefined, itemMax, this.#pair);
    else backend.scanSpans("key", from, this.#spans);
    this.recordCount += itemMax - this.#left;
    return false;
  }

  readonly #pair = (key: Bytes, value: Bytes): boolean =>
    this.#spans(key, 0, key.length, value, 0, value.length);

  readonly #spans = (
    keys: Bytes,
    keyStart: number,
    keyEnd: number,
    values: Bytes,
    valueStart: number,
    valueEnd: number,
  ): boolean => {
    if (!isRevisionKey(keys, keyStart, keyEnd)) {
      throw new CorruptionError("bucket key", this.recordCount, "a key is no revision");
    }
    const { store, leases } = this.#state;
    const main = mainOf(keys, keyStart);
    const sub = subOf(keys, keyStart);
    store.revision = main;
    const fields = this.#fields.read(values, valueStart, valueEnd);
    const builder = this.#builder;
    if (isTombstoneKey(keys, keyStart, keyEnd)) {
      builder.tombstone(values, fields.keyStart, fields.keyEnd, main, sub);
    } else {
      builder.put(
        values,
        fields.keyStart,
        fields.keyEnd,
        main,
        sub,
        fields.createRevision,
        fields.version,
        fields.leaseFieldEnd === 0 ? undefined : leases.get(fields.lease()),
      );
    }
    if (--this.#left > 0) return true;
    // Where to go on: right behind this key.
    const next = new Uint8Array(keyEnd - keyStart + 1);
    for (let i = keyStart; i < keyEnd; i++) next[i - keyStart] = keys[i]!;
    this.#next = next;
    return false;
  };

  #finish(): void {
    const { store, meta, compaction } = this.#state;
    const { scheduled, finished } = meta.readCompaction();
    store.compactRevision = Math.max(scheduled, finished);
    store.revision = Math.max(store.revision, 1, scheduled, finished);
    if (scheduled > finished) compaction.resume(scheduled, finished);
    this.#done = true;
  }
}

/** Steps begin small: what runs for the first time runs twenty times slower. */
const firstItemCount = 64;
const openItemCountMax = 4096;

/** Does all of an opening, letting the event loop run after every slice. */
export async function openInSlices(
  opening: Job,
  pause: () => Promise<void>,
  itemCountMax: number = openItemCountMax,
): Promise<void> {
  let itemCount = Math.min(firstItemCount, itemCountMax);
  while (!opening.step(itemCount)) {
    await pause();
    itemCount = Math.min(itemCount * 2, itemCountMax);
  }
}
