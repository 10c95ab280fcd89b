// The leader's side of linearizable reads (thesis §6.4); read-index.ts has the bookkeeping.

import type { Core } from "./core.ts";
import { type Message, MessageType } from "./gen/raftpb.ts";
import { noNode } from "./ids.ts";
import { newMessage } from "./messages.ts";
import type { WaitingRead } from "./read-index.ts";

/** Whether reads now wait for a round of heartbeats, which the caller has to send. */
export function acceptRead(core: Core, request: Message): boolean {
  // Until something of our term is committed we do not know how far earlier terms got (thesis §6.4). That
  // holds for a group of one, too: what it has acknowledged may be beyond the commit index that it stored.
  if (core.log.term(core.log.committed) !== core.term) {
    core.earlyReads.push(request);
    return false;
  }
  const { committed } = core.log;
  // The clock says that nobody else can have been elected, unless we have asked for it ourselves.
  const leaseHolds = core.config.readMode === "lease" && !core.leaseWaived;
  if (leaseHolds || core.tracker.isOnlyVoter(core.id)) {
    answerRead(core, { request, index: committed });
    return false;
  }
  core.reads.add(request, committed, core.id);
  return true;
}

/** A heartbeat response with an echo. */
export function acknowledgeReads(core: Core, from: bigint, context: Message["context"]): void {
  if (core.reads.acknowledge(from, context)) answerConfirmedReads(core);
}

/** Answers what a quorum has confirmed; to be called again when the quorum becomes another. */
export function answerConfirmedReads(core: Core): void {
  const confirmed = core.reads.takeConfirmed(core.tracker.configuration);
  for (let i = 0; i < confirmed.length; i++) answerRead(core, confirmed[i]!);
}

function answerRead(core: Core, { request, index }: WaitingRead): void {
  const { from, entries } = request;
  if (from === noNode || from === core.id) {
    core.readStates.push({ index, context: entries[0]!.data });
    return;
  }
  const response = newMessage(MessageType.MsgReadIndexResp, from);
  response.index = index;
  response.entries = entries;
  core.send(response);
}
