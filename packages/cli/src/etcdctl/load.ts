// The load of `check`: clients of their own connections that put keys as fast as they may.
//
// At the end no more puts are begun, and those under way are waited for: they belong to the measurement, and whoever
// deletes the keys afterwards must not be overtaken by one of them. What a cluster does not answer in a given time is
// an error.

import type { Clock, Timer, Timers } from "@etcd-ts/base";
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
  /** Ends the load. */
  readonly signal: AbortSignal;
  /** How long puts under way are waited for after that. */
  readonly graceMs: number;
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
  const noteError = (text: string): void => {
    errors.set(text, (errors.get(text) ?? 0) + 1);
  };
  const pauses = new Pauses(options.timers);
  const late = new AbortController();
  let grace: Timer | undefined;
  const end = (): void => {
    pauses.end();
    grace = options.timers.after(options.graceMs, () => late.abort());
  };
  if (signal.aborted) end();
  else signal.addEventListener("abort", end);
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
        if (waitMs > 0) await pauses.wait(waitMs);
        if (signal.aborted) return;
      }
      const sentMs = clock.monotonicMs();
      try {
        await client.put(pair.key, pair.value, { signal: late.signal });
        latenciesMs.push(clock.monotonicMs() - sentMs);
      } catch (error) {
        if (late.signal.aborted) noteError("context deadline exceeded");
        else if (isCallError(error)) noteError(messageOf(error));
        else throw error;
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: options.concurrency }, (_, i) => worker(i)));
  } finally {
    signal.removeEventListener("abort", end);
    grace?.cancel();
  }
  return { latenciesMs, errors, tookMs: clock.monotonicMs() - startedMs };
}

/** Waits that all end when the load does. */
class Pauses {
  readonly #timers: Timers;
  readonly #open = new Set<() => void>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#open.delete(done);
        resolve();
      };
      const timer = this.#timers.after(delayMs, done);
      this.#open.add(done);
    });
  }

  end(): void {
    for (const done of [...this.#open]) done();
  }
}

/** Population standard deviation. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const mean = values.reduce((sum, it) => sum + it, 0) / values.length;
  return Math.sqrt(values.reduce((sum, it) => sum + (it - mean) ** 2, 0) / values.length);
}
