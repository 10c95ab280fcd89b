// What a leader does with messages (Raft §5.3, §6; thesis §3.10, §6.4).

import { emptyBytes } from "@etcd-ts/base";
import { changeMembership, leavesJoint } from "./conf-change.ts";
import {
  confChangeText,
  decodeConfChangeEntry,
  isConfChangeEntry,
  toV2,
} from "./conf-change-entry.ts";
import type { Core } from "./core.ts";
import { Entry, EntryType, type Message, MessageType } from "./gen/raftpb.ts";
import { idText, noNode } from "./ids.ts";
import { newEntry, newMessage } from "./messages.ts";
import { type Progress, ProgressState } from "./progress.ts";
import { acceptRead, acknowledgeReads } from "./reads.ts";
import { broadcastAppends, broadcastHeartbeats, commitAndTell, sendAppend } from "./replication.ts";
import type { StepResult } from "./step-result.ts";

export function stepLeader(core: Core, message: Message): StepResult {
  switch (message.type) {
    case MessageType.MsgBeat:
      broadcastHeartbeats(core);
      return "ok";
    case MessageType.MsgCheckQuorum:
      checkQuorum(core);
      return "ok";
    case MessageType.MsgProp:
      // The entries are shared with the message, and so perhaps with the network: stamp copies.
      return proposeEntries(core, message.entries.map(copyEntry));
    case MessageType.MsgReadIndex:
      if (message.entries.length !== 1) return "malformed";
      if (acceptRead(core, message)) broadcastHeartbeats(core);
      return "ok";
    case MessageType.MsgForgetLeader:
      return "ok";
    default:
      break;
  }
  const progress = core.tracker.progress(message.from);
  if (progress === undefined) {
    core.debug(() => `${idText(core.id)} no progress available for ${idText(message.from)}`);
    return "ok";
  }
  switch (message.type) {
    case MessageType.MsgAppResp:
      return handleAppendResponse(core, message, progress);
    case MessageType.MsgHeartbeatResp:
      handleHeartbeatResponse(core, message, progress);
      return "ok";
    case MessageType.MsgSnapStatus:
      handleSnapshotStatus(core, message, progress);
      return "ok";
    case MessageType.MsgUnreachable:
      // Optimistic sending would only fill the window with what gets lost.
      if (progress.state === ProgressState.replicate) progress.becomeProbe();
      core.debug(
        () =>
          `${idText(core.id)} failed to send message to ${idText(message.from)} because it is unreachable [${progress}]`,
      );
      return "ok";
    case MessageType.MsgTransferLeader:
      startTransfer(core, message.from, progress);
      return "ok";
    default:
      return "ok";
  }
}

// --- proposals ------------------------------------------------------------------------------------

/** Appends entries, which the caller gives away, and sends them. */
export function proposeEntries(core: Core, entries: Entry[]): StepResult {
  if (entries.length === 0) return "malformed";
  if (core.tracker.progress(core.id) === undefined) {
    // We were removed, and lead on only until somebody else does.
    return "dropped";
  }
  if (core.leadTransferee !== noNode) {
    core.debug(
      () =>
        `${idText(core.id)} [term ${core.term}] transfer leadership to ` +
        `${idText(core.leadTransferee)} is in progress; dropping proposal`,
    );
    return "dropped";
  }
  let pendingConfIndex = core.pendingConfIndex;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (entry.type === EntryType.EntryNormal) continue;
    if (!isConfChangeEntry(entry)) return "malformed";
    const refusal = examineConfChange(core, entry, pendingConfIndex);
    if (refusal === "malformed") return "malformed";
    if (refusal === "refused") entries[i] = newEntry(EntryType.EntryNormal, emptyBytes);
    else pendingConfIndex = core.log.lastIndex + i + 1;
  }
  // Also when the entries are not accepted after all: waiting longer is always safe.
  core.pendingConfIndex = pendingConfIndex;
  if (!core.appendAsLeader(entries)) return "dropped";
  broadcastAppends(core);
  return "ok";
}

/**
 * One change at a time: the next is proposed after the last was applied (thesis §4.1). A change that comes
 * too early, or does not fit the present configuration, is replaced by an empty entry, so that its
 * proposer sees it come by.
 */
function examineConfChange(
  core: Core,
  entry: Entry,
  pendingConfIndex: number,
): "accepted" | "refused" | "malformed" {
  const change = decodeConfChangeEntry(entry);
  if (change === undefined) return "malformed";
  const { configuration, membership } = core.tracker;
  const { applied, lastIndex } = core.log;
  const v2 = toV2(change);
  let reason: string | undefined;
  if (pendingConfIndex > applied) {
    reason = `possible unapplied conf change at index ${pendingConfIndex} (applied to ${applied})`;
  } else if (configuration.joint && !leavesJoint(v2)) {
    reason = "must transition out of joint config first";
  } else if (!configuration.joint && v2.changes.length === 0) {
    reason = "not in joint state; refusing empty conf change";
  } else {
    // The configuration in which it will be applied is the present one. A committed change that does not
    // fit would stop every member, again and again.
    reason = changeMembership(membership, v2, core.tracker.newcomers(lastIndex)).refusal;
    if (reason === undefined) return "accepted";
  }
  if (!core.config.validateConfChanges) return "accepted";
  core.info(() => {
    const text = entry.data.length === 0 ? "" : confChangeText(change);
    return `${idText(core.id)} ignoring conf change ${text} at config ${configuration}: ${reason}`;
  });
  return "refused";
}

function copyEntry(entry: Entry): Entry {
  const copy = new Entry();
  copy.type = entry.type;
  copy.data = entry.data;
  return copy;
}

// --- responses ------------------------------------------------------------------------------------

