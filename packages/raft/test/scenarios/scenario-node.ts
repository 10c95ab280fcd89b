// A node of an interaction scenario: the `RawNode`, its log, a state machine that appends what it applies to
// a text and remembers every state, and, with asynchronous writes, the work that waits for two threads.

import { concatBytes } from "@etcd-ts/base";
import {
  type ConfState,
  decodeConfChangeEntry,
  describeMessage,
  describeReady,
  type Entry,
  HardState,
  isConfChangeEntry,
  isStorageThread,
  MemoryLog,
  type Message,
  MessageType,
  type RaftConfig,
  RawNode,
  Snapshot,
  SnapshotMetadata,
} from "../../src/index.ts";
import type { Output } from "./output.ts";

/** An error whose text belongs to the output of a scenario. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** A `MemoryLog` whose snapshot is always the newest state of the application. */
class ScenarioLog extends MemoryLog {
  /** States of the application, oldest first, as snapshots. */
  readonly history: Snapshot[] = [];

  override snapshot(): Snapshot | undefined {
    return this.history.at(-1);
  }
}

export class ScenarioNode {
  readonly id: bigint;
  readonly raw: RawNode;
  readonly log: ScenarioLog;
  readonly appendWork: Message[] = [];
  readonly applyWork: Message[] = [];
  readonly #async: boolean;
  readonly #output: Output;

  /** Starts from `snapshot`, which is applied to the log when it has an index. */
  constructor(config: Omit<RaftConfig, "log" | "logger">, snapshot: Snapshot, output: Output) {
    this.id = config.id;
    this.log = new ScenarioLog();
    if (snapshot.metadata!.index > 0) this.log.applySnapshot(snapshot);
    this.log.history.push(snapshot);
    this.raw = new RawNode({ ...config, log: this.log, logger: output });
    this.#async = config.asyncStorageWrites ?? false;
    this.#output = output;
  }

  /** Handles one Ready and gives back what is to be sent. */
  processReady(): Message[] {
    const ready = this.raw.ready();
    this.#output.print(describeReady(ready));
    if (!this.#async) {
      this.#store(ready.hardState, ready.entries, ready.snapshot);
      this.#apply(ready.committedEntries);
      this.raw.advance();
      return ready.messages;
    }
    return ready.messages.filter((message) => {
      if (!isStorageThread(message.to)) return true;
      const isAppend = message.type === MessageType.MsgStorageAppend;
      (isAppend ? this.appendWork : this.applyWork).push(message);
      return false;
    });
  }

  /** Does the oldest work of the append thread and gives back the responses. */
  processAppend(): Message[] {
    const work = this.appendWork.shift();
    if (work === undefined) {
      this.#output.print("no append work to perform");
      return [];
    }
    return this.#perform(work, () => {
      const hardState = new HardState();
      hardState.term = work.term;
      hardState.vote = work.vote;
      hardState.commit = work.commit;
      const isEmpty = work.term === 0 && work.vote === 0n && work.commit === 0;
      this.#store(isEmpty ? undefined : hardState, work.entries, work.snapshot);
    });
  }

  /** Does the oldest work of the apply thread and gives back the responses. */
  processApply(): Message[] {
    const work = this.applyWork.shift();
    if (work === undefined) {
      this.#output.print("no apply work to perform");
      return [];
    }
    return this.#perform(work, () => this.#apply(work.entries));
  }

  #perform(work: Message, run: () => void): Message[] {
    const { responses } = work;
    work.responses = [];
    this.#output.print(`Processing:\n${describeMessage(work)}\n`);
    run();
    this.#output.print("Responses:\n");
    for (const response of responses) this.#output.print(`${describeMessage(response)}\n`);
    return responses;
  }

  #store(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): void {
    if (hardState !== undefined) this.log.setHardState(hardState);
    if (snapshot === undefined) {
      this.log.append(entries);
      return;
    }
    if (entries.length > 0) {
      throw new CommandError("can't apply snapshot and entries at the same time");
    }
    if (!this.log.applySnapshot(snapshot)) {
      throw new CommandError("requested index is older than the existing snapshot");
    }
  }

  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      let update = entry.data;
      let confState: ConfState | undefined;
      if (isConfChangeEntry(entry)) {
        const change = decodeConfChangeEntry(entry);
        if (change === undefined) throw new CommandError("malformed conf change");
        update = change.context;
        confState = this.raw.applyConfChange(change);
      }
      const last = this.log.history.at(-1)!;
      this.log.history.push(
        makeSnapshot({
          index: entry.index,
          term: entry.term,
          confState: confState ?? last.metadata!.confState!,
          data: concatBytes([last.data, update]),
        }),
      );
    }
  }
}

export function makeSnapshot(parts: {
  index: number;
  term: number;
  confState: ConfState;
  data: Uint8Array;
}): Snapshot {
  const metadata = new SnapshotMetadata();
  metadata.index = parts.index;
  metadata.term = parts.term;
  metadata.confState = parts.confState;
  const snapshot = new Snapshot();
  snapshot.metadata = metadata;
  snapshot.data = parts.data;
  return snapshot;
}
