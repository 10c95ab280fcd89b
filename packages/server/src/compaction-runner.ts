// Drives the physical part of compaction: `batchLimit` items are removed, then there is a pause, until nothing is left. The
// hash before it only reads and takes short pauses: while it runs, the store grows by everything that the removal could free. Who
// asked for a physical compaction waits until the removal is done and durable.

import type { Host } from "@etcd-ts/base";
import type { Machine } from "@etcd-ts/machine";
import type { BackendCommits } from "./backend-commits.ts";
import { durationText } from "./duration-text.ts";
import { doublingBounds, Histogram } from "./metric-types.ts";
import type { Batch, Slicer } from "./slicer.ts";

export interface CompactionOptions {
  readonly compactionBatchLimit: number;
  readonly compactionSleepMs: number;
}

type Done = (durable: boolean) => void;

/** A millisecond or two of work, and the shortest wait: others are held up by no more, two thirds of the time. */
const hashBatch: Batch = { itemCount: 1024, pauseMs: 1 };

export class CompactionRunner {
  readonly #host: Host;
  readonly #slicer: Slicer;
  readonly #machine: Machine;
  readonly #commits: BackendCommits;
  readonly #options: CompactionOptions;
  readonly #onFailure: (error: Error) => void;
  readonly #waiting: Set<Done> = new Set();
  #isRunning = false;
  #stopped = false;
  /** Wall clock seconds of the last one that finished; 0 after start. */
  lastFinishedSeconds = 0;
  readonly totalMs: Histogram = new Histogram(doublingBounds(100, 14));
  readonly batchMs: Histogram = new Histogram(doublingBounds(1, 13));

  constructor(
    host: Host,
    slicer: Slicer,
    machine: Machine,
    commits: BackendCommits,
    options: CompactionOptions,
    onFailure: (error: Error) => void,
  ) {
    this.#host = host;
    this.#slicer = slicer;
    this.#machine = machine;
    this.#commits = commits;
    this.#options = options;
    this.#onFailure = onFailure;
  }

  /** After a turn, and once at the start for a compaction that was interrupted. */
  maybeStart(): void {
    const { compaction } = this.#machine;
    if (this.#isRunning || this.#stopped || !compaction.active) return;
    this.#isRunning = true;
    const startMs = this.#host.clock.monotonicMs();
    const removedBefore = compaction.removedCount;
    const removalBatch: Batch = {
      itemCount: this.#options.compactionBatchLimit,
      pauseMs: this.#options.compactionSleepMs,
      tookMs: this.batchMs,
    };
    this.#slicer.run(
      compaction,
      {
        done: () => {
          this.#isRunning = false;
          this.totalMs.observe(this.#host.clock.monotonicMs() - startMs);
          this.lastFinishedSeconds = Math.floor(this.#host.clock.wallMs() / 1000);
          this.#host.log.info("finished scheduled compaction", {
            "compact-revision": this.#machine.compactRevision,
            took: durationText(this.#host.clock.monotonicMs() - startMs),
            "number-of-keys-compacted": compaction.removedCount - removedBefore,
            hash: compaction.knownHashes.at(-1)?.hash ?? 0,
          });
          this.#commits.applied();
        },
        failed: this.#onFailure,
      },
      { batch: () => (compaction.isHashing ? hashBatch : removalBatch) },
    );
  }

  afterAll(done: Done): void {
    this.#waiting.add(done);
    this.#machine.compaction.whenIdle(() => {
      if (!this.#waiting.delete(done)) return;
      this.#commits.force(done);
    });
    this.maybeStart();
  }

  stop(): void {
    this.#stopped = true;
    for (const done of this.#waiting) done(false);
    this.#waiting.clear();
  }
}
