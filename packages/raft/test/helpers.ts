// One node by itself, and a group of nodes on a network that delivers at once, both with synchronous writes.

import assert from "node:assert/strict";
import { bytesToUtf8, SeededRandom, utf8ToBytes } from "@etcd-ts/base";
import {
  ConfChangeSingle,
  type ConfChangeType,
  ConfChangeV2,
  ConfState,
  decodeConfChangeEntry,
  Entry,
  EntryType,
  HardState,
  isConfChangeEntry,
  MemoryLog,
  Message,
  MessageType,
  type RaftConfig,
  RawNode,
  type ReadState,
  type Ready,
  Role,
  Snapshot,
  SnapshotMetadata,
} from "../src/index.ts";

export interface NodeOptions extends Partial<Omit<RaftConfig, "log">> {
  /** 1, 2, 3 by default. */
  readonly voters?: readonly bigint[];
  readonly learners?: readonly bigint[];
  /** Terms of the entries from index 1 on. */
  readonly terms?: readonly number[];
  readonly term?: number;
  readonly vote?: bigint;
  readonly commit?: number;
}

export class TestNode {
  readonly id: bigint;
  readonly log: MemoryLog;
  readonly raw: RawNode;
  readonly applied: Entry[] = [];
  readonly reads: ReadState[] = [];
  confState: ConfState;

  constructor(options: NodeOptions = {}) {
    this.id = options.id ?? 1n;
    this.log = makeLog(options);
    this.confState = this.log.initialState().confState;
    this.raw = new RawNode({
      electionTicks: 10,
      heartbeatTicks: 1,
      inflightMessagesMax: 256,
      random: new SeededRandom(Number(this.id)),
      ...options,
      id: this.id,
      log: this.log,
    });
  }

  get role(): Role {
    return this.raw.basicStatus().role;
  }

  get term(): number {
    return this.raw.basicStatus().term;
  }

  get lead(): bigint {
    return this.raw.basicStatus().lead;
  }

  get commit(): number {
    return this.raw.basicStatus().commit;
  }

  /** Terms of the whole log, from the first index on. */
  get terms(): number[] {
    const terms: number[] = [];
    for (let i = this.log.firstIndex(); i <= this.raw.basicStatus().lastIndex; i++) {
      terms.push(this.raw.termAt(i) as number);
    }
    return terms;
  }

  get appliedTexts(): string[] {
    return this.applied
      .filter((entry) => entry.type === EntryType.EntryNormal && entry.data.length > 0)
      .map((entry) => bytesToUtf8(entry.data));
  }

  propose(...texts: string[]): string {
    return this.raw.propose(texts.map(utf8ToBytes));
  }

  tick(count: number): void {
    for (let i = 0; i < count; i++) this.raw.tick();
  }

  /** One Ready, done. */
  handle(): Ready {
    const ready = this.raw.ready();
    if (ready.hardState !== undefined) this.log.setHardState(ready.hardState);
    if (ready.snapshot !== undefined) assert.ok(this.log.applySnapshot(ready.snapshot));
    this.log.append(ready.entries);
    this.reads.push(...ready.readStates);
    for (const entry of ready.committedEntries) {
      this.applied.push(entry);
      if (isConfChangeEntry(entry)) {
        this.confState = this.raw.applyConfChange(decodeConfChangeEntry(entry)!);
      }
    }
    this.raw.advance();
    return ready;
  }

  /** Every Ready that there is. Gives back all messages. */
  drain(): Message[] {
    const messages: Message[] = [];
    while (this.raw.hasReady()) messages.push(...this.handle().messages);
    return messages;
  }

  /** Wins an election with the votes of `voters`, and sends nothing of it. */
  winElection(voters: readonly bigint[] = [2n, 3n]): this {
    const answer = (type: MessageType, term: number): void => {
      for (const from of voters) {
        this.raw.step(message(type, { from, to: this.id, term }));
        this.drain();
      }
    };
    this.raw.campaign();
    this.drain();
    if (this.role === Role.preCandidate) answer(MessageType.MsgPreVoteResp, this.term + 1);
    answer(MessageType.MsgVoteResp, this.term);
    assert.equal(this.role, Role.leader);
    return this;
  }
}

