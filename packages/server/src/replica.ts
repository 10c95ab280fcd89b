// The replica loop: one turn takes everything that has arrived since the last one through raft.
//
//     ticks ─┐                                              ┌─► log: append, one sync for all that is queued
//     syncs ─┤                                              ├─► peers
//     peers ─┼─► raft: step … one MsgProp, one ReadIndex ──►┤
//     conf ──┤                                              ├─► machine: apply, answer the waiting proposals
//     puts ──┤                                              └─► readers whose index is applied
//     reads ─┘
//
// Callbacks from the world only queue and `wake()`; the turn runs when the event loop has read its input,
// so that whatever came in together is one proposal message, one log write and one batch of answers. While a
// sync is in flight the next batch gathers; that is the whole flow control on the way in.
//
// Raft runs with asynchronous storage writes: a Ready holds messages that may leave at once, at most one
// append for the log with the answers that may leave only when it is durable (our own vote and our own
// acknowledgement are among them), and at most one portion of entries to apply.
//
// A snapshot from the leader comes out of raft as an append, too. From then on nothing is applied and no
// append is answered until it is installed (`snapshot-install.ts`); ticks, heartbeats and steps go on.
//
// What may fail: the log or the backend. Then nothing is acknowledged any more, and the member stops.

import { assert, type Host } from "@etcd-ts/base";
import type { ApplyOutcome, ConfChangeOutcome, Machine } from "@etcd-ts/machine";
import {
  type ConfChange,
  ConfChangeType,
  type ConfState,
  decodeConfChange,
  type Entry,
  EntryType,
  type MemoryLog,
  type Message,
  MessageType,
  ProgressState,
  type RawNode,
} from "@etcd-ts/raft";
import { AppendLine, type ArrivedSnapshot, hasSnapshot, type LogWriter } from "./append-line.ts";
import { ApplyQueue } from "./apply-queue.ts";
import { refuseAuthChange } from "./auth-guard.ts";
import type { BackendCommits } from "./backend-commits.ts";
import { type ConfProposal, ConfQueue } from "./conf-queue.ts";
import { peekRequestId } from "./envelope.ts";
import { catalogue } from "./errors.ts";
import { ForwardedProposals } from "./forwarded-proposals.ts";
import { HandOver } from "./hand-over.ts";
import { hexId } from "./ids.ts";
import { LateHeartbeats } from "./late-heartbeats.ts";
import { doublingBounds, Histogram } from "./metric-types.ts";
import type { PeerTransport } from "./peer-transport.ts";
import type { Proposal, Proposals, TimeoutEvidence } from "./proposals.ts";
import type { Reads } from "./reads.ts";
import type { Refusal } from "./refusals.ts";
import type { RequestTimes } from "./request-times.ts";
import { Ticker } from "./ticker.ts";

/** What the rest of the member wants to know. All are called inside a turn. */
export interface ReplicaObserver {
  /** Both 0n when unknown. */
  leaderChanged(leader: bigint, former: bigint, term: number): void;
  /** The first entry of our own term as leader is applied. */
  leadershipEstablished(): void;
  /** Applies a membership change to the machine, and to the peers if it was accepted. */
  applyConfChange(entry: Entry, change: ConfChange): ConfChangeOutcome;
  /** What raft made of it. */
  confStateChanged(state: ConfState): void;
  /** Nothing is applied until it is installed. */
  snapshotArrived(arrived: ArrivedSnapshot): void;
  /** Snapshots came in, and none is being installed any more: databases of those that raft had no use for may go. */
  snapshotsSettled(): void;
  /** A normal entry was applied, whoever proposed it. */
  entryApplied(outcome: ApplyOutcome): void;
  /** Everything of this turn is done; answers have been given. */
  turnEnded(): void;
  failed(error: Error): void;
}

export interface ReplicaOptions {
  readonly tickMs: number;
  readonly electionMs: number;
  /** How long a proposal may be on its way. */
  readonly requestTimeoutMs: number;
  /** False: `--unsafe-no-fsync`. */
  readonly syncsLog: boolean;
}

