// Kinds of messages, and how one is made.

import { Entry, Message, MessageType } from "./gen/raftpb.ts";

export function newMessage(type: MessageType, to: bigint): Message {
  const message = new Message();
  message.type = type;
  message.to = to;
  return message;
}

/** The same proposal or read request on the way to the leader; what came in is not touched. */
export function forwarded(message: Message, to: bigint): Message {
  const copy = newMessage(message.type as MessageType, to);
  copy.from = message.from;
  copy.entries = message.entries;
  copy.context = message.context;
  return copy;
}

export function newEntry(type: number, data: Entry["data"]): Entry {
  const entry = new Entry();
  entry.type = type;
  entry.data = data;
  return entry;
}

/** Made by a node for itself or its storage; refused when it comes from anybody else. */
export function isLocalMessage(type: number): boolean {
  switch (type) {
    case MessageType.MsgHup:
    case MessageType.MsgBeat:
    case MessageType.MsgUnreachable:
    case MessageType.MsgSnapStatus:
    case MessageType.MsgCheckQuorum:
    case MessageType.MsgStorageAppend:
    case MessageType.MsgStorageAppendResp:
    case MessageType.MsgStorageApply:
    case MessageType.MsgStorageApplyResp:
      return true;
    default:
      return false;
  }
}

/** Answers something; meaningless from someone whom we do not know. */
export function isResponseMessage(type: number): boolean {
  switch (type) {
    case MessageType.MsgAppResp:
    case MessageType.MsgVoteResp:
    case MessageType.MsgHeartbeatResp:
    case MessageType.MsgUnreachable:
    case MessageType.MsgReadIndexResp:
    case MessageType.MsgPreVoteResp:
    case MessageType.MsgStorageAppendResp:
    case MessageType.MsgStorageApplyResp:
      return true;
    default:
      return false;
  }
}

/**
 * Tells of something that must be durable first, so it waits for the storage (Raft §5, figure 2). Of a vote request that is its
 * term: an answer must never find a candidate that has forgotten that it asked.
 */
export function promisesDurability(type: number): boolean {
  return (
    type === MessageType.MsgVote ||
    type === MessageType.MsgAppResp ||
    type === MessageType.MsgVoteResp ||
    type === MessageType.MsgPreVoteResp
  );
}

/** Part of an election; carries its own term, which need not be that of the sender. */
export function belongsToElection(type: number): boolean {
  return (
    type === MessageType.MsgVote ||
    type === MessageType.MsgVoteResp ||
    type === MessageType.MsgPreVote ||
    type === MessageType.MsgPreVoteResp
  );
}
