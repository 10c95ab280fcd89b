// When leases run out. A heap by deadline in which renewals cost nothing: a renewed lease keeps its place,
// and only when that place comes up is it looked at again and put back to where it now belongs. So a lease
// that is renewed a hundred times before its first deadline moves once.

export class LeaseTimer {
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** Monotonic ms. Only ever moved by `Deadlines.renew`. */
  deadlineMs: number;
  /** A revocation is on its way, which a renewal can no longer stop. */
  revoking = false;
  /** No longer among the deadlines. */
  removed = false;
  /** Checkpoints of it that went on their way, and up to which of them they were taken back again. */
  checkpointCount = 0;
  clearedCount = 0;
  /** What the heap is ordered by; at most `deadlineMs`. */
  placedMs: number;

  constructor(id: bigint, ttlSeconds: number, deadlineMs: number) {
    this.id = id;
    this.ttlSeconds = ttlSeconds;
    this.deadlineMs = deadlineMs;
    this.placedMs = deadlineMs;
  }
}

/** A smaller heap is not worth the trouble. */
const sweepFrom = 1000;

export class Deadlines {
  readonly #timers = new Map<bigint, LeaseTimer>();
  #heap: LeaseTimer[] = [];

  get count(): number {
    return this.#timers.size;
  }

  get(id: bigint): LeaseTimer | undefined {
    return this.#timers.get(id);
  }

  values(): Iterable<LeaseTimer> {
    return this.#timers.values();
  }

  add(timer: LeaseTimer): void {
    this.remove(timer.id);
    this.#timers.set(timer.id, timer);
    this.#push(timer);
  }

  /** Moves a deadline, to later only: TTLs never shrink. */
  renew(timer: LeaseTimer, deadlineMs: number): void {
    if (deadlineMs > timer.deadlineMs) timer.deadlineMs = deadlineMs;
  }

  remove(id: bigint): void {
    const timer = this.#timers.get(id);
    if (timer === undefined) return;
    timer.removed = true; // its place in the heap is dropped when it comes up
    this.#timers.delete(id);
    if (this.#heap.length > sweepFrom && this.#heap.length > 2 * this.#timers.size) this.#sweep();
  }

  clear(): void {
    // Those that were taken may come back, to the deadlines of another reign.
    for (const timer of this.#timers.values()) timer.removed = true;
    this.#timers.clear();
    this.#heap.length = 0;
  }

  /** The next one whose deadline is at or before `nowMs`; it leaves the heap but stays known. */
  takeExpired(nowMs: number): LeaseTimer | undefined {
    for (;;) {
      const timer = this.#heap[0];
      if (timer === undefined || timer.placedMs > nowMs) return undefined;
      this.#pop();
      if (timer.removed) continue;
      if (timer.deadlineMs <= nowMs) return timer;
      this.#push(timer);
    }
  }

  /** Puts one back that was taken and could not be revoked. */
  putBack(timer: LeaseTimer): void {
    if (!timer.removed) this.#push(timer);
  }

  /** Places in the heap; a few more than there are timers. */
  get placeCount(): number {
    return this.#heap.length;
  }

  /** Drops the places of removed ones, which could be days away: a sorted array is a heap. */
  #sweep(): void {
    this.#heap = this.#heap
      .filter((timer) => !timer.removed)
      .sort((a, b) => a.placedMs - b.placedMs);
  }

  #push(timer: LeaseTimer): void {
    timer.placedMs = timer.deadlineMs;
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const above = (at - 1) >>> 1;
      const parent = heap[above] as LeaseTimer;
      if (parent.placedMs <= timer.placedMs) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as LeaseTimer;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      const right = below + 1;
      if (
        right < heap.length &&
        (heap[right] as LeaseTimer).placedMs < (heap[below] as LeaseTimer).placedMs
      ) {
        below = right;
      }
      const child = heap[below] as LeaseTimer;
      if (child.placedMs >= last.placedMs) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
  }
}
