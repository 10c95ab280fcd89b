// The load of `check`: clients of their own connections that put keys as fast as they may.

import type { Clock, Timers } from "@etcd-ts/base";
import type { Client } from "@etcd-ts/client";
import { isCallError, messageOf } from "./failures.ts";

export interface LoadOptions {
  readonly clients: readonly Client[];
  /** Calls that run at the same time. */
  readonly concurrency: number;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Key and value of the n-th put; undefined when there are no more. */
  next(n: number): { readonly key: Uint8Array; readonly value: Uint8Array } | undefined;
  /** At most so many puts are begun in a second. */
  readonly ratePerSecond?: number;
  readonly signal: AbortSignal;
}

export interface LoadResult {
  readonly latenciesMs: readonly number[];
  /** How often each error came. */
  readonly errors: ReadonlyMap<string, number>;
  readonly tookMs: number;
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { clients, clock, signal } = options;
  const startedMs = clock.monotonicMs();
  const latenciesMs: number[] = [];
  const errors = new Map<string, number>();
  let begun = 0;
  const worker = async (index: number): Promise<void> => {
    const client = clients[index % clients.length] as Client;
    while (!signal.aborted) {
      const n = begun++;
      const pair = options.next(n);
      if (pair === undefined) return;
      if (options.ratePerSecond !== undefined) {
        const dueMs = startedMs + (n * 1000) / options.ratePerSecond;
        const waitMs = dueMs - clock.monotonicMs();
        if (waitMs > 0) await pause(options, waitMs);
        if (signal.aborted) return;
      }
      const sentMs = clock.monotonicMs();
      try {
        await client.put(pair.key, pair.value, { signal });
        latenciesMs.push(clock.monotonicMs() - sentMs);
      } catch (error) {
        if (signal.aborted) return;
        if (!isCallError(error)) throw error;
        const text = messageOf(error);
        errors.set(text, (errors.get(text) ?? 0) + 1);
      }
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, (_, i) => worker(i)));
  return { latenciesMs, errors, tookMs: clock.monotonicMs() - startedMs };
}

function pause(options: LoadOptions, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      options.signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = options.timers.after(delayMs, done);
    options.signal.addEventListener("abort", done);
  });
}

/** Population standard deviation. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const mean = values.reduce((sum, it) => sum + it, 0) / values.length;
  return Math.sqrt(values.reduce((sum, it) => sum + (it - mean) ** 2, 0) / values.length);
}
