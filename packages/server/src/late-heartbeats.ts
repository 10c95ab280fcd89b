// A leader whose ticks come late sends its heartbeats late, and followers that hear nothing for an election timeout
// elect another one. The operator hears of it before that: in etcd's words, as whoever reads logs looks for them.

import type { Host } from "@etcd-ts/base";
import { durationText } from "./duration-text.ts";

/** One line for all that happens in so long. */
const quietMs = 10_000;

export class LateHeartbeats {
  readonly #host: Pick<Host, "clock" | "log">;
  readonly #tickMs: number;
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor(host: Pick<Host, "clock" | "log">, tickMs: number) {
    this.#host = host;
    this.#tickMs = tickMs;
  }

  /** With every tick of a leader. */
  tick(lateMs: number): void {
    if (lateMs <= this.#tickMs) return;
    const nowMs = this.#host.clock.monotonicMs();
    if (nowMs - this.#saidMs < quietMs) return;
    this.#saidMs = nowMs;
    this.#host.log.warn(
      "leader failed to send out heartbeat on time; took too long, leader is overloaded likely from slow disk",
      {
        "heartbeat-interval": durationText(this.#tickMs),
        "expected-duration": durationText(2 * this.#tickMs),
        "exceeded-duration": durationText(lateMs - this.#tickMs),
      },
    );
  }
}
