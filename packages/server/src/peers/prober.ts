// Asks a peer for its time every four seconds: how long the answer takes, and whether the clocks agree. Only
// for the operator; nothing is decided by it.

import { bytesToUtf8, type Timer } from "@etcd-ts/base";
import { hexId } from "../ids.ts";
import { Agents, idleMs, type LinkContext, probingPath } from "./link-context.ts";
import type { UrlPicker } from "./peer-url.ts";

const probeMs = 4000;
const clockDifferenceMsMax = 1000;

export class Prober {
  readonly #context: LinkContext;
  readonly #peerId: bigint;
  readonly #urls: UrlPicker;
  readonly #agents: Agents;
  #timer: Timer | undefined;
  #warned = false;

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
      (response) => {
        if (response === undefined || response.status !== 200) return; // the streams tell what is wrong
        const roundTripMs = clock.monotonicMs() - sentMs;
        const metrics = this.#context.metrics.roundTripSeconds;
        metrics.of(hexId(this.#peerId)).observe(roundTripMs / 1000);
        this.#compareClocks(bytesToUtf8(response.body), roundTripMs);
      },
    );
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
