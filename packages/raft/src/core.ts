// The state of one node and its elementary transitions (Raft §5, figure 2). The rules that decide *when*
// they happen are in files of their own, by concept: step.ts (what every message meets first, ticks),
// election.ts, leader.ts with replication.ts and reads.ts, follower.ts, membership.ts.
//
//                    timeout                    pre-vote won              quorum of votes
//   +----------+  -------------> +--------------+ ----------> +-----------+ ----------> +--------+
//   | follower |                 | pre-candidate|             | candidate |             | leader |
//   +----------+ <-------------- +--------------+             +-----------+             +--------+
//      ^  ^  ^       a leader, a lost vote, a higher term          |                        |
//      |  |  +-----------------------------------------------------+                        |
//      |  +---------------------------------------------------------------------------------+
//      |                  a higher term, no active quorum, removal
//      +-- (without pre-vote a timeout goes to candidate directly)
//
// Only a candidate raises the term; a pre-candidate has changed nothing that others could see.

import { assert, emptyBytes } from "@etcd-ts/base";
import { type NormalizedConfig, normalizeConfig, type RaftConfig } from "./config.ts";
import { payloadSizeOf } from "./entry-size.ts";
import { type Entry, EntryType, type HardState, type Message, MessageType } from "./gen/raftpb.ts";
import { idText, noNode } from "./ids.ts";
import { LogLevel, type RaftLogger } from "./logger.ts";
import { belongsToElection, newEntry, newMessage, promisesDurability } from "./messages.ts";
import { RaftLog } from "./raft-log.ts";
import { ReadIndexQueue } from "./read-index.ts";
import { Tracker } from "./tracker.ts";

export const Role = { follower: 0, candidate: 1, leader: 2, preCandidate: 3 } as const;
export type Role = (typeof Role)[keyof typeof Role];

export const roleNames: readonly string[] = [
  "StateFollower",
  "StateCandidate",
  "StateLeader",
  "StatePreCandidate",
];

/** A read may be answered from any state that has applied `index`. */
export interface ReadState {
  readonly index: number;
  readonly context: Entry["data"];
}

export class Core {
  readonly config: NormalizedConfig;
  readonly id: bigint;
  readonly logger: RaftLogger;
  readonly log: RaftLog;
  readonly tracker: Tracker;

  // --- durable (Raft figure 2) --------------------------------------------------------------------
  term = 0;
  /** Whom we voted for in this term. */
  vote: bigint = noNode;

  // --- volatile -----------------------------------------------------------------------------------
  role: Role = Role.follower;
  lead: bigint = noNode;
  /** By our own configuration; others may know better. */
  isLearner = false;
  /** Ticks since we heard of a leader, or for a leader since the last check of its quorum. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Drawn anew in every `reset`, from [electionTicks, 2 * electionTicks - 1]. */
  electionTimeout = 0;

  /** Index of the last snapshot that replaced our log: the configuration is at least as new. */
  restoredIndex = 0;

  // --- leader only --------------------------------------------------------------------------------
  /** To whom leadership is being transferred. */
  leadTransferee: bigint = noNode;
  /** Somebody was told to campaign in spite of our lease, so the lease proves nothing in this term. */
  leaseWaived = false;
  /** No change of the configuration is proposed before everything through here is applied. */
  pendingConfIndex = 0;
  /** Payload bytes of entries proposed in this term and not yet applied. */
  uncommittedBytes = 0;
  reads: ReadIndexQueue = new ReadIndexQueue();
  /** Reads that came before the first commit of our term. */
  earlyReads: Message[] = [];

  // --- outgoing -----------------------------------------------------------------------------------
  /** May leave at once. */
  outbox: Message[] = [];
  /** May leave, and reach ourselves, once all that is unstable now is durable. */
  durableOutbox: Message[] = [];
  readStates: ReadState[] = [];

  constructor(given: RaftConfig) {
    const config = normalizeConfig(given);
    this.config = config;
    this.id = config.id;
    this.logger = config.logger;
    this.log = new RaftLog(config.log, config.logger, config.applyBytesMax);
    this.tracker = new Tracker({
      inflightMessagesMax: config.inflightMessagesMax,
      inflightBytesMax: config.inflightBytesMax,
    });
  }

  loadHardState(state: HardState): void {
    const { committed, lastIndex } = this.log;
    assert(
      state.commit <= lastIndex,
      `${idText(this.id)} state.commit ${state.commit} is out of range [${committed}, ${lastIndex}]`,
    );
    // A snapshot can be ahead of the stored commit index, which is never synced for its own sake; what it
    // holds was committed.
    this.log.committed = Math.max(committed, state.commit);
    this.term = state.term;
    this.vote = state.vote;
  }

  // --- transitions --------------------------------------------------------------------------------

  becomeFollower(term: number, lead: bigint): void {
    this.#reset(term);
    this.role = Role.follower;
    this.lead = lead;
    this.info(() => `${idText(this.id)} became follower at term ${this.term}`);
  }

