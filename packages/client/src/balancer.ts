// Which endpoint serves the next call.
//
// One channel per endpoint; all are connected as soon as the client is used, and calls go round among the
// ready ones. An endpoint that answered "unavailable" a moment ago (its member lost its leader, or is
// shutting down) is passed over while another is ready. When none is ready, calls wait for the first one
// that becomes ready: a dead endpoint among live ones costs nothing, a dead cluster costs the caller's
// deadline and then names the last failure to connect.

import type { Log, Timer } from "@etcd-ts/base";
import { Channel, connectText, RpcError, Status } from "@etcd-ts/rpc";
import type { Endpoint } from "./endpoint.ts";
import type { AbortSignalLike, ClientHost, ClientOptions, ClientTlsOptions } from "./options.ts";

/** How long an endpoint that answered "unavailable" is passed over. */
const penaltyMs = 500;

/** Bounds of the time between two attempts to connect. */
const backoff = { baseMs: 50, factor: 1.6, maxMs: 3_000, jitter: 0.2 } as const;

/** A connection that ended sooner than the first figure is made again after the second. */
const shortLifeMs = 1_000;
const shortLifePauseMs = 200;

/** Shortest silence after which grpc servers tolerate a ping. */
const keepaliveTimeMinMs = 10_000;

export class EndpointChannel {
  readonly endpoint: Endpoint;
  readonly channel: Channel;
  /** Clock time before which another endpoint is preferred. */
  penaltyUntilMs = 0;
  /** When the connection became ready. */
  readyAtMs = 0;
  /** The next attempt, when it has to wait. */
  pause: Timer | undefined;
  /** Why the last attempt to connect failed; undefined once connected. */
  connectError: Error | undefined;

  constructor(endpoint: Endpoint, channel: Channel) {
    this.endpoint = endpoint;
    this.channel = channel;
  }
}

export class Balancer {
  readonly #host: ClientHost;
  readonly #log: Log | undefined;
  readonly #all: readonly EndpointChannel[];
  /** Calls that wait for a ready channel. */
  readonly #waiting = new Set<() => void>();
  #started = false;
  #closed = false;
  #next = 0;

  constructor(endpoints: readonly Endpoint[], options: ClientOptions, host: ClientHost) {
    this.#host = host;
    this.#log = options.log;
    this.#all = endpoints.map((it) => new EndpointChannel(it, openChannel(it, options, host)));
    // Spread the clients of one list over its members.
    this.#next = host.random.below(this.#all.length);
  }

  get endpointCount(): number {
    return this.#all.length;
  }

  /** A ready endpoint, now; undefined when there is none. */
  pick(): EndpointChannel | undefined {
    const nowMs = this.#host.clock.monotonicMs();
    let second: EndpointChannel | undefined;
    for (let i = 0; i < this.#all.length; i++) {
      const index = (this.#next + i) % this.#all.length;
      const it = this.#all[index] as EndpointChannel;
      if (it.channel.state !== "ready") continue;
      if (it.penaltyUntilMs <= nowMs) {
        this.#next = (index + 1) % this.#all.length;
        return it;
      }
      second ??= it;
    }
    return second;
  }

  /**
   * A ready endpoint, waiting for one if need be. Throws `RpcError` DEADLINE_EXCEEDED at `deadlineMs` (of
   * the host's clock), CANCELLED when the client is closed, or the signal's reason.
   */
  async ready(
    deadlineMs: number | undefined,
    signal: AbortSignalLike | undefined,
  ): Promise<EndpointChannel> {
    this.#start();
    for (;;) {
      if (this.#closed) throw closedError();
      if (signal?.aborted) throw signal.reason;
      const picked = this.pick();
      if (picked !== undefined) return picked;
      if (deadlineMs !== undefined && deadlineMs <= this.#host.clock.monotonicMs()) {
        throw new RpcError(Status.deadlineExceeded, this.#whyNotReady());
      }
      await this.#change(deadlineMs, signal);
    }
  }

  penalise(it: EndpointChannel): void {
    it.penaltyUntilMs = this.#host.clock.monotonicMs() + penaltyMs;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const it of this.#all) {
      it.pause?.cancel();
      it.channel.close();
    }
    this.#wake();
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    for (const it of this.#all) {
      it.channel.onStateChange((state, error) => {
        if (this.#closed) return;
        // Calls without a deadline wait in silence: whoever wonders for what turns the debug lines on.
        this.#log?.debug("connection changed", {
          endpoint: it.endpoint.text,
          state,
          ...(error === undefined ? {} : { error: connectText(it.endpoint.address, error) }),
        });
        if (state === "ready") {
          it.connectError = undefined;
          it.readyAtMs = this.#host.clock.monotonicMs();
        }
        if (state === "failed") it.connectError = error;
        if (state === "idle") this.#connectAgain(it);
        this.#wake();
      });
      it.channel.connect();
    }
  }

  /**
   * A connection that ended is wanted again, at once unless it lived only a moment: a member that shows
   * everybody the door must not keep us busy. Failed attempts the channel paces itself.
   */
  #connectAgain(it: EndpointChannel): void {
    if (this.#host.clock.monotonicMs() - it.readyAtMs > shortLifeMs) {
      it.channel.connect();
      return;
    }
    it.pause?.cancel();
    it.pause = this.#host.timers.after(shortLifePauseMs, () => it.channel.connect());
  }

  /** Resolves when a channel changes, the deadline passes or the signal fires. */
  #change(deadlineMs: number | undefined, signal: AbortSignalLike | undefined): Promise<void> {
    return new Promise((resolve) => {
      const delayMs =
        deadlineMs === undefined
          ? undefined
          : Math.max(0, deadlineMs - this.#host.clock.monotonicMs());
      const done = (): void => {
        timer?.cancel();
        signal?.removeEventListener("abort", done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = delayMs === undefined ? undefined : this.#host.timers.after(delayMs, done);
      signal?.addEventListener("abort", done);
      this.#waiting.add(done);
    });
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }

  #whyNotReady(): string {
    const failed = this.#all.find((it) => it.connectError !== undefined);
    if (failed === undefined)
      return "context deadline exceeded while waiting for connections to become ready";
    return `latest balancer error: ${connectText(failed.endpoint.address, failed.connectError)}`;
  }
}

export function closedError(): RpcError {
  return new RpcError(Status.cancelled, "the client is closed");
}

function openChannel(endpoint: Endpoint, options: ClientOptions, host: ClientHost): Channel {
  const tls: ClientTlsOptions | undefined = endpoint.tls ? (options.tls ?? {}) : undefined;
  return new Channel({
    host,
    address: endpoint.address,
    authority: endpoint.authority,
    ...(tls === undefined ? {} : { tls }),
    receiveBytesMax: options.receiveBytesMax ?? 2_147_483_647,
    sendBytesMax: options.sendBytesMax ?? 2 * 1024 * 1024,
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    keepalive: {
      timeMs: Math.max(keepaliveTimeMinMs, options.keepaliveTimeMs ?? keepaliveTimeMinMs),
      timeoutMs: options.keepaliveTimeoutMs ?? 6_000,
    },
    backoff,
  });
}
