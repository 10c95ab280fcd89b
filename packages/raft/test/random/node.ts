// A node of the random histories: the production core on a disk that loses what was not synced.
//
// The disk is a list of records, of which a crash keeps the synced ones and any number of those behind. With
// synchronous writes a record is synced before messages leave (but for a leader's, which may leave before);
// with asynchronous ones records wait in queues, and responses leave after the sync that covers them.

import { bytesToUtf8, type SeededRandom, utf8ToBytes } from "@etcd-ts/base";
import {
  type ConfState,
  decodeConfChangeEntry,
  type Entry,
  type HardState,
  isConfChangeEntry,
  isStorageThread,
  MemoryLog,
  type Message,
  MessageType,
  type RaftConfig,
  HardState as RaftHardState,
  RawNode,
  type Ready,
  Role,
  type Snapshot,
} from "../../src/index.ts";
import type { Checker } from "./checker.ts";

interface DiskRecord {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | undefined;
}

/** What goes wrong on purpose, to see that it is noticed. */
export type PlantedBug =
  | "none"
  /** Promises leave before what they promise is durable. */
  | "promise-before-sync"
  /** Votes are not written down. */
  | "forget-votes"
  /** A message is changed on its way. */
  | "corrupt-entries"
  /** Reads trust a clock that stands still. */
  | "trust-stopped-clock";

export type NodeSettings = Pick<
  RaftConfig,
  | "asyncStorageWrites"
  | "preVote"
  | "checkQuorum"
  | "readMode"
  | "stepDownOnRemoval"
  | "messageBytesMax"
  | "inflightMessagesMax"
  | "applyBytesMax"
  | "uncommittedBytesMax"
>;

interface PendingWork {
  readonly message: Message;
  /** Number of records that must be synced before the responses leave. */
  readonly recordsBefore: number;
}

export class Node {
  readonly id: bigint;
  readonly #settings: NodeSettings;
  readonly #random: SeededRandom;
  readonly #checker: Checker;
  readonly #bug: PlantedBug;
  #records: DiskRecord[] = [];
  #syncedCount = 0;
  #appendWork: Message[] = [];
  #unsyncedWork: PendingWork[] = [];
  #applyWork: Message[] = [];
  #lastCommit = 0;
  #appliedIndex = 0;
  #confState: ConfState | undefined;
  #reads = new Map<string, number>();
  #readCount = 0;
  log: MemoryLog;
  raw: RawNode;

  constructor(
    id: bigint,
    settings: NodeSettings,
    first: Snapshot | undefined,
    world: { random: SeededRandom; checker: Checker; bug: PlantedBug },
  ) {
    this.id = id;
    this.#settings = settings;
    this.#random = world.random;
    this.#checker = world.checker;
    this.#bug = world.bug;
    if (first !== undefined) {
      this.#records.push({ hardState: undefined, entries: [], snapshot: first });
      this.#syncedCount = 1;
    }
    this.log = this.#replay();
    this.raw = this.#start();
  }

