// Records what the watchers of one server deliver, on one stream. Batching is the server's business (a
// watcher that catches up gets many revisions at once), so events are compared per watcher, in order; that
// all events of a revision come together is checked here.

import {
  decodeWatchResponse,
  encodeWatchRequest,
  WatchCancelRequest,
  WatchCreateRequest,
  WatchRequest,
  type WatchResponse,
} from "@etcd-ts/api";
import { utf8ToBytes } from "@etcd-ts/base";
import type { RawClient, RawStream } from "../raw-client.ts";
import { type Tree, toTree } from "./normalize.ts";

const markerWatchId = 1_000_000n;
const answerMs = 20_000;
/** Watchers from the past are served by a loop of their own, every 100 ms in stock. */
const quietMs = 130;
/** When our own timers come later than this, the servers may not have had their time either. */
const lateMsMax = 15;
const busyRoundsMax = 20;

export class WatchRecorder {
  eventCount = 0;
  readonly #stream: RawStream;
  readonly #events = new Map<bigint, Tree[]>();
  readonly #lastRevision = new Map<bigint, number>();
  readonly #created = new Map<bigint, (answer: Tree) => void>();
  /** Registered on the stream, and so answering a cancel; one that compaction ended still is. */
  readonly #registered = new Set<bigint>();
  readonly #cancelled = new Map<bigint, () => void>();
  #markerRevision = 0;
  #markerMoved: (() => void) | undefined;
  #failure: Error | undefined;
  #hasMarker = false;

  constructor(client: RawClient) {
    this.#stream = client.stream("/etcdserverpb.Watch/Watch", {
      onMessage: (bytes) => this.#receive(decodeWatchResponse(bytes)),
      onEnd: (error) => {
        this.#failure ??= error ?? new Error("the watch stream ended");
      },
    });
  }

  /** The answer to the request, without ids of the cluster. */
  async create(request: WatchCreateRequest): Promise<Tree> {
    if (!this.#hasMarker) {
      this.#hasMarker = true;
      const marker = new WatchCreateRequest();
      marker.key = utf8ToBytes("~marker");
      marker.watchId = markerWatchId;
      await this.create(marker);
    }
    const answer = new Promise<Tree>((resolve) => this.#created.set(request.watchId, resolve));
    const message = new WatchRequest();
    message.createRequest = request;
    this.#stream.send(encodeWatchRequest(message));
    return await this.#within(answer, `the answer to watch ${request.watchId}`);
  }

  /** Does nothing for a watch whose creation was refused: it has no id that could be cancelled. */
  async cancel(watchId: bigint): Promise<void> {
    if (!this.#registered.delete(watchId)) return;
    const answer = new Promise<void>((resolve) => this.#cancelled.set(watchId, resolve));
    const message = new WatchRequest();
    message.cancelRequest = new WatchCancelRequest();
    message.cancelRequest.watchId = watchId;
    this.#stream.send(encodeWatchRequest(message));
    await this.#within(answer, `the cancellation of watch ${watchId}`);
  }

  /** Waits until the marker's put of that revision came, and until watchers that lag had their time. */
  async settle(revision: number): Promise<void> {
    if (this.#hasMarker) {
      const reached = new Promise<void>((resolve) => {
        this.#markerMoved = () => {
          if (this.#markerRevision >= revision) resolve();
        };
        this.#markerMoved();
      });
      await this.#within(reached, `the marker of revision ${revision}`);
    }
    // Those who read history are done when nothing has come for more than a round of it, on a machine that was not too busy.
    let isBusy = true;
    for (let before = -1, rounds = 0; before !== this.eventCount || isBusy; rounds++) {
      before = this.eventCount;
      const startMs = performance.now();
      await new Promise((resolve) => setTimeout(resolve, quietMs));
      isBusy = performance.now() - startMs - quietMs > lateMsMax && rounds < busyRoundsMax;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** All events since the last call, by watcher. */
  take(): Map<bigint, Tree[]> {
    const taken = new Map(this.#events);
    this.#events.clear();
    return taken;
  }

  close(): void {
    this.#stream.cancel();
  }

  #receive(response: WatchResponse): void {
    const id = response.watchId;
    if (response.created) {
      if (!response.canceled) this.#registered.add(id);
      const { created, canceled, cancelReason, compactRevision } = response;
      const answer = toTree({ id, created, canceled, cancelReason, compactRevision });
      const waiting = this.#created.get(id) ?? [...this.#created.values()].at(-1);
      this.#created.delete(id);
      waiting?.(answer);
    }
    const events = this.#events.get(id) ?? [];
    this.#events.set(id, events);
    if (response.canceled && !response.created) {
      this.#cancelled.get(id)?.();
      this.#cancelled.delete(id);
      events.push({ canceled: true, compactRevision: toTree(response.compactRevision) });
    }
    if (response.events.length === 0) return;
    this.eventCount += response.events.length;
    const last = this.#lastRevision.get(id) ?? 0;
    const first = Number(response.events[0]?.kv?.modRevision ?? 0);
    if (first <= last) {
      this.#failure ??= new Error(`watch ${id}: revision ${first} came after ${last}`);
    }
    this.#lastRevision.set(id, Number(response.events.at(-1)?.kv?.modRevision ?? 0));
    if (id === markerWatchId) {
      this.#markerRevision = Number(response.events.at(-1)?.kv?.modRevision ?? 0);
      this.#markerMoved?.();
    }
    for (const event of response.events) events.push(toTree(event));
  }

  async #within<T>(promise: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(this.#failure ?? new Error(`${what} did not come in ${answerMs} ms`)),
        answerMs,
      );
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
