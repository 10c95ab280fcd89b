import type { Bytes, Clock, Random, Timer, Timers } from "@etcd-ts/base";
import { lazyCrypto } from "./lazy-crypto.ts";

export const nodeClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** setTimeout takes a signed 32-bit number of milliseconds and fires at once beyond it. */
const longestSleepMs = 0x7fff_ffff;

/**
 * setTimeout counts from when the loop last looked at the clock, which is up to a whole turn ago, and in
 * whole milliseconds: it may fire early, and a lease must not. So each timer knows its own deadline.
 */
class NodeTimer implements Timer {
  readonly #deadlineMs: number;
  readonly #fire: () => void;
  readonly #wake: () => void;
  #handle: NodeJS.Timeout | undefined;

  constructor(delayMs: number, fire: () => void) {
    this.#deadlineMs = performance.now() + delayMs;
    this.#fire = fire;
    this.#wake = () => {
      if (performance.now() < this.#deadlineMs) this.#sleep();
      else {
        this.#handle = undefined;
        this.#fire();
      }
    };
    this.#sleep();
  }

  cancel(): void {
    clearTimeout(this.#handle);
    this.#handle = undefined;
  }

  #sleep(): void {
    const leftMs = Math.ceil(this.#deadlineMs - performance.now());
    this.#handle = setTimeout(this.#wake, Math.max(1, Math.min(leftMs, longestSleepMs)));
  }
}

/**
 * `soon` is setImmediate: libuv runs it after the poll phase, in which every readable socket and every
 * finished disk operation of the turn had its callback; microtasks and nextTick run between those
 * callbacks, so a batch would end with each socket. One immediate serves all calls of a turn.
 */
class NodeTimers implements Timers {
  #queue: (() => void)[] = [];
  #spare: (() => void)[] = [];

  after(delayMs: number, fire: () => void): Timer {
    return new NodeTimer(delayMs, fire);
  }

  soon(run: () => void): void {
    if (this.#queue.push(run) === 1) setImmediate(this.#drain);
  }

  readonly #drain = (): void => {
    const runs = this.#queue;
    this.#queue = this.#spare;
    this.#spare = [];
    let done = 0;
    try {
      while (done < runs.length) {
        const run = runs[done] as () => void;
        done += 1;
        run();
      }
    } finally {
      // One that threw must not take the others with it, should somebody survive the exception.
      if (done < runs.length) {
        this.#queue = [...runs.slice(done), ...this.#queue];
        setImmediate(this.#drain);
      }
      runs.length = 0;
      this.#spare = runs;
    }
  };
}

export function nodeTimers(): Timers {
  return new NodeTimers();
}

/** The system's generator, drawn in blocks: a call into it costs a microsecond whatever its size. */
class NodeRandom implements Random {
  readonly #block: Buffer = Buffer.allocUnsafeSlow(4096);
  #used = 4096;

  below(bound: number): number {
    if (bound === 1) return 0;
    // Values at the top that would favour small results are drawn again.
    const fair = 0x1_0000_0000 - (0x1_0000_0000 % bound);
    for (;;) {
      const drawn = this.#next32();
      if (drawn < fair) return drawn % bound;
    }
  }

  bytes(count: number): Bytes {
    return lazyCrypto().randomFillSync(Buffer.allocUnsafe(count));
  }

  #next32(): number {
    if (this.#used === this.#block.length) {
      lazyCrypto().randomFillSync(this.#block);
      this.#used = 0;
    }
    const drawn = this.#block.readUInt32LE(this.#used);
    this.#used += 4;
    return drawn;
  }
}

export function nodeRandom(): Random {
  return new NodeRandom();
}
