// The replicated state machine: log entries in, results out. Deterministic: what an entry does depends on
// the entries before it and on nothing else; the one local thing, whether this member's quota is exceeded,
// changes an answer but never the state. Synchronous and total: an entry that some member can have proposed
// is always carried out or answered with a row of the error catalogue. What cannot be a request at all
// throws `CorruptionError`, and the member stops: going on would make it differ from the others.
//
// The caller applies entries one by one in log order, seals and commits the backend's batch whenever it
// likes (what is lost in a crash is replayed from the log), and steps the jobs it gets.

import type { ErrorCode, RangeRequest, TxnRequest } from "@etcd-ts/api";
import { assert, type Bytes, crc32c, type Key, utf8ToBytes } from "@etcd-ts/base";
import type { Alarms } from "./alarms.ts";
import type { MachineOptions } from "./applier.ts";
import { type AppliedEntry, ApplyOutcome } from "./apply-outcome.ts";
import { readAuthEnabled, readAuthRevision } from "./auth-module.ts";
import type { Backend, BackendReader } from "./backend.ts";
import type { Compaction } from "./compaction.ts";
import { EventsJob } from "./events-job.ts";
import { HashJob } from "./hash-job.ts";
import { HashKvJob } from "./hash-kv.ts";
import { type Job, type RangeJob, replacedError } from "./job.ts";
import type { KvEvent } from "./kv-event.ts";
import type { Leases } from "./leases.ts";
import type { ConfChangeOutcome, Member, MemberChange, Members } from "./members.ts";
import type { MachineConfState } from "./meta.ts";
import type { MachineObserver } from "./observer.ts";
import { openInSlices, StateOpening } from "./opening.ts";
import { newRange } from "./operations.ts";
import { MachineState } from "./state.ts";
import type { Store } from "./store.ts";
import { checkTxn, runTxn } from "./txn.ts";

/** Small ranges are done within the call: so many items are read at once. */
const itemsAtOnce = 256;

export class Machine {
  readonly backend: Backend;
  readonly #options: MachineOptions;
  readonly #observer: MachineObserver;
  /** Exchanged by `reload`, hence the getters. */
  #state: MachineState;
  #isReloading = false;

  /** Use `MachineOpening` or `openMachine`, which rebuild the index as well. */
  constructor(options: MachineOptions, state: MachineState) {
    this.backend = options.backend;
    this.#options = options;
    this.#observer = options.observer ?? {};
    this.#state = state;
  }

  get leases(): Leases {
    return this.#state.leases;
  }

  get alarms(): Alarms {
    return this.#state.alarms;
  }

  get members(): Members {
    return this.#state.members;
  }

  /** Removal of what compactions left behind. Step it whenever it is active, with pauses in between. */
  get compaction(): Compaction {
    return this.#state.compaction;
  }

  /** For this package and its tests. */
  get store(): Store {
    return this.#state.store;
  }

  get appliedIndex(): number {
    return this.#state.appliedIndex;
  }

  get appliedTerm(): number {
    return this.#state.appliedTerm;
  }

  get revision(): number {
    return this.#state.store.revision;
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
    return this.#state.confState;
  }

  /** Empty while it is not known. */
  get storageVersion(): string {
    return this.#state.storageVersion;
  }

  /** Auth was switched on in this store. Without an auth module it must not be served. */
  get authEnabled(): boolean {
    return readAuthEnabled(this.backend);
  }

  /** Grows with every change of users and roles. */
  get authRevision(): number {
    return readAuthRevision(this.backend);
  }

  /** Ranges read so far, those of transactions included. */
  get rangeCount(): number {
    return this.#state.store.rangeCount;
  }

  /** Bytes of keys and values that were put so far. */
  get putBytes(): number {
    return this.#state.store.putBytes;
  }

  // --- applying -----------------------------------------------------------------------------------

  /**
   * Applies a committed normal entry. `wanted`: somebody here waits for the result. Undefined for the empty
   * entry of a new leader, and when nobody wants the outcome (unless it went over the quota). `txn`: what decoding
   * the entry would give, when it is a transaction and that is known already (decoding is 4 % of what one costs).
   */
  apply(entry: AppliedEntry, wanted: boolean, txn?: TxnRequest): ApplyOutcome | undefined {
    this.#advance(entry.index, entry.term);
    if (entry.data.length === 0) return undefined;
    return this.#state.applier.apply(entry, wanted, txn);
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
    this.#state.confState = state;
    this.#state.meta.writeConfState(state);
  }

  /** Stores members that no log entry brings: those of a new cluster, or of a restored snapshot. */
  replaceMembers(members: readonly Member[]): void {
    this.members.replaceAll(members);
    this.#observer.membersChanged?.();
  }

