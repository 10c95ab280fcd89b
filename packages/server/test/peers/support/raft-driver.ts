// A tiny member: raft over a log in memory, synchronous writes, a state machine that counts. Enough to take
// part in a cluster through real links, against members of ours and of others.

import { LeaseTimeToLiveResponse } from "@etcd-ts/api";
import type { Bytes, Host, Timer } from "@etcd-ts/base";
import type { Member } from "@etcd-ts/machine";
import {
  type BootstrapPeer,
  ConfState,
  decodeConfChange,
  type Entry,
  EntryType,
  MemoryLog,
  type Message,
  RawNode,
} from "@etcd-ts/raft";
import type { PeerLinks } from "../../../src/peers/peer-links.ts";
import type { OutgoingSnapshot, PeerAnswers, PeerSeams } from "../../../src/peers/seams.ts";

export interface DriverOptions {
  readonly host: Host;
  readonly links: PeerLinks;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly founders: readonly BootstrapPeer[];
  readonly electionTicks: number;
  readonly preVote: boolean;
  readonly members: () => readonly Member[];
}

export class RaftDriver implements PeerSeams {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly host: Host;
  readonly links: PeerLinks;
  readonly log: MemoryLog = new MemoryLog();
  readonly node: RawNode;
  readonly applied: Entry[] = [];
  readonly receivedTypes: Set<number> = new Set();
  readonly snapshotFolder = "/nowhere";
  readonly answers: PeerAnswers;
  removedCount = 0;
  commitIndex = 0;
  leader = 0n;
  #inbox: Message[] = [];
  #timer: Timer | undefined;
  #scheduled = false;
  #stopped = false;
  #confState = new ConfState();

  constructor(options: DriverOptions) {
    this.memberId = options.memberId;
    this.clusterId = options.clusterId;
    this.host = options.host;
    this.links = options.links;
    this.node = new RawNode({
      id: options.memberId,
      log: this.log,
      random: options.host.random,
      electionTicks: options.electionTicks,
      heartbeatTicks: 1,
      inflightMessagesMax: 256,
      messageBytesMax: 1 << 20,
      checkQuorum: true,
      preVote: options.preVote,
    });
    this.node.bootstrap([...options.founders]);
    this.answers = {
      clusterVersion: "",
      storageVersion: "",
      members: options.members,
      promote: async () => ({ code: 9, message: "not here" }),
      renewLease: async () => ({ failure: "not-found" }),
      leaseTimeToLive: async () => new LeaseTimeToLiveResponse(),
      hashKv: async () => ({ failure: "other", message: "not here" }),
      downgradeEnabled: async () => false,
    };
    this.links.start(this);
    this.#tick();
    this.#wake();
  }

  propose(data: Bytes): boolean {
    const outcome = this.node.propose([data]);
    this.#wake();
    return outcome === "ok";
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.links.stop();
  }

  // --- PeerSeams --------------------------------------------------------------------------------------

  receive(message: Message): boolean {
    this.#inbox.push(message);
    this.#wake();
    return true;
  }

  reportUnreachable(id: bigint): void {
    this.node.reportUnreachable(id);
    this.#wake();
  }

  reportSnapshot(id: bigint, succeeded: boolean): void {
    this.node.reportSnapshot(id, succeeded);
    this.#wake();
  }

  isRemoved(): boolean {
    return false;
  }

  strictMemberMet(): void {}

  removedFromCluster(): void {
    this.removedCount++;
  }

  openSnapshot(): Promise<OutgoingSnapshot> {
    return Promise.reject(new Error("no snapshots here"));
  }

  inspectDatabase(): Promise<void> {
    return Promise.reject(new Error("no snapshots here"));
  }

  // --- the loop ---------------------------------------------------------------------------------------

  #tick(): void {
    this.#timer = this.host.timers.after(100, () => {
      if (this.#stopped) return;
      this.node.tick();
      this.#wake();
      this.#tick();
    });
  }

  #wake(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.host.timers.soon(() => {
      this.#scheduled = false;
      if (!this.#stopped) this.#turn();
    });
  }

  #turn(): void {
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const message of inbox) {
      this.receivedTypes.add(message.type);
      this.node.step(message);
    }
    while (this.node.hasReady()) {
      const ready = this.node.ready();
      if (ready.softState !== undefined) this.leader = ready.softState.lead;
      if (ready.snapshot !== undefined) throw new Error("no snapshots here");
      if (ready.hardState !== undefined) {
        this.log.setHardState(ready.hardState);
        this.commitIndex = ready.hardState.commit;
      }
      this.log.append(ready.entries);
      for (const message of ready.messages) this.links.send(message);
      for (const entry of ready.committedEntries) this.#apply(entry);
      this.node.advance();
    }
  }

  #apply(entry: Entry): void {
    this.applied.push(entry);
    if (entry.type !== EntryType.EntryConfChange) return;
    const change = decodeConfChange(entry.data);
    this.#confState = this.node.applyConfChange(change);
  }

  get voters(): readonly bigint[] {
    return this.#confState.voters;
  }
}
