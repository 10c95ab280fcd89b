// Messages, entries and readies as text, for logs and tests. One line each where possible.

import type { Bytes } from "@etcd-ts/base";
import { decodeConfChangeEntry, toV2 } from "./conf-change-entry.ts";
import { roleNames } from "./core.ts";
import {
  type ConfChangeSingle,
  ConfChangeType,
  type ConfState,
  type Entry,
  EntryType,
  entryTypeNames,
  type HardState,
  type Message,
  messageTypeNames,
  type Snapshot,
} from "./gen/raftpb.ts";
import { appendThread, applyThread, idText, noNode } from "./ids.ts";
import { quoteBytes } from "./quote.ts";
import type { Ready, SoftState } from "./ready.ts";

/** Renders the data of a normal entry. */
export type DataFormatter = (data: Bytes) => string;

export function describeEntry(entry: Entry, formatData: DataFormatter = quoteBytes): string {
  let data: string;
  if (entry.type === EntryType.EntryNormal) {
    data = formatData(entry.data);
  } else {
    const change = decodeConfChangeEntry(entry);
    data = change === undefined ? "malformed" : confChangesText(toV2(change).changes);
  }
  const type = entryTypeNames[entry.type] ?? String(entry.type);
  return `${entry.term}/${entry.index} ${type}${data === "" ? "" : ` ${data}`}`;
}

/** One line each. */
export function describeEntries(entries: readonly Entry[], formatData?: DataFormatter): string {
  let text = "";
  for (const entry of entries) text += `${describeEntry(entry, formatData)}\n`;
  return text;
}

const changeLetters: Readonly<Record<number, string>> = {
  [ConfChangeType.AddNode]: "v",
  [ConfChangeType.AddLearnerNode]: "l",
  [ConfChangeType.RemoveNode]: "r",
  [ConfChangeType.UpdateNode]: "u",
};

/** Such as `v1 l2 r3`: voter, learner, removed. */
export function confChangesText(changes: readonly ConfChangeSingle[]): string {
  return changes
    .map((change) => `${changeLetters[change.type] ?? "unknown"}${change.nodeId}`)
    .join(" ");
}

export function describeConfState(state: ConfState | undefined): string {
  return (
    `Voters:[${(state?.voters ?? []).join(" ")}] ` +
    `VotersOutgoing:[${(state?.votersOutgoing ?? []).join(" ")}] ` +
    `Learners:[${(state?.learners ?? []).join(" ")}] ` +
    `LearnersNext:[${(state?.learnersNext ?? []).join(" ")}] ` +
    `AutoLeave:${state?.autoLeave ?? false}`
  );
}

export function describeSnapshot(snapshot: Snapshot): string {
  const { metadata } = snapshot;
  return (
    `Index:${metadata?.index ?? 0} Term:${metadata?.term ?? 0} ` +
    `ConfState:${describeConfState(metadata?.confState)}`
  );
}

export function describeHardState(state: HardState): string {
  const vote = state.vote === noNode ? "" : ` Vote:${state.vote}`;
  return `Term:${state.term}${vote} Commit:${state.commit}`;
}

export function describeSoftState(state: SoftState): string {
  return `Lead:${state.lead} State:${roleNames[state.role]}`;
}

/** Several lines when there are several entries, a snapshot or responses; no newline at the end. */
export function describeMessage(message: Message, formatData?: DataFormatter, indent = ""): string {
  const { entries, snapshot, responses } = message;
  const type = messageTypeNames[message.type] ?? String(message.type);
  let text =
    `${indent}${targetText(message.from)}->${targetText(message.to)} ${type} ` +
    `Term:${message.term} Log:${message.logTerm}/${message.index}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (message.commit !== 0) text += ` Commit:${message.commit}`;
  if (message.vote !== noNode) text += ` Vote:${message.vote}`;
  if (entries.length === 1) {
    text += ` Entries:[${describeEntry(entries[0]!, formatData)}]`;
  } else if (entries.length > 1) {
    text += " Entries:[";
    for (const entry of entries) text += `\n${indent}  ${describeEntry(entry, formatData)}`;
    text += `\n${indent}]`;
  }
  if (snapshot !== undefined && (snapshot.metadata?.index ?? 0) > 0) {
    text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`;
  }
  if (responses.length > 0) {
    text += " Responses:[";
    for (const response of responses) {
      text += `\n${describeMessage(response, formatData, `${indent}  `)}`;
    }
    text += `\n${indent}]`;
  }
  return text;
}

export function describeReady(ready: Ready, formatData?: DataFormatter): string {
  let text = "";
  if (ready.softState !== undefined) text += `${describeSoftState(ready.softState)}\n`;
  if (ready.hardState !== undefined) text += `HardState ${describeHardState(ready.hardState)}\n`;
  if (ready.readStates.length > 0) {
    const states = ready.readStates.map((read) => `{${read.index} [${read.context.join(" ")}]}`);
    text += `ReadStates [${states.join(" ")}]\n`;
  }
  if (ready.entries.length > 0) {
    text += `Entries:\n${describeEntries(ready.entries, formatData)}`;
  }
  if (ready.snapshot !== undefined) text += `Snapshot ${describeSnapshot(ready.snapshot)}\n`;
  if (ready.committedEntries.length > 0) {
    text += `CommittedEntries:\n${describeEntries(ready.committedEntries, formatData)}`;
  }
  if (ready.messages.length > 0) {
    text += "Messages:\n";
    for (const message of ready.messages) text += `${describeMessage(message, formatData)}\n`;
  }
  return text === "" ? "<empty Ready>" : `Ready MustSync=${ready.mustSync}:\n${text}`;
}

function targetText(id: bigint): string {
  switch (id) {
    case noNode:
      return "None";
    case appendThread:
      return "AppendThread";
    case applyThread:
      return "ApplyThread";
    default:
      return idText(id);
  }
}
