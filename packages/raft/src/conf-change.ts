// Changes of the configuration (thesis §4.3, joint consensus with learners). Three moves exist:
//
//                    simple: at most one voter differs
//                  +-----------------+
//                  |                 v
//      +---------------------------------------+   enter joint   +-----------------------------------+
//      | voters=(1 2 3) learners=(4)           | --------------> | voters=(2 3 4)&&(1 2 3)           |
//      |                                       | <-------------- |   learners_next=(1) autoleave     |
//      +---------------------------------------+   leave joint   +-----------------------------------+
//
// A voter that is demoted while it still votes in the outgoing half waits in `learners_next`, so that
// learners and voters stay disjoint at every moment. Each move works on a draft and gives back either a
// new membership or the reason why not; what went in is never touched. A `Progress` that stays goes over
// into the new membership with all it knows.

import { Configuration } from "./configuration.ts";
import {
  type ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  type ConfChangeV2,
} from "./gen/raftpb.ts";
import { noNode, sortedIds } from "./ids.ts";
import { Inflights } from "./inflights.ts";
import { Progress } from "./progress.ts";

export interface Membership {
  readonly configuration: Configuration;
  /** For every voter of either half and every learner. */
  readonly progress: ReadonlyMap<bigint, Progress>;
}

/** What the progress of a node that is new in the configuration starts with. */
export interface NewcomerDefaults {
  readonly lastIndex: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
}

export type ChangeOutcome =
  | { readonly membership: Membership; readonly refusal: undefined }
  | { readonly membership: undefined; readonly refusal: string };

/**
 * The membership after a change: which of the three moves it is follows from its form. It takes the way
 * through a joint configuration when it asks for that or has several parts.
 */
export function changeMembership(
  from: Membership,
  change: ConfChangeV2,
  newcomers: NewcomerDefaults,
): ChangeOutcome {
  const { transition, changes } = change;
  if (leavesJoint(change)) return leaveJoint(from, newcomers);
  if (transition === ConfChangeTransition.Auto && changes.length === 1) {
    return changeSimple(from, changes, newcomers);
  }
  const autoLeave = transition !== ConfChangeTransition.JointExplicit;
  return enterJoint(from, autoLeave, changes, newcomers);
}

/** No changes and no particular transition: leave the joint configuration. */
export function leavesJoint(change: ConfChangeV2): boolean {
  return change.transition === ConfChangeTransition.Auto && change.changes.length === 0;
}

/** Changes at most one voter, and any number of learners, in one step (thesis §4.1). */
export function changeSimple(
  from: Membership,
  changes: readonly ConfChangeSingle[],
  newcomers: NewcomerDefaults,
): ChangeOutcome {
  const damage = findDamage(from);
  if (damage !== undefined) return refuse(damage);
  if (from.configuration.joint) return refuse("can't apply simple config change in joint config");
  const draft = new Draft(from, newcomers);
  const refusal = draft.applyAll(changes);
  if (refusal !== undefined) return refuse(refusal);
  if (countDifferences(from.configuration.incoming, draft.incoming) > 1) {
    return refuse("more than one voter changed without entering joint config");
  }
  return draft.finish(false);
}

/** Makes the present voters the outgoing half and applies any changes to the incoming one. */
export function enterJoint(
  from: Membership,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[],
  newcomers: NewcomerDefaults,
): ChangeOutcome {
  const damage = findDamage(from);
  if (damage !== undefined) return refuse(damage);
  if (from.configuration.joint) return refuse("config is already joint");
  if (from.configuration.incoming.length === 0) {
    return refuse("can't make a zero-voter config joint");
  }
  const draft = new Draft(from, newcomers);
  for (const id of draft.incoming) draft.outgoing.add(id);
  const refusal = draft.applyAll(changes);
  return refusal === undefined ? draft.finish(autoLeave) : refuse(refusal);
}

/** Only the incoming voters remain; who waited in `learnersNext` becomes a learner. */
export function leaveJoint(from: Membership, newcomers: NewcomerDefaults): ChangeOutcome {
  const damage = findDamage(from);
  if (damage !== undefined) return refuse(damage);
  if (!from.configuration.joint) return refuse("can't leave a non-joint config");
  const draft = new Draft(from, newcomers);
  for (const id of draft.learnersNext) {
    draft.learners.add(id);
    draft.setLearner(id, true);
  }
  draft.learnersNext.clear();
  for (const id of draft.outgoing) {
    if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
  }
  draft.outgoing.clear();
  return draft.finish(false);
}

class Draft {
  readonly incoming: Set<bigint>;
  readonly outgoing: Set<bigint>;
  readonly learners: Set<bigint>;
  readonly learnersNext: Set<bigint>;
  readonly progress: Map<bigint, Progress>;
  readonly #newcomers: NewcomerDefaults;

