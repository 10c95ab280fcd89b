// A group of nodes, a network that loses, repeats and reorders, and dice. One seed gives one history.

import { SeededRandom, utf8ToBytes } from "@etcd-ts/base";
import {
  ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  ConfChangeV2,
  ConfState,
  decodeMessage,
  Entry,
  EntryType,
  encodeMessage,
  type Message,
  MessageType,
  Role,
  Snapshot,
  SnapshotMetadata,
} from "../../src/index.ts";
import { Checker } from "./checker.ts";
import { Node, type NodeSettings, type PlantedBug } from "./node.ts";

interface Packet {
  readonly from: bigint;
  readonly to: bigint;
  readonly isSnapshot: boolean;
  readonly bytes: Uint8Array;
}

/** How often things go wrong, of a thousand times. */
interface FaultRates {
  readonly crash: number;
  readonly campaign: number;
  readonly loss: number;
  readonly repeat: number;
  readonly reorder: number;
  readonly cut: number;
  readonly join: number;
  readonly clock: number;
}

/** How often they are drawn from the seed as well. */
function drawRates(random: SeededRandom): FaultRates {
  return {
    crash: random.pick([1, 4, 30]),
    campaign: random.pick([0, 5, 40]),
    loss: random.pick([0, 10, 40, 150]),
    repeat: random.pick([0, 50]),
    reorder: random.pick([0, 100, 400]),
    cut: random.pick([0, 5, 15]),
    join: random.pick([2, 20]),
    clock: random.pick([0, 10]),
  };
}

/** Circumstances in which a planted bug does harm. */
const plantedRates: Readonly<Record<PlantedBug, Partial<FaultRates>>> = {
  none: {},
  "promise-before-sync": { crash: 30 },
  "forget-votes": { crash: 60, campaign: 80, loss: 0, cut: 0 },
  "corrupt-entries": {},
  "trust-stopped-clock": { crash: 1, campaign: 0, loss: 0, cut: 10, join: 3, clock: 20 },
};

const idsMax = 6;

export class World {
  readonly checker: Checker = new Checker();
  readonly nodes: Node[] = [];
  readonly #random: SeededRandom;
  readonly #bug: PlantedBug;
  readonly #settings: NodeSettings;
  readonly #rates: FaultRates;
  #packets: Packet[] = [];
  /** Nodes in different parts do not reach each other. */
  readonly #part = new Map<bigint, number>();
  /** The clock of this node stands still. */
  #stopped: bigint | undefined;
  #proposals = 0;

