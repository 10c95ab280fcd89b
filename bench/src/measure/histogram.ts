// Latencies in buckets of about 1.5 % width, so that millions of samples cost nothing to keep.

const bucketsPerDoubling = 48;
const smallestMs = 0.001;
const bucketCount = bucketsPerDoubling * 30;

export class Histogram {
  readonly #counts = new Float64Array(bucketCount);
  #total = 0;
  #maxMs = 0;
  #sumMs = 0;

  add(ms: number): void {
    const doublings = Math.log2(Math.max(ms, smallestMs) / smallestMs);
    const bucket = Math.min(Math.floor(doublings * bucketsPerDoubling), bucketCount - 1);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#total += 1;
    this.#sumMs += ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  get count(): number {
    return this.#total;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** 0 without samples. */
  get meanMs(): number {
    return this.#total === 0 ? 0 : this.#sumMs / this.#total;
  }

  /**
   * The latency that this share (0 to 1) of the samples does not exceed, rounded up to the end of its bucket, but never
   * beyond the largest sample; 0 without samples.
   */
  quantileMs(share: number): number {
    const wanted = share * this.#total;
    let seen = 0;
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      seen += this.#counts[bucket] as number;
      if (seen >= wanted && seen > 0) {
        return Math.min(smallestMs * 2 ** ((bucket + 1) / bucketsPerDoubling), this.#maxMs);
      }
    }
    return 0;
  }
}
