// `--force-new-cluster`: what a member does when all others are lost for good. It keeps everything that its
// log says was committed, drops what was not, and removes all other members by changes of the configuration
// that it puts into its own log, as committed as the rest. None of the others may ever come back.

import { emptyBytes, type Host } from "@etcd-ts/base";
import {
  encodeMemberContext,
  encodePromoteContext,
  type Machine,
  MemberChangeType,
} from "@etcd-ts/machine";
import {
  ConfChange,
  decodeConfChange,
  Entry,
  EntryType,
  encodeConfChange,
  type HardState,
} from "@etcd-ts/raft";
import type { Wal } from "@etcd-ts/storage";
import { StartError } from "./bootstrap.ts";
import type { MemberConfig } from "./config.ts";
import { hexId } from "./ids.ts";

export interface LoneParts {
  readonly host: Host;
  readonly config: MemberConfig;
  readonly machine: Machine;
  readonly wal: Wal;
  readonly memberId: bigint;
  /** All of the log. */
  readonly entries: readonly Entry[];
  /** Its commit index moves to the new end. */
  readonly hardState: HardState;
}

/** The log as it is from now on, durably. */
export async function becomeLoneMember(parts: LoneParts): Promise<readonly Entry[]> {
  const { host, wal, memberId, hardState, entries, machine } = parts;
  const committed = entries.filter((entry) => entry.index <= hardState.commit);
  const discardedCount = entries.length - committed.length;
  if (discardedCount > 0) {
    host.log.info("discarding uncommitted WAL entries", {
      "entry-index": entries.at(-1)!.index,
      "commit-index-from-wal": hardState.commit,
      "number-of-discarded-entries": discardedCount,
    });
  }
  if (machine.members.isRemoved(memberId)) {
    throw new StartError(
      `member ${hexId(memberId)} was removed from its cluster and cannot go on alone; restore a ` +
        "snapshot of its data with `etcdutl snapshot restore` instead",
    );
  }
  const added = changesToBeAlone(parts, committed).map((change, i) => {
    const entry = new Entry();
    entry.type = EntryType.EntryConfChange;
    entry.term = hardState.term;
    entry.index = hardState.commit + 1 + i;
    entry.data = encodeConfChange(change);
    return entry;
  });
  hardState.commit += added.length;
  await new Promise<void>((resolve, reject) => {
    wal.append(hardState, added, true, (error) =>
      error === undefined ? resolve() : reject(error),
    );
  });
  host.log.info("forcing restart member", {
    "local-member-id": hexId(memberId),
    "commit-index": hardState.commit,
    "removed-member-count": added.length,
  });
  return [...committed, ...added];
}

function changesToBeAlone(parts: LoneParts, committed: readonly Entry[]): ConfChange[] {
  const { memberId, config } = parts;
  const learners = membersAt(parts, committed);
  const changes: ConfChange[] = [];
  for (const id of [...learners.keys()].sort((a, b) => (a < b ? -1 : 1))) {
    if (id !== memberId) changes.push(changeOf(MemberChangeType.removeNode, id, emptyBytes));
  }
  const isLearner = learners.get(memberId);
  if (isLearner === undefined) {
    const peerUrls = [...config.initialAdvertisePeerUrls];
    const member = { id: memberId, peerUrls, isLearner: false, name: "", clientUrls: [] };
    changes.push(changeOf(MemberChangeType.addNode, memberId, encodeMemberContext(member)));
  } else if (isLearner) {
    changes.push(changeOf(MemberChangeType.addNode, memberId, encodePromoteContext(memberId)));
  }
  return changes;
}

/** Who belongs to the cluster at the commit index, and who of them is a learner. */
function membersAt({ machine }: LoneParts, committed: readonly Entry[]): Map<bigint, boolean> {
  const learners = new Map<bigint, boolean>();
  for (const { id, isLearner } of machine.members.list()) learners.set(id, isLearner);
  for (const entry of committed) {
    if (entry.type !== EntryType.EntryConfChange || entry.index <= machine.appliedIndex) continue;
    const { type, nodeId } = decodeConfChange(entry.data);
    if (type === MemberChangeType.removeNode) learners.delete(nodeId);
    else if (type === MemberChangeType.addNode) learners.set(nodeId, false);
    else if (type === MemberChangeType.addLearnerNode && !learners.has(nodeId)) {
      learners.set(nodeId, true);
    }
  }
  return learners;
}

function changeOf(type: number, nodeId: bigint, context: Uint8Array): ConfChange {
  const change = new ConfChange();
  change.type = type;
  change.nodeId = nodeId;
  change.context = context;
  return change;
}
