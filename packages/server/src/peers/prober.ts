// Asks a peer for its time every four seconds: how long the answer takes, and whether the clocks agree. Only
// for the operator; nothing is decided by it.

import { bytesToUtf8, type Timer } from "@etcd-ts/base";
import { hexId } from "../ids.ts";
import { Agents, idleMs, type LinkContext, probingPath } from "./link-context.ts";
import type { UrlPicker } from "./peer-url.ts";

const probeMs = 4000;
const clockDifferenceMsMax = 1000;
/** A peer that does not answer is a line of the log so often: links say only once that they broke. */
const unhealthyMs = 30_000;

export class Prober {
  readonly #context: LinkContext;
  readonly #peerId: bigint;
  readonly #urls: UrlPicker;
  readonly #agents: Agents;
  #timer: Timer | undefined;
  #warned = false;
  #unhealthySaidMs = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(context: LinkContext, peerId: bigint, urls: UrlPicker) {
    this.#context = context;
    this.#peerId = peerId;
    this.#urls = urls;
    this.#agents = new Agents(context);
  }

  start(): void {
    this.#timer = this.#context.host.timers.after(probeMs, () => this.#probe());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#agents.stop();
  }

  #probe(): void {
    this.start();
    const url = this.#urls.pick();
    if (url === undefined) return;
    const { clock } = this.#context.host;
    const sentMs = clock.monotonicMs();
    this.#agents.of(url).request(
      {
        method: "GET",
        target: probingPath,
        fields: [],
        timeoutMs: idleMs,
        responseBytesMax: 4096,
      },
      (response, error) => {
        if (this.#stopped) return;
        if (response?.status !== 200) {
          this.#unhealthy(error?.message ?? `unexpected http status ${response?.status}`);
          return;
        }
        this.#unhealthySaidMs = Number.NEGATIVE_INFINITY;
        const roundTripMs = clock.monotonicMs() - sentMs;
        const metrics = this.#context.metrics.roundTripSeconds;
        metrics.of(hexId(this.#peerId)).observe(roundTripMs / 1000);
        this.#compareClocks(bytesToUtf8(response.body), roundTripMs);
      },
    );
  }

  #unhealthy(error: string): void {
    const nowMs = this.#context.host.clock.monotonicMs();
    if (nowMs - this.#unhealthySaidMs < unhealthyMs) return;
    this.#unhealthySaidMs = nowMs;
    this.#context.log.warn("prober detected unhealthy status", {
      "round-tripper-name": "ROUND_TRIPPER_RAFT_MESSAGE",
      "remote-peer-id": hexId(this.#peerId),
      rtt: "0s",
      error,
    });
  }

  #compareClocks(body: string, roundTripMs: number): void {
    const match = /"Now"\s*:\s*"([^"]*)"/.exec(body);
    const theirMs = match === null ? Number.NaN : Date.parse(match[1]!);
    const differenceMs = theirMs - (this.#context.host.clock.wallMs() - roundTripMs / 2);
    const differs = Math.abs(differenceMs) > clockDifferenceMsMax;
    if (differs && !this.#warned) {
      this.#context.log.warn("prober found high clock drift", {
        "remote-peer-id": hexId(this.#peerId),
        "clock-drift": `${(differenceMs / 1000).toFixed(3)}s`,
        rtt: `${(roundTripMs / 1000).toFixed(6)}s`,
      });
    }
    this.#warned = differs;
  }
}
