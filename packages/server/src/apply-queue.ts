// Committed entries on their way into the machine. Raft hands them out in portions; the loop takes them off
// one by one, as many as fit into its slice, and answers raft when a portion is finished.

import type { Entry, Message } from "@etcd-ts/raft";

export class ApplyQueue {
  #portions: Message[] = [];
  /** Position in the first portion. */
  #next = 0;
  /** Index of the last entry that was handed out for application; 0 before the first. */
  lastIndex = 0;

  /** A MsgStorageApply. */
  push(portion: Message): void {
    this.#portions.push(portion);
    const last = portion.entries.at(-1);
    if (last !== undefined) this.lastIndex = last.index;
  }

  get isEmpty(): boolean {
    return this.#portions.length === 0;
  }

  /** The next entry, which is then the caller's; undefined at the end of a portion. */
  next(): Entry | undefined {
    return this.#portions[0]?.entries[this.#next++];
  }

  /** Drops everything, since a snapshot brings it; returns the answers to raft. */
  dropAll(): Message[] {
    this.#next = 0;
    return this.#portions.splice(0).flatMap((portion) => portion.responses);
  }

  /** Takes the finished first portion off and returns the answers to raft. */
  finishPortion(): readonly Message[] {
    this.#next = 0;
    return this.#portions.shift()!.responses;
  }
}
