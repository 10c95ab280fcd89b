// A timer that is pushed back by every byte without touching the clockwork: it notes the time, and looks
// when it fires whether that was long enough ago.

import type { Host, Timer } from "@etcd-ts/base";

export class IdleTimer {
  readonly #host: Pick<Host, "clock" | "timers">;
  readonly #idleMs: number;
  readonly #fire: () => void;
  #timer: Timer | undefined;
  #sinceMs = 0;

  /** `idleMs` 0: never fires. */
  constructor(host: Pick<Host, "clock" | "timers">, idleMs: number, fire: () => void) {
    this.#host = host;
    this.#idleMs = idleMs;
    this.#fire = fire;
  }

  /** Counts from now; begins to count when it did not. */
  touch(): void {
    if (this.#idleMs === 0) return;
    this.#sinceMs = this.#host.clock.monotonicMs();
    if (this.#timer === undefined) this.#arm(this.#idleMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#host.timers.after(delayMs, () => {
      const leftMs = this.#idleMs - (this.#host.clock.monotonicMs() - this.#sinceMs);
      this.#timer = undefined;
      if (leftMs > 0.5) this.#arm(leftMs);
      else this.#fire();
    });
  }
}
