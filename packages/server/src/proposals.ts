// Requests on their way through the log. A `Proposal` is made by a service, waits in the queue until the
// next turn of the replica loop hands it to raft, and is told once what became of it:
//
//     submit ──► queue ──turn──► raft … log … apply ──► applied(outcome)
//        │         │               └───────────────────► refused(timeout, server stopped)
//        │         └── no leader: stays queued ────────► refused(deadline exceeded)
//        └── too large, too many, stopping ────────────► refused, at once
//
// One object per call with two methods; no promise and no closure. All proposals have the same time to
// live, so the table of pending ones, which keeps the order of their ids, is the timing wheel as well: whoever
// times out stands at its front.
//
// Bounds: 5,000 entries between commit and apply, and `pendingBytesMax` bytes on their way; beyond either,
// the answer is "too many requests".

import type { TxnRequest } from "@etcd-ts/api";
import { type Bytes, IdTable } from "@etcd-ts/base";
import type { ApplyOutcome } from "@etcd-ts/machine";
import { encodeEnvelope, type Operation } from "./envelope.ts";
import { catalogue } from "./errors.ts";
import type { RequestIds } from "./ids.ts";
import type { Refusal } from "./refusals.ts";

export const applyGapMax = 5000;
const pendingBytesMax = 512 * 1024 * 1024;

/** One request on its way. Subclasses hold the call and answer it. */
export abstract class Proposal {
  /** Low 48 bits of the request id; 0 before `submit`. */
  id = 0;
  /** Monotonic; set by `submit`. */
  startMs = 0;
  /** What kind of request it is. */
  operation: number = 0;
  /** The log entry. */
  data: Bytes | undefined = undefined;
  /** Of a transaction: what is encoded in it. */
  txn: TxnRequest | undefined = undefined;
  /** Raft has taken it, in this term. */
  handed = false;
  term = 0;

  /** The entry was applied here; called in log order. */
  abstract applied(outcome: ApplyOutcome): void;
  /** There will be no result. The entry may still be applied later. */
  abstract refused(refusal: Refusal): void;
}

/** What decides which of etcd's timeout texts is true; times are monotonic ms. */
export interface TimeoutEvidence {
  /** When the present leader became known; 0 when there has been one from the start. */
  readonly leaderSinceMs: number;
  readonly electionMs: number;
  /** Connected to a quorum (as leader) or to the leader (as follower) without a break since this moment. */
  connectedSinceMs(): number | undefined;
}

export interface ProposalLimits {
  readonly requestBytesMax: number;
  readonly requestTimeoutMs: number;
}

export class Proposals {
  readonly #ids: RequestIds;
  readonly #limits: ProposalLimits;
  /** Queued and handed ones by id, oldest first. */
  readonly #pending: IdTable<Proposal> = new IdTable();
  /** Not yet handed to raft. */
  #queue: Proposal[] = [];
  #pendingBytes = 0;
  #stopped = false;
  /** Set by the replica: committed entries that wait for their application. */
  applyGap = 0;
  failedCount = 0;

  constructor(ids: RequestIds, limits: ProposalLimits) {
    this.#ids = ids;
    this.#limits = limits;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  get queuedCount(): number {
    return this.#queue.length;
  }

