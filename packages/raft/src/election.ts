// Elections (Raft §5.2, §5.4.1), with the two amendments that keep a working group undisturbed: pre-vote
// (thesis §9.6) and the refusal to vote while a leader is alive (thesis §4.2.3, step.ts). A vote for
// oneself is a message like any other: it counts once it is durable.

import { equalBytes, utf8ToBytes } from "@etcd-ts/base";
import { isConfChangeEntry } from "./conf-change-entry.ts";
import { type Core, Role } from "./core.ts";
import { type Message, MessageType, messageTypeNames } from "./gen/raftpb.ts";
import { idText, noNode } from "./ids.ts";
import { newMessage } from "./messages.ts";
import { VoteResult } from "./quorum.ts";
import { broadcastAppends } from "./replication.ts";

/** In the context of a vote request: the old leader wants this campaign, so leases do not matter. */
const transferMark = utf8ToBytes("CampaignTransfer");

export type CampaignKind = "pre-election" | "election" | "transfer";

export function isTransferCampaign(message: Message): boolean {
  return equalBytes(message.context, transferMark);
}

/** Campaigns, unless there is a reason not to. */
export function considerCampaign(core: Core, kind: CampaignKind): void {
  const self = idText(core.id);
  if (core.role === Role.leader) {
    core.debug(() => `${self} ignoring MsgHup because already leader`);
    return;
  }
  if (!core.promotable) {
    core.warn(() => `${self} is unpromotable and can not campaign`);
    return;
  }
  if (hasUnappliedConfChange(core)) {
    core.warn(
      () =>
        `${self} cannot campaign at term ${core.term} since there are still pending configuration changes to apply`,
    );
    return;
  }
  core.info(() => `${self} is starting a new election at term ${core.term}`);
  campaign(core, kind);
}

function campaign(core: Core, kind: CampaignKind): void {
  let request: number;
  let response: number;
  let { term } = core;
  if (kind === "pre-election") {
    core.becomePreCandidate();
    request = MessageType.MsgPreVote;
    response = MessageType.MsgPreVoteResp;
    term += 1;
  } else {
    core.becomeCandidate();
    request = MessageType.MsgVote;
    response = MessageType.MsgVoteResp;
    term = core.term;
  }
  const { lastIndex, lastTerm } = core.log;
  for (const id of core.tracker.voterIds) {
    const message = newMessage(MessageType.MsgVoteResp, id);
    message.term = term;
    if (id === core.id) {
      message.type = response;
    } else {
      core.info(
        () =>
          `${idText(core.id)} [logterm: ${lastTerm}, index: ${lastIndex}] sent ` +
          `${messageTypeNames[request]} request to ${idText(id)} at term ${core.term}`,
      );
      message.type = request;
      message.index = lastIndex;
      message.logTerm = lastTerm;
      if (kind === "transfer") message.context = transferMark;
    }
    core.send(message);
  }
}

/** An answer to our own campaign. */
export function handleVoteResponse(core: Core, message: Message): void {
  const { from, reject } = message;
  const type = messageTypeNames[message.type]!;
  core.info(
    () =>
      `${idText(core.id)} received ${type}${reject ? " rejection" : ""} from ${idText(from)} at term ${core.term}`,
  );
  core.tracker.recordVote(from, !reject);
  const { granted, rejected, result } = core.tracker.tally();
  core.info(
    () =>
      `${idText(core.id)} has received ${granted} ${type} votes and ${rejected} vote rejections`,
  );
  if (result === VoteResult.won) {
    if (core.role === Role.preCandidate) {
      campaign(core, "election");
    } else {
      core.becomeLeader();
      broadcastAppends(core);
    }
  } else if (result === VoteResult.lost) {
    // Also after a lost pre-vote at a higher term: the term in which we ask is not yet ours.
    core.becomeFollower(core.term, noNode);
  }
}

/** Grants or refuses a vote (Raft §5.2, §5.4.1) or a pre-vote (thesis §9.6), at our term or above. */
export function handleVoteRequest(core: Core, message: Message): void {
  const { from, term, index, logTerm } = message;
  const isPreVote = message.type === MessageType.MsgPreVote;
  const free =
    core.vote === from ||
    (core.vote === noNode && core.lead === noNode) ||
    // What a pre-vote asks is whether we would vote in a later term.
    (isPreVote && term > core.term);
  const granted = free && core.log.isUpToDate(index, logTerm);
  core.info(() => voteText(core, message, granted ? "cast" : "rejected"));
  const response = newMessage(voteResponseType(isPreVote), from);
  if (granted) {
    // The term of the request: for a pre-vote ours is lower, and would look like a refusal.
    response.term = term;
    if (!isPreVote) {
      core.electionElapsed = 0;
      core.vote = from;
    }
  } else {
    response.term = core.term;
    response.reject = true;
  }
  core.send(response);
}

/** A pre-vote from a term that has passed: the answer tells of ours. */
export function rejectStalePreVote(core: Core, message: Message): void {
  core.info(() => voteText(core, message, "rejected"));
  const response = newMessage(MessageType.MsgPreVoteResp, message.from);
  response.term = core.term;
  response.reject = true;
  core.send(response);
}

/** A line that tells how a vote request fared, with all that the decision rests on. */
export function voteText(
  core: Core,
  message: Message,
  verb: "cast" | "rejected" | "ignored",
): string {
  const { lastIndex, lastTerm } = core.log;
  const preposition = verb === "cast" ? "for" : "from";
  return (
    `${idText(core.id)} [logterm: ${lastTerm}, index: ${lastIndex}, vote: ${idText(core.vote)}] ` +
    `${verb} ${messageTypeNames[message.type]} ${preposition} ${idText(message.from)} ` +
    `[logterm: ${message.logTerm}, index: ${message.index}] at term ${core.term}`
  );
}

function voteResponseType(isPreVote: boolean): MessageType {
  return isPreVote ? MessageType.MsgPreVoteResp : MessageType.MsgVoteResp;
}

/** With a committed change before us we do not know by whom we would have to be elected. */
function hasUnappliedConfChange(core: Core): boolean {
  const { log } = core;
  let low = log.applied + 1;
  while (low <= log.committed) {
    const page = log.slice(low, log.committed + 1, log.applyingBytesMax);
    // Below a snapshot that is not installed yet there is nothing to read; then we are not promotable.
    if (page === "compacted") return true;
    for (let i = 0; i < page.length; i++) if (isConfChangeEntry(page[i]!)) return true;
    low += page.length;
  }
  return false;
}
