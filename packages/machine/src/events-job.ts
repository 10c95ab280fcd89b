// The past as watchers want it: all changes between two revisions, read back from bucket `key` in slices.
// For watchers that start in the past, or that fell behind.

import type { ErrorCode } from "@etcd-ts/api";
import { type Bytes, copyBytes, type Key } from "@etcd-ts/base";
import { type ReadJob, replacedError } from "./job.ts";
import { encodeDeletedKeyValue } from "./kv-codec.ts";
import { EventType, KvEvent } from "./kv-event.ts";
import type { Pin } from "./pins.ts";
import { encodeRevisionKey, isTombstoneKey, mainOf, subOf } from "./revision-key.ts";
import type { Store } from "./store.ts";

const bytesPerItem = 4096;

export class EventsJob implements ReadJob {
  #error: ErrorCode | undefined;
  readonly #store: Store;
  readonly #wants: (key: Key) => boolean;
  readonly #pin: Pin | undefined;
  #next: Bytes;
  readonly #end: Bytes;
  readonly #endRevision: number;
  /** Revision of the record that was read last. */
  #lastMain: number;
  /** Events of whole revisions. */
  #ready: KvEvent[] = [];
  /** Events of the revision that is being read. */
  #open: KvEvent[] = [];
  #done = false;

  /** All changes with `start <= revision <= end` of keys that `wants` lets through. */
  constructor(store: Store, start: number, end: number, wants: (key: Key) => boolean) {
    this.#store = store;
    this.#wants = wants;
    this.#next = encodeRevisionKey(Math.max(0, start), 0);
    this.#end = encodeRevisionKey(end + 1, 0);
    this.#endRevision = end;
    this.#lastMain = start - 1;
    if (store.isReplaced) this.#error = replacedError;
    else if (start < store.compactRevision) this.#error = "compacted";
    this.#done = this.#error !== undefined || start > end;
    // One below the start, so that the previous KeyValue of the first change stays as well.
    if (!this.#done) this.#pin = store.pins.pin(start - 1);
  }

  get done(): boolean {
    return this.#done;
  }

  /** `compacted`: the start lies below the compact revision. Or see `ReadJob`. */
  get error(): ErrorCode | undefined {
    return this.#error;
  }

  /** Everything before this revision has been delivered by `takeEvents`, or is ready there. */
  get nextRevision(): number {
    const readAll = this.#done && this.#error !== replacedError;
    return readAll ? this.#endRevision + 1 : Math.max(this.#lastMain, 0);
  }

  /** The events read since the last call: whole revisions, in order. */
  takeEvents(): KvEvent[] {
    const events = this.#ready;
    this.#ready = [];
    return events;
  }

  step(itemCount: number): boolean {
    if (this.#done) return true;
    if (this.#store.isReplaced) {
      this.#error = replacedError;
      this.#done = true;
      this.#open = [];
      return true;
    }
    const itemMax = Math.max(1, itemCount);
    let items = 0;
    let last: Bytes | undefined;
    this.#store.backend.scan("key", this.#next, this.#end, itemMax, (key, value) => {
      this.#read(key, value);
      items += 1 + value.length / bytesPerItem;
      if (items < itemMax) return true;
      last = copyBytes(key);
      return false;
    });
    if (last === undefined) {
      this.#closeRevision();
      this.#done = true;
      this.#pin?.release();
    } else {
      this.#next = new Uint8Array(last.length + 1);
      this.#next.set(last);
    }
    return this.#done;
  }

  cancel(): void {
    this.#pin?.release();
  }

  #read(key: Bytes, value: Bytes): void {
    const main = mainOf(key);
    if (main !== this.#lastMain) {
      this.#closeRevision();
      this.#lastMain = main;
    }
    const fields = this.#store.parse(value);
    const name = fields.key();
    if (!this.#wants(name)) return;
    const sub = subOf(key);
    this.#open.push(
      isTombstoneKey(key)
        ? new KvEvent(EventType.delete, name, encodeDeletedKeyValue(name, main), main, sub, 0)
        : new KvEvent(EventType.put, name, copyBytes(value), main, sub, fields.createRevision),
    );
  }

  #closeRevision(): void {
    if (this.#open.length === 0) return;
    if (this.#ready.length === 0) this.#ready = this.#open;
    else for (const event of this.#open) this.#ready.push(event);
    this.#open = [];
  }
}