  constructor(seed: number, bug: PlantedBug = "none") {
    const random = new SeededRandom(seed);
    this.#random = random;
    this.#bug = bug;
    const lease = bug === "trust-stopped-clock";
    this.#settings = {
      asyncStorageWrites: bug === "promise-before-sync" || random.chance(1, 2),
      preVote: random.chance(1, 2),
      checkQuorum: lease || random.chance(1, 2),
      readMode: lease ? "lease" : "safe",
      stepDownOnRemoval: random.chance(1, 2),
      messageBytesMax: random.pick([0, 60, Number.POSITIVE_INFINITY]),
      inflightMessagesMax: random.pick([1, 3, 256]),
      applyBytesMax: random.pick([1, 80, Number.POSITIVE_INFINITY]),
      uncommittedBytesMax: random.pick([200, Number.POSITIVE_INFINITY]),
    };
    this.#rates = { ...drawRates(random), ...plantedRates[bug] };
    const first = foundingSnapshot(random.pick([1, 2, 3, 3, 5]));
    for (let id = 1n; id <= BigInt(idsMax); id++) {
      const founder = first.metadata!.confState!.voters.includes(id);
      const world = { random: random.fork(`node ${id}`), checker: this.checker, bug };
      this.nodes.push(new Node(id, this.#settings, founder ? first : undefined, world));
      this.#part.set(id, 0);
    }
    // The founding snapshot stands for the first entry.
    this.checker.applied(0n, foundingEntry());
  }

  /** One random event. */
  step(): void {
    const random = this.#random;
    const node = random.pick(this.nodes);
    if (random.chance(this.#rates.crash, 1000)) node.crash();
    if (random.chance(this.#rates.campaign, 1000)) {
      // Often two at once, so that votes are split.
      node.raw.campaign();
      if (random.chance(1, 2)) random.pick(this.nodes).raw.campaign();
    }
    if (random.chance(this.#rates.cut, 1000)) this.#cut();
    if (random.chance(this.#rates.join, 1000)) this.#join();
    if (random.chance(this.#rates.clock, 1000)) this.#stopClock();
    const dice = random.below(1000);
    if (dice < 350) this.#deliverOne();
    else if (dice < 650) this.#handle(this.#nodeWith((other) => other.raw.hasReady()));
    else if (dice < 780) this.#send(this.#nodeWith((other) => other.hasWork)?.work() ?? []);
    else if (dice < 840) this.#tickAll();
    else if (dice < 880) this.#propose(this.#newestLeader() ?? node);
    else if (dice < 910) node.askRead();
    else if (dice < 925) this.#changeMembers();
    else if (dice < 935) node.raw.transferLeader(random.pick(this.nodes).id);
    else if (dice < 945) node.raw.reportUnreachable(random.pick(this.nodes).id);
    else if (dice < 948) node.raw.forgetLeader();
    else if (dice < 960) node.compact(random.below(6));
    else this.#propose(node);
    this.#lookAtLeaders();
  }

  /**
   * With a network that works and nobody crashing, does the group come to agree on something new? One way
   * of being stuck is known and has its own answer, see `#isBlocked`.
   */
  heal(): "agreed" | "stuck" | "blocked" {
    this.#join();
    this.#stopped = undefined;
    let target: number | undefined;
    for (let round = 0; round < 400; round++) {
      for (const node of this.nodes) node.raw.tick();
      this.#settle();
      const leader = this.#newestLeader();
      const ahead = this.nodes.reduce((a, b) => (b.appliedIndex > a.appliedIndex ? b : a));
      const state = ahead.confState;
      if (leader === undefined || state === undefined) continue;
      // A removed leader leads on, dropping proposals, until somebody takes over.
      const isMember = state.voters.includes(leader.id) || state.learners.includes(leader.id);
      if (!isMember) leader.raw.transferLeader(this.#random.pick(state.voters));
      // Who was added after the last snapshot cannot use it.
      if (round % 10 === 0) leader.compact(0);
      if (state.votersOutgoing.length > 0 && round % 5 === 0)
        leader.raw.proposeConfChange(undefined);
      if (round % 20 === 10) {
        if (leader.raw.propose([utf8ToBytes("after healing")]) === "ok") {
          target ??= this.checker.committedIndex + 1;
        }
        leader.askRead();
      }
      const done =
        target !== undefined &&
        state.votersOutgoing.length === 0 &&
        [...state.voters, ...state.learners].every(
          (id) => this.#nodeOf(id).appliedIndex >= target!,
        );
      if (done) return "agreed";
    }
    return this.#isBlocked() ? "blocked" : "stuck";
  }

  /**
   * A leader that applies its own removal (or demotion) and goes away leaves the others with a committed
   * change of which they do not know that it is. As long as they have not applied it they need its vote,
   * and it refuses when it holds more entries, none of them committed. That is the price of configurations
   * that take effect when they are applied; operators transfer leadership first.
   */
  #isBlocked(): boolean {
    const state = (node: Node) => node.raw.status();
    return this.nodes.some((gone) => {
      if (state(gone).configuration.isVoter(gone.id)) return false;
      return this.nodes.some(
        (needy) =>
          state(needy).configuration.isVoter(gone.id) &&
          state(needy).configuration.isVoter(needy.id) &&
          state(needy).commit < state(gone).commit &&
          state(needy).lastIndex < state(gone).lastIndex,
      );
    });
  }

  // --- events -------------------------------------------------------------------------------------

  #settle(): void {
    for (let round = 0; round < 60; round++) {
      for (const node of this.nodes) {
        while (node.raw.hasReady()) this.#handle(node, false);
        for (let i = 0; i < 12 && node.hasWork; i++) this.#send(node.work());
      }
      this.#lookAtLeaders();
      if (this.#packets.length === 0) return;
      for (const packet of this.#packets.splice(0)) this.#deliver(packet);
    }
  }

  #handle(node: Node | undefined, mayCrash = true): void {
    if (node !== undefined) this.#send(node.handleReady(mayCrash) ?? []);
  }

  /** A node that has something to do. */
  #nodeWith(isBusy: (node: Node) => boolean): Node | undefined {
    const start = this.#random.below(this.nodes.length);
    for (let i = 0; i < this.nodes.length; i++) {
      const node = this.nodes[(start + i) % this.nodes.length]!;
      if (isBusy(node)) return node;
    }
    return undefined;
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#packets.push({
        from: message.from,
        to: message.to,
        isSnapshot: message.type === MessageType.MsgSnap,
        bytes: encodeMessage(message),
      });
    }
  }

  #deliverOne(): void {
    if (this.#packets.length === 0) return;
    const random = this.#random;
    const at = random.chance(this.#rates.reorder, 1000) ? random.below(this.#packets.length) : 0;
    const packet = this.#packets[at]!;
    const repeated = random.chance(this.#rates.repeat, 1000) && !packet.isSnapshot;
    if (!repeated) this.#packets.splice(at, 1);
    const cut = this.#part.get(packet.from) !== this.#part.get(packet.to);
    if (cut || random.chance(this.#rates.loss, 1000)) {
      if (!repeated) this.#lost(packet);
    } else {
      this.#deliver(packet);
    }
  }

  #deliver(packet: Packet): void {
    const message = decodeMessage(packet.bytes);
    if (
      this.#bug === "corrupt-entries" &&
      message.entries.length > 0 &&
      this.#random.chance(1, 50)
    ) {
      const entry = message.entries[0]!;
      if (entry.type === EntryType.EntryNormal) entry.data = utf8ToBytes("corrupt");
    }
    this.#nodeOf(packet.to).raw.step(message);
    if (packet.isSnapshot) this.#nodeOf(packet.from).raw.reportSnapshot(packet.to, true);
  }

  #lost(packet: Packet): void {
    if (packet.isSnapshot) this.#nodeOf(packet.from).raw.reportSnapshot(packet.to, false);
  }

  #tickAll(): void {
    for (const node of this.nodes) {
      if (node.id !== this.#stopped && this.#random.chance(9, 10)) node.raw.tick();
    }
  }

  #propose(node: Node): void {
    const count = 1 + this.#random.below(3);
    const datas: Uint8Array[] = [];
    for (let i = 0; i < count; i++) datas.push(utf8ToBytes(`proposal ${this.#proposals++}`));
    node.raw.propose(datas);
  }

  #changeMembers(): void {
    const leader = this.#newestLeader();
    if (leader?.confState === undefined) return;
    const change = new ConfChangeV2();
    change.transition = this.#random.pick([
      ConfChangeTransition.Auto,
      ConfChangeTransition.Auto,
      ConfChangeTransition.JointImplicit,
      ConfChangeTransition.JointExplicit,
    ]);
    const voters = new Set(leader.confState.voters);
    const count = this.#random.below(4);
    for (let i = 0; i < count; i++) {
      const single = new ConfChangeSingle();
      single.nodeId = BigInt(1 + this.#random.below(idsMax));
      single.type = this.#random.pick([
        ConfChangeType.AddNode,
        ConfChangeType.AddNode,
        ConfChangeType.RemoveNode,
        ConfChangeType.AddLearnerNode,
        ConfChangeType.UpdateNode,
      ]);
      if (single.type === ConfChangeType.AddNode) voters.add(single.nodeId);
      if (single.type === ConfChangeType.RemoveNode) voters.delete(single.nodeId);
      if (single.type === ConfChangeType.AddLearnerNode) voters.delete(single.nodeId);
      change.changes.push(single);
    }
    // Whoever proposes must see to it that the change can be applied.
    if (voters.size > 0) leader.raw.proposeConfChange(change);
  }

  #join(): void {
    for (const node of this.nodes) this.#part.set(node.id, 0);
  }

  #stopClock(): void {
    const isStopped = this.#random.chance(1, 2);
    this.#stopped = isStopped
      ? (this.#newestLeader() ?? this.#random.pick(this.nodes)).id
      : undefined;
  }

  #cut(): void {
    const leader = this.#newestLeader();
    if (leader !== undefined && this.#random.chance(1, 2)) {
      this.#join();
      this.#part.set(leader.id, 1);
      return;
    }
    for (const node of this.nodes) this.#part.set(node.id, this.#random.below(2));
  }

