// Proposals that other members forward to this one. All of a turn become one message, so that they are one
// append. While this member is about to hand leadership over they wait for the next leader. What no member may
// ever apply is left out: a stock member that meets an undecodable change of the configuration, or one of the
// second kind, ends with it, and ours with an entry that is no request. So is what changes authentication, which
// this version does not serve: a stock member would go on with it, and all of ours would end.

import { WireError } from "@etcd-ts/base";
import { isRequest, readMemberChange } from "@etcd-ts/machine";
import {
  type ConfChange,
  ConfChangeType,
  decodeConfChange,
  type Entry,
  EntryType,
  Message,
  MessageType,
} from "@etcd-ts/raft";
import { isAuthChange } from "./auth-guard.ts";
import { checkedUrls } from "./member-urls.ts";

/** What comes beyond is dropped, as on any network. */
const bytesMax = 64 * 1024 * 1024;

export class ForwardedProposals {
  #pending: Message | undefined;
  #pendingBytes = 0;
  #sinceMs = 0;

  /** A MsgProp. Gives back how many entries were left out. */
  add(message: Message, nowMs: number): number {
    let refusedCount = 0;
    for (const entry of message.entries) {
      if (!isSound(entry) || this.#pendingBytes > bytesMax) {
        refusedCount++;
        continue;
      }
      this.#pendingBytes += entry.data.length;
      if (this.#pending === undefined) {
        this.#pending = new Message();
        this.#pending.type = MessageType.MsgProp;
        this.#sinceMs = nowMs;
      }
      this.#pending.entries.push(entry);
    }
    return refusedCount;
  }

  /** One MsgProp with everything that waits. */
  get pending(): Message | undefined {
    return this.#pending;
  }

  /** How long the oldest has been waiting. */
  waitedMs(nowMs: number): number {
    return this.#pending === undefined ? 0 : nowMs - this.#sinceMs;
  }

  /** One of them removes this member. */
  removes(id: bigint): boolean {
    for (const entry of this.#pending?.entries ?? []) {
      if (entry.type !== EntryType.EntryConfChange) continue;
      const { type, nodeId } = decodeConfChange(entry.data);
      if (type === ConfChangeType.RemoveNode && nodeId === id) return true;
    }
    return false;
  }

  /** They went on their way, or nobody can take them. */
  clear(): void {
    this.#pending = undefined;
    this.#pendingBytes = 0;
  }
}

function isSound(entry: Entry): boolean {
  const { type, data } = entry;
  // An empty one stands for the beginning of a leadership.
  if (type === EntryType.EntryNormal) return isRequest(data) && !isAuthChange(data);
  if (type !== EntryType.EntryConfChange) return false;
  let change: ConfChange;
  try {
    change = decodeConfChange(data);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return false;
  }
  const content = readMemberChange(change);
  if (content === undefined) return false;
  // To remove or update nobody is refused when it is applied, and whoever asked for it is told.
  const isAdded =
    change.type === ConfChangeType.AddNode || change.type === ConfChangeType.AddLearnerNode;
  if (isAdded && change.nodeId === 0n) return false;
  return content.peerUrls === undefined || checkedUrls(content.peerUrls) !== undefined;
}
