// Membership changes on their way. Raft takes one at a time (a second one would become an empty entry, and
// its caller would wait for ever), so the others queue here until the first is applied. With a new leader
// the slot is free again: a change that was under way may be lost, and whoever waits for it waits until the
// caller gives up, as in etcd.

import type { ConfChangeOutcome } from "@etcd-ts/machine";
import type { ConfChange } from "@etcd-ts/raft";
import type { Refusal } from "./refusals.ts";

/** Who waits for a membership change; told once. */
export interface ConfWaiter {
  decided(outcome: ConfChangeOutcome): void;
  refused(refusal: Refusal): void;
}

/** A membership change on its way; its `id` finds the waiter when it is applied. */
export interface ConfProposal {
  readonly change: ConfChange;
  readonly waiter: ConfWaiter;
}

export class ConfQueue {
  readonly #queue: ConfProposal[] = [];
  readonly #waiting: Map<bigint, ConfWaiter> = new Map();
  /** Id of the change that raft has; 0n: none. */
  #inFlight = 0n;
  #inFlightSinceMs = 0;

  /** There is one to propose. */
  get isReady(): boolean {
    return this.#inFlight === 0n && this.#queue.length > 0;
  }

  push(proposal: ConfProposal): void {
    this.#queue.push(proposal);
  }

  /** The one that is next, which stays. */
  get first(): ConfChange | undefined {
    return this.#inFlight === 0n ? this.#queue[0]?.change : undefined;
  }

  /** The next one to propose; then call `handed` or refuse it. */
  next(): ConfProposal | undefined {
    return this.#inFlight === 0n ? this.#queue.shift() : undefined;
  }

  /** Raft has taken it. */
  handed({ change, waiter }: ConfProposal, nowMs: number): void {
    this.#inFlight = change.id;
    this.#inFlightSinceMs = nowMs;
    this.#waiting.set(change.id, waiter);
  }

  applied(id: bigint, outcome: ConfChangeOutcome): void {
    if (this.#inFlight === id) this.#inFlight = 0n;
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiter?.decided(outcome);
  }

  leaderChanged(): void {
    this.#inFlight = 0n;
  }

  /** One that was forwarded to the leader may have got lost on its way: after a while others have a go. */
  expire(nowMs: number, afterMs: number): void {
    if (this.#inFlight !== 0n && nowMs - this.#inFlightSinceMs >= afterMs) this.#inFlight = 0n;
  }

  /** The caller went away: nobody is told any more. The change may still happen. */
  forget(id: bigint): void {
    const position = this.#queue.findIndex((proposal) => proposal.change.id === id);
    if (position >= 0) this.#queue.splice(position, 1);
    this.#waiting.delete(id);
    if (this.#inFlight === id) this.#inFlight = 0n; // raft itself keeps a second one from being proposed
  }

  refuseAll(refusal: Refusal): void {
    for (const { waiter } of this.#queue.splice(0)) waiter.refused(refusal);
    for (const waiter of this.#waiting.values()) waiter.refused(refusal);
    this.#waiting.clear();
  }
}
