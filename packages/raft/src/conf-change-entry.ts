// Changes of the configuration as log entries. Two forms exist on the wire: one change (`ConfChange`, the
// only form that etcd itself proposes) and several with a transition (`ConfChangeV2`). Inside there is only
// the second.

import { emptyBytes, WireError } from "@etcd-ts/base";
import {
  ConfChange,
  ConfChangeSingle,
  ConfChangeV2,
  confChangeTransitionNames,
  confChangeTypeNames,
  decodeConfChange,
  decodeConfChangeV2,
  type Entry,
  EntryType,
  encodeConfChange,
  encodeConfChangeV2,
} from "./gen/raftpb.ts";
import { newEntry } from "./messages.ts";
import { quoteBytes } from "./quote.ts";

export type AnyConfChange = ConfChange | ConfChangeV2;

export function isConfChangeEntry(entry: Entry): boolean {
  return entry.type === EntryType.EntryConfChange || entry.type === EntryType.EntryConfChangeV2;
}

export function toV2(change: AnyConfChange): ConfChangeV2 {
  if (change instanceof ConfChangeV2) return change;
  const single = new ConfChangeSingle();
  single.type = change.type;
  single.nodeId = change.nodeId;
  const v2 = new ConfChangeV2();
  v2.changes = [single];
  v2.context = change.context;
  return v2;
}

/** An entry to propose. `undefined` stands for leaving a joint configuration, as the leader does by itself. */
export function confChangeEntry(change: AnyConfChange | undefined): Entry {
  if (change === undefined) return newEntry(EntryType.EntryConfChangeV2, emptyBytes);
  return change instanceof ConfChangeV2
    ? newEntry(EntryType.EntryConfChangeV2, encodeConfChangeV2(change))
    : newEntry(EntryType.EntryConfChange, encodeConfChange(change));
}

/** The change in an entry; undefined when its bytes are none. */
export function decodeConfChangeEntry(entry: Entry): AnyConfChange | undefined {
  try {
    return entry.type === EntryType.EntryConfChange
      ? decodeConfChange(entry.data)
      : decodeConfChangeV2(entry.data);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** The change in the text form of protobuf, on one line. */
export function confChangeText(change: AnyConfChange): string {
  const parts: string[] = [];
  if (change instanceof ConfChange) {
    if (change.id !== 0n) parts.push(`id:${change.id}`);
    parts.push(`type:${changeName(change.type)}`, `node_id:${change.nodeId}`);
  } else {
    parts.push(`transition:${transitionName(change.transition)}`);
    for (const single of change.changes) {
      parts.push(`changes:{type:${changeName(single.type)} node_id:${single.nodeId}}`);
    }
  }
  if (change.context.length > 0) parts.push(`context:${quoteBytes(change.context)}`);
  return parts.join(" ");
}

function changeName(type: number): string {
  const name = confChangeTypeNames[type];
  return name === undefined ? String(type) : `ConfChange${name}`;
}

function transitionName(transition: number): string {
  const name = confChangeTransitionNames[transition];
  return name === undefined ? String(transition) : `ConfChangeTransition${name}`;
}
