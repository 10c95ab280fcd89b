// Passes what the machine tells on to all who want to know. They join after the machine was opened, because
// they need it themselves; nothing is told before the first entry is applied.

import type { KvEvent, MachineObserver } from "@etcd-ts/machine";

export class ObserverHub implements MachineObserver {
  readonly targets: MachineObserver[] = [];

  changed(revision: number, events: KvEvent[]): void {
    for (const target of this.targets) target.changed?.(revision, events);
  }

  compacted(revision: number): void {
    for (const target of this.targets) target.compacted?.(revision);
  }

  leaseGranted(id: bigint, ttlSeconds: number): void {
    for (const target of this.targets) target.leaseGranted?.(id, ttlSeconds);
  }

  leaseRevoked(id: bigint): void {
    for (const target of this.targets) target.leaseRevoked?.(id);
  }

  leaseCheckpointed(id: bigint, remainingSeconds: number): void {
    for (const target of this.targets) target.leaseCheckpointed?.(id, remainingSeconds);
  }

  alarmsChanged(): void {
    for (const target of this.targets) target.alarmsChanged?.();
  }

  membersChanged(): void {
    for (const target of this.targets) target.membersChanged?.();
  }

  clusterVersionChanged(version: string): void {
    for (const target of this.targets) target.clusterVersionChanged?.(version);
  }

  downgradeChanged(): void {
    for (const target of this.targets) target.downgradeChanged?.();
  }

  stateReplaced(): void {
    for (const target of this.targets) target.stateReplaced?.();
  }
}
