// Changes of the configuration as they are applied (thesis §4). A change takes effect when the application
// applies its entry and says so, not when it enters the log: at most one is under way (leader.ts), so both
// configurations of any two neighbours share a quorum.

import { assert } from "@etcd-ts/base";
import { changeMembership, type Membership } from "./conf-change.ts";
import { confChangeEntry } from "./conf-change-entry.ts";
import { toConfState } from "./conf-state.ts";
import { type Core, Role } from "./core.ts";
import type { ConfChangeV2, ConfState } from "./gen/raftpb.ts";
import { idText, noNode } from "./ids.ts";
import { proposeEntries } from "./leader.ts";
import { answerConfirmedReads } from "./reads.ts";
import { broadcastNewEntries, commitAndTell } from "./replication.ts";
import { stepResultText } from "./step-result.ts";

/** A committed change is applied. One that cannot be must not have been proposed. */
export function applyConfChange(core: Core, change: ConfChangeV2): ConfState {
  const newcomers = core.tracker.newcomers(core.log.lastIndex);
  const outcome = changeMembership(core.tracker.membership, change, newcomers);
  assert(outcome.refusal === undefined, `a committed change fits: ${outcome.refusal}`);
  return installMembership(core, outcome.membership);
}

/** Switches to another membership, with all that follows from it for a leader. */
export function installMembership(core: Core, membership: Membership): ConfState {
  core.tracker.install(membership);
  const { configuration } = membership;
  core.info(() => `${idText(core.id)} switched to configuration ${configuration}`);
  const state = toConfState(configuration);
  const own = core.tracker.progress(core.id);
  core.isLearner = own?.isLearner ?? false;
  if (core.role !== Role.leader) return state;

  if (own === undefined || own.isLearner) {
    // Without stepping down it leads on, not counting itself, until somebody else campaigns (Raft §6).
    if (core.config.stepDownOnRemoval) core.becomeFollower(core.term, noNode);
    return state;
  }
  // The quorum may have become smaller. If not, at least greet those who are new.
  if (!commitAndTell(core)) broadcastNewEntries(core);
  answerConfirmedReads(core);
  if (core.leadTransferee !== noNode && !configuration.isVoter(core.leadTransferee)) {
    core.leadTransferee = noNode;
  }
  return state;
}

/** The application has applied everything through `index`. */
export function appliedTo(core: Core, index: number, bytes: number): void {
  const applied = Math.max(index, core.log.applied);
  core.log.appliedTo(applied, bytes);
  const { configuration } = core.tracker;
  if (!configuration.autoLeave || applied < core.pendingConfIndex) return;
  if (core.role !== Role.leader) return;
  // Dropped while leadership is being transferred; then the next entry that is applied, or the next leader,
  // tries again.
  const result = proposeEntries(core, [confChangeEntry(undefined)]);
  if (result === "ok") {
    core.info(() => `initiating automatic transition out of joint configuration ${configuration}`);
  } else {
    core.debug(
      () =>
        `not initiating automatic transition out of joint configuration ${configuration}: ${stepResultText(result)}`,
    );
  }
}
