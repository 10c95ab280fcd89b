// Keeps the raft log short. After `snapshotCount` applied entries, or when the entries in memory exceed
// `logBytesMax`, the member writes a raft snapshot: a mark that says "everything up to here is in the
// backend". The order makes every crash point safe:
//
//     1  note index, term, ConfState and members as they are now       (in one turn, synchronously)
//     2  make the backend durable at that index                        crash: old mark, longer replay
//     3  write and sync `<term>-<index>.snap`                          crash: an unused file
//     4  append and sync the snapshot record to the log                crash: the new mark counts
//     5  drop old entries from memory, then log segments               crash: some segments more than needed
//     6  remove `.snap` files beyond the newest few                    crash: some files more than needed
//
// A segment goes only when all its entries are below the mark and the backend is durable there (2 before 5).
// Memory keeps `catchupEntries` behind the mark, so that a peer that is slow for a moment gets entries and
// not the whole store; that, too, is bounded in bytes.

import type { SnapMark } from "@etcd-ts/storage";
import type { BackendCommits } from "./backend-commits.ts";

/** What the keeper does to the outside; the member wires it to the log, the disk and the machine. */
export interface LogKeeperActions {
  /** Everything that goes into the mark, as of now. */
  capture(): SnapMark;
  /** Step 3. */
  writeSnapFile(mark: SnapMark): Promise<void>;
  /** Step 4. */
  saveRecord(mark: SnapMark): Promise<void>;
  /** Step 5a: drops what memory need not keep. */
  compactMemory(mark: SnapMark): void;
  /** Step 5b. */
  releaseSegments(index: number): Promise<void>;
  /** Step 6. */
  purgeSnapFiles(): Promise<void>;
}

export interface LogKeeperOptions {
  readonly snapshotCount: number;
  readonly logBytesMax: number;
}

export class LogKeeper {
  readonly #actions: LogKeeperActions;
  readonly #commits: BackendCommits;
  readonly #options: LogKeeperOptions;
  readonly #onFailure: (error: Error) => void;
  #running: Promise<void> | undefined;
  #stopped = false;
  /** Index of the newest mark, and of the one being made. */
  markIndex: number;

  constructor(
    actions: LogKeeperActions,
    commits: BackendCommits,
    options: LogKeeperOptions,
    markIndex: number,
    onFailure: (error: Error) => void,
  ) {
    this.#actions = actions;
    this.#commits = commits;
    this.#options = options;
    this.markIndex = markIndex;
    this.#onFailure = onFailure;
  }

  /** At the end of a turn. `logBytes`: entries in memory. */
  consider(appliedIndex: number, logBytes: number): void {
    if (this.#running !== undefined || this.#stopped) return;
    const isDue =
      appliedIndex - this.markIndex > this.#options.snapshotCount ||
      (logBytes > this.#options.logBytesMax && appliedIndex > this.markIndex);
    if (!isDue) return;
    this.#running = this.#snapshot().then(
      () => {
        this.#running = undefined;
      },
      (reason: unknown) => {
        this.#running = undefined;
        if (!this.#stopped) {
          this.#onFailure(reason instanceof Error ? reason : new Error(String(reason)));
        }
      },
    );
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Starts nothing more; resolves when what was under way has come to a safe point. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #snapshot(): Promise<void> {
    const mark = this.#actions.capture();
    this.markIndex = mark.index;
    if (!(await this.#commits.forced()) || this.#stopped) return;
    await this.#actions.writeSnapFile(mark);
    if (this.#stopped) return;
    await this.#actions.saveRecord(mark);
    this.#actions.compactMemory(mark);
    if (this.#stopped) return;
    await this.#actions.releaseSegments(mark.index);
    await this.#actions.purgeSnapFiles();
  }
}
