// Long work in short slices. A `Job` does a number of items at a call and says whether it is finished; the
// slicer gives every job a turn in rotation, measures what an item costs and sizes the next slice to about
// a millisecond, and yields to the event loop after `sliceMsMax`. So a scan of a million keys, a hash of
// the store and a compaction run side by side, while heartbeats and requests keep their time.
//
// A job may come in batches, with a pause after each (etcd pauses compaction, so that its disk keeps up).

import type { Host, Timer } from "@etcd-ts/base";
import type { Histogram } from "./metric-types.ts";

export interface Job {
  /** Does up to about `itemCount` items; true when everything is done. A throw ends the job. */
  step(itemCount: number): boolean;
}

/** Told once, from the event loop, never from inside `run`. */
export interface JobDone {
  done(): void;
  failed(error: Error): void;
}

export interface Batch {
  readonly itemCount: number;
  /** Wait after so many items. */
  readonly pauseMs: number;
  /** Observes how long the work of each batch took. */
  readonly tookMs?: Histogram;
}

export interface SliceOptions {
  /** Of which kind the next batch is, or the one that has begun, asked before each slice. Absent: no pauses. */
  readonly batch?: () => Batch;
}

const sliceMsMax = 4;
const stepMsWanted = 1;
const firstItemCount = 32;
/** Items of one job may cost very different times from one of its phases to the next: no bolder than this. */
const itemCountMax = 2048;

class Task {
  readonly job: Job;
  readonly done: JobDone;
  readonly options: SliceOptions;
  itemCount: number = firstItemCount;
  /** Under way: what kind it is, the items so far, and the time that they took. */
  batch: Batch | undefined = undefined;
  itemsInBatch = 0;
  tookMsInBatch = 0;
  cancelled = false;

  constructor(job: Job, done: JobDone, options: SliceOptions) {
    this.job = job;
    this.done = done;
    this.options = options;
  }

  /** Sizes the next slice by what this one took: at most twice as large. */
  fit(itemCount: number, tookMs: number): void {
    const wanted = tookMs <= 0 ? itemCountMax : Math.floor((itemCount * stepMsWanted) / tookMs);
    this.itemCount = Math.max(1, Math.min(itemCountMax, this.itemCount * 2, wanted));
  }

  begin(batch: Batch | undefined): void {
    this.batch = batch;
    this.itemsInBatch = 0;
    this.tookMsInBatch = 0;
  }
}

export interface RunningJob {
  /** The job is not stepped again and nobody is told. Idempotent. */
  cancel(): void;
}

export class Slicer {
  readonly #host: Host;
  #ready: Task[] = [];
  readonly #pauses: Set<Timer> = new Set();
  #scheduled = false;
  #stopped = false;
  /** Longest single step so far, in ms: what a job's items may hold the loop. */
  longestStepMs = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  get activeCount(): number {
    return this.#ready.length + this.#pauses.size;
  }

  run(job: Job, done: JobDone, options: SliceOptions = {}): RunningJob {
    const task = new Task(job, done, options);
    if (!this.#stopped) this.#enqueue(task);
    return {
      cancel: () => {
        task.cancelled = true;
      },
    };
  }

  /** `run` as a promise, for callers off the hot path. Never settles once the slicer is stopped. */
  finish(job: Job, options: SliceOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      this.run(job, { done: resolve, failed: reject }, options);
    });
  }

  /** No job is stepped after this, and none is told. */
  stop(): void {
    this.#stopped = true;
    this.#ready.length = 0;
    for (const timer of this.#pauses) timer.cancel();
    this.#pauses.clear();
  }

  #enqueue(task: Task): void {
    this.#ready.push(task);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#host.timers.soon(this.#turn);
  }

  readonly #turn = (): void => {
    this.#scheduled = false;
    if (this.#stopped) return;
    const clock = this.#host.clock;
    const start = clock.monotonicMs();
    let now = start;
    while (this.#ready.length > 0 && now - start < sliceMsMax) {
      const task = this.#ready.shift()!;
      if (task.cancelled) continue;
      const before = now;
      const batch = task.options.batch?.();
      if (batch !== task.batch) task.begin(batch);
      const left = batch === undefined ? itemCountMax : batch.itemCount - task.itemsInBatch;
      const itemCount = Math.max(1, Math.min(task.itemCount, left));
      let finished = false;
      let failure: Error | undefined;
      try {
        finished = task.job.step(itemCount);
      } catch (reason) {
        failure = reason instanceof Error ? reason : new Error(String(reason));
      }
      now = clock.monotonicMs();
      const took = now - before;
      if (took > this.longestStepMs) this.longestStepMs = took;
      task.itemsInBatch += itemCount;
      task.tookMsInBatch += took;
      const batchEnds = batch !== undefined && task.itemsInBatch >= batch.itemCount;
      if (batchEnds || finished) batch?.tookMs?.observe(task.tookMsInBatch);
      if (failure !== undefined) task.done.failed(failure);
      else if (finished) task.done.done();
      else {
        task.fit(itemCount, took);
        if (batchEnds) this.#pause(task, batch);
        else this.#ready.push(task);
      }
    }
    if (this.#ready.length > 0 && !this.#scheduled) {
      this.#scheduled = true;
      this.#host.timers.soon(this.#turn);
    }
  };

  #pause(task: Task, batch: Batch): void {
    task.begin(batch);
    const timer = this.#host.timers.after(batch.pauseMs, () => {
      this.#pauses.delete(timer);
      if (!this.#stopped) this.#enqueue(task);
    });
    this.#pauses.add(timer);
  }
}