  becomePreCandidate(): void {
    assert(this.role !== Role.leader, "a leader does not become pre-candidate");
    // Nothing that the group could notice changes: not the term, not the vote (thesis §9.6).
    this.tracker.clearVotes();
    this.role = Role.preCandidate;
    this.lead = noNode;
    this.info(() => `${idText(this.id)} became pre-candidate at term ${this.term}`);
  }

  becomeCandidate(): void {
    assert(this.role !== Role.leader, "a leader does not become candidate");
    this.#reset(this.term + 1);
    this.role = Role.candidate;
    this.vote = this.id;
    this.info(() => `${idText(this.id)} became candidate at term ${this.term}`);
  }

  becomeLeader(): void {
    assert(this.role === Role.candidate, "only a candidate becomes leader");
    this.#reset(this.term);
    this.role = Role.leader;
    this.lead = this.id;
    const own = this.tracker.progress(this.id);
    assert(own !== undefined, "a candidate is in its configuration");
    own.becomeReplicate();
    own.recentActive = true;
    // There may be a change in the tail of our log that we do not know of: wait for all of it.
    this.pendingConfIndex = this.log.lastIndex;
    // Entries of earlier terms commit with the first one of ours (Raft §5.4.2, §8).
    assert(
      this.appendAsLeader([newEntry(EntryType.EntryNormal, emptyBytes)]),
      "an empty entry is always accepted",
    );
    this.info(() => `${idText(this.id)} became leader at term ${this.term}`);
  }

  #reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = noNode;
    }
    this.lead = noNode;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.drawElectionTimeout();
    this.leadTransferee = noNode;
    this.leaseWaived = false;
    this.tracker.clearVotes();
    const last = this.log.lastIndex;
    const { ids, peers } = this.tracker;
    for (let i = 0; i < ids.length; i++) {
      peers[i]!.resetForTerm(ids[i] === this.id ? last : 0, last + 1);
    }
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    this.reads = new ReadIndexQueue();
    this.earlyReads = [];
  }

  drawElectionTimeout(): void {
    const ticks = this.config.electionTicks;
    this.electionTimeout = ticks + this.config.random.below(ticks);
  }

  /** May campaign: a voter, and not amid installing a snapshot. */
  get promotable(): boolean {
    const own = this.tracker.progress(this.id);
    return own !== undefined && !own.isLearner && this.log.unstable.snapshot === undefined;
  }

  // --- the leader's own log -----------------------------------------------------------------------

  /**
   * Stamps and appends new entries. False, and nothing done, when they exceed what may be uncommitted. Our
   * own copy counts like that of any other: once it is durable.
   */
  appendAsLeader(entries: Entry[]): boolean {
    const bytes = payloadSizeOf(entries);
    // Entries without data are raft's own and always pass; on an empty tail, so does anything.
    if (
      this.uncommittedBytes > 0 &&
      bytes > 0 &&
      this.uncommittedBytes + bytes > this.config.uncommittedBytesMax
    ) {
      this.warn(
        () =>
          `${idText(this.id)} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
      );
      return false;
    }
    this.uncommittedBytes += bytes;
    let index = this.log.lastIndex;
    for (let i = 0; i < entries.length; i++) {
      index += 1;
      const entry = entries[i]!;
      entry.term = this.term;
      entry.index = index;
    }
    this.log.append(entries);
    const response = newMessage(MessageType.MsgAppResp, this.id);
    response.index = index;
    this.send(response);
    return true;
  }

  // --- sending ------------------------------------------------------------------------------------

  /** Completes a message and puts it into the outbox from which it may leave. */
  send(message: Message): void {
    const { type } = message;
    if (message.from === noNode) message.from = this.id;
    if (belongsToElection(type)) {
      assert(message.term !== 0, "election messages carry the term of the campaign");
    } else {
      assert(message.term === 0, "the term of a message is filled in when it is sent");
      // Forwarded requests are not bound to a term: they may outlive it on their way.
      if (type !== MessageType.MsgProp && type !== MessageType.MsgReadIndex) {
        message.term = this.term;
      }
    }
    const isEarly = type === MessageType.MsgVote && this.config.earlyVoteRequests;
    if (promisesDurability(type) && !isEarly) {
      this.durableOutbox.push(message);
    } else {
      assert(message.to !== this.id, "only promises of durability are sent to oneself");
      this.outbox.push(message);
    }
  }

  // --- logging ------------------------------------------------------------------------------------

  debug(text: () => string): void {
    if (this.logger.level <= LogLevel.debug) this.logger.write(LogLevel.debug, text());
  }

  info(text: () => string): void {
    if (this.logger.level <= LogLevel.info) this.logger.write(LogLevel.info, text());
  }

  warn(text: () => string): void {
    if (this.logger.level <= LogLevel.warn) this.logger.write(LogLevel.warn, text());
  }

  error(text: () => string): void {
    if (this.logger.level <= LogLevel.error) this.logger.write(LogLevel.error, text());
  }
}
