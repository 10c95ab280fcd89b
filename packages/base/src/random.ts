// A seeded generator: xoshiro128** (Blackman and Vigna, 2018), seeded by splitmix32. Fast, small state,
// good equidistribution; not for secrets. Every purpose draws from a stream of its own, so that one more
// draw in one place does not shift all others: `fork("network")`.

import { allocateBytes, type Bytes } from "./bytes.ts";
import type { Random } from "./host.ts";

export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    let state = seed >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1;
  }

  /** Uniform in [0, 2^32). */
  next32(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  below(bound: number): number {
    // Multiply-shift; the bias is below bound / 2^32 and the same on every machine.
    return Math.floor((this.next32() / 0x1_0000_0000) * bound);
  }

  /** True with probability `numerator / denominator`. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  bytes(count: number): Bytes {
    const out = allocateBytes(count);
    for (let i = 0; i < count; i++) out[i] = this.next32() >>> 24;
    return out;
  }

  /** An independent stream that depends on this one's present state and on `purpose`. */
  fork(purpose: string): SeededRandom {
    let seed = this.next32();
    for (let i = 0; i < purpose.length; i++) {
      seed = Math.imul(seed ^ purpose.charCodeAt(i), 0x01000193);
    }
    return new SeededRandom(seed);
  }
}