export function makeLog(options: NodeOptions): MemoryLog {
  const log = new MemoryLog();
  const confState = new ConfState();
  confState.voters = [...(options.voters ?? [1n, 2n, 3n])];
  confState.learners = [...(options.learners ?? [])];
  log.applySnapshot(makeSnapshot(0, 0, confState));
  log.append(entriesOf(1, ...(options.terms ?? [])));
  const hardState = new HardState();
  hardState.term = options.term ?? options.terms?.at(-1) ?? 0;
  hardState.vote = options.vote ?? 0n;
  hardState.commit = options.commit ?? 0;
  log.setHardState(hardState);
  return log;
}

/** Entries from `first` on with these terms. */
export function entriesOf(first: number, ...terms: number[]): Entry[] {
  return terms.map((term, i) => {
    const entry = new Entry();
    entry.index = first + i;
    entry.term = term;
    return entry;
  });
}

export function makeSnapshot(index: number, term: number, confState: ConfState): Snapshot {
  const snapshot = new Snapshot();
  snapshot.metadata = new SnapshotMetadata();
  snapshot.metadata.index = index;
  snapshot.metadata.term = term;
  snapshot.metadata.confState = confState;
  return snapshot;
}

export function confStateOf(...voters: bigint[]): ConfState {
  const state = new ConfState();
  state.voters = voters;
  return state;
}

export function message(type: number, fields: Partial<Message> = {}): Message {
  return Object.assign(new Message(), fields, { type });
}

export function confChange(...changes: [type: ConfChangeType, nodeId: bigint][]): ConfChangeV2 {
  const change = new ConfChangeV2();
  change.changes = changes.map(([type, nodeId]) => {
    const single = new ConfChangeSingle();
    single.type = type;
    single.nodeId = nodeId;
    return single;
  });
  return change;
}

export function ofType(messages: readonly Message[], type: MessageType): Message[] {
  return messages.filter((each) => each.type === type);
}

// --- groups ---------------------------------------------------------------------------------------

export class Group {
  readonly nodes: Map<bigint, TestNode> = new Map();
  /** Messages for which this is true get lost. */
  loses: (message: Message) => boolean = () => false;
  readonly #waiting: Message[] = [];

  constructor(nodes: readonly TestNode[]) {
    for (const node of nodes) this.nodes.set(node.id, node);
  }

  static of(count: number, options: NodeOptions = {}): Group {
    const voters = Array.from({ length: count }, (_, i) => BigInt(i + 1));
    return new Group(voters.map((id) => new TestNode({ voters, ...options, id })));
  }

  node(id: bigint): TestNode {
    return this.nodes.get(id)!;
  }

  /** Until nothing happens any more. */
  settle(): void {
    for (let round = 0; round < 1000; round++) {
      for (const node of this.nodes.values()) this.#waiting.push(...node.drain());
      if (this.#waiting.length === 0) return;
      for (const each of this.#waiting.splice(0)) {
        const isLost = this.loses(each) || !this.nodes.has(each.to);
        if (!isLost) this.node(each.to).raw.step(each);
        if (each.type === MessageType.MsgSnap) {
          this.node(each.from).raw.reportSnapshot(each.to, !isLost);
        }
      }
    }
    assert.fail("the group does not come to rest");
  }

  /** Nothing reaches these nodes, and nothing leaves them. */
  isolate(...ids: bigint[]): void {
    this.loses = ({ from, to }) => ids.includes(from) || ids.includes(to);
  }

  heal(): void {
    this.loses = () => false;
  }

  elect(id: bigint): TestNode {
    this.node(id).raw.campaign();
    this.settle();
    assert.equal(this.node(id).role, Role.leader);
    return this.node(id);
  }
}
