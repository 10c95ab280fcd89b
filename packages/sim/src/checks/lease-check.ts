// Leases: none ends before its time, and none lives for ever.
//
// What a client may count on: a lease that was granted or renewed at its wish lives for its TTL from the moment
// at which the request *left*, since the member cannot have counted from an earlier one. It may end sooner only
// when somebody asked for its end. Clocks of members may go faster or slower than the world's by a known factor.

import { Violation } from "./violation.ts";

interface LeaseRecord {
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** When the newest request left that was answered with time to live. */
  promisedFromMs: number;
  /** When somebody first asked for its end. */
  endAskedMs: number;
  /** When the first member applied its end. */
  endedMs: number;
}

export class LeaseCheck {
  readonly #leases = new Map<bigint, LeaseRecord>();
  /** When leases ended whose grant nobody has heard of: the answer may come after the end. */
  readonly #endsBeforeAnswer = new Map<bigint, number>();
  /** Ends that came by time alone. */
  expiredCount = 0;
  /** The fastest clock of any member, relative to the world's. */
  fastestClock = 1;

  granted(id: bigint, ttlSeconds: number, sentMs: number): void {
    this.#leases.set(id, {
      id,
      ttlSeconds,
      promisedFromMs: sentMs,
      endAskedMs: Number.POSITIVE_INFINITY,
      endedMs: Number.POSITIVE_INFINITY,
    });
    const endedMs = this.#endsBeforeAnswer.get(id);
    if (endedMs !== undefined) this.ended(id, endedMs);
  }

  renewed(id: bigint, sentMs: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.promisedFromMs = Math.max(lease.promisedFromMs, sentMs);
    this.#check(lease);
  }

  endAsked(id: bigint, nowMs: number): void {
    const lease = this.#leases.get(id);
    if (lease !== undefined) lease.endAskedMs = Math.min(lease.endAskedMs, nowMs);
  }

  /** A member applied the end of a lease. */
  ended(id: bigint, nowMs: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) {
      if (!this.#endsBeforeAnswer.has(id)) this.#endsBeforeAnswer.set(id, nowMs);
      return;
    }
    if (lease.endedMs <= nowMs) return;
    lease.endedMs = nowMs;
    if (lease.endAskedMs > nowMs) this.expiredCount++;
    this.#check(lease);
  }

  /** Leases that nobody has ended although their time was over at `beforeMs`. */
  overdue(beforeMs: number): bigint[] {
    const found: bigint[] = [];
    for (const lease of this.#leases.values()) {
      const dueMs = lease.promisedFromMs + lease.ttlSeconds * 1000;
      if (lease.endedMs === Number.POSITIVE_INFINITY && dueMs < beforeMs) found.push(lease.id);
    }
    return found;
  }

  #check(lease: LeaseRecord): void {
    const { id, endedMs, endAskedMs, promisedFromMs, ttlSeconds } = lease;
    if (endAskedMs <= endedMs) return;
    const promisedMs = promisedFromMs + (ttlSeconds * 1000) / this.fastestClock;
    if (endedMs >= promisedMs) return;
    throw new Violation(
      "leases never early",
      `lease ${id.toString(16)} of ${ttlSeconds} s ended at ${endedMs.toFixed(1)} ms, ` +
        `${(promisedMs - endedMs).toFixed(1)} ms before what the request of ` +
        `${promisedFromMs.toFixed(1)} ms was promised`,
    );
  }
}
