// How long the event loop was held: a timer that should fire every `probeMs` measures how late it is. The
// figure covers everything in the process, not only what the replica loop does.

import type { Host, Timer } from "@etcd-ts/base";
import { doublingBounds, Histogram } from "./metric-types.ts";

const probeMs = 20;

export class LoopMonitor {
  readonly #host: Host;
  #timer: Timer | undefined;
  #dueMs = 0;
  readonly stallSeconds: Histogram = new Histogram(doublingBounds(0.0005, 14));
  longestStallMs = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  start(): void {
    this.#dueMs = this.#host.clock.monotonicMs() + probeMs;
    this.#timer = this.#host.timers.after(probeMs, this.#probe);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #probe = (): void => {
    const now = this.#host.clock.monotonicMs();
    // Timers of the system are late by up to a millisecond or two without any stall.
    const lateMs = Math.max(0, now - this.#dueMs);
    this.stallSeconds.observe(lateMs / 1000);
    if (lateMs > this.longestStallMs) this.longestStallMs = lateMs;
    this.#dueMs = now + probeMs;
    this.#timer = this.#host.timers.after(probeMs, this.#probe);
  };
}
