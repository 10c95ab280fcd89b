// Hot path: the multi-version store. The index says which revision of a key a reader sees, the backend's
// bucket `key` holds what was stored at that revision.
//
// Writes come in transactions, one per applied request:
//
//     begin() ── put / deleteKey / deleteInterval … ── end()
//
// Everything written between `begin` and `end` has the main revision `revision + 1` and sub revisions
// 0, 1, 2, …; the revision grows only if something was written. Reads in between see it.

import { allocateBytes, type Bytes, CorruptionError, copyBytes, type Key } from "@etcd-ts/base";
import type { Backend } from "./backend.ts";
import type { Interval } from "./intervals.ts";
import { KeyIndex } from "./key-index.ts";
import { allSubs, KeyWalk, type ReadPoint } from "./key-walk.ts";
import {
  encodeDeletedKeyValue,
  encodeKeyValue,
  encodeTombstoneValue,
  KvFields,
} from "./kv-codec.ts";
import { EventType, KvEvent } from "./kv-event.ts";
import type { KvList } from "./kv-list.ts";
import type { Lease, Leases } from "./leases.ts";
import { Pins } from "./pins.ts";
import { RecentValues } from "./recent-values.ts";
import { encodeTombstoneKey, revisionKeyBytes, writeRevision } from "./revision-key.ts";
import { ValueCache } from "./value-cache.ts";

const walkBatch = 1024;
const noEvents: KvEvent[] = [];

export class Store {
  readonly backend: Backend;
  readonly index: KeyIndex = new KeyIndex();
  readonly leases: Leases;
  readonly pins: Pins = new Pins();
  readonly values: ValueCache = new ValueCache(this.index.slots, (main, sub) =>
    this.read(main, sub),
  );
  /** Main revision of the last change; 1 in an empty store. */
  revision = 1;
  /** Reads below are refused; -1 before the first compaction. */
  compactRevision = -1;
  /** The backend holds something else now: nothing can be read here any more. */
  isReplaced = false;
  /** Ranges read, those of transactions included. */
  rangeCount = 0;
  /** Bytes of keys and values that were put. */
  putBytes = 0;
  /** Changes of the open transaction so far, in order. */
  events: KvEvent[] = noEvents;
  readonly #scratchKey: Bytes = allocateBytes(revisionKeyBytes);
  readonly #fields: KvFields = new KvFields();
  readonly #recent: RecentValues = new RecentValues();

  constructor(backend: Backend, leases: Leases) {
    this.backend = backend;
    this.leases = leases;
  }

  // --- writing ------------------------------------------------------------------------------------

  begin(): void {
    this.events = noEvents;
  }

  /** Revision of the state as the open transaction sees it. */
  get openRevision(): number {
    return this.events.length > 0 ? this.revision + 1 : this.revision;
  }

  /** Where a reader stands that wants the newest state, changes of the open transaction included. */
  get newest(): ReadPoint {
    const changes = this.events.length;
    return changes > 0
      ? { main: this.revision + 1, subEnd: changes }
      : { main: this.revision, subEnd: allSubs };
  }

  /** `value` is copied. `lease` must be the lease of `leaseId`, which is kept as given when there is none. */
  put(key: Key, value: Bytes, leaseId: bigint, lease: Lease | undefined): void {
    const main = this.revision + 1;
    const sub = this.events.length;
    const { index, leases } = this;
    this.putBytes += key.length + value.length;
    const slot = index.put(key, main, sub);
    const create = index.slots.create(slot);
    const kv = encodeKeyValue(key, create, main, index.slots.version(slot), value, leaseId);
    writeRevision(this.#scratchKey, main, sub);
    this.backend.put("key", this.#scratchKey, kv);
    this.#recent.add(main, sub, kv);
    const former = index.slots.lease(slot);
    const present = lease === undefined ? 0 : lease.place;
    if (former !== present) {
      if (former !== 0) leases.detach(former, key);
      if (lease !== undefined) lease.attach(key);
      index.slots.setLease(slot, present);
    }
    this.#note(new KvEvent(EventType.put, key, kv, main, sub, create));
  }

  /** The key must exist. */
  deleteKey(key: Key): void {
    const main = this.revision + 1;
    const sub = this.events.length;
    const slot = this.index.delete(key, main, sub);
    this.backend.put("key", encodeTombstoneKey(main, sub), encodeTombstoneValue(key));
    const lease = this.index.slots.lease(slot);
    if (lease !== 0) {
      this.leases.detach(lease, key);
      this.index.slots.setLease(slot, 0);
    }
    const kv = encodeDeletedKeyValue(key, main);
    this.#note(new KvEvent(EventType.delete, key, kv, main, sub, 0));
  }

  /** Deletes every key of the interval, in order; returns how many. */
  deleteInterval(interval: Interval, removed: KvList | undefined): number {
    const { index } = this;
    if (interval.isSingle) {
      const slot = index.findLive(interval.from);
      if (slot < 0) return 0;
      removed?.add(this.read(index.slots.main(slot), index.slots.sub(slot)));
      this.deleteKey(interval.from);
      return 1;
    }
    const walk = new KeyWalk(interval.from, interval.to, {
      main: this.revision + 1,
      subEnd: allSubs,
    });
    let count = 0;
    while (!walk.finished) {
      index.collect(walk, walkBatch, Number.MAX_SAFE_INTEGER);
      count += walk.keys.length;
      for (let i = 0; i < walk.keys.length; i++) {
        removed?.add(this.read(index.mainOf(walk, i), index.subOf(walk, i)));
        this.deleteKey(walk.keys[i]!);
      }
    }
    return count;
  }

  /** Closes the transaction and returns its changes; the revision has grown if there are any. */
  end(): KvEvent[] {
    const { events } = this;
    if (events.length > 0) this.revision++;
    this.events = noEvents;
    return events;
  }

  #note(event: KvEvent): void {
    // Most transactions are one put: the literal has room for just it, where a push would make 17 places.
    if (this.events.length === 0) this.events = [event];
    else this.events.push(event);
  }

  // --- reading ------------------------------------------------------------------------------------

  /** The stored KeyValue of a revision that the index named; valid until the next call of the backend. */
  read(main: number, sub: number): Bytes {
    const recent = this.#recent.find(main, sub);
    if (recent !== undefined) return recent;
    writeRevision(this.#scratchKey, main, sub);
    const kv = this.backend.get("key", this.#scratchKey);
    if (kv === undefined) {
      throw new CorruptionError("bucket key", 0, `revision ${main}/${sub} is missing`);
    }
    return kv;
  }

  /** What a key holds now, a view as from `read`; undefined when it does not exist. */
  newestOf(key: Key): Bytes | undefined {
    const slot = this.index.findLive(key);
    if (slot < 0) return undefined;
    return this.read(this.index.slots.main(slot), this.index.slots.sub(slot));
  }

  /** What a key held at a revision that is not compacted: an own copy. */
  kvAt(key: Key, revision: number): Bytes | undefined {
    if (this.isReplaced || revision < this.compactRevision) return undefined;
    if (!this.index.look(key, revision)) return undefined;
    return copyBytes(this.read(this.index.foundMain, this.index.foundSub));
  }

  /** The parts of a stored KeyValue; valid until the next call. */
  parse(kv: Bytes): KvFields {
    return this.#fields.read(kv);
  }
}