  #lookAtLeaders(): void {
    for (const node of this.nodes) {
      const { role, term } = node.raw.basicStatus();
      if (role !== Role.leader) continue;
      if (this.checker.leader(node.id, term)) {
        this.checker.leaderLog(node.id, term, (index) => node.raw.termAt(index));
      }
    }
  }

  #newestLeader(): Node | undefined {
    let newest: Node | undefined;
    for (const node of this.nodes) {
      const { role, term } = node.raw.basicStatus();
      if (role !== Role.leader) continue;
      if (newest === undefined || term > newest.raw.basicStatus().term) newest = node;
    }
    return newest;
  }

  #nodeOf(id: bigint): Node {
    return this.nodes[Number(id) - 1]!;
  }
}

/** A group of `count` voters at index 1 of term 1. */
function foundingSnapshot(count: number): Snapshot {
  const confState = new ConfState();
  for (let id = 1n; id <= BigInt(count); id++) confState.voters.push(id);
  const metadata = new SnapshotMetadata();
  metadata.index = 1;
  metadata.term = 1;
  metadata.confState = confState;
  const snapshot = new Snapshot();
  snapshot.metadata = metadata;
  return snapshot;
}

function foundingEntry(): Entry {
  const entry = new Entry();
  entry.index = 1;
  entry.term = 1;
  return entry;
}
