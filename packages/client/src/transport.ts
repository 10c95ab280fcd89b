// Makes calls: chooses an endpoint, adds the metadata, retries what may be retried, renews the token, and
// turns what comes back into typed errors. All services of the client go through here.

import { type Bytes, background } from "@etcd-ts/base";
import {
  type ClientStream,
  type ClientStreamHandler,
  type Metadata,
  RpcError,
  Status,
} from "@etcd-ts/rpc";
import { Balancer, type EndpointChannel } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";
import { isTokenProblem, rpcErrorText, toClientError } from "./errors.ts";
import { type Method, methods } from "./methods.ts";
import type { AbortSignalLike, CallOptions, ClientHost, ClientOptions } from "./options.ts";
import { attemptsMax, mayRetry, retryDelayMs } from "./retry.ts";
import { fanOut } from "./signal-fan.ts";

/** The API version that the client claims to speak. */
const apiVersion = "3.7";

export interface StreamOptions {
  readonly signal?: AbortSignalLike | undefined;
  readonly timeoutMs?: number | undefined;
  /** Have the member end the stream when it has no leader. */
  readonly requireLeader?: boolean;
}

/** A stream and the endpoint that serves it. */
export interface OpenStream {
  readonly stream: ClientStream;
  readonly at: EndpointChannel;
}

export class Transport {
  readonly host: ClientHost;
  readonly #options: ClientOptions;
  readonly #balancer: Balancer;
  readonly #target: string;
  #token: string | undefined;
  /** Nothing has to be fetched: there is a token, or nobody asks for one. */
  #tokenSettled: boolean;
  /** The one fetch of a token that is under way. */
  #fetching: Promise<void> | undefined;

  constructor(endpoints: readonly Endpoint[], options: ClientOptions, host: ClientHost) {
    this.host = host;
    this.#options = options;
    this.#balancer = new Balancer(endpoints, options, host);
    this.#target = endpoints.map((it) => it.text).join(",");
    this.#token = options.token;
    this.#tokenSettled = options.token !== undefined || options.credentials === undefined;
  }

  /** The token that calls send along. */
  get token(): string | undefined {
    return this.#token;
  }

  /** One request, one answer. Rejects with `ApiError`, `RpcError` or the signal's reason. */
  async unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Response> {
    const signal = fanOut(options.signal);
    const deadlineMs = this.deadlineMs(options.timeoutMs);
    if (!this.#tokenSettled) await this.#ensureToken(deadlineMs, signal);
    return this.#call(method, request, deadlineMs, signal);
  }

  /** Clock time at which a call that starts now has to end. */
  deadlineMs(timeoutMs: number | undefined): number | undefined {
    const limitMs = timeoutMs ?? this.#options.callTimeoutMs;
    return limitMs === undefined ? undefined : this.host.clock.monotonicMs() + limitMs;
  }

  /** Opens a stream on a ready endpoint. What goes wrong later arrives at `handler.onEnd`. */
  async openStream(
    path: string,
    handler: ClientStreamHandler,
    options: StreamOptions,
  ): Promise<OpenStream> {
    const signal = fanOut(options.signal);
    const deadlineMs =
      options.timeoutMs === undefined ? undefined : this.deadlineMs(options.timeoutMs);
    await this.#ensureToken(deadlineMs, signal);
    const at = await this.#balancer.ready(deadlineMs, signal).catch((error: unknown) => {
      if (error instanceof RpcError && error.code === Status.deadlineExceeded) {
        const text = rpcErrorText(error);
        this.#options.log?.error("streamer failed to create ClientStream", { error: text });
      }
      throw error;
    });
    const metadata: Metadata = options.requireLeader
      ? [...this.#metadata(), ["hasleader", "true"]]
      : this.#metadata();
    const stream = at.channel.stream(
      path,
      {
        metadata,
        ...(signal === undefined ? {} : { signal }),
        ...(deadlineMs === undefined
          ? {}
          : { timeoutMs: Math.max(1, deadlineMs - this.host.clock.monotonicMs()) }),
      },
      handler,
    );
    return { stream, at };
  }

  /** Have the next calls go elsewhere for a moment, if they can. */
  penalise(at: EndpointChannel): void {
    this.#balancer.penalise(at);
  }

  /**
   * Fetches a token for the client's credentials now; does nothing without credentials. A cluster without
   * authentication needs no token. Rejects as `unary` does.
   */
  async authenticate(options: CallOptions = {}): Promise<void> {
    await this.#ensureToken(this.deadlineMs(options.timeoutMs), fanOut(options.signal));
  }

