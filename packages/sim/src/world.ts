// The virtual world: time, and what happens in it. Nothing happens by itself: everything is an event in a
// queue, ordered by its time and, at equal times, by the order in which it was asked for. The runner takes
// one event, lets it and all microtasks that it caused come to rest, and takes the next. All chance comes
// from streams of one seed. So a run is a function of its seed, to the byte.
//
// Two things keep that true and checked. A `Gate` stands before everything that happens on one machine: a
// dead machine's events never run, those of a frozen one wait. And the `fingerprint` takes in the time of
// every event and whatever else is mixed into it: two runs with equal fingerprints did the same.
//
// An event costs about half a microsecond: the steps are handed to Node as a batch of immediates, between any
// two of which Node runs all microtasks, and only once a batch does it ask the system for real events.

import { SeededRandom } from "@etcd-ts/base";

export class Event {
  atMs: number;
  sequence: number;
  /** Undefined once it is cancelled. */
  run: (() => void) | undefined;
  readonly gate: Gate | undefined;

  constructor(atMs: number, sequence: number, run: () => void, gate: Gate | undefined) {
    this.atMs = atMs;
    this.sequence = sequence;
    this.run = run;
    this.gate = gate;
  }

  cancel(): void {
    this.run = undefined; // dropped when its time comes
  }
}

/** What stands before the events of one machine. */
export class Gate {
  /** Nothing happens there any more. */
  dead = false;
  /** While the machine is frozen: what ends that. */
  thawing: Event | undefined;
  /** What would have happened while it is frozen, in the order of that. */
  readonly held: Event[] = [];
}

const stepsAtOnce = 64;
const scratch = new Float64Array(1);
const scratchWords = new Int32Array(scratch.buffer);

export class World {
  readonly seed: number;
  readonly random: SeededRandom;
  /** A heap. */
  #queue: Event[] = [];
  /** At this length what will never happen is taken out of it: most timers are cancelled, or their machine dies. */
  #sweepAt = queueMin;
  /** From `#dueFirst` on: events without a delay, half of all, and thawed ones. They come in their order by themselves. */
  readonly #due: Event[] = [];
  #dueFirst = 0;
  #nowMs = 0;
  #sequence = 0;
  #failure: { readonly reason: unknown } | undefined;
  #fingerprint = 0x811c9dc5;
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

  /** Of everything that has happened, as eight hexadecimal digits. */
  get fingerprint(): string {
    return (this.#fingerprint >>> 0).toString(16).padStart(8, "0");
  }

  /** Takes a number into the fingerprint. */
  mix(value: number): void {
    scratch[0] = value;
    const words = (scratchWords[0] as number) ^ Math.imul(scratchWords[1] as number, 0x9e3779b1);
    let h = Math.imul(this.#fingerprint ^ words, 0x01000193);
    h ^= h >>> 15;
    this.#fingerprint = Math.imul(h, 0x2c1b3c6d) ^ (h >>> 13);
  }

  /** Asks for `run` in `delayMs`; 0 means after everything that is already due now. */
  after(delayMs: number, run: () => void, gate?: Gate): Event {
    const event = new Event(this.#nowMs + Math.max(0, delayMs), this.#sequence++, run, gate);
    if (delayMs > 0) {
      push(this.#queue, event);
      if (this.#queue.length >= this.#sweepAt) this.#sweep();
    } else this.#due.push(event);
    return event;
  }

  /** What comes to this gate waits for so long; at a gate that is frozen already, at least for so long. */
  freeze(gate: Gate, ms: number): void {
    if (gate.thawing !== undefined && gate.thawing.atMs >= this.#nowMs + ms) return;
    gate.thawing?.cancel();
    gate.thawing = this.after(ms, () => this.thaw(gate));
  }

  /** What waits at this gate happens now, in its order, and before everything else that is due. */
  thaw(gate: Gate): void {
    gate.thawing?.cancel();
    gate.thawing = undefined;
    for (const event of gate.held) {
      event.atMs = this.#nowMs;
      event.sequence = -1;
    }
    this.#due.splice(this.#dueFirst, 0, ...gate.held);
    gate.held.length = 0;
  }

  /** Something went wrong where nobody could be told: the run ends with it. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
  }

  /** Lets `ms` of virtual time pass. */
  async run(ms: number): Promise<void> {
    await this.runUntil(() => false, ms);
  }

  /**
   * Lets time pass until `condition` holds, at most `ms`; whether it did. The condition is looked at after
   * every event.
   */
  runUntil(condition: () => boolean, ms: number): Promise<boolean> {
    const endMs = this.#nowMs + ms;
    return new Promise((resolve, reject) => {
      let over = false;
      let left = 0;
      const step = (): void => {
        if (over) return;
        try {
          if (this.#failure !== undefined) throw this.#failure.reason;
          if (condition()) {
            over = true;
            resolve(true);
          } else if (!this.#step(endMs)) {
            over = true;
            this.#nowMs = endMs;
            resolve(condition());
          }
        } catch (error) {
          over = true;
          reject(error);
        }
        left -= 1;
        if (left === 0 && !over) begin();
      };
      const begin = (): void => {
        left = stepsAtOnce;
        for (let i = 0; i < stepsAtOnce; i++) setImmediate(step);
      };
      begin();
    });
  }

  /** Runs the promise's world until it is settled, at most `ms` of virtual time. */
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

  /** Runs the next event; false when there is none until `endMs`. */
  #step(endMs: number): boolean {
    for (;;) {
      const event = this.#next(endMs);
      if (event === undefined) return false;
      const { run, gate } = event;
      if (run === undefined) continue;
      if (gate !== undefined) {
        if (gate.dead) continue;
        if (gate.thawing !== undefined) {
          gate.held.push(event);
          continue;
        }
      }
      this.#nowMs = event.atMs;
      this.stepCount += 1;
      this.mix(event.atMs);
      run();
      return true;
    }
  }

  #sweep(): void {
    const left = this.#queue.filter((it) => it.run !== undefined && it.gate?.dead !== true);
    this.#queue = left.sort((a, b) => (isBefore(a, b) ? -1 : 1)); // what is sorted is a heap
    this.#sweepAt = Math.max(queueMin, 2 * left.length);
  }

  /** Takes the first event, unless that is later than `endMs`. */
  #next(endMs: number): Event | undefined {
    const due = this.#due[this.#dueFirst];
    const queued = this.#queue[0];
    if (due === undefined || (queued !== undefined && isBefore(queued, due))) {
      if (queued === undefined || queued.atMs > endMs) return undefined;
      pop(this.#queue);
      return queued;
    }
    if (due.atMs > endMs) return undefined;
    this.#dueFirst++;
    if (this.#dueFirst === this.#due.length) {
      this.#due.length = 0;
      this.#dueFirst = 0;
    } else if (this.#dueFirst === dueUsedMax) {
      this.#due.splice(0, dueUsedMax);
      this.#dueFirst = 0;
    }
    return due;
  }
}

const dueUsedMax = 1024;
const queueMin = 64;

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
