// What a message from outside must be before raft sees it. A peer is trusted to follow the protocol, not to
// be free of bugs: what only a node's own storage may say is refused, whoever it claims to come from.

import { isStorageThread, type Message, MessageType } from "@etcd-ts/raft";

export type Verdict = "ok" | "not-for-us" | "not-from-outside";

/** `hasDatabase`: it came with one, as a snapshot does; without it raft would take over what is not there. */
export function verdictOn(message: Message, ownId: bigint, hasDatabase = false): Verdict {
  if (message.to !== ownId) return "not-for-us";
  if (!travels(message.type) || isStorageThread(message.from)) return "not-from-outside";
  // Stock members up to 3.5 send an empty snapshot with every message.
  if (message.type !== MessageType.MsgSnap) message.snapshot = undefined;
  else if (!hasDatabase) return "not-from-outside";
  if (message.responses.length > 0) return "not-from-outside";
  return "ok";
}

function travels(type: number): boolean {
  switch (type) {
    case MessageType.MsgProp:
    case MessageType.MsgApp:
    case MessageType.MsgAppResp:
    case MessageType.MsgVote:
    case MessageType.MsgVoteResp:
    case MessageType.MsgSnap:
    case MessageType.MsgHeartbeat:
    case MessageType.MsgHeartbeatResp:
    case MessageType.MsgTransferLeader:
    case MessageType.MsgTimeoutNow:
    case MessageType.MsgReadIndex:
    case MessageType.MsgReadIndexResp:
    case MessageType.MsgPreVote:
    case MessageType.MsgPreVoteResp:
      return true;
    default:
      return false;
  }
}
