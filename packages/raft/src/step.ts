// What every message meets before its role does (Raft §5.1, thesis §4.2.3 and §9.6), and the ticks.

import { type Core, Role } from "./core.ts";
import {
  considerCampaign,
  handleVoteRequest,
  isTransferCampaign,
  rejectStalePreVote,
  voteText,
} from "./election.ts";
import { encodedSizeOf, payloadSizeOf } from "./entry-size.ts";
import { stepCandidate, stepFollower } from "./follower.ts";
import { type Message, MessageType, messageTypeNames, type Snapshot } from "./gen/raftpb.ts";
import { idText, noNode } from "./ids.ts";
import { stepLeader } from "./leader.ts";
import { appliedTo } from "./membership.ts";
import { newMessage } from "./messages.ts";
import type { StepResult } from "./step-result.ts";

export function step(core: Core, message: Message): StepResult {
  if (message.term === 0) {
    // Made here, or a forwarded request, which is bound to no term.
  } else if (message.term > core.term) {
    if (!meetHigherTerm(core, message)) return "ok";
  } else if (message.term < core.term) {
    meetLowerTerm(core, message);
    return "ok";
  }
  switch (message.type) {
    case MessageType.MsgHup:
      considerCampaign(core, core.config.preVote ? "pre-election" : "election");
      return "ok";
    case MessageType.MsgStorageAppendResp:
      if (message.index !== 0) core.log.unstable.stableTo(message.index, message.logTerm);
      if (message.snapshot !== undefined) snapshotInstalled(core, message.snapshot);
      return "ok";
    case MessageType.MsgStorageApplyResp:
      entriesApplied(core, message);
      return "ok";
    case MessageType.MsgVote:
    case MessageType.MsgPreVote:
      handleVoteRequest(core, message);
      return "ok";
    default:
      break;
  }
  switch (core.role) {
    case Role.leader:
      return stepLeader(core, message);
    case Role.follower:
      return stepFollower(core, message);
    case Role.candidate:
    case Role.preCandidate:
      return stepCandidate(core, message);
    default:
      core.role satisfies never;
      return "ok";
  }
}

/** False when the message is not processed further. */
function meetHigherTerm(core: Core, message: Message): boolean {
  const { type } = message;
  if (type === MessageType.MsgVote || type === MessageType.MsgPreVote) {
    // Leader stickiness: who was cut off and comes back with a high term must not depose a leader that
    // works (thesis §4.2.3). Only the leader itself can ask for it.
    const leaderIsAlive =
      core.config.checkQuorum &&
      core.lead !== noNode &&
      core.electionElapsed < core.config.electionTicks;
    if (leaderIsAlive && !isTransferCampaign(message)) {
      const remaining = core.config.electionTicks - core.electionElapsed;
      core.info(
        () =>
          `${voteText(core, message, "ignored")}: lease is not expired (remaining ticks: ${remaining})`,
      );
      return false;
    }
  }
  // A pre-vote asks about a term that nobody has entered, and a grant repeats that term.
  if (type === MessageType.MsgPreVote) return true;
  if (type === MessageType.MsgPreVoteResp && !message.reject) return true;
  core.info(
    () =>
      `${idText(core.id)} [term: ${core.term}] received a ${typeName(type)} message with higher term from ${idText(message.from)} [term: ${message.term}]`,
  );
  const fromLeader =
    type === MessageType.MsgApp ||
    type === MessageType.MsgHeartbeat ||
    type === MessageType.MsgSnap;
  core.becomeFollower(message.term, fromLeader ? message.from : noNode);
  return true;
}

function meetLowerTerm(core: Core, message: Message): void {
  const { type } = message;
  const { checkQuorum, preVote } = core.config;
  if (
    (checkQuorum || preVote) &&
    (type === MessageType.MsgHeartbeat || type === MessageType.MsgApp)
  ) {
    // A leader that was cut off while we went to a higher term in vain: our lease, or our lost pre-votes,
    // would keep us apart for ever. The answer brings it to our term, and an election settles the rest.
    core.send(newMessage(MessageType.MsgAppResp, message.from));
  } else if (type === MessageType.MsgPreVote) {
    rejectStalePreVote(core, message);
  } else if (type === MessageType.MsgStorageAppendResp) {
    if (message.index !== 0) {
      // The entries may have been overwritten since, and then by equal terms again: an append of the
      // present term is on its way and its response will tell.
      core.info(
        () =>
          `${idText(core.id)} [term: ${core.term}] ignored entry appends from a ${typeName(type)} message with lower term [term: ${message.term}]`,
      );
    }
    // A snapshot only ever holds what is committed, in whichever term it became durable.
    if (message.snapshot !== undefined) snapshotInstalled(core, message.snapshot);
  } else {
    core.info(
      () =>
        `${idText(core.id)} [term: ${core.term}] ignored a ${typeName(type)} message with lower term from ${idText(message.from)} [term: ${message.term}]`,
    );
  }
}

function snapshotInstalled(core: Core, snapshot: Snapshot): void {
  const index = snapshot.metadata?.index ?? 0;
  core.log.unstable.snapshotStableTo(index);
  appliedTo(core, index, 0);
}

function entriesApplied(core: Core, message: Message): void {
  const { entries } = message;
  if (entries.length === 0) return;
  appliedTo(core, entries[entries.length - 1]!.index, encodedSizeOf(entries));
  core.uncommittedBytes = Math.max(0, core.uncommittedBytes - payloadSizeOf(entries));
}

// --- ticks ----------------------------------------------------------------------------------------

export function tick(core: Core): void {
  if (core.role === Role.leader) tickAsLeader(core);
  else tickWithoutLeadership(core);
}

function tickWithoutLeadership(core: Core): void {
  core.electionElapsed += 1;
  if (core.electionElapsed < core.electionTimeout || !core.promotable) return;
  core.electionElapsed = 0;
  stepSelf(core, MessageType.MsgHup);
}

function tickAsLeader(core: Core): void {
  core.heartbeatElapsed += 1;
  core.electionElapsed += 1;
  if (core.electionElapsed >= core.config.electionTicks) {
    core.electionElapsed = 0;
    if (core.config.checkQuorum) stepSelf(core, MessageType.MsgCheckQuorum);
    // A transfer that has not succeeded by now will not: take proposals again (thesis §3.10).
    core.leadTransferee = noNode;
  }
  if (core.role !== Role.leader || core.heartbeatElapsed < core.config.heartbeatTicks) return;
  core.heartbeatElapsed = 0;
  stepSelf(core, MessageType.MsgBeat);
}

export function stepSelf(core: Core, type: MessageType): StepResult {
  const message = newMessage(type, noNode);
  message.from = core.id;
  return step(core, message);
}

function typeName(type: number): string {
  return messageTypeNames[type] ?? String(type);
}
