// Open-loop load: so many requests a second, whether or not the answers come. What it finds is the latency at a given load, queues
// included: a request counts from when it was due, so a server that pauses does not also pause the clock.
//
// A timer of the system may be a millisecond or two late. That is the generator's fault and left out; what is later than that counts.

import type { Bytes } from "@etcd-ts/base";
import type { Channel, RpcError, UnaryHandler } from "@etcd-ts/rpc";
import { Histogram } from "../measure/histogram.ts";
import { openChannels, type Target } from "./connections.ts";
import type { NextRequest } from "./requests.ts";

const timerSlackMs = 2;
/** A server this far behind has lost; piling up more would only measure our memory. */
const inFlightMax = 50_000;

export interface OpenLoad {
  readonly target: Target;
  readonly perSecond: number;
  readonly connectionCount: number;
  readonly next: NextRequest;
}

export class OpenLoop implements UnaryHandler {
  readonly failed: Promise<never>;
  sent = 0;
  answered = 0;
  /** Requests that were not sent because too many others waited. */
  skipped = 0;
  longestGapMs = 0;
  readonly #load: OpenLoad;
  readonly #channels: Channel[];
  #fail!: (error: Error) => void;
  #latency: Histogram | undefined;
  #timer: NodeJS.Timeout | undefined;
  #startMs = 0;
  #due = 0;
  #lastAnswerMs = 0;
  #ending = false;
  #idle: (() => void) | undefined;

  constructor(load: OpenLoad) {
    this.#load = load;
    this.#channels = openChannels(load.target, load.connectionCount);
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined);
  }

  start(): void {
    this.#startMs = performance.now();
    this.#timer = setInterval(() => this.#tick(), 1);
  }

  record(): Histogram {
    this.#latency = new Histogram();
    this.#lastAnswerMs = performance.now();
    this.longestGapMs = 0;
    return this.#latency;
  }

  get inFlight(): number {
    return this.sent - this.answered;
  }

  /** No more requests; resolves when the last answer is there. */
  async finish(): Promise<void> {
    clearInterval(this.#timer);
    this.#ending = true;
    if (this.inFlight === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  close(): void {
    clearInterval(this.#timer);
    this.#ending = true;
    for (const channel of this.#channels) channel.close();
  }

  onResult(error: RpcError | undefined, _message: Bytes | undefined, tag: unknown): void {
    this.answered += 1;
    if (error !== undefined && !this.#ending) this.#fail(error);
    const nowMs = performance.now();
    if (this.#latency !== undefined) {
      this.#latency.add(nowMs - (tag as number));
      const gapMs = nowMs - this.#lastAnswerMs;
      if (gapMs > this.longestGapMs) this.longestGapMs = gapMs;
      this.#lastAnswerMs = nowMs;
    }
    if (this.#ending && this.inFlight === 0) this.#idle?.();
  }

  #tick(): void {
    const nowMs = performance.now();
    const { perSecond, next } = this.#load;
    const due = Math.floor(((nowMs - this.#startMs) * perSecond) / 1000);
    for (; this.#due < due; this.#due++) {
      if (this.inFlight >= inFlightMax) {
        this.skipped += 1;
        continue;
      }
      const dueMs = this.#startMs + ((this.#due + 1) * 1000) / perSecond;
      const { path, message } = next(this.#due);
      const channel = this.#channels[this.sent % this.#channels.length] as Channel;
      this.sent += 1;
      channel.startUnary(path, message, callOptions, this, Math.min(nowMs, dueMs + timerSlackMs));
    }
  }
}

const callOptions = { waitForReady: true };