  /**
   * Queues a request; false when it was refused at once (the proposal has been told). `request` is the
   * encoded request message; it is copied.
   */
  submit(operation: Operation, request: Bytes, proposal: Proposal, nowMs: number): boolean {
    if (this.#stopped) return this.#refuse(proposal, catalogue.stopped);
    if (this.applyGap > applyGapMax || this.#pendingBytes > pendingBytesMax) {
      return this.#refuse(proposal, catalogue.tooManyRequests);
    }
    const id = this.#ids.next();
    const data = encodeEnvelope(operation, request, this.#ids, id);
    if (data.length > this.#limits.requestBytesMax) {
      return this.#refuse(proposal, catalogue.requestTooLarge);
    }
    proposal.id = id;
    proposal.operation = operation;
    proposal.startMs = nowMs;
    proposal.data = data;
    this.#pendingBytes += data.length;
    this.#pending.set(id, proposal);
    this.#queue.push(proposal);
    return true;
  }

  /** What is queued, for one MsgProp: at least one, and no more than the limits allow. */
  takeQueue(countMax: number, bytesMax: number): Proposal[] {
    const queue = this.#queue;
    let count = 0;
    for (let bytes = 0; count < queue.length && count < countMax; count++) {
      bytes += queue[count]!.data!.length;
      if (count > 0 && bytes > bytesMax) break;
    }
    if (count === queue.length) {
      this.#queue = [];
      return queue;
    }
    this.#queue = queue.slice(count);
    return queue.slice(0, count);
  }

  /** Raft could not take these now: they are next in the following turn. */
  giveBack(proposals: readonly Proposal[]): void {
    for (const proposal of proposals) proposal.handed = false;
    this.#queue = proposals.concat(this.#queue);
  }

  /** Takes one back that raft has not got yet; it is refused. One that raft has goes its way. */
  withdraw(proposal: Proposal, refusal: Refusal): void {
    if (proposal.handed || !this.#remove(proposal)) return;
    this.#queue = this.#queue.filter((queued) => queued !== proposal);
    this.#refuse(proposal, refusal);
  }

  /** Raft refused these for good. */
  drop(proposals: readonly Proposal[], refusal: Refusal): void {
    for (const proposal of proposals) {
      if (this.#remove(proposal)) this.#refuse(proposal, refusal);
    }
  }

  /**
   * Removes and returns who waits for this request, which is applied from an entry of `term`. Entries of
   * earlier terms are from an earlier life of this member, whatever their ids say.
   */
  take(id: number, term: number): Proposal | undefined {
    const proposal = this.#pending.get(id);
    if (proposal === undefined || !proposal.handed || term < proposal.term) return undefined;
    this.#remove(proposal);
    return proposal;
  }

  /** Refuses whoever has waited too long. */
  expire(nowMs: number, evidence: TimeoutEvidence): void {
    let expiredQueued = false;
    for (;;) {
      const proposal = this.#pending.first();
      if (proposal === undefined) break;
      if (nowMs - proposal.startMs < this.#limits.requestTimeoutMs) break;
      this.#remove(proposal);
      if (!proposal.handed) expiredQueued = true;
      this.#refuse(proposal, timeoutRefusal(proposal, evidence));
    }
    if (expiredQueued)
      this.#queue = this.#queue.filter((p) => this.#pending.get(p.id) !== undefined);
  }

  /** Refuses everybody, now and from now on. */
  stop(refusal: Refusal): void {
    this.#stopped = true;
    this.#queue.length = 0;
    for (const proposal of this.#pending.values()) this.#refuse(proposal, refusal);
    this.#pending.clear();
    this.#pendingBytes = 0;
  }

  #remove(proposal: Proposal): boolean {
    if (!this.#pending.delete(proposal.id)) return false;
    this.#pendingBytes -= proposal.data!.length;
    return true;
  }

  #refuse(proposal: Proposal, refusal: Refusal): false {
    this.failedCount++;
    proposal.refused(refusal);
    return false;
  }
}

function timeoutRefusal(proposal: Proposal, evidence: TimeoutEvidence): Refusal {
  if (!proposal.handed) return catalogue.contextDeadlineExceeded;
  const start = proposal.startMs;
  const elected = evidence.leaderSinceMs;
  if (elected - 2 * evidence.electionMs < start && start < elected) {
    return catalogue.timeoutDueToLeaderFail;
  }
  const connectedSince = evidence.connectedSinceMs();
  if (connectedSince === undefined || connectedSince > start) {
    return catalogue.timeoutDueToConnectionLost;
  }
  return catalogue.timeout;
}
