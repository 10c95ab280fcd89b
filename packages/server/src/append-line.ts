// The way of raft's appends into the log, in their order, and back to raft when they are durable.
//
//     persist ──► log ──► durable ──take──► raft hears of it
//        │
//        └─ with a snapshot: arrived ──► its record and its commit index in the log ──► … installed
//               what comes behind waits until the record is there, and is answered when it is installed
//
// A commit index alone is nobody's business: it waits for the next append, or the next tick, since losing it
// costs nothing.

import { assert } from "@etcd-ts/base";
import { type ConfState, type Entry, HardState, type Message, type Snapshot } from "@etcd-ts/raft";
import { DiskWatch } from "./disk-watch.ts";

/** Index, term and configuration, as the log records them. */
export interface WalSnapshotPoint {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
}

/** What the loop needs of the write-ahead log. */
export interface LogWriter {
  append(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    mustSync: boolean,
    done: (error: Error | undefined) => void,
  ): void;
  /** Records a snapshot; what is appended in the same turn leaves with it. */
  saveSnapshot(point: WalSnapshotPoint): Promise<void>;
  /** Appends wait from here on for `flush`, which sends them off together. */
  hold(): void;
  flush(): void;
}

/** A snapshot that raft took over from the leader, to be installed step by step. */
export interface ArrivedSnapshot {
  readonly snapshot: Snapshot;
  readonly index: number;
  /** Puts it into the log, with the commit index that makes it count. Called once. */
  writeToLog(): Promise<void>;
  /** The machine is at the snapshot's index: appending and applying go on behind it. */
  installed(): void;
}

export interface AppendLineParts {
  readonly wal: LogWriter;
  /** False: `--unsafe-no-fsync`. */
  readonly syncsLog: boolean;
  /** The log's disk hangs when it has not answered for so many ticks. */
  readonly hungTicks: number;
  readonly snapshotArrived: (arrived: ArrivedSnapshot) => void;
  /** There may be something to take. */
  readonly wake: () => void;
  readonly failed: (error: Error) => void;
}

interface Append {
  readonly message: Message;
  readonly hardState: HardState | undefined;
  readonly mustSync: boolean;
}

const none: readonly Message[] = [];

export class AppendLine {
  readonly #parts: AppendLineParts;
  readonly disk: DiskWatch;
  /** Written, in order; the answers wait for the next turn. */
  #durable: Message[] = [];
  /** A commit index that is not in the log yet. */
  #heldState: HardState | undefined;
  /** A snapshot that is being installed; nothing is taken meanwhile. */
  #installing: Message | undefined;
  #holdsSnapshot = false;
  /** What came behind a snapshot that is not in the log yet, and that one first. */
  readonly #waiting: Append[] = [];

  constructor(parts: AppendLineParts) {
    this.#parts = parts;
    this.disk = new DiskWatch(parts.hungTicks);
  }

  get isInstalling(): boolean {
    return this.#installing !== undefined;
  }

  /** A snapshot arrived that was not taken yet: the state may be ahead of the log that those who take keep. */
  get holdsSnapshot(): boolean {
    return this.#holdsSnapshot;
  }

  /** There are appends to take. */
  get hasDurable(): boolean {
    return this.#durable.length > 0 && this.#installing === undefined;
  }

  /**
   * A MsgStorageAppend, with the hard state that raft gave with it. `mustSync`: there are entries, or a new
   * term or vote.
   */
  persist(message: Message, hardState: HardState | undefined, mustSync: boolean): void {
    const isSnapshot = hasSnapshot(message);
    // While the snapshot waits for its turn a mark of our own may go into the log, which counts only with this.
    if (isSnapshot) this.writeState();
    const state = hardState ?? this.#heldState;
    if (!mustSync && message.responses.length === 0 && !isSnapshot) {
      this.#heldState = state;
      return;
    }
    this.#heldState = undefined;
    const append: Append = {
      message,
      hardState: state,
      mustSync: mustSync && this.#parts.syncsLog,
    };
    if (this.#waiting.length > 0 || (isSnapshot && this.isInstalling)) this.#waiting.push(append);
    else if (isSnapshot) this.#arrived(append);
    else this.#write(append);
  }

  /** The commit index that raft knows goes into the log now, in front of what is appended next. */
  writeState(): void {
    // Behind a snapshot that is not in the log yet a commit index would point beyond its end.
    if (this.#heldState === undefined || this.#waiting.length > 0) return;
    this.#parts.wal.append(this.#heldState, [], false, this.#onState);
    this.#heldState = undefined;
  }

  /** What has become durable since the last time. */
  take(): readonly Message[] {
    if (!this.hasDurable) return none;
    const durable = this.#durable;
    this.#durable = [];
    this.#holdsSnapshot = false;
    return durable;
  }

  #write({ message, hardState, mustSync }: Append): void {
    if (mustSync) this.disk.began();
    this.#parts.wal.append(hardState, message.entries, mustSync, (error) => {
      if (mustSync) this.disk.ended();
      if (error === undefined) this.#durable.push(message);
      else this.#parts.failed(error);
      this.#parts.wake();
    });
  }

  readonly #onState = (error: Error | undefined): void => {
    if (error !== undefined) this.#parts.failed(error);
  };

  // --- snapshots --------------------------------------------------------------------------------------

  #arrived(append: Append): void {
    const { message, hardState } = append;
    const snapshot = message.snapshot!;
    const { index, term, confState } = snapshot.metadata!;
    assert(hardState !== undefined && hardState.commit >= index, "a snapshot is committed");
    this.#waiting.unshift(append);
    this.#installing = message;
    this.#holdsSnapshot = true;
    this.#parts.snapshotArrived({
      snapshot,
      index,
      writeToLog: () => this.#writeSnapshot(append, { index, term, confState: confState! }),
      installed: () => this.#installed(message),
    });
  }

  /**
   * The record first: it counts as soon as the commit index behind it is in the log, and not before. That
   * stands by itself: were it written behind the entries and lost, they would follow nothing.
   */
  async #writeSnapshot(append: Append, point: WalSnapshotPoint): Promise<void> {
    const { wal } = this.#parts;
    const { message } = append;
    const hardState = append.hardState!;
    const counting = new HardState();
    counting.term = hardState.term;
    counting.vote = hardState.vote;
    counting.commit = point.index;
    const recorded = wal.saveSnapshot(point);
    wal.append(counting, [], true, this.#onState);
    const appended = new Promise<void>((resolve, reject) => {
      wal.append(hardState, message.entries, true, (error) => {
        if (error !== undefined) {
          reject(error);
          return;
        }
        this.#durable.push(message);
        resolve();
      });
    });
    this.#waiting.shift();
    this.#writeWaiting();
    await Promise.all([recorded, appended]);
  }

  /** Writes what has waited, up to the next snapshot, which waits until this one is installed. */
  #writeWaiting(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined) return;
      if (hasSnapshot(next.message)) {
        if (this.isInstalling) return;
        this.#waiting.shift();
        this.#arrived(next);
        return;
      }
      this.#waiting.shift();
      this.#write(next);
    }
  }

  #installed(message: Message): void {
    assert(this.#installing === message, "what was installed is what arrived");
    this.#installing = undefined;
    this.#writeWaiting();
    this.#parts.wake();
  }
}

export function hasSnapshot(message: Message): boolean {
  return (message.snapshot?.metadata?.index ?? 0) > 0;
}
