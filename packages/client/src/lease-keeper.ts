// Keeps leases alive: one stream for all of them, a renewal every third of each lease's time to live.
//
// A lease counts as lost when a member says that it is gone, or when its time passed without an answer (the
// member may have ended it by then). A stream that breaks is opened again and all leases renewed at once.

import {
  decodeLeaseKeepAliveResponse,
  encodeLeaseKeepAliveRequest,
  LeaseKeepAliveRequest,
  type LeaseKeepAliveResponse,
} from "@etcd-ts/api";
import { background, type Timer } from "@etcd-ts/base";
import { RpcError } from "@etcd-ts/rpc";
import { closedError } from "./balancer.ts";
import { isTokenProblem, toClientError } from "./errors.ts";
import type { AbortSignalLike } from "./options.ts";
import { isPassing } from "./retry.ts";
import { fanOut } from "./signal-fan.ts";
import type { OpenStream, Transport } from "./transport.ts";

export const keepAlivePath = "/etcdserverpb.Lease/LeaseKeepAlive";

export interface KeepAliveOptions {
  /** Time for the first answer; later ones have the lease's own time. Default 3 s. */
  readonly firstAnswerMs?: number;
  readonly signal?: AbortSignalLike;
}

const firstAnswerMs = 3_000;
const reopenDelayMs = 500;
/** Timers count in 31 bits; leases of more than 24 days are renewed early and given up early. */
const timerMsMax = 2 ** 31 - 1;
/** Answers that may wait for the consumer; older ones are dropped, since only the newest matters. */
const queuedMax = 16;

/**
 * The renewals of one lease, as long as it lives: an async iterable of the answers, which ends when the lease
 * is lost (then `lost` is true) or `close` is called. It renews whether or not somebody iterates.
 */
export class KeepAlive implements AsyncIterable<LeaseKeepAliveResponse>, AsyncDisposable {
  readonly id: bigint;
  /** Resolves at the end: true when the lease was lost. */
  readonly ended: Promise<boolean>;
  /** The lease is gone, or nobody knows. */
  lost = false;
  readonly #close: () => void;
  readonly #queue: LeaseKeepAliveResponse[] = [];
  #failure: { readonly reason: unknown } | undefined;
  #isEnded = false;
  #wake: (() => void) | undefined;
  #resolveEnded: ((lost: boolean) => void) | undefined;

