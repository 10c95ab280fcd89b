// Raft's clock: one tick every `tickMs`, measured for lateness. Ticks that were missed are skipped: after a
// stall a burst of them would only start elections.

import type { Host, Timer } from "@etcd-ts/base";
import { doublingBounds, Histogram } from "./metric-types.ts";

export class Ticker {
  readonly #host: Host;
  readonly #tickMs: number;
  readonly #onTick: (lateMs: number) => void;
  #timer: Timer | undefined;
  #nextMs = 0;
  /** Monotonic ms of the last tick. */
  lastMs = 0;
  readonly latenessSeconds: Histogram = new Histogram(doublingBounds(0.0005, 14));
  longestLatenessMs = 0;
  /** Ticks that were late by more than a tick. */
  lateCount = 0;

  constructor(host: Host, tickMs: number, onTick: (lateMs: number) => void) {
    this.#host = host;
    this.#tickMs = tickMs;
    this.#onTick = onTick;
  }

  start(): void {
    this.lastMs = this.#host.clock.monotonicMs();
    this.#nextMs = this.lastMs + this.#tickMs;
    this.#arm(this.lastMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(nowMs: number): void {
    this.#timer = this.#host.timers.after(Math.max(0, this.#nextMs - nowMs), this.#fire);
  }

  readonly #fire = (): void => {
    const now = this.#host.clock.monotonicMs();
    const lateMs = Math.max(0, now - this.#nextMs);
    this.latenessSeconds.observe(lateMs / 1000);
    if (lateMs > this.longestLatenessMs) this.longestLatenessMs = lateMs;
    if (lateMs > this.#tickMs) this.lateCount++;
    this.lastMs = now;
    this.#nextMs = Math.max(this.#nextMs + this.#tickMs, now + 1);
    this.#arm(now);
    this.#onTick(lateMs);
  };
}
