// The physical part of compaction. When a Compact is applied, reads below its revision are refused at once
// and `scheduledCompactRev` is stored; then this job removes what nobody can read any more:
//
//     hash (C before, R) ──► remove garbage up to min(R, pins) ──► finishedCompactRev = R
//
// Removal walks the garbage, not the live keys. The hash, which etcd computes on the way and keeps for
// later comparison between members (semantics §13.5), needs one pass over the bucket and runs before
// anything is removed. It is left out when an earlier compaction had not finished, as in etcd.
//
// Compactions run one after the other. An interrupted one runs again when the store is opened.

import { HashKvJob, type KnownHash } from "./hash-kv.ts";
import type { Job } from "./job.ts";
import type { GarbageSink } from "./key-index.ts";
import type { Meta } from "./meta.ts";
import { encodeRevisionKey, encodeTombstoneKey } from "./revision-key.ts";
import type { Store } from "./store.ts";

const knownHashesMax = 10;

class Task {
  readonly revision: number;
  readonly previous: number;
  /** Undefined: no hash is wanted. */
  hash: HashKvJob | undefined = undefined;
  readonly hashes: boolean;
  begun = false;
  readonly waiters: (() => void)[] = [];

  constructor(revision: number, previous: number, hashes: boolean) {
    this.revision = revision;
    this.previous = previous;
    this.hashes = hashes;
  }
}

export class Compaction implements Job, GarbageSink {
  readonly #store: Store;
  readonly #meta: Meta;
  readonly #queue: Task[] = [];
  /** Ascending by revision. */
  readonly #known: KnownHash[] = [];
  /** Records removed since the store was opened. */
  removedCount = 0;

  constructor(store: Store, meta: Meta) {
    this.#store = store;
    this.#meta = meta;
  }

  /** There is something to remove: `step` has work, unless running reads hold it back. */
  get active(): boolean {
    return this.#queue.length > 0;
  }

  /** The next step reads for the hash, and removes nothing. */
  get isHashing(): boolean {
    const task = this.#queue[0];
    if (task === undefined) return false;
    return task.begun ? task.hash?.done === false : task.hashes;
  }

  /** Hashes computed while compacting, oldest first; what members compare with each other. */
  get knownHashes(): readonly KnownHash[] {
    return this.#known;
  }

  knownHash(revision: number): KnownHash | undefined {
    return this.#known.find((hash) => hash.hashRevision === revision);
  }

  /** Records a compaction at `revision`, which must be valid, and queues the removal. */
  schedule(revision: number): void {
    const previous = this.#store.compactRevision;
    this.#meta.writeScheduled(revision);
    this.#store.compactRevision = revision;
    this.#queue.push(new Task(revision, previous, this.#queue.length === 0));
  }

  /** While opening: takes up a compaction that was interrupted. */
  resume(revision: number, previous: number): void {
    this.#queue.push(new Task(revision, previous, false));
  }

  /** The store's content was replaced: there is nothing to remove any more. Tells those who waited. */
  abandon(): void {
    for (const task of this.#queue.splice(0)) {
      task.hash?.cancel();
      for (const done of task.waiters) done();
    }
  }

  /** Calls `done` once all compactions that are scheduled now have finished; at once when there is none. */
  whenIdle(done: () => void): void {
    const last = this.#queue[this.#queue.length - 1];
    if (last === undefined) done();
    else last.waiters.push(done);
  }

  /**
   * True when nothing is left to do. While running reads hold the removal back, a step does nothing and
   * returns false: step this job with a pause in between.
   */
  step(itemCount: number): boolean {
    const task = this.#queue[0];
    if (task === undefined) return true;
    if (!task.begun) {
      task.begun = true;
      if (task.hashes) task.hash = HashKvJob.of(this.#store, task.revision, task.previous, true);
    }
    if (task.hash?.done === false) {
      task.hash.step(itemCount);
      return false;
    }
    const bound = this.#store.pins.bound(task.revision);
    const removedAll = this.#store.index.removeGarbage(bound, itemCount, this);
    if (removedAll && bound === task.revision) this.#finish(task);
    return this.#queue.length === 0;
  }

  remove(main: number, sub: number, isTombstone: boolean): void {
    this.removedCount++;
    const key = isTombstone ? encodeTombstoneKey(main, sub) : encodeRevisionKey(main, sub);
    this.#store.backend.delete("key", key);
  }

  #finish(task: Task): void {
    this.#queue.shift();
    this.#meta.writeFinished(task.revision);
    if (task.hash !== undefined) {
      const { hash, hashRevision, compactRevision } = task.hash;
      this.#known.push({ hash, hashRevision, compactRevision });
      if (this.#known.length > knownHashesMax) this.#known.shift();
    }
    for (const done of task.waiters) done();
  }
}
