// The state of this member as it is sent to one that is too far behind. Everything about it, index, term,
// configuration and members included, is read from one view: applying goes on while the view is opened.

import { assert, utf8ToBytes } from "@etcd-ts/base";
import { type BackendReader, type BackendView, type Member, Members } from "@etcd-ts/machine";
import { ConfState } from "@etcd-ts/raft";
import { writeBoltFile } from "@etcd-ts/storage";
import type { OutgoingSnapshot } from "./peers/index.ts";
import { v2StoreJson } from "./v2-store.ts";
import { ViewBackend } from "./view-backend.ts";

/** The view becomes the snapshot's, which closes it. */
export function outgoingSnapshot(view: BackendView): OutgoingSnapshot {
  const members = new Members(ViewBackend.of(view), 0);
  members.restore();
  const list = members.list();
  return {
    index: metaNumber(view, "consistent_index"),
    term: metaNumber(view, "term"),
    confState: confStateOf(list),
    data: utf8ToBytes(v2StoreJson(list, members.removedIds, members.clusterVersion)),
    write: (sink) => writeBoltFile(view, sink),
    close: () => view.close(),
  };
}

/** The configuration of raft that belongs to a membership, which is the source of truth for it. */
export function confStateOf(members: readonly Member[]): ConfState {
  const confState = new ConfState();
  for (const { id, isLearner } of members) {
    (isLearner ? confState.learners : confState.voters).push(id);
  }
  return confState;
}

/** A number of bucket `meta`: eight bytes, big-endian; 0 when it is not there. */
function metaNumber(view: BackendReader, name: string): number {
  const value = view.get("meta", utf8ToBytes(name));
  let number = 0;
  for (const byte of value ?? []) number = number * 256 + byte;
  assert(Number.isSafeInteger(number), `${name} is a whole number`);
  return number;
}
