// Long work in short slices. A `Job` does a number of items at a call and says whether it is finished; the
// slicer gives every job a turn in rotation, measures what an item costs and sizes the next slice to about
// a millisecond, and yields to the event loop after `sliceMsMax`. So a scan of a million keys, a hash of
// the store and a compaction run side by side, while heartbeats and requests keep their time.
//
// A job may ask for a pause between its slices (etcd pauses compaction, so that its disk keeps up).

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

export interface SliceOptions {
  /** Items in every slice; measured and adapted when absent. */
  readonly itemCount?: number;
  /** Wait between two slices. */
  readonly pauseMs?: number;
  /** Observes how long each slice took. */
  readonly sliceMs?: Histogram;
}

const sliceMsMax = 4;
const stepMsWanted = 1;
const firstItemCount = 32;
/** Items of one job may cost very different times from one of its phases to the next: no bolder than this. */
const itemCountMax = 2048;

class Task {
  readonly job: Job;
  readonly done: JobDone;
  readonly fixedCount: number;
  readonly pauseMs: number;
  readonly sliceMs: Histogram | undefined;
  itemCount: number;
  cancelled = false;

  constructor(job: Job, done: JobDone, options: SliceOptions) {
    this.job = job;
    this.done = done;
    this.fixedCount = options.itemCount ?? 0;
    this.pauseMs = options.pauseMs ?? 0;
    this.sliceMs = options.sliceMs;
    this.itemCount = this.fixedCount || firstItemCount;
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
      let finished = false;
      let failure: Error | undefined;
      try {
        finished = task.job.step(task.itemCount);
      } catch (reason) {
        failure = reason instanceof Error ? reason : new Error(String(reason));
      }
      now = clock.monotonicMs();
      const took = now - before;
      if (took > this.longestStepMs) this.longestStepMs = took;
      task.sliceMs?.observe(took);
      if (failure !== undefined) task.done.failed(failure);
      else if (finished) task.done.done();
      else this.#again(task, took);
    }
    if (this.#ready.length > 0 && !this.#scheduled) {
      this.#scheduled = true;
      this.#host.timers.soon(this.#turn);
    }
  };

  #again(task: Task, took: number): void {
    if (task.fixedCount === 0) {
      const factor = took <= 0 ? 2 : Math.min(2, stepMsWanted / took);
      task.itemCount = Math.max(1, Math.min(itemCountMax, Math.floor(task.itemCount * factor)));
    }
    if (task.pauseMs === 0) {
      this.#ready.push(task);
      return;
    }
    const timer = this.#host.timers.after(task.pauseMs, () => {
      this.#pauses.delete(timer);
      if (!this.#stopped) this.#enqueue(task);
    });
    this.#pauses.add(timer);
  }
}