function handleAppendResponse(core: Core, message: Message, progress: Progress): StepResult {
  const { from, index } = message;
  // Nobody can have more of our log than we.
  if (!message.reject && index > core.log.lastIndex) return "malformed";
  progress.recentActive = true;
  if (message.reject) {
    handleRejection(core, message, progress);
    return "ok";
  }
  const isSelf = from === core.id;
  const news = progress.maybeUpdate(index);
  if (!news && !(progress.match === index && progress.state === ProgressState.probe)) return "ok";
  switch (progress.state) {
    case ProgressState.probe:
      progress.becomeReplicate();
      break;
    case ProgressState.snapshot:
      // Whichever snapshot it was: once our log reaches on from there, the log will do.
      if (progress.match + 1 >= core.log.firstIndex) {
        core.debug(
          () =>
            `${idText(core.id)} recovered from needing snapshot, resumed sending replication messages to ${idText(from)} [${progress}]`,
        );
        progress.becomeProbe();
        progress.becomeReplicate();
      }
      break;
    case ProgressState.replicate:
      progress.inflights.freeThrough(index);
      break;
    default:
      progress.state satisfies never;
  }
  if (!commitAndTell(core) && !isSelf && progress.canBumpCommit(core.log.committed)) {
    sendAppend(core, from, progress, true);
  }
  if (isSelf) return "ok";
  // The window has room again: as many as fit, but none for the commit index alone.
  while (sendAppend(core, from, progress, false)) {
    // Every call sends one.
  }
  if (from === core.leadTransferee && progress.match === core.log.lastIndex) {
    core.info(
      () => `${idText(core.id)} sent MsgTimeoutNow to ${idText(from)} after received MsgAppResp`,
    );
    sendTimeoutNow(core, from);
  }
  return "ok";
}

function handleRejection(core: Core, message: Message, progress: Progress): void {
  const { from, index, rejectHint, logTerm } = message;
  core.debug(
    () =>
      `${idText(core.id)} received MsgAppResp(rejected, hint: (index ${rejectHint}, term ${logTerm})) from ${idText(from)} for index ${index}`,
  );
  // The follower has skipped what conflicts for certain with the term that we offered; with the term at
  // its hint we skip what conflicts for certain with it. Versions before 3.5 send no term.
  const probe = logTerm > 0 ? core.log.findConflictByTerm(rejectHint, logTerm).index : rejectHint;
  if (!progress.maybeDecrease(index, probe)) return;
  core.debug(() => `${idText(core.id)} decreased progress of ${idText(from)} to [${progress}]`);
  if (progress.state === ProgressState.replicate) progress.becomeProbe();
  sendAppend(core, from, progress, true);
}

function handleHeartbeatResponse(core: Core, message: Message, progress: Progress): void {
  progress.recentActive = true;
  progress.appendsPaused = false;
  // It may have lost appends, or be caught up and still probed: an append, even empty, settles it.
  if (progress.match < core.log.lastIndex || progress.state === ProgressState.probe) {
    sendAppend(core, message.from, progress, true);
  }
  if (message.context.length > 0) {
    acknowledgeReads(core, message.from, message.context);
  }
}

function handleSnapshotStatus(core: Core, message: Message, progress: Progress): void {
  if (progress.state !== ProgressState.snapshot) return;
  const outcome = message.reject ? "failed" : "succeeded";
  if (message.reject) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  core.debug(
    () =>
      `${idText(core.id)} snapshot ${outcome}, resumed sending replication messages to ${idText(message.from)} [${progress}]`,
  );
  // Sent is not yet installed, and after a failure there is no hurry: wait for a sign of life.
  progress.appendsPaused = true;
}

// --- leadership -----------------------------------------------------------------------------------

/** A leader that reaches no quorum would be the last to know of its successor (thesis §6.2). */
function checkQuorum(core: Core): void {
  if (!core.tracker.quorumActive()) {
    core.warn(() => `${idText(core.id)} stepped down to follower since quorum is not active`);
    core.becomeFollower(core.term, noNode);
  }
  core.tracker.forgetActivity(core.id);
}

/** Thesis §3.10: bring the target up to date, then tell it to campaign at once. */
function startTransfer(core: Core, target: bigint, progress: Progress): void {
  const self = idText(core.id);
  if (progress.isLearner) {
    core.debug(() => `${self} is learner. Ignored transferring leadership`);
    return;
  }
  const previous = core.leadTransferee;
  if (previous !== noNode) {
    if (previous === target) {
      core.info(
        () =>
          `${self} [term ${core.term}] transfer leadership to ${idText(target)} is in progress, ignores request to same node ${idText(target)}`,
      );
      return;
    }
    core.leadTransferee = noNode;
    core.info(
      () =>
        `${self} [term ${core.term}] abort previous transferring leadership to ${idText(previous)}`,
    );
  }
  if (target === core.id) {
    core.debug(() => `${self} is already leader. Ignored transferring leadership to self`);
    return;
  }
  core.info(() => `${self} [term ${core.term}] starts to transfer leadership to ${idText(target)}`);
  // It has one election timeout for it; see the leader's tick.
  core.electionElapsed = 0;
  core.leadTransferee = target;
  if (progress.match === core.log.lastIndex) {
    sendTimeoutNow(core, target);
    core.info(
      () =>
        `${self} sends MsgTimeoutNow to ${idText(target)} immediately as ${idText(target)} already has up-to-date log`,
    );
  } else {
    sendAppend(core, target, progress, true);
  }
}

function sendTimeoutNow(core: Core, to: bigint): void {
  core.leaseWaived = true;
  core.send(newMessage(MessageType.MsgTimeoutNow, to));
}
