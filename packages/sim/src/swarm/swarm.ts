// Many seeds over several threads. Results come in the order in which they are done; what a seed does depends on
// nothing but the seed.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { PlanOptions } from "./plan.ts";
import type { RunResult } from "./run-seed.ts";

export interface SwarmOptions extends PlanOptions {
  readonly firstSeed: number;
  readonly seedCount: number;
  /** Threads; by default as many as there are processors. */
  readonly jobCount?: number;
  readonly onResult?: (result: RunResult) => void;
  /** Asked before each seed. */
  readonly mayGoOn?: () => boolean;
}

/** Rejects when a thread dies, which no seed may make it do. */
export async function runSwarm(options: SwarmOptions): Promise<RunResult[]> {
  const { firstSeed, seedCount, onResult, mayGoOn, memberCount, seconds, faults } = options;
  const jobCount = Math.min(seedCount, options.jobCount ?? availableParallelism());
  const workerData: PlanOptions = {
    ...(memberCount === undefined ? {} : { memberCount }),
    ...(seconds === undefined ? {} : { seconds }),
    ...(faults === undefined ? {} : { faults }),
  };
  const results: RunResult[] = [];
  let next = firstSeed;
  const runThread = async (): Promise<void> => {
    const worker = new Worker(new URL("worker.js", import.meta.url), { workerData });
    let seed = 0;
    try {
      await new Promise<void>((resolve, reject) => {
        const give = (): void => {
          if (next >= firstSeed + seedCount || mayGoOn?.() === false) resolve();
          else {
            seed = next++;
            worker.postMessage(seed);
          }
        };
        worker.on("message", (result: RunResult) => {
          results.push(result);
          onResult?.(result);
          give();
        });
        worker.on("error", (error) => {
          reject(
            new Error(`seed ${seed} ended its thread; ${replayLine(seed, options)}`, {
              cause: error,
            }),
          );
        });
        worker.on("exit", (code) => {
          reject(new Error(`the thread of seed ${seed} exited with ${code}`));
        });
        give();
      });
    } finally {
      worker.removeAllListeners();
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: jobCount }, runThread));
  return results.sort((a, b) => a.seed - b.seed);
}

/** What repeats a run to the byte. */
export function replayLine(seed: number, options: PlanOptions): string {
  const parts = [`npm run sim -- --seed ${seed}`];
  if (options.memberCount !== undefined) parts.push(`--members ${options.memberCount}`);
  if (options.seconds !== undefined) parts.push(`--seconds ${options.seconds}`);
  if (options.faults !== undefined) parts.push(`--faults "${options.faults.join(",")}"`);
  return parts.join(" ");
}
