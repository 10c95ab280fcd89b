// What a machine is made of, all rebuilt from the backend when it is opened and when its content was replaced. The parts
// know each other, so they are made together, and exchanged together.

import { Alarms } from "./alarms.ts";
import { Applier, type MachineOptions } from "./applier.ts";
import { Compaction } from "./compaction.ts";
import { Leases } from "./leases.ts";
import { Members } from "./members.ts";
import { type MachineConfState, Meta } from "./meta.ts";
import { Store } from "./store.ts";

export class MachineState {
  readonly leases: Leases;
  readonly alarms: Alarms;
  readonly members: Members;
  readonly store: Store;
  readonly meta: Meta;
  readonly compaction: Compaction;
  readonly applier: Applier;
  appliedIndex: number;
  appliedTerm: number;
  /** Applied index that the backend's batches hold. */
  sealedIndex: number;
  confState: MachineConfState | undefined;
  storageVersion: string;

  /** All but the key index, the leases and the revisions, which `StateOpening` brings back. */
  constructor(options: MachineOptions) {
    const { backend } = options;
    this.leases = new Leases(backend);
    this.alarms = new Alarms(backend);
    this.members = new Members(backend, options.learnersMax ?? 1);
    this.store = new Store(backend, this.leases);
    this.meta = new Meta(backend);
    this.compaction = new Compaction(this.store, this.meta);
    const applied = this.meta.readApplied();
    this.appliedIndex = applied.index;
    this.appliedTerm = applied.term;
    this.sealedIndex = applied.index;
    this.confState = this.meta.readConfState();
    this.storageVersion = this.meta.readStorageVersion();
    this.members.restore();
    this.alarms.restore();
    this.applier = new Applier(this, options);
  }

  /** The content of the backend is another one now: whoever still reads through these parts comes to an end. */
  abandon(): void {
    this.store.isReplaced = true;
    this.compaction.abandon();
  }
}
