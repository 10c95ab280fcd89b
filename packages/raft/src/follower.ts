// What a follower does with messages, and a candidate with those that make it one (Raft §5.2, §5.3, §7).

import { confStateText, restoreMembership } from "./conf-state.ts";
import { type Core, Role, roleNames } from "./core.ts";
import { considerCampaign, handleVoteResponse } from "./election.ts";
import { type Message, MessageType, type Snapshot } from "./gen/raftpb.ts";
import { idText, noNode } from "./ids.ts";
import { installMembership } from "./membership.ts";
import { forwarded, newMessage } from "./messages.ts";
import type { StepResult } from "./step-result.ts";

export function stepFollower(core: Core, message: Message): StepResult {
  const self = idText(core.id);
  switch (message.type) {
    case MessageType.MsgProp:
      if (core.lead === noNode) {
        core.info(() => `${self} no leader at term ${core.term}; dropping proposal`);
        return "dropped";
      }
      if (!core.config.forwardProposals) {
        core.info(
          () =>
            `${self} not forwarding to leader ${idText(core.lead)} at term ${core.term}; dropping proposal`,
        );
        return "dropped";
      }
      core.send(forwarded(message, core.lead));
      return "ok";
    case MessageType.MsgApp:
    case MessageType.MsgHeartbeat:
    case MessageType.MsgSnap:
      return followLeader(core, message);
    case MessageType.MsgTransferLeader:
      if (core.lead === noNode) {
        core.info(() => `${self} no leader at term ${core.term}; dropping leader transfer msg`);
        return "ok";
      }
      core.send(forwarded(message, core.lead));
      return "ok";
    case MessageType.MsgForgetLeader:
      forgetLeader(core);
      return "ok";
    case MessageType.MsgTimeoutNow:
      core.info(
        () =>
          `${self} [term ${core.term}] received MsgTimeoutNow from ${idText(message.from)} and starts an election to get leadership.`,
      );
      // No pre-vote: the old leader has asked for it (thesis §3.10).
      considerCampaign(core, "transfer");
      return "ok";
    case MessageType.MsgReadIndex:
      if (core.lead === noNode) {
        core.info(() => `${self} no leader at term ${core.term}; dropping index reading msg`);
        return "dropped";
      }
      core.send(forwarded(message, core.lead));
      return "ok";
    case MessageType.MsgReadIndexResp:
      if (message.entries.length !== 1) {
        core.error(
          () =>
            `${self} invalid format of MsgReadIndexResp from ${idText(message.from)}, entries count: ${message.entries.length}`,
        );
        return "ok";
      }
      core.readStates.push({ index: message.index, context: message.entries[0]!.data });
      return "ok";
    default:
      return "ok";
  }
}

/** Candidates and pre-candidates. */
export function stepCandidate(core: Core, message: Message): StepResult {
  switch (message.type) {
    case MessageType.MsgProp:
      core.info(() => `${idText(core.id)} no leader at term ${core.term}; dropping proposal`);
      return "dropped";
    case MessageType.MsgReadIndex:
      return "dropped";
    case MessageType.MsgApp:
    case MessageType.MsgHeartbeat:
    case MessageType.MsgSnap:
      // Somebody has won this term.
      core.becomeFollower(message.term, message.from);
      return followLeader(core, message);
    case MessageType.MsgVoteResp:
      if (core.role === Role.candidate) handleVoteResponse(core, message);
      return "ok";
    case MessageType.MsgPreVoteResp:
      if (core.role === Role.preCandidate) handleVoteResponse(core, message);
      return "ok";
    case MessageType.MsgTimeoutNow:
      core.debug(
        () =>
          `${idText(core.id)} [term ${core.term} state ${roleNames[core.role]}] ignored MsgTimeoutNow from ${idText(message.from)}`,
      );
      return "ok";
    default:
      return "ok";
  }
}

/** A message from the leader of our term. */
function followLeader(core: Core, message: Message): StepResult {
  if (message.type === MessageType.MsgApp && !isConsistent(message)) return "malformed";
  core.electionElapsed = 0;
  core.lead = message.from;
  switch (message.type) {
    case MessageType.MsgApp:
      handleAppend(core, message);
      break;
    case MessageType.MsgHeartbeat:
      handleHeartbeat(core, message);
      break;
    default:
      return handleSnapshot(core, message);
  }
  return "ok";
}

