// Proposals that other members forward to this one. All of a turn become one message, so that they are one
// append. While this member is about to hand leadership over they wait for the next leader; and what no member may ever apply is left out: a stock member that meets an undecodable change of
// the configuration, or one of the second kind, ends with it.

import { bytesToUtf8, WireError } from "@etcd-ts/base";
import {
  type ConfChange,
  ConfChangeType,
  decodeConfChange,
  type Entry,
  EntryType,
  Message,
  MessageType,
} from "@etcd-ts/raft";

/** What comes beyond is dropped, as on any network. */
const bytesMax = 64 * 1024 * 1024;

export class ForwardedProposals {
  #pending: Message | undefined;
  #pendingBytes = 0;
  #sinceMs = 0;
  /** Entries that were left out. */
  refusedCount = 0;

  /** A MsgProp. */
  add(message: Message, nowMs: number): void {
    for (const entry of message.entries) {
      if (!isSound(entry) || this.#pendingBytes > bytesMax) {
        this.refusedCount++;
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
  if (entry.type === EntryType.EntryNormal) return true;
  if (entry.type !== EntryType.EntryConfChange) return false;
  let change: ConfChange;
  try {
    change = decodeConfChange(entry.data);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return false;
  }
  return change.type === ConfChangeType.RemoveNode || namesItsNode(change);
}

/** The context is the JSON of the member that the change is about. */
function namesItsNode({ context, nodeId }: ConfChange): boolean {
  const text = bytesToUtf8(context);
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return false;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return false;
  }
  // Ids have 64 bits, which `JSON.parse` would round.
  const id = /"id"\s*:\s*([0-9]{1,20})\s*[,}]/.exec(text)?.[1];
  return id !== undefined && BigInt(id) === nodeId;
}
