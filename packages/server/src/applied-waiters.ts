// Whoever must see what is committed now waits here until it is applied, for at most a second.

import type { Host, Timer } from "@etcd-ts/base";
import { catalogue } from "./errors.ts";
import type { Refusal } from "./refusals.ts";

const waitMs = 1000;

interface Waiter {
  readonly index: number;
  readonly done: (refusal: Refusal | undefined) => void;
  readonly timer: Timer;
}

export class AppliedWaiters {
  readonly #host: Host;
  #waiters: Waiter[] = [];

  constructor(host: Host) {
    this.#host = host;
  }

  /** Calls back with nothing once `commitIndex` is applied (at once, if it is), or with why not. */
  wait(
    commitIndex: number,
    appliedIndex: number,
    done: (refusal: Refusal | undefined) => void,
  ): void {
    if (appliedIndex >= commitIndex) {
      done(undefined);
      return;
    }
    const waiter: Waiter = {
      index: commitIndex,
      done,
      timer: this.#host.timers.after(waitMs, () => {
        this.#waiters = this.#waiters.filter((it) => it !== waiter);
        done(catalogue.timeoutWaitAppliedIndex);
      }),
    };
    this.#waiters.push(waiter);
  }

  /** At the end of a turn. */
  applied(appliedIndex: number): void {
    if (this.#waiters.length === 0) return;
    const ready = this.#waiters.filter((it) => it.index <= appliedIndex);
    if (ready.length === 0) return;
    this.#waiters = this.#waiters.filter((it) => it.index > appliedIndex);
    for (const waiter of ready) {
      waiter.timer.cancel();
      waiter.done(undefined);
    }
  }

  stop(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      waiter.timer.cancel();
      waiter.done(catalogue.stopped);
    }
  }
}