  constructor(from: Membership, newcomers: NewcomerDefaults) {
    this.incoming = new Set(from.configuration.incoming);
    this.outgoing = new Set(from.configuration.outgoing);
    this.learners = new Set(from.configuration.learners);
    this.learnersNext = new Set(from.configuration.learnersNext);
    this.progress = new Map(from.progress);
    this.#newcomers = newcomers;
  }

  /** Gives back the reason when the changes cannot be applied. */
  applyAll(changes: readonly ConfChangeSingle[]): string | undefined {
    for (const change of changes) {
      // The application vetoes a change that was already committed by clearing its node id.
      if (change.nodeId === noNode) continue;
      switch (change.type) {
        case ConfChangeType.AddNode:
          this.#makeVoter(change.nodeId);
          break;
        case ConfChangeType.AddLearnerNode:
          this.#makeLearner(change.nodeId);
          break;
        case ConfChangeType.RemoveNode:
          this.#remove(change.nodeId);
          break;
        case ConfChangeType.UpdateNode:
          break;
        default:
          return `unexpected conf type ${change.type}`;
      }
    }
    return this.incoming.size === 0 ? "removed all voters" : undefined;
  }

  setLearner(id: bigint, isLearner: boolean): void {
    const progress = this.progress.get(id);
    if (progress !== undefined && progress.isLearner !== isLearner) {
      this.progress.set(id, progress.withLearner(isLearner));
    }
  }

  finish(autoLeave: boolean): ChangeOutcome {
    const membership: Membership = {
      configuration: new Configuration({
        incoming: sortedIds(this.incoming),
        outgoing: sortedIds(this.outgoing),
        learners: sortedIds(this.learners),
        learnersNext: sortedIds(this.learnersNext),
        autoLeave,
      }),
      progress: this.progress,
    };
    const damage = findDamage(membership);
    return damage === undefined ? { membership, refusal: undefined } : refuse(damage);
  }

  #makeVoter(id: bigint): void {
    if (!this.progress.has(id)) this.#welcome(id, false);
    this.setLearner(id, false);
    this.learners.delete(id);
    this.learnersNext.delete(id);
    this.incoming.add(id);
  }

  #makeLearner(id: bigint): void {
    const progress = this.progress.get(id);
    if (progress === undefined) {
      this.#welcome(id, true);
      this.learners.add(id);
      return;
    }
    if (progress.isLearner) return;
    this.incoming.delete(id);
    this.learnersNext.delete(id);
    if (this.outgoing.has(id)) {
      this.learnersNext.add(id);
    } else {
      this.setLearner(id, true);
      this.learners.add(id);
    }
  }

  #remove(id: bigint): void {
    this.incoming.delete(id);
    this.learners.delete(id);
    this.learnersNext.delete(id);
    if (!this.outgoing.has(id)) this.progress.delete(id);
  }

  #welcome(id: bigint, isLearner: boolean): void {
    const defaults = this.#newcomers;
    const inflights = new Inflights(defaults.inflightMessagesMax, defaults.inflightBytesMax);
    const progress = new Progress(Math.max(defaults.lastIndex, 1), inflights, isLearner);
    // Benefit of the doubt: a check of the quorum right after the change must not count it as dead.
    progress.recentActive = true;
    this.progress.set(id, progress);
  }
}

/** What is wrong with a membership; undefined when all invariants hold. */
function findDamage(membership: Membership): string | undefined {
  const { configuration, progress } = membership;
  const { incoming, outgoing, learners, learnersNext } = configuration;
  for (const ids of [incoming, outgoing, learners, learnersNext]) {
    for (const id of ids) if (!progress.has(id)) return `no progress for ${id}`;
  }
  for (const id of learnersNext) {
    if (!outgoing.includes(id)) return `${id} is in LearnersNext, but not Voters[1]`;
    if (progress.get(id)!.isLearner) {
      return `${id} is in LearnersNext, but is already marked as learner`;
    }
  }
  for (const id of learners) {
    if (outgoing.includes(id)) return `${id} is in Learners and Voters[1]`;
    if (incoming.includes(id)) return `${id} is in Learners and Voters[0]`;
    if (!progress.get(id)!.isLearner) return `${id} is in Learners, but is not marked as learner`;
  }
  if (!configuration.joint) {
    if (learnersNext.length > 0) return "cfg.LearnersNext must be nil when not joint";
    if (configuration.autoLeave) return "AutoLeave must be false when not joint";
  }
  return undefined;
}

function countDifferences(before: readonly bigint[], after: ReadonlySet<bigint>): number {
  let kept = 0;
  for (const id of before) if (after.has(id)) kept += 1;
  return before.length - kept + (after.size - kept);
}

function refuse(refusal: string): ChangeOutcome {
  return { membership: undefined, refusal };
}
