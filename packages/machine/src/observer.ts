// Who wants to know what changed: the watch hub, the lease keeper, the server. All calls come from inside
// `apply` (or `applyConfChange`), synchronously and in log order; an observer only takes notes.

import type { KvEvent } from "./kv-event.ts";

export interface MachineObserver {
  /** All changes of one revision in the order in which they happened. The array belongs to the receiver. */
  changed?(revision: number, events: KvEvent[]): void;
  /** Reads below `revision` are refused from now on. */
  compacted?(revision: number): void;
  leaseGranted?(id: bigint, ttlSeconds: number): void;
  leaseRevoked?(id: bigint): void;
  leaseCheckpointed?(id: bigint, remainingSeconds: number): void;
  alarmsChanged?(): void;
  /** Members, their attributes or the list of removed ones. */
  membersChanged?(): void;
  clusterVersionChanged?(version: string): void;
  downgradeChanged?(): void;
  /**
   * `Machine.reload` has ended: revisions, keys, leases, alarms, members and versions are others now, and what lies
   * between the former revision and the present one was not told. Not from inside `apply`.
   */
  stateReplaced?(): void;
}
