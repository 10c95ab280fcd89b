// What the leader knows about one follower's log (Raft §5.3: nextIndex and matchIndex), and how fast it
// may send.
//
//                 first accepted append
//      +--------+ ----------------------> +-----------+
//      | probe  |                         | replicate |   optimistic: `next` runs ahead of `match`,
//      +--------+ <---------------------- +-----------+   bounded by the in-flight window
//        |    ^     append was rejected,      |
//        |    |     peer was unreachable      |  the entries that it needs are compacted away
//        |    |                               v
//        |    +------------------------- +----------+
//        +-----------------------------> | snapshot |     nothing is sent until the snapshot is
//                                        +----------+     reported on, or an append response comes
//
// In `probe` at most one append a heartbeat interval is under way: we do not know where the logs part.

import { assert } from "@etcd-ts/base";
import type { Inflights } from "./inflights.ts";

export const ProgressState = { probe: 0, replicate: 1, snapshot: 2 } as const;
export type ProgressState = (typeof ProgressState)[keyof typeof ProgressState];

const stateNames = ["StateProbe", "StateReplicate", "StateSnapshot"] as const;

export class Progress {
  /** Highest index known to be equal to our log. match < next. */
  match = 0;
  /** Index of the next entry to send. */
  next: number;
  /** Highest commit index that went out in an append and that the peer can act on, as far as we know. */
  sentCommit = 0;
  state: ProgressState = ProgressState.probe;
  /** State snapshot only: the index of the snapshot that was sent. */
  pendingSnapshot = 0;
  /** Something was heard from the peer since the last check of the quorum. */
  recentActive = false;
  /** No appends until an append or heartbeat response says that the last one has passed. */
  appendsPaused = false;
  isLearner: boolean;
  inflights: Inflights;

  constructor(next: number, inflights: Inflights, isLearner: boolean) {
    this.next = next;
    this.inflights = inflights;
    this.isLearner = isLearner;
  }

  /** The same progress with another role; the window is shared, so only one of the two may live on. */
  withLearner(isLearner: boolean): Progress {
    const copy = new Progress(this.next, this.inflights, isLearner);
    copy.match = this.match;
    copy.sentCommit = this.sentCommit;
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.recentActive = this.recentActive;
    copy.appendsPaused = this.appendsPaused;
    return copy;
  }

  /** Back to the beginning, for a new term (Raft §5.3). Only the role stays. */
  resetForTerm(match: number, next: number): void {
    this.match = match;
    this.next = next;
    this.sentCommit = 0;
    this.recentActive = false;
    this.#enter(ProgressState.probe);
  }

  becomeProbe(): void {
    if (this.state === ProgressState.snapshot) {
      // The snapshot may have arrived: begin behind it.
      const pending = this.pendingSnapshot;
      this.#enter(ProgressState.probe);
      this.next = Math.max(this.match + 1, pending + 1);
    } else {
      this.#enter(ProgressState.probe);
      this.next = this.match + 1;
    }
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  becomeReplicate(): void {
    this.#enter(ProgressState.replicate);
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter(ProgressState.snapshot);
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.sentCommit = index;
  }

  get paused(): boolean {
    return this.state === ProgressState.snapshot || this.appendsPaused;
  }

  /** An append with `count` entries and `bytes` of payload left. */
  sentEntries(count: number, bytes: number): void {
    assert(this.state !== ProgressState.snapshot, "no append is sent while a snapshot is pending");
    if (this.state === ProgressState.probe) {
      if (count > 0) this.appendsPaused = true;
      return;
    }
    if (count > 0) {
      this.next += count;
      this.inflights.add(this.next - 1, bytes);
    }
    // An empty append to a full window is a probe itself: one is enough until something is heard.
    this.appendsPaused = this.inflights.full;
  }

  /** Whether an append would tell the peer of a higher commit index that it can act on. */
  canBumpCommit(index: number): boolean {
    return index > this.sentCommit && this.sentCommit < this.next - 1;
  }

  sentCommitIndex(commit: number): void {
    this.sentCommit = commit;
  }

  /** The peer has everything through `index`. False when this is old news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.appendsPaused = false;
    return true;
  }

  /**
   * The peer rejected an append behind `rejected`; entries up to `hint` may match. False when the
   * rejection is stale: reordered or repeated by the network.
   */
  maybeDecrease(rejected: number, hint: number): boolean {
    if (this.state === ProgressState.replicate) {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
      this.sentCommit = Math.min(this.sentCommit, this.next - 1);
      return true;
    }
    // While probing, only the answer to the last probe counts.
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    this.appendsPaused = false;
    return true;
  }

  toString(): string {
    let text = `${stateNames[this.state]} match=${this.match} next=${this.next}`;
    if (this.isLearner) text += " learner";
    if (this.paused) text += " paused";
    if (this.pendingSnapshot > 0) text += ` pendingSnap=${this.pendingSnapshot}`;
    if (!this.recentActive) text += " inactive";
    if (this.inflights.count > 0) {
      text += ` inflight=${this.inflights.count}`;
      if (this.inflights.full) text += "[full]";
    }
    return text;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.appendsPaused = false;
    this.pendingSnapshot = 0;
    this.inflights.reset();
  }
}
