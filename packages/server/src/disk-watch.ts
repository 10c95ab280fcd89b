// Whether the disk under the log answers. Raft with asynchronous storage writes goes on for a while on what
// its peers have made durable: a leader whose own disk hangs still sends heartbeats and appends, and its
// followers still acknowledge them. But it applies nothing that is not durable here, so it answers nobody;
// and as long as it leads, nobody else does (`hand-over.ts` says what follows).
//
// Time is counted in ticks of the loop, not read from the clock: after the whole process was stopped for a
// while, or was too busy, an answer that has long been there may not have been looked at yet.

export class DiskWatch {
  readonly #hungTicks: number;
  #begunCount = 0;
  #endedCount = 0;
  /** `#endedCount` at the last tick, and how many ticks it has not moved while something was waiting. */
  #endedBefore = 0;
  #waitedTicks = 0;

  constructor(hungTicks: number) {
    this.#hungTicks = hungTicks;
  }

  /** An append was handed to the disk. */
  began(): void {
    this.#begunCount++;
  }

  /** The oldest one is done. */
  ended(): void {
    this.#endedCount++;
  }

  tick(): void {
    const isWaiting = this.#endedCount < this.#begunCount;
    if (isWaiting && this.#endedCount === this.#endedBefore) this.#waitedTicks++;
    else this.#waitedTicks = 0;
    this.#endedBefore = this.#endedCount;
  }

  /** Nothing has come back from the disk for so many ticks, and something should. */
  get waitedTicks(): number {
    return this.#endedCount === this.#endedBefore ? this.#waitedTicks : 0;
  }

  get isHung(): boolean {
    return this.waitedTicks >= this.#hungTicks;
  }
}
