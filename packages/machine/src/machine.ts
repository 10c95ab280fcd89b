// The replicated state machine: log entries in, results out. Deterministic: what an entry does depends on
// the entries before it and on nothing else; the one local thing, whether this member's quota is exceeded,
// changes an answer but never the state. Synchronous and total: an entry that some member can have proposed
// is always carried out or answered with a row of the error catalogue. What cannot be a request at all
// throws `CorruptionError`, and the member stops: going on would make it differ from the others.
//
// The caller applies entries one by one in log order, seals and commits the backend's batch whenever it
// likes (what is lost in a crash is replayed from the log), and steps the jobs it gets.

import type { RangeRequest, TxnRequest } from "@etcd-ts/api";
import { assert, type Bytes, crc32c, type Key, utf8ToBytes } from "@etcd-ts/base";
import { Alarms } from "./alarms.ts";
import { Applier, type MachineOptions } from "./applier.ts";
import { type AppliedEntry, ApplyOutcome } from "./apply-outcome.ts";
import { readAuthEnabled } from "./auth-module.ts";
import type { Backend, BackendReader } from "./backend.ts";
import { Compaction } from "./compaction.ts";
import { EventsJob } from "./events-job.ts";
import { HashJob } from "./hash-job.ts";
import { HashKvJob } from "./hash-kv.ts";
import type { KvEvent } from "./kv-event.ts";
import { Leases } from "./leases.ts";
import { type ConfChangeOutcome, type Member, type MemberChange, Members } from "./members.ts";
import { type MachineConfState, Meta } from "./meta.ts";
import type { MachineObserver } from "./observer.ts";
import { newRange } from "./operations.ts";
import type { RangeJob } from "./range-job.ts";
import { Store } from "./store.ts";
import { runTxn } from "./txn.ts";

/** Small ranges are done within the call: so many items are read at once. */
const itemsAtOnce = 256;

export class Machine {
  readonly backend: Backend;
  readonly leases: Leases;
  readonly alarms: Alarms;
  readonly members: Members;
  /** Removal of what compactions left behind. Step it whenever it is active, with pauses in between. */
  readonly compaction: Compaction;
  /** For `MachineOpening`. */
  readonly store: Store;
  readonly meta: Meta;
  readonly #observer: MachineObserver;
  readonly #applier: Applier;
  #appliedIndex = 0;
  #appliedTerm = 0;
  #sealedIndex = -1;
  #confState: MachineConfState | undefined;
  #storageVersion: string;