  setStorageVersion(version: string): void {
    const state = this.#state;
    if (version === state.storageVersion) return;
    state.storageVersion = version;
    state.meta.writeStorageVersion(version);
  }

  /**
   * Puts the applied index and term into the open batch. Call it right before `backend.commit()` and
   * `backend.view()`: what a batch holds and how far it stands must become durable together.
   */
  sealBatch(): void {
    const state = this.#state;
    if (state.sealedIndex === state.appliedIndex || this.#isReloading) return;
    state.sealedIndex = state.appliedIndex;
    state.meta.writeApplied(state.appliedIndex, state.appliedTerm);
  }

  /**
   * The backend's content was replaced: rebuilds everything from it, in slices, as opening does. To be called in the same
   * turn in which `Backend.replaceContent` resolved (or whatever awaits it), before anything else is asked of the machine.
   *
   * Until it resolves nothing may be applied, and what the machine says of itself is still what it was. New reads are
   * refused with `leaderChanged`, which clients answer by trying again. Reads that were under way end with that
   * in `ReadJob.error` at their next step; an `EventsJob` keeps the whole revisions that it has read. A compaction that
   * was under way ends, and whoever waited for it is told; one that the new content brings along is in `compaction`
   * afterwards. Then observers are told once, by `stateReplaced`.
   *
   * When it rejects (`CorruptionError`) the machine cannot be used any more.
   */
  async reload(pause: () => Promise<void>): Promise<void> {
    assert(!this.#isReloading, "one reload at a time");
    this.#isReloading = true;
    this.#state.abandon();
    const state = new MachineState(this.#options);
    state.compaction.removedCount = this.#state.compaction.removedCount;
    state.store.rangeCount = this.#state.store.rangeCount;
    state.store.putBytes = this.#state.store.putBytes;
    await openInSlices(new StateOpening(state, this.#options), pause);
    this.#state = state;
    this.#isReloading = false;
    this.#observer.stateReplaced?.();
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
    const { appliedIndex, store } = this.#state;
    if (store.isReplaced) {
      return new ApplyOutcome(appliedIndex, replacedError, undefined, this.revision);
    }
    const { error, result, pending } = runTxn(store, request, true);
    return new ApplyOutcome(appliedIndex, error, result, this.revision, pending);
  }

  /** How a transaction would be refused if it were applied to the local state as it is now. */
  txnRefusal(request: TxnRequest): ErrorCode | undefined {
    const { store } = this;
    return store.isReplaced ? replacedError : checkTxn(store, request);
  }

  /** HASHKV at a revision, 0 being the newest. Refusals: `futureRev`, `compacted`. */
  hashKv(revision: bigint): HashKvJob {
    const { store } = this;
    if (store.isReplaced) return HashKvJob.refused(store, replacedError);
    // Literally: after a compaction at 0 "the newest" is answered with that one's hash, as etcd does.
    const known = this.compaction.knownHash(Number(revision));
    if (known !== undefined) return HashKvJob.known(store, known);
    const wanted = revision === 0n ? store.revision : Number(revision);
    if (wanted < 0) {
      // Nothing lies at or below a negative revision; etcd hashes the name of the bucket. The answer repeats the
      // revision, for which there are no numbers as low as a client may ask for.
      const hash = crc32c(0, utf8ToBytes("key"));
      const { compactRevision } = store;
      const hashRevision = Math.max(wanted, Number.MIN_SAFE_INTEGER);
      return HashKvJob.known(store, { hash, hashRevision, compactRevision });
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
    const state = this.#state;
    assert(index > state.appliedIndex, `entry ${index} comes after ${state.appliedIndex}`);
    assert(!this.#isReloading, "nothing is applied while the state is being replaced");
    state.appliedIndex = index;
    state.appliedTerm = term;
  }
}

/** Opens a machine on what its backend holds. */
export class MachineOpening implements Job {
  readonly #machine: Machine;
  readonly #opening: StateOpening;

  constructor(options: MachineOptions) {
    const state = new MachineState(options);
    this.#machine = new Machine(options, state);
    this.#opening = new StateOpening(state, options);
  }

  get done(): boolean {
    return this.#opening.done;
  }

  /** Records read so far. */
  get recordCount(): number {
    return this.#opening.recordCount;
  }

  /** Valid once done. */
  get machine(): Machine {
    return this.#machine;
  }

  step(itemCount: number): boolean {
    return this.#opening.step(itemCount);
  }
}

/** Opens a machine, letting the event loop run after every slice. */
export async function openMachine(
  options: MachineOptions,
  pause: () => Promise<void>,
  itemCountMax?: number,
): Promise<Machine> {
  const opening = new MachineOpening(options);
  await openInSlices(opening, pause, itemCountMax);
  return opening.machine;
}
