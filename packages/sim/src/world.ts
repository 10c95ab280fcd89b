// The virtual world: time, and what happens in it. Nothing happens by itself: everything is an event in a
// queue, ordered by its time and, at equal times, by the order in which it was asked for. The runner takes
// one event, lets it and all microtasks that it caused come to rest, and takes the next. All chance comes
// from streams of one seed. So a run is a function of its seed, to the byte.

import { SeededRandom } from "@etcd-ts/base";

export interface Event {
  readonly atMs: number;
  readonly sequence: number;
  /** Undefined once it is cancelled. */
  run: (() => void) | undefined;
}

export class World {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly #queue: Event[] = [];
  #nowMs = 0;
  #sequence = 0;
  #failure: unknown;
  /** Events run so far. */
  stepCount = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.random = new SeededRandom(seed);
  }

  /** Virtual milliseconds since the beginning. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Asks for `run` in `delayMs`; 0 means after everything that is already due now. */
  after(delayMs: number, run: () => void): Event {
    const event: Event = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      sequence: this.#sequence++,
      run,
    };
    push(this.#queue, event);
    return event;
  }

  cancel(event: Event): void {
    event.run = undefined; // dropped when its time comes
  }

  /** Something went wrong where nobody could be told: the run ends with it. */
  fail(reason: unknown): void {
    this.#failure ??= reason;
  }

  /** Lets `ms` of virtual time pass. */
  async run(ms: number): Promise<void> {
    await this.runUntil(() => false, ms);
  }

  /**
   * Lets time pass until `condition` holds, at most `ms`; whether it did. The condition is looked at after
   * every event.
   */
  async runUntil(condition: () => boolean, ms: number): Promise<boolean> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (condition()) return true;
      const event = this.#queue[0];
      if (event === undefined || event.atMs > endMs) break;
      pop(this.#queue);
      if (event.run === undefined) continue;
      this.#nowMs = event.atMs;
      this.stepCount += 1;
      event.run();
      await settle();
    }
    this.#nowMs = endMs;
    return condition();
  }

  /** Runs until the promise is settled, at most `ms` of virtual time. */
  async complete<T>(promise: Promise<T>, ms: number): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    if (!(await this.runUntil(() => settled, ms))) {
      throw new Error(`not settled after ${ms} ms of virtual time (seed ${this.seed})`);
    }
    return await promise;
  }
}

/** Microtasks are all run before the next macrotask begins. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const above = (at - 1) >>> 1;
    const parent = heap[above] as Event;
    if (!isBefore(event, parent)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = event;
}

function pop(heap: Event[]): void {
  const last = heap.pop() as Event;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && isBefore(heap[below + 1] as Event, heap[below] as Event)) {
      below += 1;
    }
    const child = heap[below] as Event;
    if (!isBefore(child, last)) break;
    heap[at] = child;
    at = below;
  }
  heap[at] = last;
}