  constructor(id: bigint, close: (it: KeepAlive) => void) {
    this.id = id;
    this.#close = () => close(this);
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LeaseKeepAliveResponse, void, void> {
    try {
      for (;;) {
        const response = this.#queue.shift();
        if (response !== undefined) yield response;
        else if (this.#failure !== undefined) throw this.#failure.reason;
        else if (this.#isEnded) return;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.close();
    }
  }

  /** Stops renewing; the lease then ends after its time. Idempotent. */
  close(): void {
    this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** For the keeper. */
  push(response: LeaseKeepAliveResponse): void {
    if (this.#queue.length >= queuedMax) this.#queue.shift();
    this.#queue.push(response);
    this.#notify();
  }

  /** For the keeper. */
  finish(lost: boolean, failure?: { readonly reason: unknown }): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.lost = lost;
    this.#failure = failure;
    this.#resolveEnded?.(lost);
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/** One `KeepAlive` and its timers. */
interface Kept {
  readonly it: KeepAlive;
  /** When the lease may have ended, as far as we know. */
  expiry: Timer;
  renewal: Timer | undefined;
  readonly signal: AbortSignalLike | undefined;
  readonly onAbort: () => void;
}

export class LeaseKeeper {
  readonly #transport: Transport;
  readonly #kept = new Set<Kept>();
  #open: OpenStream | undefined;
  #opening = false;
  #closed = false;
  #failed = false;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  keep(id: bigint, options: KeepAliveOptions = {}): KeepAlive {
    const signal = fanOut(options.signal);
    const it: KeepAlive = new KeepAlive(id, () => this.#leave(kept, false));
    const onAbort = (): void => this.#leave(kept, false, { reason: signal?.reason });
    const kept: Kept = {
      it,
      expiry: this.#transport.host.timers.after(options.firstAnswerMs ?? firstAnswerMs, () =>
        this.#leave(kept, true),
      ),
      renewal: undefined,
      signal,
      onAbort,
    };
    this.#kept.add(kept);
    if (this.#closed) this.#leave(kept, false, { reason: closedError() });
    else if (signal?.aborted) onAbort();
    else {
      signal?.addEventListener("abort", onAbort);
      if (this.#open !== undefined) this.#send(kept);
      else this.#openSoon();
    }
    return it;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const kept of [...this.#kept]) this.#leave(kept, false, { reason: closedError() });
    this.#closeStream();
  }

  #leave(kept: Kept, lost: boolean, failure?: { readonly reason: unknown }): void {
    if (!this.#kept.delete(kept)) return;
    kept.expiry.cancel();
    kept.renewal?.cancel();
    kept.signal?.removeEventListener("abort", kept.onAbort);
    kept.it.finish(lost, failure);
    if (this.#kept.size === 0) this.#closeStream();
  }

  #openSoon(): void {
    if (this.#opening || this.#closed) return;
    this.#opening = true;
    background(this.#openStream(), (error) => {
      this.#opening = false;
      this.#failAll(error instanceof RpcError ? toClientError(error) : error);
    });
  }

  async #openStream(): Promise<void> {
    if (this.#failed) await this.#transport.pause(reopenDelayMs);
    let mine: OpenStream | undefined;
    const isPresent = (): boolean => mine !== undefined && this.#open === mine;
    mine = await this.#transport.openStream(
      keepAlivePath,
      {
        onMessage: (message) => {
          if (isPresent()) this.#receive(decodeLeaseKeepAliveResponse(message));
        },
        onEnd: (error) => {
          if (isPresent()) this.#ended(error);
        },
      },
      { requireLeader: true },
    );
    this.#opening = false;
    if (this.#closed || this.#kept.size === 0) {
      mine.stream.cancel();
      return;
    }
    this.#open = mine;
    for (const kept of this.#kept) this.#send(kept);
  }

  #closeStream(): void {
    const open = this.#open;
    this.#open = undefined;
    open?.stream.cancel();
  }

  #ended(error: RpcError | undefined): void {
    const at = this.#open?.at;
    this.#open = undefined;
    this.#failed = true;
    if (error !== undefined && !isPassing(error)) {
      if (!isTokenProblem(error) || !this.#transport.forgetToken()) {
        this.#failAll(toClientError(error));
        return;
      }
    }
    if (at !== undefined) this.#transport.penalise(at);
    this.#transport.warn("error occurred during lease keep alive loop", error);
    if (this.#kept.size > 0) this.#openSoon();
  }

  #failAll(reason: Error): void {
    for (const kept of [...this.#kept]) this.#leave(kept, false, { reason });
  }

  #send(kept: Kept): void {
    kept.renewal?.cancel();
    kept.renewal = undefined;
    const request = new LeaseKeepAliveRequest();
    request.id = kept.it.id;
    this.#open?.stream.send(encodeLeaseKeepAliveRequest(request));
  }

  #receive(response: LeaseKeepAliveResponse): void {
    this.#failed = false;
    for (const kept of [...this.#kept]) {
      if (kept.it.id !== response.id) continue;
      if (response.ttl <= 0) {
        this.#leave(kept, true);
        continue;
      }
      kept.expiry.cancel();
      kept.renewal?.cancel();
      const { timers } = this.#transport.host;
      const ttlMs = response.ttl * 1000;
      kept.expiry = timers.after(Math.min(ttlMs, timerMsMax), () => this.#leave(kept, true));
      kept.renewal = timers.after(Math.min(ttlMs, timerMsMax) / 3, () => this.#send(kept));
      kept.it.push(response);
    }
  }
}
