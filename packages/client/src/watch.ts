// What a user holds of a watch: an async iterable of events that goes on for ever, over broken connections
// and restarted members, until it is closed, its signal fires, or the member says that it cannot go on.

import { type Event, FilterType, WatchCreateRequest, WatchResponse } from "@etcd-ts/api";
import { type KeySelection, selectKeys } from "./keys.ts";
import type { AbortSignalLike } from "./options.ts";
import { fanOut } from "./signal-fan.ts";
import type { Watcher, WatchHub } from "./watch-hub.ts";

export interface WatchExtras {
  /** First revision of interest; default: what happens from now on. */
  readonly startRevision?: bigint | number;
  /** Have each event bring the pair as it was before. */
  readonly prevKv?: boolean;
  /** Events that are not wanted. */
  readonly except?: "puts" | "deletes";
  /** Have the member tell from time to time how far an idle watch is; see `responses`. */
  readonly progressNotify?: boolean;
  /** Allow the member to send a large revision in pieces; they are put together again here. */
  readonly fragment?: boolean;
  /** End with "no leader" when the member has none, instead of waiting on. */
  readonly requireLeader?: boolean;
  readonly signal?: AbortSignalLike;
}

export type WatchOptions = KeySelection & WatchExtras;

/** Events that may wait for a slow consumer; beyond that the watch is parked on our side. */
const queuedEventsMax = 8_192;

/**
 * A watch. Iterate over it for single events, or over `responses()` for whole responses; over one of them,
 * once. Iteration throws `CompactedError` when the events wanted are gone, `ApiError` or `RpcError` for other
 * refusals, and the reason of the signal.
 */
export class Watch implements AsyncIterable<Event>, AsyncDisposable {
  /** The revision at which the member created the watch; rejects when it refuses. */
  readonly created: Promise<number>;
  readonly #hub: WatchHub;
  readonly #watcher: QueueingWatcher;
  readonly #signal: AbortSignalLike | undefined;
  readonly #onAbort: () => void;

  constructor(hub: WatchHub, options: WatchOptions) {
    this.#hub = hub;
    this.#signal = fanOut(options.signal);
    const create = new WatchCreateRequest();
    const { key, rangeEnd } = selectKeys(options);
    create.key = key;
    create.rangeEnd = rangeEnd;
    create.prevKv = options.prevKv ?? false;
    create.progressNotify = options.progressNotify ?? false;
    create.fragment = options.fragment ?? false;
    if (options.except !== undefined) {
      create.filters = [options.except === "puts" ? FilterType.NOPUT : FilterType.NODELETE];
    }
    let settle:
      | { resolve: (revision: number) => void; reject: (error: unknown) => void }
      | undefined;
    this.created = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.created.catch(() => {
      // Who does not ask for it learns of the failure from the iteration.
    });
    this.#watcher = new QueueingWatcher(create, BigInt(options.startRevision ?? 0), settle!);
    this.#onAbort = () => {
      this.#watcher.end(this.#signal?.reason ?? new Error("aborted"));
      this.#hub.remove(this.#watcher);
    };
    if (this.#signal?.aborted) {
      this.#watcher.end(this.#signal.reason);
      return;
    }
    this.#signal?.addEventListener("abort", this.#onAbort);
    hub.add(this.#watcher);
  }

  /** The events, in the order in which they happened. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, void> {
    for await (const response of this.responses()) {
      if (!response.canceled) yield* response.events;
    }
  }

  /**
   * The responses as the member sent them (pieces put together): those with events, those without any that
   * only tell progress (`header.revision`: all events up to it have been handed out), and at the end the one
   * with which the member refused, before the error is thrown.
   */
  async *responses(): AsyncGenerator<WatchResponse, void, void> {
    try {
      for (;;) {
        const response = await this.#watcher.next();
        if (response === undefined) return;
        if (this.#watcher.isEmpty) this.#hub.resume(this.#watcher);
        yield response;
      }
    } finally {
      this.close();
    }
  }

  /** Asks the member for a progress response; every watch of the client gets it. */
  requestProgress(): void {
    this.#hub.requestProgress();
  }

  /** Ends the watch; iteration ends after what was received. Idempotent. */
  close(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#watcher.end(undefined);
    this.#hub.remove(this.#watcher);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

/** Responses between the hub, which must not wait, and the consumer, who may. */
class QueueingWatcher implements Watcher {
  readonly create: WatchCreateRequest;
  nextRevision: bigint;
  readonly #queue: WatchResponse[] = [];
  #queuedEvents = 0;
  #wake: (() => void) | undefined;
  #ended = false;
  /** Thrown once the queue is empty. */
  #failure: { readonly reason: unknown } | undefined;
  #settle: { resolve: (revision: number) => void; reject: (error: unknown) => void } | undefined;

  constructor(
    create: WatchCreateRequest,
    startRevision: bigint,
    settle: { resolve: (revision: number) => void; reject: (error: unknown) => void },
  ) {
    this.create = create;
    this.nextRevision = startRevision;
    this.#settle = settle;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  created(response: WatchResponse): void {
    this.#settle?.resolve(response.header?.revision ?? 0);
    this.#settle = undefined;
  }

  deliver(response: WatchResponse): boolean {
    this.#queue.push(response);
    this.#queuedEvents += response.events.length + 1;
    this.#notify();
    return this.#queuedEvents <= queuedEventsMax;
  }

  fail(error: Error, last: WatchResponse | undefined): void {
    if (last !== undefined) {
      // A refused creation says nothing but its reason; no watch ever existed.
      if (last.created) {
        const refusal = new WatchResponse();
        refusal.canceled = true;
        refusal.cancelReason = last.cancelReason;
        this.#queue.push(refusal);
      } else {
        this.#queue.push(last);
      }
    }
    this.end(error);
  }

  /** Ends the iteration, with a failure unless it is undefined. The first call counts. */
  end(reason: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    if (reason !== undefined) this.#failure = { reason };
    this.#settle?.reject(reason ?? new Error("the watch was closed"));
    this.#settle = undefined;
    this.#notify();
  }

  /** The next response; undefined after the end. */
  async next(): Promise<WatchResponse | undefined> {
    for (;;) {
      const response = this.#queue.shift();
      if (response !== undefined) {
        this.#queuedEvents -= response.events.length + 1;
        return response;
      }
      if (this.#failure !== undefined) throw this.#failure.reason;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
