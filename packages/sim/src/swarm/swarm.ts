// Many seeds over several threads. Results come in the order in which they are done; what a seed does depends on
// nothing but the seed.
//
// The threads stay for one swarm after the other: a fresh one spends some ten seconds of its processor on compiling.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { PlanOptions } from "./plan.ts";
import type { RunResult } from "./run-seed.ts";

export interface SwarmOptions extends PlanOptions {
  /** In the order in which they are begun. */
  readonly seeds: readonly number[];
  readonly onResult?: (result: RunResult) => void;
}

/** What a thread is asked for. */
export interface Task {
  readonly seed: number;
  readonly options: PlanOptions;
}

export class SwarmThreads {
  readonly #threads: readonly Thread[];

  /** By default as many as there are processors. */
  constructor(count: number = availableParallelism()) {
    this.#threads = Array.from({ length: count }, () => new Thread());
  }

  /** One swarm at a time. Rejects when a thread dies, which no seed may make it do. */
  async run(options: SwarmOptions): Promise<RunResult[]> {
    const { memberCount, seconds, faults } = options;
    const planOptions: PlanOptions = {
      ...(memberCount === undefined ? {} : { memberCount }),
      ...(seconds === undefined ? {} : { seconds }),
      ...(faults === undefined ? {} : { faults }),
    };
    const results: RunResult[] = [];
    const seeds = options.seeds[Symbol.iterator]();
    const work = async (thread: Thread): Promise<void> => {
      for (let next = seeds.next(); !next.done; next = seeds.next()) {
        const result = await thread.run({ seed: next.value, options: planOptions });
        results.push(result);
        options.onResult?.(result);
      }
    };
    await Promise.all(this.#threads.map(work));
    return results.sort((a, b) => a.seed - b.seed);
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

class Thread {
  readonly #worker = new Worker(new URL("worker.js", import.meta.url));
  /** The last task that it was given. */
  #task: Task | undefined;
  #death: Error | undefined;
  #resolve: (result: RunResult) => void = () => {};
  #reject: (reason: Error) => void = () => {};

  constructor() {
    this.#worker.on("message", (result: RunResult) => this.#resolve(result));
    this.#worker.on("error", (cause) => this.#died("ended its thread", cause));
    this.#worker.on("exit", (code) => this.#died(`ended its thread with status ${code}`));
  }

  /** One task at a time. */
  run(task: Task): Promise<RunResult> {
    if (this.#death !== undefined) return Promise.reject(this.#death);
    this.#task = task;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#worker.postMessage(task);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #died(how: string, cause?: Error): void {
    const task = this.#task;
    const what = task === undefined ? "a start" : `seed ${task.seed}`;
    const again = task === undefined ? "" : `; ${replayLine(task.seed, task.options)}`;
    this.#death ??= new Error(`${what} ${how}${again}`, { cause });
    this.#reject(this.#death);
  }
}

/** What repeats a run to the byte. */
export function replayLine(seed: number, options: PlanOptions): string {
  const parts = [`npm run sim -- --seed ${seed}`];
  if (options.memberCount !== undefined) parts.push(`--members ${options.memberCount}`);
  if (options.seconds !== undefined) parts.push(`--seconds ${options.seconds}`);
  if (options.faults !== undefined) parts.push(`--faults "${options.faults.join(",")}"`);
  return parts.join(" ");
}
