// The door to the core: inputs go in through methods, everything that has to happen outside comes out as
// a `Ready`. Nothing here waits, and no method calls back.
//
// Two ways to store exist.
//
// Synchronous:
//
//     ready() ──► persist ──► send messages ──► apply ──► advance() ──► ready() ...
//
// Asynchronous (thesis §10.2.1): a Ready need not be finished before the next one. Work for the storage
// travels as messages to two threads, each of which works through its messages in order:
//
//     ready() ─┬─► messages for peers            send at once
//              ├─► MsgStorageAppend ─► write, fsync ─┬─► responses for peers: send
//              │      (to appendThread)              └─► responses for ourselves: step()
//              └─► MsgStorageApply ──► apply ──────────► response: step()
//                     (to applyThread)
//
// What promises durability to anyone, votes and acknowledgements, ourselves included, is among the
// responses of the append that makes it true. An append without responses need not be synced.
//
// After a crash: restart with the hard state, the snapshot and the entries that were durable. Then the
// configuration of the snapshot holds, and what is committed beyond it is handed out to be applied again,
// changes of the configuration included, unless `applied` says how far that had come.

import { assert, type Bytes } from "@etcd-ts/base";
import { type AnyConfChange, confChangeEntry, toV2 } from "./conf-change-entry.ts";
import { restoreMembership } from "./conf-state.ts";
import type { RaftConfig } from "./config.ts";
import { Core, Role } from "./core.ts";
import { encodedSizeOf } from "./entry-size.ts";
import {
  ConfChange,
  ConfChangeType,
  type ConfState,
  type Entry,
  EntryType,
  HardState,
  type Message,
  MessageType,
  type Snapshot,
} from "./gen/raftpb.ts";
import { appendThread, applyThread, idText, isStorageThread, noNode } from "./ids.ts";
import { proposeEntries } from "./leader.ts";
import type { LogGap } from "./log-reader.ts";
import { applyConfChange, installMembership } from "./membership.ts";
import { isLocalMessage, isResponseMessage, newEntry, newMessage } from "./messages.ts";
import type { Ready, SoftState } from "./ready.ts";
import { type BasicStatus, basicStatus, fullStatus, type Status } from "./status.ts";
import { step, stepSelf, tick } from "./step.ts";
import type { StepResult } from "./step-result.ts";

/** A founding member; `context` goes into the change that adds it. */
export interface BootstrapPeer {
  readonly id: bigint;
  readonly context: Bytes;
}

export class RawNode {
  readonly #core: Core;
  readonly #async: boolean;
  /** What the last Ready told, to tell only what is new. */
  #toldLead: bigint;
  #toldRole: Role;
  #toldTerm: number;
  #toldVote: bigint;
  #toldCommit: number;
  /** Synchronous writes only: messages to ourselves, for when this Ready is done. */
  #onAdvance: Message[] = [];

  /** Throws `RaftConfigError`, and `InvariantError` when the log contradicts itself. */
  constructor(config: RaftConfig) {
    const core = new Core(config);
    this.#core = core;
    this.#async = core.config.asyncStorageWrites;
    const { hardState, confState } = core.config.log.initialState();
    const outcome = restoreMembership(confState, core.tracker.newcomers(core.log.lastIndex));
    assert(outcome.refusal === undefined, `the stored configuration: ${outcome.refusal}`);
    installMembership(core, outcome.membership);
    if (hardState.term !== 0 || hardState.vote !== noNode || hardState.commit !== 0) {
      core.loadHardState(hardState);
    }
    if (core.config.applied > 0) core.log.appliedTo(core.config.applied, 0);
    core.becomeFollower(core.term, noNode);
    core.info(() => {
      const { committed, applied, lastIndex, lastTerm } = core.log;
      const peers = core.tracker.voterIds.map(idText).join(",");
      return (
        `newRaft ${idText(core.id)} [peers: [${peers}], term: ${core.term}, commit: ${committed}, ` +
        `applied: ${applied}, lastindex: ${lastIndex}, lastterm: ${lastTerm}]`
      );
    });
    this.#toldLead = core.lead;
    this.#toldRole = core.role;
    this.#toldTerm = core.term;
    this.#toldVote = core.vote;
    this.#toldCommit = core.log.committed;
  }

