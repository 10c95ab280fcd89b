// The membership in use: configuration, progress of every node, and the votes of a running election.
// Everything is visited in ascending order of ids, so that the same inputs give the same messages.

import type { Membership, NewcomerDefaults } from "./conf-change.ts";
import { type Configuration, emptyConfiguration } from "./configuration.ts";
import { sortedIds } from "./ids.ts";
import type { Progress } from "./progress.ts";
import { type AckedIndexes, jointCommitted, jointVote, VoteResult } from "./quorum.ts";

export class Tracker implements AckedIndexes {
  configuration: Configuration = emptyConfiguration;
  /** Everyone with a progress, ascending; `peers[i]` is the progress of `ids[i]`. */
  ids: readonly bigint[] = [];
  peers: readonly Progress[] = [];
  /** The voters of both halves, ascending. */
  voterIds: readonly bigint[] = [];
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  #progress: ReadonlyMap<bigint, Progress> = new Map();
  readonly #votes = new Map<bigint, boolean>();

  constructor(limits: { inflightMessagesMax: number; inflightBytesMax: number }) {
    this.inflightMessagesMax = limits.inflightMessagesMax;
    this.inflightBytesMax = limits.inflightBytesMax;
  }

  get membership(): Membership {
    return { configuration: this.configuration, progress: this.#progress };
  }

  newcomers(lastIndex: number): NewcomerDefaults {
    const { inflightMessagesMax, inflightBytesMax } = this;
    return { lastIndex, inflightMessagesMax, inflightBytesMax };
  }

  install(membership: Membership): void {
    this.configuration = membership.configuration;
    this.#progress = membership.progress;
    this.ids = sortedIds(membership.progress.keys());
    this.peers = this.ids.map((id) => membership.progress.get(id)!);
    const { incoming, outgoing } = membership.configuration;
    this.voterIds = outgoing.length === 0 ? incoming : sortedIds([...incoming, ...outgoing]);
  }

  progress(id: bigint): Progress | undefined {
    return this.#progress.get(id);
  }

  /** `id` is all there is of a quorum. */
  isOnlyVoter(id: bigint): boolean {
    const { incoming, outgoing } = this.configuration;
    return outgoing.length === 0 && incoming.length === 1 && incoming[0] === id;
  }

  // --- agreement ----------------------------------------------------------------------------------

  ackedIndex(id: bigint): number | undefined {
    return this.#progress.get(id)?.match;
  }

  /** The highest index that is stored by a quorum. */
  committed(): number {
    return jointCommitted(this.configuration, this);
  }

  /** Whether enough voters to win a vote were heard of since the last `forgetActivity`. */
  quorumActive(): boolean {
    const active = new Map<bigint, boolean>();
    for (const id of this.voterIds) active.set(id, this.#progress.get(id)!.recentActive);
    return jointVote(this.configuration, active) === VoteResult.won;
  }

  forgetActivity(self: bigint): void {
    for (let i = 0; i < this.ids.length; i++) {
      if (this.ids[i] !== self) this.peers[i]!.recentActive = false;
    }
  }

  // --- votes --------------------------------------------------------------------------------------

  clearVotes(): void {
    this.#votes.clear();
  }

  /** The first answer of a voter counts. */
  recordVote(id: bigint, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  tally(): { granted: number; rejected: number; result: VoteResult } {
    let granted = 0;
    let rejected = 0;
    for (let i = 0; i < this.ids.length; i++) {
      if (this.peers[i]!.isLearner) continue;
      const vote = this.#votes.get(this.ids[i]!);
      if (vote === true) granted += 1;
      else if (vote === false) rejected += 1;
    }
    return { granted, rejected, result: jointVote(this.configuration, this.#votes) };
  }
}
