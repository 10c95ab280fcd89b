// Deadlines of calls, without a timer per call. A wheel of 512 slots of 16 ms; a call sits in the slot
// of its deadline, in a doubly linked list that runs through the calls themselves, so that adding and
// removing cost a few stores and no memory. Deadlines beyond one turn (8 s) stay in their slot until
// their turn comes. One host timer is armed while there is anything to watch. A deadline is never early
// and at most one slot (and the timer's own lateness) late.

import type { Clock, Timer, Timers } from "@etcd-ts/base";

export interface DeadlineEntry {
  /** By `clock.monotonicMs()`; does not change while in the wheel. */
  deadlineMs: number | undefined;
  wheelNext: DeadlineEntry | undefined;
  wheelPrevious: DeadlineEntry | undefined;
  /** Slot number, -1 outside of the wheel. */
  wheelSlot: number;
  /** The deadline has passed; the entry is out of the wheel. */
  onDeadline(): void;
}

const slotMs = 16;
const slotCount = 512;

export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #slots: (DeadlineEntry | undefined)[] = new Array<DeadlineEntry | undefined>(
    slotCount,
  ).fill(undefined);
  #count = 0;
  #closed = false;
  /** Number (not slot) of the first period that is not yet looked at. */
  #period = 0;
  #timer: Timer | undefined;
  /** The period at whose end the timer fires. */
  #armedPeriod = 0;
  readonly #fire: () => void = () => this.#advance();

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
  }

  get count(): number {
    return this.#count;
  }

  add(entry: DeadlineEntry): void {
    if (this.#closed) return;
    if (this.#count === 0) this.#period = Math.floor(this.#clock.monotonicMs() / slotMs);
    // A deadline that has passed already goes to the next slot to be looked at.
    const period = Math.max(Math.floor(entry.deadlineMs! / slotMs), this.#period);
    const slot = period % slotCount;
    const first = this.#slots[slot];
    entry.wheelNext = first;
    entry.wheelPrevious = undefined;
    entry.wheelSlot = slot;
    if (first !== undefined) first.wheelPrevious = entry;
    this.#slots[slot] = entry;
    this.#count++;
    if (this.#timer === undefined) {
      this.#arm();
    } else if (period < this.#armedPeriod) {
      this.#timer.cancel();
      this.#arm();
    }
  }

  /** Idempotent. */
  remove(entry: DeadlineEntry): void {
    if (entry.wheelSlot < 0) return;
    const { wheelNext: next, wheelPrevious: previous } = entry;
    if (previous === undefined) this.#slots[entry.wheelSlot] = next;
    else previous.wheelNext = next;
    if (next !== undefined) next.wheelPrevious = previous;
    entry.wheelNext = undefined;
    entry.wheelPrevious = undefined;
    entry.wheelSlot = -1;
    this.#count--;
  }

  /** Cancels the timer; entries, those added later too, are forgotten. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#slots.fill(undefined);
    this.#count = 0;
  }

  /** Arms for the end of the next period that has entries. */
  #arm(): void {
    let period = this.#period;
    const last = period + slotCount;
    while (period < last && this.#slots[period % slotCount] === undefined) period++;
    this.#armedPeriod = period;
    const dueMs = (period + 1) * slotMs - this.#clock.monotonicMs();
    this.#timer = this.#timers.after(Math.max(1, Math.ceil(dueMs)), this.#fire);
  }

  #advance(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    const current = Math.floor(nowMs / slotMs);
    // After a long pause (a stopped process) one turn of the wheel sees every slot.
    const from = Math.max(this.#period, current - slotCount);
    this.#period = current;
    const due: DeadlineEntry[] = [];
    for (let period = from; period < current; period++) {
      let entry = this.#slots[period % slotCount];
      while (entry !== undefined) {
        const next: DeadlineEntry | undefined = entry.wheelNext;
        if (entry.deadlineMs! <= nowMs) {
          this.remove(entry);
          due.push(entry);
        }
        entry = next;
      }
    }
    for (let i = 0; i < due.length; i++) due[i]!.onDeadline();
    if (this.#count > 0 && this.#timer === undefined) this.#arm();
  }
}
