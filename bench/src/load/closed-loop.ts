// Closed-loop load: so many clients, each of which sends its next request when the answer to the last one is there. What it finds is
// the throughput at a given number of clients, and the latency at that throughput.
//
// Clients are objects with a callback; there is no promise per request.

import type { Bytes } from "@etcd-ts/base";
import type { Channel, RpcError, UnaryHandler } from "@etcd-ts/rpc";
import { Histogram } from "../measure/histogram.ts";
import { Window, type WindowCost } from "../measure/window.ts";
import { openChannels, pause, type Target } from "./connections.ts";
import type { NextRequest } from "./requests.ts";

/** A server that answers nothing for so long does not work. */
const patienceMs = 30_000;

export interface ClosedLoad {
  readonly target: Target;
  readonly pids: readonly number[];
  readonly clientCount: number;
  readonly connectionCount: number;
  readonly warmupMs: number;
  /** See `Plan`. */
  readonly warmupAnswers?: number;
  /** How long it is measured: longer only until the first answer. */
  readonly measureMs: number;
  readonly next: NextRequest;
  /** Called when the measured time begins. */
  readonly onMeasure?: () => void;
}

export interface LoadResult {
  readonly operations: number;
  readonly cost: WindowCost;
  readonly latency: Histogram;
}

export async function runClosedLoad(load: ClosedLoad): Promise<LoadResult> {
  const loop = new ClosedLoop(load.target, load.connectionCount, load.clientCount, load.next);
  try {
    loop.start();
    await warmUp(loop, load.warmupMs, load.warmupAnswers ?? 0);
    load.onMeasure?.();
    const latency = loop.record();
    const window = new Window(load.pids);
    await Promise.race([pause(load.measureMs), loop.failed]);
    await firstAnswer(latency, loop.failed);
    const cost = window.read();
    const operations = latency.count;
    await Promise.race([loop.finish(), loop.failed]);
    return { operations, cost, latency };
  } finally {
    loop.close();
  }
}

/** A server that compiles as it runs is slow at first, and slower on a busy machine: it needs calls more than it needs time. */
export async function warmUp(
  loop: ClosedLoop,
  warmupMs: number,
  warmupAnswers: number,
): Promise<void> {
  await Promise.race([pause(warmupMs), loop.failed]);
  const endMs = performance.now() + 2 * warmupMs;
  while (loop.answered < warmupAnswers && performance.now() < endMs) {
    await Promise.race([pause(10), loop.failed]);
  }
}

/** Waits for it; throws when none comes. */
export async function firstAnswer(latency: Histogram, failed: Promise<never>): Promise<void> {
  const giveUpMs = performance.now() + patienceMs;
  while (latency.count === 0) {
    if (performance.now() > giveUpMs) throw new Error(`no answer within ${patienceMs / 1000} s`);
    await Promise.race([pause(10), failed]);
  }
}

interface Client {
  readonly index: number;
  readonly channel: Channel;
  startMs: number;
}

export class ClosedLoop implements UnaryHandler {
  /** Rejects when a call fails: a load that loses requests measures nothing. */
  readonly failed: Promise<never>;
  /** Longest time in which no answer came, while recording. */
  longestGapMs = 0;
  answered = 0;
  readonly #channels: Channel[];
  readonly #clients: Client[];
  readonly #next: NextRequest;
  #fail!: (error: Error) => void;
  #latency: Histogram | undefined;
  #lastAnswerMs = 0;
  #running = 0;
  #ending = false;
  #idle: (() => void) | undefined;

  constructor(target: Target, connectionCount: number, clientCount: number, next: NextRequest) {
    this.#next = next;
    this.#channels = openChannels(target, connectionCount);
    this.#clients = Array.from({ length: clientCount }, (_, index) => ({
      index,
      channel: this.#channels[index % connectionCount] as Channel,
      startMs: 0,
    }));
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined);
  }

  start(): void {
    this.#running = this.#clients.length;
    const nowMs = performance.now();
    for (const client of this.#clients) this.#send(client, nowMs);
  }

  /** From now on latencies are counted, in a new histogram. */
  record(): Histogram {
    this.#latency = new Histogram();
    this.#lastAnswerMs = performance.now();
    this.longestGapMs = 0;
    return this.#latency;
  }

  /** No more requests; resolves when the last answer is there. */
  async finish(): Promise<void> {
    this.#latency = undefined;
    this.#ending = true;
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  close(): void {
    this.#ending = true;
    for (const channel of this.#channels) channel.close();
  }

  onResult(error: RpcError | undefined, _message: Bytes | undefined, tag: unknown): void {
    if (error !== undefined) {
      if (!this.#ending) this.#fail(error);
      this.#stopped();
      return;
    }
    const client = tag as Client;
    const nowMs = performance.now();
    this.answered += 1;
    if (this.#latency !== undefined) {
      this.#latency.add(nowMs - client.startMs);
      const gapMs = nowMs - this.#lastAnswerMs;
      if (gapMs > this.longestGapMs) this.longestGapMs = gapMs;
      this.#lastAnswerMs = nowMs;
    }
    if (this.#ending) this.#stopped();
    else this.#send(client, nowMs);
  }

  #send(client: Client, nowMs: number): void {
    const { path, message } = this.#next(client.index);
    client.startMs = nowMs;
    client.channel.startUnary(path, message, callOptions, this, client);
  }

  #stopped(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#idle?.();
  }
}

const callOptions = { waitForReady: true };
