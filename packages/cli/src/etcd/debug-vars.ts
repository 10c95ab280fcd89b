// `/debug/vars`: what Go programs export under that path, as far as there is such a thing here. `memstats` has
// those of Go's names whose meaning Node can give.

import { roleNames } from "@etcd-ts/raft";
import type { Member } from "@etcd-ts/server";
import { openFileLimit } from "./open-files.ts";

/** By raft's numbers. */
const progressNames = ["StateProbe", "StateReplicate", "StateSnapshot"] as const;

export function debugVars(member: Member): string {
  const fileLimit = openFileLimit();
  const variables = {
    cmdline: ["etcd", ...process.argv.slice(2)],
    file_descriptor_limit: Number.isFinite(fileLimit) ? fileLimit : 0,
    memstats: memoryFigures(),
    "raft.status": raftStatus(member),
  };
  const lines = Object.entries(variables).map(
    ([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  return `{\n${lines.join(",\n")}\n}\n`;
}

function memoryFigures(): Readonly<Record<string, number>> {
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
  return {
    Alloc: heapUsed + external,
    Sys: rss,
    HeapAlloc: heapUsed,
    HeapSys: heapTotal,
    HeapInuse: heapUsed,
    HeapIdle: heapTotal - heapUsed,
  };
}

function raftStatus(member: Member): object {
  const status = member.raftStatus();
  const progress: Record<string, object> = {};
  for (const [id, { match, next, state }] of status.progress) {
    progress[id.toString(16)] = { match, next, state: progressNames[state] };
  }
  return {
    id: status.id.toString(16),
    term: status.term,
    vote: status.vote.toString(16),
    commit: status.commit,
    lead: status.lead.toString(16),
    raftState: roleNames[status.role],
    applied: status.applied,
    progress,
    leadtransferee: status.leadTransferee.toString(16),
  };
}
