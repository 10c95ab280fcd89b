// Who takes part (Raft §6, thesis §4): voters, learners, and in joint consensus the two sets of voters
// between which the group moves. A `Configuration` is a value: changes make a new one (conf-change.ts).

import { idText } from "./ids.ts";
import type { VoterSets } from "./quorum.ts";

export class Configuration implements VoterSets {
  /** The voters, ascending; in a joint configuration those that will be. */
  readonly incoming: readonly bigint[];
  /** Joint configurations only: the voters that were. Empty otherwise. */
  readonly outgoing: readonly bigint[];
  /** Receive the log and do not count; disjoint from both sets of voters. */
  readonly learners: readonly bigint[];
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly bigint[];
  /** The leader leaves the joint configuration by itself as soon as that was applied. */
  readonly autoLeave: boolean;

  constructor(parts: {
    incoming: readonly bigint[];
    outgoing?: readonly bigint[];
    learners?: readonly bigint[];
    learnersNext?: readonly bigint[];
    autoLeave?: boolean;
  }) {
    this.incoming = parts.incoming;
    this.outgoing = parts.outgoing ?? [];
    this.learners = parts.learners ?? [];
    this.learnersNext = parts.learnersNext ?? [];
    this.autoLeave = parts.autoLeave ?? false;
  }

  get joint(): boolean {
    return this.outgoing.length > 0;
  }

  isVoter(id: bigint): boolean {
    return this.incoming.includes(id) || this.outgoing.includes(id);
  }

  toString(): string {
    let text = `voters=${idList(this.incoming)}`;
    if (this.joint) text += `&&${idList(this.outgoing)}`;
    if (this.learners.length > 0) text += ` learners=${idList(this.learners)}`;
    if (this.learnersNext.length > 0) text += ` learners_next=${idList(this.learnersNext)}`;
    if (this.autoLeave) text += " autoleave";
    return text;
  }
}

export const emptyConfiguration: Configuration = new Configuration({ incoming: [] });

function idList(ids: readonly bigint[]): string {
  return `(${ids.map(idText).join(" ")})`;
}
