// A node as it shows itself to operators and tests.

import type { Configuration } from "./configuration.ts";
import { type Core, Role } from "./core.ts";
import type { ProgressState } from "./progress.ts";

export interface BasicStatus {
  readonly id: bigint;
  readonly term: number;
  readonly vote: bigint;
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly lead: bigint;
  readonly role: Role;
  /** To whom leadership is being transferred; `noNode` when it is not. */
  readonly leadTransferee: bigint;
  readonly isLearner: boolean;
}

export interface ProgressStatus {
  readonly match: number;
  readonly next: number;
  readonly state: ProgressState;
  readonly isLearner: boolean;
  readonly paused: boolean;
  readonly pendingSnapshot: number;
  readonly recentActive: boolean;
  readonly inflightCount: number;
  /** All of it on one line. */
  readonly text: string;
}

export interface Status extends BasicStatus {
  readonly configuration: Configuration;
  /** Ascending by id; empty unless we lead. */
  readonly progress: ReadonlyMap<bigint, ProgressStatus>;
}

export function basicStatus(core: Core): BasicStatus {
  return {
    id: core.id,
    term: core.term,
    vote: core.vote,
    commit: core.log.committed,
    applied: core.log.applied,
    lastIndex: core.log.lastIndex,
    lead: core.lead,
    role: core.role,
    leadTransferee: core.leadTransferee,
    isLearner: core.isLearner,
  };
}

export function fullStatus(core: Core): Status {
  const progress = new Map<bigint, ProgressStatus>();
  if (core.role === Role.leader) {
    const { ids, peers } = core.tracker;
    for (let i = 0; i < ids.length; i++) {
      const peer = peers[i]!;
      progress.set(ids[i]!, {
        match: peer.match,
        next: peer.next,
        state: peer.state,
        isLearner: peer.isLearner,
        paused: peer.paused,
        pendingSnapshot: peer.pendingSnapshot,
        recentActive: peer.recentActive,
        inflightCount: peer.inflights.count,
        text: peer.toString(),
      });
    }
  }
  return { ...basicStatus(core), configuration: core.tracker.configuration, progress };
}
