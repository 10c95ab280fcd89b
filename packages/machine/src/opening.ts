// Opening: rebuilds the index from bucket `key`, in slices, and takes up what was going on. Each record is
// looked at once, in order of revisions; of its KeyValue only the key and a few numbers are read.
//
//     leases ──► records, oldest first: index, keys of leases ──► sort, tree ──► interrupted compaction

import { type Bytes, CorruptionError, emptyBytes } from "@etcd-ts/base";
import { leaseTtlSecondsMinDefault, type MachineOptions } from "./applier.ts";
import { IndexBuilder } from "./index-builder.ts";
import type { Job } from "./job.ts";
import { KvFields } from "./kv-codec.ts";
import type { Lease } from "./leases.ts";
import { Machine } from "./machine.ts";
import { isRevisionKey, isTombstoneKey, mainOf, subOf } from "./revision-key.ts";

export class MachineOpening implements Job {
  readonly #machine: Machine;
  readonly #fields: KvFields = new KvFields();
  readonly #builder: IndexBuilder;
  #next: Bytes | undefined = emptyBytes;
  /** Records read so far. */
  recordCount = 0;
  #done = false;

  constructor(options: MachineOptions) {
    this.#machine = new Machine(options);
    const { backend, leases } = this.#machine;
    const ttlMin = options.leaseTtlSecondsMin ?? leaseTtlSecondsMinDefault;
    this.#builder = new IndexBuilder(this.#machine.store.index);
    backend.scan("lease", emptyBytes, undefined, Number.MAX_SAFE_INTEGER, (_key, value) => {
      leases.restore(value, ttlMin);
      return true;
    });
  }

  get done(): boolean {
    return this.#done;
  }

  /** Valid once done. */
  get machine(): Machine {
    return this.#machine;
  }

  step(itemCount: number): boolean {
    if (this.#done) return true;
    const itemMax = Math.max(1, itemCount);
    if (this.#next === undefined) {
      if (this.#builder.step(itemMax)) this.#finish();
      return this.#done;
    }
    let items = 0;
    let last: Bytes | undefined;
    this.#machine.backend.scan("key", this.#next, undefined, itemMax, (key, value) => {
      this.#read(key, value);
      items++;
      if (items < itemMax) return true;
      last = new Uint8Array(key.length + 1);
      last.set(key);
      return false;
    });
    this.recordCount += items;
    this.#next = last;
    return false;
  }

  #read(key: Bytes, value: Bytes): void {
    if (!isRevisionKey(key)) {
      throw new CorruptionError("bucket key", this.recordCount, "a key is no revision");
    }
    const { store, leases } = this.#machine;
    const main = mainOf(key);
    const sub = subOf(key);
    store.revision = main;
    const fields = this.#fields.read(value);
    const { keyStart, keyEnd, createRevision, version } = fields;
    const builder = this.#builder;
    if (isTombstoneKey(key)) {
      this.#attach(builder.tombstone(value, keyStart, keyEnd, main, sub), undefined);
      return;
    }
    const slot = builder.put(value, keyStart, keyEnd, main, sub, createRevision, version);
    this.#attach(slot, fields.leaseFieldEnd === 0 ? undefined : leases.get(fields.lease()));
  }

  #attach(slot: number, lease: Lease | undefined): void {
    const { store, leases } = this.#machine;
    const former = store.index.slots.lease(slot);
    const present = lease?.place ?? 0;
    if (former === present) return;
    const key = this.#builder.keyOf(slot);
    if (former !== 0) leases.detach(former, key);
    lease?.attach(key);
    store.index.slots.setLease(slot, present);
  }

  #finish(): void {
    const { store, meta, compaction } = this.#machine;
    const { scheduled, finished } = meta.readCompaction();
    store.compactRevision = Math.max(scheduled, finished);
    store.revision = Math.max(store.revision, 1, scheduled, finished);
    if (scheduled > finished) compaction.resume(scheduled, finished);
    this.#done = true;
  }
}

/** Opens a machine, letting the event loop run after every slice. */
export async function openMachine(
  options: MachineOptions,
  pause: () => Promise<void>,
  itemCount = 4096,
): Promise<Machine> {
  const opening = new MachineOpening(options);
  while (!opening.step(itemCount)) await pause();
  return opening.machine;
}
