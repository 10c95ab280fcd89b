// How a leader brings its log to the others (Raft §5.3), and how it finds out what is committed (§5.4.2).

import { assert, type Bytes } from "@etcd-ts/base";
import type { Core } from "./core.ts";
import { payloadSizeOf } from "./entry-size.ts";
import { type Entry, MessageType } from "./gen/raftpb.ts";
import { idText } from "./ids.ts";
import { newMessage } from "./messages.ts";
import { type Progress, ProgressState } from "./progress.ts";
import { acceptRead } from "./reads.ts";

const noEntries: readonly Entry[] = [];

/** Sends an append to everyone else, empty ones included: they carry the commit index. */
export function broadcastAppends(core: Core): void {
  const { ids, peers } = core.tracker;
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] !== core.id) sendAppend(core, ids[i]!, peers[i]!, true);
  }
}

/** Sends new entries to everyone who has not got them yet. */
export function broadcastNewEntries(core: Core): void {
  const { ids, peers } = core.tracker;
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] !== core.id) sendAppend(core, ids[i]!, peers[i]!, false);
  }
}

/**
 * Sends the next append to one follower, or a snapshot when the log no longer reaches back to it. False
 * when nothing was sent: it is paused, or there is nothing for it and an empty append is not wanted.
 */
export function sendAppend(
  core: Core,
  to: bigint,
  progress: Progress,
  sendIfEmpty: boolean,
): boolean {
  if (progress.paused) return false;
  const { log } = core;
  const previousIndex = progress.next - 1;
  const previousTerm = log.term(previousIndex);
  if (typeof previousTerm !== "number") return sendSnapshot(core, to, progress);

  let entries: readonly Entry[] | "compacted" = noEntries;
  // With a full window an empty append still goes out: its rejection tells of a window that was lost.
  if (progress.state !== ProgressState.replicate || !progress.inflights.full) {
    entries = log.entriesFrom(progress.next, core.config.messageBytesMax);
    if (entries === "compacted") return sendSnapshot(core, to, progress);
  }
  if (entries.length === 0 && !sendIfEmpty) return false;

  const message = newMessage(MessageType.MsgApp, to);
  message.index = previousIndex;
  message.logTerm = previousTerm;
  message.entries = entries as Entry[];
  message.commit = log.committed;
  core.send(message);
  progress.sentEntries(entries.length, payloadSizeOf(entries));
  progress.sentCommitIndex(log.committed);
  return true;
}

function sendSnapshot(core: Core, to: bigint, progress: Progress): boolean {
  const self = idText(core.id);
  if (!progress.recentActive) {
    // A snapshot is dear; first a sign of life.
    core.debug(() => `ignore sending snapshot to ${idText(to)} since it is not recently active`);
    return false;
  }
  const snapshot = core.log.snapshot();
  if (snapshot === undefined) {
    core.debug(
      () =>
        `${self} failed to send snapshot to ${idText(to)} because snapshot is temporarily unavailable`,
    );
    return false;
  }
  const { metadata } = snapshot;
  assert(metadata !== undefined && metadata.index > 0, "a snapshot that is needed is not empty");
  core.debug(
    () =>
      `${self} [firstindex: ${core.log.firstIndex}, commit: ${core.log.committed}] sent ` +
      `snapshot[index: ${metadata.index}, term: ${metadata.term}] to ${idText(to)} [${progress}]`,
  );
  progress.becomeSnapshot(metadata.index);
  core.debug(() => `${self} paused sending replication messages to ${idText(to)} [${progress}]`);
  const message = newMessage(MessageType.MsgSnap, to);
  message.snapshot = snapshot;
  core.send(message);
  return true;
}

/** Heartbeats carry what a follower is known to have, because it commits that without comparing terms. */
export function broadcastHeartbeats(core: Core): void {
  const context: Bytes = core.reads.heartbeatContext();
  const { ids, peers } = core.tracker;
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === core.id) continue;
    const message = newMessage(MessageType.MsgHeartbeat, ids[i]!);
    message.commit = Math.min(peers[i]!.match, core.log.committed);
    message.context = context;
    core.send(message);
  }
}

/**
 * Advances the commit index to what a quorum has. Only entries of our own term commit by counting
 * replicas; older ones follow with them (Raft §5.4.2).
 */
export function advanceCommit(core: Core): boolean {
  const index = core.tracker.committed();
  if (index <= core.log.committed || core.log.term(index) !== core.term) return false;
  core.log.commitTo(index);
  return true;
}

/** `advanceCommit`, and what follows from it. */
export function commitAndTell(core: Core): boolean {
  if (!advanceCommit(core)) return false;
  releaseEarlyReads(core);
  broadcastAppends(core);
  return true;
}

/** The first commit of our term lets those reads go on that came before it. */
function releaseEarlyReads(core: Core): void {
  if (core.earlyReads.length === 0) return;
  const early = core.earlyReads;
  core.earlyReads = [];
  let heartbeatsWanted = false;
  for (let i = 0; i < early.length; i++) {
    if (acceptRead(core, early[i]!)) heartbeatsWanted = true;
  }
  if (heartbeatsWanted) broadcastHeartbeats(core);
}