/** Indexes without gaps, terms that never decrease and do not exceed the sender's. */
function isConsistent(message: Message): boolean {
  const { entries } = message;
  let { index, logTerm } = message;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    index += 1;
    if (entry.index !== index || entry.term < logTerm) return false;
    logTerm = entry.term;
  }
  return logTerm <= message.term;
}

function handleAppend(core: Core, message: Message): void {
  const { log } = core;
  const response = newMessage(MessageType.MsgAppResp, message.from);
  if (message.index < log.committed) {
    // An old append; what it says is settled.
    response.index = log.committed;
  } else if (
    log.appendFromLeader(message.index, message.logTerm, message.entries, message.commit)
  ) {
    response.index = message.index + message.entries.length;
  } else {
    core.debug(
      () =>
        `${idText(core.id)} [logterm: ${log.termOrZero(message.index)}, index: ${message.index}] rejected ` +
        `MsgApp [logterm: ${message.logTerm}, index: ${message.index}] from ${idText(message.from)}`,
    );
    // Nothing above the hint can match, because its term is higher than the one offered (Raft §5.3, end).
    const hint = log.findConflictByTerm(Math.min(message.index, log.lastIndex), message.logTerm);
    response.index = message.index;
    response.reject = true;
    response.rejectHint = hint.index;
    response.logTerm = hint.term;
  }
  core.send(response);
}

function handleHeartbeat(core: Core, message: Message): void {
  core.log.commitTo(message.commit);
  const response = newMessage(MessageType.MsgHeartbeatResp, message.from);
  response.context = message.context;
  core.send(response);
}

function forgetLeader(core: Core): void {
  if (core.config.readMode === "lease") {
    core.error(() => "ignoring MsgForgetLeader due to ReadOnlyLeaseBased");
    return;
  }
  if (core.lead === noNode) return;
  core.info(() => `${idText(core.id)} forgetting leader ${idText(core.lead)} at term ${core.term}`);
  core.lead = noNode;
}

// --- snapshots (Raft §7) --------------------------------------------------------------------------

function handleSnapshot(core: Core, message: Message): StepResult {
  const { snapshot } = message;
  const index = snapshot?.metadata?.index ?? 0;
  const term = snapshot?.metadata?.term ?? 0;
  const restored = snapshot === undefined ? false : restore(core, snapshot, index, term);
  if (restored === "malformed") return restored;
  const { committed, lastIndex } = core.log;
  core.info(
    () =>
      `${idText(core.id)} [commit: ${committed}] ${restored ? "restored" : "ignored"} snapshot [index: ${index}, term: ${term}]`,
  );
  const response = newMessage(MessageType.MsgAppResp, message.from);
  response.index = restored ? lastIndex : committed;
  core.send(response);
  return "ok";
}

/** False when the snapshot is of no use to us. */
function restore(
  core: Core,
  snapshot: Snapshot,
  index: number,
  term: number,
): boolean | "malformed" {
  const { log } = core;
  const self = idText(core.id);
  if (index <= log.committed) return false;
  const state = snapshot.metadata?.confState;
  const known =
    state !== undefined &&
    (state.voters.includes(core.id) ||
      state.learners.includes(core.id) ||
      state.votersOutgoing.includes(core.id));
  if (!known) {
    core.warn(
      () =>
        `${self} attempted to restore snapshot but it is not in the ConfState ${state === undefined ? "" : confStateText(state)}; should never happen`,
    );
    return false;
  }
  if (log.term(index) === term) {
    core.info(
      () =>
        `${self} [commit: ${log.committed}, lastindex: ${log.lastIndex}, lastterm: ${log.lastTerm}] fast-forwarded commit to snapshot [index: ${index}, term: ${term}]`,
    );
    log.commitTo(index);
    return false;
  }
  const outcome = restoreMembership(state, core.tracker.newcomers(index));
  if (outcome.refusal !== undefined) {
    core.error(
      () =>
        `${self} refused snapshot [index: ${index}, term: ${term}] with ConfState ${confStateText(state)}: ${outcome.refusal}`,
    );
    return "malformed";
  }
  log.restore(snapshot);
  core.restoredIndex = index;
  installMembership(core, outcome.membership);
  core.info(
    () =>
      `${self} [commit: ${log.committed}, lastindex: ${log.lastIndex}, lastterm: ${log.lastTerm}] restored snapshot [index: ${index}, term: ${term}]`,
  );
  return true;
}