const applySliceMs = 3;
/** Readers are let go for so long in a turn; the rest waits for the next one. */
const readSliceMs = 3;
/** What enters the log in one turn at most; the rest waits for the next one. */
const proposalCountMax = 2048;
const proposalBytesMax = 4 << 20;
/** The log's disk hangs when it has not answered for so many election timeouts. */
const hungElections = 2;
/** Messages of peers that wait for a turn. */
const inboxCountMax = 8192;

export class Replica implements TimeoutEvidence {
  readonly #host: Host;
  readonly #raft: RawNode;
  readonly #log: MemoryLog;
  readonly #wal: LogWriter;
  readonly #machine: Machine;
  readonly #proposals: Proposals;
  readonly #reads: Reads;
  readonly #transport: PeerTransport;
  readonly #commits: BackendCommits;
  readonly #observer: ReplicaObserver;
  readonly #times: RequestTimes;
  readonly #options: ReplicaOptions;
  readonly #high16: number;
  readonly #id: bigint;

  #scheduled = false;
  #inTurn = false;
  #stopped = false;
  readonly #appends: AppendLine;
  /** Messages from peers. */
  #inbox: Message[] = [];
  /** The last term of our own leadership whose first entry was applied here. */
  #establishedTerm = 0;
  readonly #confChanges = new ConfQueue();
  readonly #applying = new ApplyQueue();
  readonly #forwarded = new ForwardedProposals();
  readonly #handOver: HandOver;
  /** Raft takes no proposals (leadership is being transferred): not again before the next tick. */
  #proposalsWait = false;
  #tickDue = false;
  #campaignPending = false;
  /** A snapshot has come in since the last time that none was being installed. */
  #sawSnapshot = false;
  /** Monotonic ms when the present turn began. */
  #turnMs = 0;
  /** Bytes of entries in the in-memory log, for the size bound on it. */
  logBytes = 0;

  /** Called after each turn, when its answers are given: the time to write them out. */
  afterTurn: () => void = () => {};

  leader = 0n;
  isLeader = false;
  term = 0;
  commitIndex = 0;
  /** Monotonic ms when the present leader became known. */
  leaderSinceMs = 0;
  leaderChangesCount = 0;
  turnCount = 0;
  longestTurnMs = 0;
  readonly turnSeconds: Histogram = new Histogram(doublingBounds(0.0001, 16));
  readonly ticker: Ticker;

