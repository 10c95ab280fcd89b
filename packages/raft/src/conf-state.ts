// The configuration as it is written into snapshots (`ConfState`), and back. Restoring replays changes
// instead of filling fields in, so that a restored configuration is one that could have come about: voters
// one by one; of a joint one first the outgoing half, then one step into the joint configuration.

import { changeSimple, enterJoint, type Membership, type NewcomerDefaults } from "./conf-change.ts";
import { type Configuration, emptyConfiguration } from "./configuration.ts";
import { ConfChangeSingle, ConfChangeType, ConfState } from "./gen/raftpb.ts";
import { sortedIds } from "./ids.ts";

export function toConfState(configuration: Configuration): ConfState {
  const state = new ConfState();
  state.voters = [...configuration.incoming];
  state.votersOutgoing = [...configuration.outgoing];
  state.learners = [...configuration.learners];
  state.learnersNext = [...configuration.learnersNext];
  state.autoLeave = configuration.autoLeave;
  return state;
}

/** The membership that `state` describes, or the reason why there is none. */
export function restoreMembership(
  state: ConfState,
  newcomers: NewcomerDefaults,
): { membership: Membership; refusal: undefined } | { membership: undefined; refusal: string } {
  const incoming: ConfChangeSingle[] = [];
  for (const id of state.votersOutgoing) incoming.push(single(ConfChangeType.RemoveNode, id));
  for (const id of state.voters) incoming.push(single(ConfChangeType.AddNode, id));
  for (const id of state.learners) incoming.push(single(ConfChangeType.AddLearnerNode, id));
  for (const id of state.learnersNext) {
    incoming.push(single(ConfChangeType.AddLearnerNode, id));
  }
  const joint = state.votersOutgoing.length > 0;
  const oneByOne = joint
    ? state.votersOutgoing.map((id) => single(ConfChangeType.AddNode, id))
    : incoming;

  let membership: Membership = { configuration: emptyConfiguration, progress: new Map() };
  for (const change of oneByOne) {
    const outcome = changeSimple(membership, [change], newcomers);
    if (outcome.refusal !== undefined) return outcome;
    membership = outcome.membership;
  }
  if (joint) {
    const outcome = enterJoint(membership, state.autoLeave, incoming, newcomers);
    if (outcome.refusal !== undefined) return outcome;
    membership = outcome.membership;
  }
  if (!sameConfState(toConfState(membership.configuration), state)) {
    return { membership: undefined, refusal: "the conf state is not one that a group can have" };
  }
  return { membership, refusal: undefined };
}

/** Equality that does not look at order. */
export function sameConfState(a: ConfState, b: ConfState): boolean {
  return (
    sameIds(a.voters, b.voters) &&
    sameIds(a.votersOutgoing, b.votersOutgoing) &&
    sameIds(a.learners, b.learners) &&
    sameIds(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  );
}

/** The conf state in the text form of protobuf, on one line. */
export function confStateText(state: ConfState): string {
  const parts: string[] = [];
  for (const id of state.voters) parts.push(`voters:${id}`);
  for (const id of state.learners) parts.push(`learners:${id}`);
  for (const id of state.votersOutgoing) parts.push(`voters_outgoing:${id}`);
  for (const id of state.learnersNext) parts.push(`learners_next:${id}`);
  if (state.autoLeave) parts.push("auto_leave:true");
  return parts.join(" ");
}

function sameIds(a: readonly bigint[], b: readonly bigint[]): boolean {
  const left = sortedIds(a);
  const right = sortedIds(b);
  return left.length === right.length && left.every((id, i) => id === right[i]);
}

function single(type: number, nodeId: bigint): ConfChangeSingle {
  const change = new ConfChangeSingle();
  change.type = type;
  change.nodeId = nodeId;
  return change;
}