  /** Forgets the token, so that the next call fetches one; false when there are no credentials. */
  forgetToken(): boolean {
    if (this.#options.credentials === undefined) return false;
    this.#token = undefined;
    this.#tokenSettled = false;
    return true;
  }

  /** Logs the failure of something in the background. */
  warn(message: string, error: unknown): void {
    this.#options.log?.warn(message, { target: this.#target, error: String(error) });
  }

  /** Resolves after `delayMs`, or at once when the signal fires. */
  pause(delayMs: number, signal?: AbortSignalLike): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = this.host.timers.after(delayMs, done);
      signal?.addEventListener("abort", done);
    });
  }

  close(): void {
    this.#balancer.close();
  }

  async #call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    deadlineMs: number | undefined,
    signal: AbortSignalLike | undefined,
  ): Promise<Response> {
    const message = method.encode(request);
    let renewed = false;
    for (let attempt = 0; ; attempt++) {
      // No detour over a promise when an endpoint is ready, as it mostly is.
      const ready = signal?.aborted ? undefined : this.#balancer.pick();
      const at = ready ?? (await this.#ready(deadlineMs, signal, method.path));
      try {
        return method.decode(await this.#attempt(at, method.path, message, deadlineMs, signal));
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (!(error instanceof RpcError)) throw error;
        this.#logFailure(method.path, attempt, at, error);
        if (isTokenProblem(error) && !renewed && this.forgetToken()) {
          renewed = true;
          await this.#ensureToken(deadlineMs, signal);
          continue;
        }
        if (error.code === Status.unavailable) this.penalise(at);
        const { endpointCount } = this.#balancer;
        if (attempt + 1 >= attemptsMax || !mayRetry(error, method.retry, endpointCount)) {
          throw toClientError(error);
        }
        const delayMs = retryDelayMs(attempt + 1, endpointCount, this.host.random);
        if (delayMs > 0) await this.pause(delayMs, signal);
      }
    }
  }

  #attempt(
    at: EndpointChannel,
    path: string,
    message: Bytes,
    deadlineMs: number | undefined,
    signal: AbortSignalLike | undefined,
  ): Promise<Bytes> {
    return at.channel.unary(path, message, {
      metadata: this.#metadata(),
      ...(signal === undefined ? {} : { signal }),
      ...(deadlineMs === undefined
        ? {}
        : { timeoutMs: Math.max(1, deadlineMs - this.host.clock.monotonicMs()) }),
    });
  }

  async #ready(
    deadlineMs: number | undefined,
    signal: AbortSignalLike | undefined,
    path: string,
  ): Promise<EndpointChannel> {
    try {
      return await this.#balancer.ready(deadlineMs, signal);
    } catch (error) {
      if (error instanceof RpcError) this.#logFailure(path, 0, undefined, error);
      throw error;
    }
  }

  #metadata(): Metadata {
    return this.#token === undefined
      ? [["client-api-version", apiVersion]]
      : [
          ["client-api-version", apiVersion],
          ["token", this.#token],
        ];
  }

  async #ensureToken(
    deadlineMs: number | undefined,
    signal: AbortSignalLike | undefined,
  ): Promise<void> {
    if (this.#tokenSettled) return;
    // One fetch serves all calls that wait for it; a caller who gives up does not end it for the others.
    if (this.#fetching === undefined) {
      const fetching = this.#fetchToken(deadlineMs).finally(() => {
        this.#fetching = undefined;
      });
      this.#fetching = fetching;
      background(fetching, () => {
        // Every caller that awaits it gets the failure.
      });
    }
    await raceSignal(this.#fetching, signal);
  }

  async #fetchToken(deadlineMs: number | undefined): Promise<void> {
    const { name, password } = this.#options.credentials as { name: string; password: string };
    const request = methods.authenticate.create({ name, password });
    try {
      const response = await this.#call(methods.authenticate, request, deadlineMs, undefined);
      this.#token = response.token;
    } catch (error) {
      if (!(error instanceof Error) || error.message !== authNotEnabledText) throw error;
      // Nobody has to say who they are here.
      this.#token = undefined;
    }
    this.#tokenSettled = true;
  }

  #logFailure(
    path: string,
    attempt: number,
    at: EndpointChannel | undefined,
    error: RpcError,
  ): void {
    this.#options.log?.warn("retrying of unary invoker failed", {
      target: `etcd-endpoints://${this.#target}`,
      peer:
        at === undefined
          ? "Peer{Addr: <nil>, LocalAddr: <nil>, AuthInfo: <nil>}"
          : at.endpoint.text,
      method: path,
      attempt,
      error: rpcErrorText(error),
    });
  }
}

const authNotEnabledText = "etcdserver: authentication is not enabled";

async function raceSignal(task: Promise<void>, signal: AbortSignalLike | undefined): Promise<void> {
  if (signal === undefined) return task;
  if (signal.aborted) throw signal.reason;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
  });
  try {
    await Promise.race([task, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener("abort", stop);
  }
}