  get isLeader(): boolean {
    return this.raw.basicStatus().role === Role.leader;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get confState(): ConfState | undefined {
    return this.#confState;
  }

  /** Asynchronous writes: a thread has something to do. */
  get hasWork(): boolean {
    return this.#appendWork.length + this.#unsyncedWork.length + this.#applyWork.length > 0;
  }

  /** Loses memory and whatever part of the disk was not synced, and starts again. */
  crash(): void {
    const kept = this.#random.below(this.#records.length - this.#syncedCount + 1);
    this.#records.length = this.#syncedCount + kept;
    this.#syncedCount = this.#records.length;
    this.#appendWork = [];
    this.#unsyncedWork = [];
    this.#applyWork = [];
    this.#reads.clear();
    this.log = this.#replay();
    this.raw = this.#start();
  }

  askRead(): void {
    const context = `${this.id}-${this.#readCount++}`;
    this.#reads.set(context, this.#checker.committedIndex);
    this.raw.readIndex(utf8ToBytes(context));
  }

  /** Handles a Ready. Gives back what leaves; a crash may come at any point, and then undefined. */
  handleReady(mayCrash: boolean): Message[] | undefined {
    const ready = this.raw.ready();
    this.#observe(ready);
    if (this.#settings.asyncStorageWrites) {
      return ready.messages.filter((message) => {
        if (!isStorageThread(message.to)) return true;
        const isAppend = message.type === MessageType.MsgStorageAppend;
        (isAppend ? this.#appendWork : this.#applyWork).push(message);
        return false;
      });
    }
    const crashPoint = mayCrash && this.#random.chance(1, 60) ? this.#random.below(4) : -1;
    const early = this.isLeader && ready.messages.every((m) => m.type !== MessageType.MsgSnap);
    if (crashPoint === 0) return this.#crashed(early ? ready.messages : undefined);
    this.#write(ready.hardState, ready.entries, ready.snapshot);
    if (crashPoint === 1) return this.#crashed(early ? ready.messages : undefined);
    if (ready.mustSync || ready.snapshot !== undefined || this.#random.chance(1, 4)) this.#sync();
    if (crashPoint === 2) return this.#crashed(ready.messages);
    this.#apply(ready.committedEntries);
    if (crashPoint === 3) return this.#crashed(ready.messages);
    this.raw.advance();
    return ready.messages;
  }

  /** Asynchronous writes: one piece of work of one thread. Gives back what leaves. */
  work(): Message[] {
    const what = this.#random.below(4);
    if (what === 0 && this.#appendWork.length > 0) {
      const message = this.#appendWork.shift()!;
      let hardState: HardState | undefined;
      if (message.term !== 0) {
        hardState = new RaftHardState();
        hardState.term = message.term;
        hardState.vote = message.vote;
        hardState.commit = message.commit;
      }
      this.#write(hardState, message.entries, message.snapshot);
      if (this.#bug === "promise-before-sync") return this.#deliver(message.responses);
      this.#unsyncedWork.push({ message, recordsBefore: this.#records.length });
    } else if (what === 1 && this.#unsyncedWork.length > 0) {
      // One sync covers any number of writes.
      this.#sync();
      const done = this.#unsyncedWork.splice(0);
      return done.flatMap(({ message, recordsBefore }) =>
        recordsBefore <= this.#syncedCount ? this.#deliver(message.responses) : [],
      );
    } else if (this.#applyWork.length > 0) {
      const message = this.#applyWork.shift()!;
      this.#apply(message.entries);
      return this.#deliver(message.responses);
    }
    return [];
  }

  /** Takes a snapshot of the state and cuts the log behind it, leaving `slack` entries. */
  compact(slack: number): void {
    const index = this.#appliedIndex;
    // The application must not be ahead of its own disk.
    if (index > this.log.lastIndex() || index < this.log.firstIndex()) return;
    if (this.#confState === undefined) return;
    const data = utf8ToBytes(`state at ${index}`);
    const snapshot = this.log.createSnapshot(index, this.#confState, data);
    if (snapshot === undefined) return;
    this.#sync();
    this.#records.push({ hardState: undefined, entries: [], snapshot });
    this.#checker.seen.snapshots += 1;
    this.log.compact(Math.max(index - slack, this.log.firstIndex() - 1));
  }

  // --- details ------------------------------------------------------------------------------------

  #crashed(sent: Message[] | undefined): Message[] | undefined {
    this.crash();
    return sent;
  }

  #start(): RawNode {
    const snapshotState = this.log.initialState().confState;
    this.#confState = snapshotState.voters.length > 0 ? snapshotState : undefined;
    this.#appliedIndex = this.log.firstIndex() - 1;
    this.#lastCommit = 0;
    return new RawNode({
      ...this.#settings,
      id: this.id,
      log: this.log,
      random: this.#random,
      electionTicks: 6,
      heartbeatTicks: 1,
    });
  }

  /** The log as the disk has it. */
  #replay(): MemoryLog {
    const log = new MemoryLog();
    for (const { hardState, entries, snapshot } of this.#records) {
      if (hardState !== undefined) log.setHardState(hardState);
      if (snapshot !== undefined) {
        const { index, term } = snapshot.metadata!;
        const kept =
          log.term(index) === term ? log.entries(index + 1, log.lastIndex() + 1, Infinity) : [];
        log.applySnapshot(snapshot);
        if (Array.isArray(kept)) log.append(kept);
      }
      log.append(entries);
    }
    return log;
  }

  #write(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): void {
    if (hardState === undefined && entries.length === 0 && snapshot === undefined) return;
    let stored = hardState;
    if (stored !== undefined && this.#bug === "forget-votes") {
      stored = new RaftHardState();
      stored.term = hardState!.term;
      stored.commit = hardState!.commit;
    }
    this.#records.push({ hardState: stored, entries, snapshot });
    if (stored !== undefined) this.log.setHardState(stored);
    if (snapshot !== undefined) this.#install(snapshot);
    if (entries.length > 0) {
      const before = this.log.term(entries[0]!.index - 1);
      this.#checker.appended(entries, typeof before === "number" ? before : undefined);
      this.log.append(entries);
    }
  }

  #install(snapshot: Snapshot): void {
    const metadata = snapshot.metadata!;
    this.log.applySnapshot(snapshot);
    this.#appliedIndex = Math.max(this.#appliedIndex, metadata.index);
    this.#confState = metadata.confState;
  }

  #sync(): void {
    this.#syncedCount = this.#records.length;
  }

  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      // Below a snapshot that has come in the meantime.
      const old = entry.index <= this.#appliedIndex;
      this.#checker.applied(this.id, entry);
      if (isConfChangeEntry(entry) && !old) {
        const change = decodeConfChangeEntry(entry)!;
        this.#confState = this.raw.applyConfChange(change, entry.index);
        this.#checker.seen.changes += 1;
      }
      if (old) continue;
      if (entry.index !== this.#appliedIndex + 1) {
        throw new Error(`node ${this.id} applies ${entry.index} after ${this.#appliedIndex}`);
      }
      this.#appliedIndex = entry.index;
    }
  }

  /** Responses to ourselves are taken at once, the others leave. */
  #deliver(responses: readonly Message[]): Message[] {
    return responses.filter((message) => {
      if (message.to !== this.id) return true;
      this.raw.step(message);
      return false;
    });
  }

  #observe(ready: Ready): void {
    const status = this.raw.basicStatus();
    this.#checker.commitIndex(this.id, this.#lastCommit, status.commit);
    this.#lastCommit = status.commit;
    for (const { index, context } of ready.readStates) {
      const key = bytesToUtf8(context);
      const before = this.#reads.get(key);
      if (before === undefined) continue;
      this.#reads.delete(key);
      this.#checker.read(this.id, index, before);
    }
  }
}
