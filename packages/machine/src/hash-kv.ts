// HASHKV: the CRC by which members compare their key spaces (semantics §13.5, disk formats §6.1). Fed, after
// the three bytes `key`, with the stored key and value of each record of bucket `key` in order that
//
//     main ≤ C (compacted)   is what a reader at R sees of its key
//     C < main ≤ R           exists
//
// where C is the compact revision and R the revision to hash. (etcd builds the set of the revisions that are
// live at R. The index answers the same question for each record, without a set of a million entries.) When
// nothing at all is live at R, etcd's set is empty and then excludes nothing: records up to C then count as
// what a reader at C sees. Tombstones up to
// C never count.

import type { ErrorCode } from "@etcd-ts/api";
import { type Bytes, crc32c, utf8ToBytes } from "@etcd-ts/base";
import { type ReadJob, replacedError } from "./job.ts";
import { allSubs, KeyWalk } from "./key-walk.ts";
import type { Pin } from "./pins.ts";
import { encodeRevisionKey, isTombstoneKey, mainOf, subOf } from "./revision-key.ts";
import type { Store } from "./store.ts";

const bucketName: Bytes = utf8ToBytes("key");

/** Hashing so many bytes costs what reading a record does. */
const bytesPerItem = 2048;
const visitsPerItem = 16;

export class HashKvJob implements ReadJob {
  #error: ErrorCode | undefined;
  /** R. */
  readonly hashRevision: number;
  /** C; -1 when there was no compaction. */
  readonly compactRevision: number;
  readonly #store: Store;
  readonly #pin: Pin | undefined;
  /** Where the reader stands that decides about records up to C; not known before `#search` has ended. */
  #keepAt: number;
  /** Looks for any key that is live at R. */
  readonly #search: KeyWalk;
  #hash: number;
  #done: boolean;
  #next: Bytes = encodeRevisionKey(0, 0);
  readonly #end: Bytes;

  private constructor(
    store: Store,
    hashRevision: number,
    compactRevision: number,
    keepAt: number,
    known: number | undefined,
    error: ErrorCode | undefined,
  ) {
    this.#error = error;
    this.hashRevision = hashRevision;
    this.compactRevision = compactRevision;
    this.#store = store;
    this.#keepAt = keepAt;
    this.#search = new KeyWalk("", undefined, { main: hashRevision, subEnd: allSubs });
    // Without a record up to C there is nothing to decide.
    this.#search.finished = keepAt >= 0 || compactRevision < 0;
    this.#end = encodeRevisionKey(hashRevision + 1, 0);
    this.#hash = known ?? crc32c(0, bucketName);
    this.#done = known !== undefined || error !== undefined;
    if (!this.#done) this.#pin = store.pins.pin(Math.min(compactRevision, hashRevision));
  }

  static refused(store: Store, error: ErrorCode): HashKvJob {
    return new HashKvJob(store, 0, 0, 0, undefined, error);
  }

  static known(store: Store, hash: KnownHash): HashKvJob {
    return new HashKvJob(store, hash.hashRevision, hash.compactRevision, 0, hash.hash, undefined);
  }

  /**
   * `hashRevision` must be readable, and `compactRevision` not above it. The hash that etcd computes while
   * it compacts differs in a corner: deletions at the very revision count as something to keep.
   */
  static of(
    store: Store,
    hashRevision: number,
    compactRevision: number,
    whileCompacting = false,
  ): HashKvJob {
    const keepAt = whileCompacting && store.index.hasTombstoneAt(hashRevision) ? hashRevision : -1;
    return new HashKvJob(store, hashRevision, compactRevision, keepAt, undefined, undefined);
  }

  get done(): boolean {
    return this.#done;
  }

  /** See `Machine.hashKv` and `ReadJob`. */
  get error(): ErrorCode | undefined {
    return this.#error;
  }

  /** Valid once done without an error. */
  get hash(): number {
    return this.#hash;
  }

  step(itemCount: number): boolean {
    if (this.#done) return true;
    if (this.#store.isReplaced) {
      this.#error = replacedError;
      this.#done = true;
      return true;
    }
    const { backend } = this.#store;
    const itemMax = Math.max(1, itemCount);
    if (!this.#search.finished && !this.#findKeep(itemMax * visitsPerItem)) return false;
    let items = 0;
    let last: Bytes | undefined;
    backend.scan("key", this.#next, this.#end, itemMax, (key, value) => {
      if (this.#counts(key, value)) {
        this.#hash = crc32c(crc32c(this.#hash, key), value);
      }
      items += 1 + value.length / bytesPerItem;
      if (items < itemMax) return true;
      last = successor(key);
      return false;
    });
    if (last === undefined) {
      this.#done = true;
      this.#pin?.release();
    } else {
      this.#next = last;
    }
    return this.#done;
  }

  cancel(): void {
    this.#pin?.release();
  }

  /** True once it is known where the deciding reader stands. */
  #findKeep(visitMax: number): boolean {
    this.#store.index.collect(this.#search, 1, visitMax);
    const found = this.#search.keys.length > 0;
    if (!found && !this.#search.finished) return false;
    this.#keepAt = found ? this.hashRevision : this.compactRevision;
    this.#search.finished = true;
    return true;
  }

  #counts(key: Bytes, value: Bytes): boolean {
    const main = mainOf(key);
    if (main > this.compactRevision) return true;
    if (isTombstoneKey(key)) return false;
    const { index } = this.#store;
    return (
      index.look(this.#store.parse(value).key(), this.#keepAt) &&
      index.foundMain === main &&
      index.foundSub === subOf(key)
    );
  }
}

/** A hash that was computed while compacting. */
export interface KnownHash {
  readonly hash: number;
  readonly hashRevision: number;
  readonly compactRevision: number;
}

function successor(key: Bytes): Bytes {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