  constructor(parts: {
    readonly host: Host;
    readonly id: bigint;
    readonly high16: number;
    readonly raft: RawNode;
    readonly log: MemoryLog;
    readonly wal: LogWriter;
    readonly machine: Machine;
    readonly proposals: Proposals;
    readonly reads: Reads;
    readonly transport: PeerTransport;
    readonly commits: BackendCommits;
    readonly observer: ReplicaObserver;
    readonly times: RequestTimes;
    readonly options: ReplicaOptions;
  }) {
    this.#host = parts.host;
    this.#id = parts.id;
    const status = parts.raft.basicStatus();
    this.commitIndex = status.commit;
    this.term = status.term;
    this.#high16 = parts.high16;
    this.#raft = parts.raft;
    this.#log = parts.log;
    this.#wal = parts.wal;
    this.#machine = parts.machine;
    this.#proposals = parts.proposals;
    this.#reads = parts.reads;
    this.#transport = parts.transport;
    this.#commits = parts.commits;
    this.#observer = parts.observer;
    this.#times = parts.times;
    this.#options = parts.options;
    this.#appends = new AppendLine({
      wal: parts.wal,
      syncsLog: parts.options.syncsLog,
      hungTicks: Math.ceil((hungElections * parts.options.electionMs) / parts.options.tickMs),
      snapshotArrived: (arrived) => this.#snapshotArrived(arrived),
      wake: () => this.wake(),
      failed: (error) => this.#fail(error),
    });
    this.#handOver = new HandOver({
      log: parts.host.log,
      id: parts.id,
      raft: parts.raft,
      disk: this.#appends.disk,
      electionMs: parts.options.electionMs,
      activeSinceMs: (id) => parts.transport.activeSinceMs(id),
    });
    const lateHeartbeats = new LateHeartbeats(parts.host, parts.options.tickMs);
    this.ticker = new Ticker(parts.host, parts.options.tickMs, (lateMs) => {
      if (this.isLeader) lateHeartbeats.tick(lateMs);
      this.#tickDue = true;
      this.wake();
    });
  }

  get electionMs(): number {
    return this.#options.electionMs;
  }

  /**
   * Since when this member has been connected without a break to a quorum (as leader) or to the leader (as
   * follower); undefined when it is not.
   */
  connectedSinceMs(): number | undefined {
    if (!this.isLeader) return this.#transport.activeSinceMs(this.leader);
    const since: number[] = [];
    let voterCount = 0;
    for (const { id, isLearner } of this.#machine.members.list()) {
      if (isLearner) continue;
      voterCount++;
      const active = id === this.#id ? 0 : this.#transport.activeSinceMs(id);
      if (active !== undefined) since.push(active);
    }
    return since.sort((a, b) => a - b)[Math.floor(voterCount / 2)];
  }

  /** A snapshot from the leader is being installed, in the state or in the log: nothing is applied. */
  get isInstalling(): boolean {
    return this.#appends.holdsSnapshot;
  }

  start(): void {
    this.ticker.start();
    this.wake();
  }

  /** No callback has an effect after this. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.ticker.stop();
  }

  /** Asks for a turn as soon as the event loop has read its input. */
  wake(): void {
    if (this.#scheduled || this.#inTurn || this.#stopped) return;
    this.#scheduled = true;
    this.#host.timers.soon(this.#run);
  }

  /** A message from a peer; false: not taken. From the event loop. */
  receive(message: Message): boolean {
    if (this.#stopped || this.#inbox.length >= inboxCountMax) return false;
    this.#inbox.push(message);
    this.wake();
    return true;
  }

  /** Messages to a peer got lost. From the event loop. */
  reportUnreachable(id: bigint): void {
    if (this.#stopped) return;
    this.#raft.reportUnreachable(id);
    this.wake();
  }

  /** How the sending of a snapshot ended. From the event loop. */
  reportSnapshot(id: bigint, succeeded: boolean): void {
    if (this.#stopped) return;
    this.#raft.reportSnapshot(id, succeeded);
    this.wake();
  }

  /** One membership change goes through raft at a time; the others wait here. */
  proposeConfChange(proposal: ConfProposal): void {
    this.#confChanges.push(proposal);
    this.wake();
  }

  /** The caller went away: nobody is told of this change any more. It may still happen. */
  forgetConfChange(id: bigint): void {
    this.#confChanges.forget(id);
  }

  /** Refuses all who wait for a membership change. */
  refuseConfChanges(refusal: Refusal): void {
    this.#confChanges.refuseAll(refusal);
  }

  /** Stands for election once everything committed is applied. */
  campaignWhenSettled(): void {
    this.#campaignPending = true;
    this.wake();
  }

  /** As if so many ticks had passed already. */
  advanceTicks(count: number): void {
    for (let i = 0; i < count; i++) this.#raft.tick();
  }

  /** How much of the log a member has, as the leader knows; 0 when it does not. */
  matchIndexOf(id: bigint): number {
    return this.#raft.status().progress.get(id)?.match ?? 0;
  }

  /**
   * A member that is connected has a snapshot to install, or has yet to say where it stands. Installing a
   * large one takes its time, and what was written meanwhile must still be in the log, or it would need the
   * next snapshot, and so on for ever. Never true where we do not lead.
   */
  bringsUpMember(isConnected: (id: bigint) => boolean): boolean {
    for (const [id, progress] of this.#raft.status().progress) {
      if (progress.state !== ProgressState.replicate && isConnected(id)) return true;
    }
    return false;
  }

  transferLeader(id: bigint): void {
    this.#raft.transferLeader(id);
    this.wake();
  }

  /** The voter to which leadership can be handed over with the least delay, if there is one that works. */
  successor(): bigint | undefined {
    return this.#handOver.successor();
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    if (this.#stopped) return;
    this.#inTurn = true;
    const start = this.#host.clock.monotonicMs();
    this.#wal.hold();
    try {
      this.#turn(start);
    } catch (reason) {
      this.#inTurn = false;
      this.#fail(reason instanceof Error ? reason : new Error(String(reason)));
      return;
    }
    this.#inTurn = false;
    // The disk and the network are busy while the answers go out.
    this.#wal.flush();
    this.afterTurn();
    if (this.#hasWork()) this.wake();
    const tookMs = this.#host.clock.monotonicMs() - start;
    this.turnCount++;
    this.turnSeconds.observe(tookMs / 1000);
    if (tookMs > this.longestTurnMs) this.longestTurnMs = tookMs;
  };

  #turn(nowMs: number): void {
    this.#turnMs = nowMs;
    if (this.#tickDue) this.#tick(nowMs);
    this.#finishAppends();
    this.#stepInbox(nowMs);
    this.#proposeForwarded(nowMs);
    this.#proposeConf(nowMs);
    this.#propose();
    this.#reads.beginRound(nowMs);
    const applyUntilMs = nowMs + applySliceMs;
    do {
      while (this.#raft.hasReady()) this.#handleReady(nowMs);
    } while (this.#apply(applyUntilMs));
    this.#proposals.applyGap = this.commitIndex - this.#machine.appliedIndex;
    if (!this.#appends.isInstalling) {
      this.#reads.release(this.#machine.appliedIndex, this.#host.clock, readSliceMs);
    }
    this.#commits.applied();
    this.#observer.turnEnded();
    if (this.#sawSnapshot && !this.#appends.isInstalling) {
      this.#sawSnapshot = false;
      this.#observer.snapshotsSettled();
    }
    if (this.#campaignPending && this.#isSettled()) {
      this.#campaignPending = false;
      this.#raft.campaign();
    }
  }

  /** Everything committed is applied, and raft knows it. */
  #isSettled(): boolean {
    return this.#applying.isEmpty && this.#machine.appliedIndex >= this.commitIndex;
  }

  /** Inputs that the answers of this turn caused, or work that did not fit into it. */
  #hasWork(): boolean {
    if (this.#inbox.length > 0 || this.#raft.hasReady() || this.#reads.needsRound) return true;
    if (this.leader !== 0n) {
      if (!this.#proposalsWait && (this.#proposals.queuedCount > 0 || this.#mayProposeConf())) {
        return true;
      }
    }
    if (this.#appends.isInstalling) return false;
    return (
      this.#appends.hasDurable ||
      this.#reads.canRelease(this.#machine.appliedIndex) ||
      (!this.#applying.isEmpty && !this.#commits.stalled)
    );
  }

  #tick(nowMs: number): void {
    this.#tickDue = false;
    this.#proposalsWait = false;
    this.writeState();
    if (this.#handOver.tick(nowMs, this.isLeader)) this.#raft.tick();
    this.#proposals.expire(nowMs, this);
    this.#confChanges.expire(nowMs, this.#options.requestTimeoutMs);
    this.#reads.tick(nowMs);
  }

  /** Delivers what was held back until an append was durable. */
  #finishAppends(): void {
    const finished = this.#appends.take();
    for (let i = 0; i < finished.length; i++) {
      const append = finished[i]!;
      if (hasSnapshot(append)) {
        this.#log.applySnapshot(append.snapshot!);
        this.logBytes = 0;
      }
      if (append.entries.length > 0) {
        this.#log.append(append.entries);
        for (const entry of append.entries) this.logBytes += entry.data.length;
      }
      for (const response of append.responses) this.#deliver(response);
    }
  }

  #deliver(message: Message): void {
    if (message.to === this.#id) this.#raft.step(message);
    else this.#transport.send(message);
  }

  #stepInbox(nowMs: number): void {
    if (this.#inbox.length === 0) return;
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const message of inbox) {
      if (message.type === MessageType.MsgProp) this.#forwardedHere(message, nowMs);
      // A campaign could not succeed while the disk hangs, and would only keep others from theirs.
      else if (message.type !== MessageType.MsgTimeoutNow || !this.#appends.disk.isHung) {
        if (message.type === MessageType.MsgSnap) this.#sawSnapshot = true;
        this.#raft.step(message);
      }
    }
  }

  #forwardedHere(message: Message, nowMs: number): void {
    const refusedCount = this.#forwarded.add(message, nowMs);
    if (refusedCount === 0) return;
    this.#host.log.warn("left out what another member proposed and this release cannot apply", {
      "remote-peer-id": hexId(message.from),
      entries: refusedCount,
    });
  }

  /** What other members propose by way of this one, which leads, or did when they sent it. */
  #proposeForwarded(nowMs: number): void {
    const { pending } = this.#forwarded;
    if (pending === undefined || this.#proposalsWait) return;
    const mayWait = this.#forwarded.waitedMs(nowMs) < 2 * this.#options.electionMs;
    if (this.isLeader && this.#forwarded.removes(this.#id) && this.#handOver.beforeRemoval(nowMs))
      this.#proposalsWait = true;
    else if (this.#raft.step(pending) === "dropped" && mayWait) this.#proposalsWait = true;
    else this.#forwarded.clear();
  }

  /** Raft knows of an applied change only when its whole portion of entries is applied. */
  #mayProposeConf(): boolean {
    return this.#confChanges.isReady && !this.#raft.isConfChangePending;
  }

  #proposeConf(nowMs: number): void {
    if (this.leader === 0n || !this.#mayProposeConf()) return;
    if (this.#proposalsWait) return;
    const first = this.#confChanges.first;
    const removesUs =
      first?.type === ConfChangeType.RemoveNode && first.nodeId === this.#id && this.isLeader;
    if (removesUs && this.#handOver.beforeRemoval(nowMs)) {
      this.#proposalsWait = true;
      return;
    }
    const next = this.#confChanges.next();
    if (next === undefined) return;
    if (this.#raft.proposeConfChange(next.change) === "ok") this.#confChanges.handed(next, nowMs);
    else next.waiter.refused(catalogue.proposalDropped);
  }

  #propose(): void {
    if (this.#proposals.queuedCount === 0 || this.leader === 0n || this.#proposalsWait) return;
    // Raft may have got another leader within this very turn. Whoever has something in the queue that only the old
    // one may say (the end of a lease) must hear of it first, and take it back: raft would pass it on to the new one.
    if (this.#raft.basicStatus().lead !== this.leader) return;
    const batch = this.#proposals.takeQueue(proposalCountMax, proposalBytesMax);
    const datas = new Array<NonNullable<Proposal["data"]>>(batch.length);
    for (let i = 0; i < batch.length; i++) {
      const proposal = batch[i]!;
      datas[i] = proposal.data!;
      proposal.handed = true;
      proposal.term = this.term;
    }
    if (this.#raft.propose(datas) === "ok") return;
    const { lead, leadTransferee } = this.#raft.basicStatus();
    const isMember = this.#machine.members.get(this.#id) !== undefined;
    if (lead === 0n || leadTransferee !== 0n || !isMember) {
      // The leader was lost in this very turn, or is about to go: the next one gets them.
      this.#proposalsWait = true;
      this.#proposals.giveBack(batch);
    } else {
      this.#proposals.drop(batch, catalogue.proposalDropped);
    }
  }

  #handleReady(nowMs: number): void {
    const ready = this.#raft.ready();
    if (ready.hardState !== undefined) {
      this.commitIndex = ready.hardState.commit;
      this.term = ready.hardState.term;
    }
    if (ready.softState !== undefined) this.#leaderIs(ready.softState.lead, nowMs);
    for (const state of ready.readStates) this.#reads.confirm(state.context, state.index);
    for (const message of ready.messages) {
      if (message.type === MessageType.MsgStorageAppend) {
        this.#appends.persist(message, ready.hardState, ready.mustSync);
      } else if (message.type === MessageType.MsgStorageApply) this.#applying.push(message);
      else this.#transport.send(message);
    }
  }

  #leaderIs(leader: bigint, nowMs: number): void {
    const former = this.leader;
    if (leader === former) return;
    this.leader = leader;
    this.#proposalsWait = false;
    this.#handOver.leaderChanged();
    this.isLeader = leader === this.#id;
    this.#confChanges.leaderChanged();
    if (leader !== 0n) {
      this.leaderChangesCount++;
      this.leaderSinceMs = nowMs;
      this.#reads.leaderChanged();
    }
    this.#observer.leaderChanged(leader, former, this.term);
  }

  /** What was to be applied is in the snapshot; whoever waits for it learns no more than a timeout. */
  #snapshotArrived(arrived: ArrivedSnapshot): void {
    for (const response of this.#applying.dropAll()) this.#deliver(response);
    this.#observer.snapshotArrived(arrived);
  }

  /** The commit index that raft knows goes into the log now, in front of what is appended next. */
  writeState(): void {
    this.#appends.writeState();
  }

  /** Applies what fits before `untilMs`; true when raft was told of a finished portion. */
  #apply(untilMs: number): boolean {
    if (this.#applying.isEmpty || this.#appends.isInstalling) return false;
    const { clock } = this.#host;
    let now = clock.monotonicMs();
    while (now < untilMs && !this.#commits.stalled && !this.#stopped) {
      const entry = this.#applying.next();
      if (entry === undefined) {
        for (const response of this.#applying.finishPortion()) this.#deliver(response);
        return true;
      }
      const outcome = this.#applyEntry(entry);
      const before = now;
      now = clock.monotonicMs();
      this.#times.applied(entry, now - before, outcome);
    }
    return false;
  }

  #applyEntry(entry: Entry): ApplyOutcome | undefined {
    if (entry.type === EntryType.EntryConfChange) {
      this.#applyConfChange(entry);
      return undefined;
    }
    assert(entry.type === EntryType.EntryNormal, "joint configuration changes are never proposed");
    const id = entry.data.length === 0 ? -1 : peekRequestId(entry.data, this.#high16);
    const proposal = id < 0 ? undefined : this.#proposals.take(id, entry.term);
    // What this member proposes is none of it.
    if (proposal === undefined) refuseAuthChange(entry.data, entry.index);
    const outcome = this.#machine.apply(entry, proposal !== undefined, proposal?.txn);
    if (outcome !== undefined) {
      this.#observer.entryApplied(outcome);
      if (proposal !== undefined) {
        proposal.applied(outcome);
        this.#times.finished(proposal, this.#turnMs);
      }
    }
    // Later empty entries of the term stand for membership changes that raft refused.
    const isFirst = entry.data.length === 0 && entry.term > this.#establishedTerm;
    if (isFirst && this.isLeader && entry.term === this.term) {
      this.#establishedTerm = entry.term;
      this.#reads.repeat(this.#host.clock.monotonicMs());
      this.#observer.leadershipEstablished();
    }
    return outcome;
  }

  #applyConfChange(entry: Entry): void {
    const change = decodeConfChange(entry.data);
    const outcome = this.#observer.applyConfChange(entry, change);
    // A refused change counts for raft as one of no node at all.
    if (outcome.error !== undefined) change.nodeId = 0n;
    const state = this.#raft.applyConfChange(change, entry.index);
    if (state !== undefined) this.#observer.confStateChanged(state);
    this.#confChanges.applied(change.id, outcome);
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.stop();
    this.#observer.failed(error);
  }
}