  // --- inputs -------------------------------------------------------------------------------------

  /** One unit of logical time has passed. */
  tick(): void {
    tick(this.#core);
  }

  /** Takes a message from a peer or from our storage, which it then owns. */
  step(message: Message): StepResult {
    const fromStorage = isStorageThread(message.from);
    if (isLocalMessage(message.type) && !fromStorage) return "local-message";
    if (
      !fromStorage &&
      isResponseMessage(message.type) &&
      this.#core.tracker.progress(message.from) === undefined
    ) {
      return "unknown-peer";
    }
    return step(this.#core, message);
  }

  /** Proposes entries with these data, in this order, all or none. */
  propose(datas: readonly Bytes[]): StepResult {
    assert(datas.length > 0, "a proposal has data");
    const entries: Entry[] = [];
    for (let i = 0; i < datas.length; i++) {
      entries.push(newEntry(EntryType.EntryNormal, datas[i]!));
    }
    return this.#propose(entries);
  }

  /**
   * Proposes a change of the configuration; undefined leaves a joint one. When it comes at the wrong time
   * an empty entry takes its place in the log.
   */
  proposeConfChange(change: AnyConfChange | undefined): StepResult {
    return this.#propose([confChangeEntry(change)]);
  }

  /**
   * To be called while a change of the configuration is applied, for every one, and before the entries
   * behind it are acknowledged. The result is the configuration for the next snapshot. An application that
   * vetoes the change clears its node ids first.
   *
   * `index` is that of the entry. It matters where applying lags behind: a snapshot that has come in the
   * meantime has brought a later configuration, so the change is left out and the result is undefined.
   */
  applyConfChange(change: AnyConfChange): ConfState;
  applyConfChange(change: AnyConfChange, index: number): ConfState | undefined;
  applyConfChange(change: AnyConfChange, index = Number.POSITIVE_INFINITY): ConfState | undefined {
    if (index <= this.#core.restoredIndex) return undefined;
    return applyConfChange(this.#core, toV2(change));
  }

  /**
   * Asks from which index on a read is linearizable. The answer is a `ReadState` with the same context;
   * it may never come (no leader, lost messages), so ask again after a while, with another context.
   */
  readIndex(context: Bytes): StepResult {
    const message = newMessage(MessageType.MsgReadIndex, noNode);
    message.entries = [newEntry(EntryType.EntryNormal, context)];
    return step(this.#core, message);
  }

  /** Asks the leader to hand over to `target`. Whether that works shows in who leads. */
  transferLeader(target: bigint): StepResult {
    const message = newMessage(MessageType.MsgTransferLeader, noNode);
    message.from = target;
    return step(this.#core, message);
  }

  /**
   * A follower behaves as if it had not heard of its leader in this term, and may vote for another one: for
   * those who know that the leader is dead before the timeout does.
   */
  forgetLeader(): StepResult {
    return step(this.#core, newMessage(MessageType.MsgForgetLeader, noNode));
  }

  campaign(): StepResult {
    return stepSelf(this.#core, MessageType.MsgHup);
  }

  /** The last message to a peer could not be sent. */
  reportUnreachable(id: bigint): void {
    const message = newMessage(MessageType.MsgUnreachable, noNode);
    message.from = id;
    step(this.#core, message);
  }

  /** A snapshot was sent completely, or was not. Must be called for every MsgSnap. */
  reportSnapshot(id: bigint, sent: boolean): void {
    const message = newMessage(MessageType.MsgSnapStatus, noNode);
    message.from = id;
    message.reject = !sent;
    step(this.#core, message);
  }

  /**
   * Founds a group on an empty log: its first entries add these peers and count as committed, so they must
   * be the same for all founders. Gives back why not, if not.
   */
  bootstrap(peers: readonly BootstrapPeer[]): string | undefined {
    if (peers.length === 0) return "must provide at least one peer to Bootstrap";
    const core = this.#core;
    if (core.log.lastIndex !== 0) return "can't bootstrap a nonempty Storage";
    // The first Ready has to tell all of it.
    this.#toldTerm = 0;
    this.#toldVote = noNode;
    this.#toldCommit = 0;
    core.becomeFollower(1, noNode);
    const changes = peers.map((peer) => {
      const change = new ConfChange();
      change.type = ConfChangeType.AddNode;
      change.nodeId = peer.id;
      change.context = peer.context;
      return change;
    });
    const entries = changes.map(confChangeEntry);
    entries.forEach((entry, i) => {
      entry.term = 1;
      entry.index = i + 1;
    });
    core.log.append(entries);
    core.log.commitTo(entries.length);
    // Known from the start, so that a campaign need not wait; applied again, they change nothing.
    for (const change of changes) applyConfChange(core, toV2(change));
    return undefined;
  }

  // --- outputs ------------------------------------------------------------------------------------

  hasReady(): boolean {
    const core = this.#core;
    const { log } = core;
    return (
      core.outbox.length > 0 ||
      core.durableOutbox.length > 0 ||
      log.unstable.hasNextEntries ||
      log.hasNextCommitted(!this.#async) ||
      core.readStates.length > 0 ||
      this.#softStateIsNew() ||
      this.#hardStateIsNew() ||
      log.unstable.nextSnapshot() !== undefined
    );
  }

  /** Everything there is to do, given once. */
  ready(): Ready {
    const core = this.#core;
    const { log } = core;
    assert(this.#onAdvance.length === 0, "two accepted Ready structs without call to Advance");
    const entries = log.unstable.nextEntries();
    const mustSync =
      entries.length > 0 || core.term !== this.#toldTerm || core.vote !== this.#toldVote;
    const softState = this.#softStateIsNew() ? this.#takeSoftState() : undefined;
    const hardState = this.#hardStateIsNew() ? this.#takeHardState() : undefined;
    const snapshot = log.unstable.nextSnapshot();
    const committedEntries = log.nextCommitted(!this.#async);
    const { readStates, outbox: messages, durableOutbox } = core;
    core.readStates = [];
    core.outbox = [];
    core.durableOutbox = [];

    if (this.#async) {
      if (entries.length > 0 || hardState || snapshot || durableOutbox.length > 0) {
        messages.push(this.#storageAppend(entries, hardState, snapshot, durableOutbox));
      }
      if (committedEntries.length > 0) messages.push(this.#storageApply(committedEntries));
    } else {
      for (let i = 0; i < durableOutbox.length; i++) {
        const message = durableOutbox[i]!;
        if (message.to === core.id) this.#onAdvance.push(message);
        else messages.push(message);
      }
      if (this.#awaitsStorage(snapshot)) this.#onAdvance.push(this.#storageAppendDone(snapshot));
      if (committedEntries.length > 0) {
        this.#onAdvance.push(this.#storageApplyDone(committedEntries));
      }
    }
    log.unstable.acceptInProgress();
    if (committedEntries.length > 0) {
      const last = committedEntries[committedEntries.length - 1]!.index;
      log.acceptApplying(last, encodedSizeOf(committedEntries), !this.#async);
    }
    return {
      softState,
      hardState,
      readStates,
      entries,
      snapshot,
      committedEntries,
      messages,
      mustSync,
    };
  }

  /** Synchronous writes only: everything of the last Ready is durable, sent and applied. */
  advance(): void {
    assert(!this.#async, "with asynchronous writes the responses tell, not advance");
    const messages = this.#onAdvance;
    if (messages.length === 0) return;
    this.#onAdvance = [];
    for (let i = 0; i < messages.length; i++) step(this.#core, messages[i]!);
  }

  // --- inspection ---------------------------------------------------------------------------------

  /**
   * A configuration change may still be unapplied, so that a leader would replace another one by an empty
   * entry. It is over when the application has reported the portion of entries that holds it as applied.
   */
  get isConfChangePending(): boolean {
    return this.#core.pendingConfIndex > this.#core.log.applied;
  }

  basicStatus(): BasicStatus {
    return basicStatus(this.#core);
  }

  status(): Status {
    return fullStatus(this.#core);
  }

  /** The term of an entry of our log, durable or not. */
  termAt(index: number): number | LogGap {
    return this.#core.log.term(index);
  }

  /** Replaces the election timeout that is running; the next one is drawn as ever. For tests. */
  setElectionTimeout(ticks: number): void {
    this.#core.electionTimeout = ticks;
  }

  // --- details ------------------------------------------------------------------------------------

  #propose(entries: Entry[]): StepResult {
    const core = this.#core;
    if (core.role === Role.leader) return proposeEntries(core, entries);
    const message = newMessage(MessageType.MsgProp, noNode);
    message.from = core.id;
    message.entries = entries;
    return step(core, message);
  }

  #softStateIsNew(): boolean {
    return this.#core.lead !== this.#toldLead || this.#core.role !== this.#toldRole;
  }

  #takeSoftState(): SoftState {
    this.#toldLead = this.#core.lead;
    this.#toldRole = this.#core.role;
    return { lead: this.#toldLead, role: this.#toldRole };
  }

  #hardStateIsNew(): boolean {
    const core = this.#core;
    return (
      core.log.committed !== this.#toldCommit ||
      core.term !== this.#toldTerm ||
      core.vote !== this.#toldVote
    );
  }

  #takeHardState(): HardState {
    const core = this.#core;
    const state = new HardState();
    state.term = this.#toldTerm = core.term;
    state.vote = this.#toldVote = core.vote;
    state.commit = this.#toldCommit = core.log.committed;
    return state;
  }

  /** Whether we have to hear of the durability of what is unstable now. */
  #awaitsStorage(snapshot: Snapshot | undefined): boolean {
    return this.#core.log.unstable.entries.length > 0 || snapshot !== undefined;
  }

  #storageAppend(
    entries: Entry[],
    hardState: HardState | undefined,
    snapshot: Snapshot | undefined,
    responses: Message[],
  ): Message {
    const message = newMessage(MessageType.MsgStorageAppend, appendThread);
    message.from = this.#core.id;
    message.entries = entries;
    if (hardState !== undefined) {
      message.term = hardState.term;
      message.vote = hardState.vote;
      message.commit = hardState.commit;
    }
    message.snapshot = snapshot;
    if (this.#awaitsStorage(snapshot)) responses.push(this.#storageAppendDone(snapshot));
    message.responses = responses;
    return message;
  }

  /**
   * Names the last entry of the whole unstable log, not only of this append. It is stamped with our term,
   * and a report from an earlier term is ignored: entry (i, t) can be written, overwritten in our memory by
   * (i, t+1) and come back from a third leader as (i, t) again, and then the report of the first write
   * would be taken for one of the last. Since every change of the term causes an append, a report with the
   * present term follows.
   */
  #storageAppendDone(snapshot: Snapshot | undefined): Message {
    const core = this.#core;
    const message = newMessage(MessageType.MsgStorageAppendResp, core.id);
    message.from = appendThread;
    message.term = core.term;
    if (core.log.unstable.entries.length > 0) {
      message.index = core.log.lastIndex;
      message.logTerm = core.log.lastTerm;
    }
    message.snapshot = snapshot;
    return message;
  }

  #storageApply(entries: Entry[]): Message {
    const message = newMessage(MessageType.MsgStorageApply, applyThread);
    message.from = this.#core.id;
    message.entries = entries;
    message.responses = [this.#storageApplyDone(entries)];
    return message;
  }

  #storageApplyDone(entries: Entry[]): Message {
    const message = newMessage(MessageType.MsgStorageApplyResp, this.#core.id);
    message.from = applyThread;
    message.entries = entries;
    return message;
  }
}