  /** Use `MachineOpening` or `openMachine`, which rebuild the index as well. */
  constructor(options: MachineOptions) {
    const { backend } = options;
    this.backend = backend;
    this.#observer = options.observer ?? {};
    this.leases = new Leases(backend);
    this.alarms = new Alarms(backend);
    this.members = new Members(backend, options.learnersMax ?? 1);
    this.store = new Store(backend, this.leases);
    this.meta = new Meta(backend);
    this.compaction = new Compaction(this.store, this.meta);
    const applied = this.meta.readApplied();
    this.#appliedIndex = applied.index;
    this.#appliedTerm = applied.term;
    this.#sealedIndex = applied.index;
    this.#confState = this.meta.readConfState();
    this.#storageVersion = this.meta.readStorageVersion();
    this.members.restore();
    this.alarms.restore();
    this.#applier = new Applier(this, options);
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get appliedTerm(): number {
    return this.#appliedTerm;
  }

  get revision(): number {
    return this.store.revision;
  }

  /** Reads below are refused; -1 when nothing was compacted yet. */
  get compactRevision(): number {
    return this.store.compactRevision;
  }

  /** Keys that exist now. */
  get keyCount(): number {
    return this.store.index.liveCount;
  }

  get confState(): MachineConfState | undefined {
    return this.#confState;
  }

  /** Empty while it is not known. */
  get storageVersion(): string {
    return this.#storageVersion;
  }

  /** Auth was switched on in this store. Without an auth module it must not be served. */
  get authEnabled(): boolean {
    return readAuthEnabled(this.backend);
  }

  // --- applying -----------------------------------------------------------------------------------

  /**
   * Applies a committed normal entry. `wanted`: somebody here waits for the result. Undefined for the empty
   * entry of a new leader, and when nobody wants the outcome (unless it went over the quota).
   */
  apply(entry: AppliedEntry, wanted: boolean): ApplyOutcome | undefined {
    this.#advance(entry.index, entry.term);
    if (entry.data.length === 0) return undefined;
    return this.#applier.apply(entry, wanted);
  }

  /**
   * Applies a configuration change of the log. Give `raftChange` of the outcome to raft and what it answers
   * to `setConfState`, in the same turn.
   */
  applyConfChange(
    entry: { readonly index: number; readonly term: number },
    change: MemberChange,
  ): ConfChangeOutcome {
    this.#advance(entry.index, entry.term);
    const outcome = this.members.change(change);
    if (outcome.error === undefined) this.#observer.membersChanged?.();
    return outcome;
  }

  /** Raft's configuration as of the applied index. */
  setConfState(state: MachineConfState): void {
    this.#confState = state;
    this.meta.writeConfState(state);
  }

  /** Stores members that no log entry brings: those of a new cluster, or of a restored snapshot. */
  replaceMembers(members: readonly Member[]): void {
    this.members.replaceAll(members);
    this.#observer.membersChanged?.();
  }

  setStorageVersion(version: string): void {
    if (version === this.#storageVersion) return;
    this.#storageVersion = version;
    this.meta.writeStorageVersion(version);
  }

  /**
   * Puts the applied index and term into the open batch. Call it right before `backend.commit()` and
   * `backend.view()`: what a batch holds and how far it stands must become durable together.
   */
  sealBatch(): void {
    if (this.#sealedIndex === this.#appliedIndex) return;
    this.#sealedIndex = this.#appliedIndex;
    this.meta.writeApplied(this.#appliedIndex, this.#appliedTerm);
  }

  // --- reading ------------------------------------------------------------------------------------

  /**
   * Reads a range of the local state. A first slice is done at once, so a small range comes back done;
   * otherwise step it. A refusal (`futureRev`, `compacted`) is in `error`.
   */
  range(request: RangeRequest, itemCount: number = itemsAtOnce): RangeJob {
    const job = newRange(this.store, request);
    job.step(itemCount);
    return job;
  }

  /** A transaction whose operations are all ranges, on the local state. */
  txnReadOnly(request: TxnRequest): ApplyOutcome {
    const { error, result, pending } = runTxn(this.store, request, true);
    return new ApplyOutcome(this.#appliedIndex, error, result, this.revision, pending);
  }

  /** HASHKV at a revision, 0 being the newest. Refusals: `futureRev`, `compacted`. */
  hashKv(revision: bigint): HashKvJob {
    const { store } = this;
    // Literally: after a compaction at 0 "the newest" is answered with that one's hash, as etcd does.
    const known = this.compaction.knownHash(Number(revision));
    if (known !== undefined) return HashKvJob.known(store, known);
    const wanted = revision === 0n ? store.revision : Number(revision);
    if (wanted < 0) {
      // Nothing lies at or below a negative revision; etcd hashes the name of the bucket.
      const hash = crc32c(0, utf8ToBytes("key"));
      const { compactRevision } = store;
      return HashKvJob.known(store, { hash, hashRevision: wanted, compactRevision });
    }
    if (wanted < store.compactRevision) return HashKvJob.refused(store, "compacted");
    if (wanted > store.revision) return HashKvJob.refused(store, "futureRev");
    return HashKvJob.of(store, wanted, store.compactRevision);
  }

  /** Hash over a whole backend: give it `backend.view()`, sealed before, and close that afterwards. */
  hash(view: BackendReader): HashJob {
    return new HashJob(view);
  }

  /** All changes from `start` up to now, or up to `end`, of keys that `wants` lets through. */
  events(
    start: number,
    wants: (key: Key) => boolean,
    end: number = this.store.revision,
  ): EventsJob {
    return new EventsJob(this.store, start, Math.min(end, this.store.revision), wants);
  }

  /** The encoded KeyValue that a key held at a revision; undefined also when that is compacted. A copy. */
  kvAt(key: Key, revision: number): Bytes | undefined {
    return this.store.kvAt(key, revision);
  }

  /** What a change replaced; undefined when the key was new or the revision before is compacted. A copy. */
  prevKv(event: KvEvent): Bytes | undefined {
    return event.isCreate ? undefined : this.store.kvAt(event.key, event.modRevision - 1);
  }

  #advance(index: number, term: number): void {
    assert(index > this.#appliedIndex, `entry ${index} comes after ${this.#appliedIndex}`);
    this.#appliedIndex = index;
    this.#appliedTerm = term;
  }
}
