// One Watch stream of a client: its requests, the ids of its watchers, and what it is told in return. The
// rules are those of etcd's watch API (created before any event, ids of the client's choice, the cancel
// reasons, progress) and each is named where it is kept.

import { decodeWatchRequest, type WatchCancelRequest, type WatchCreateRequest } from "@etcd-ts/api";
import { type Bytes, bytesToKey, type Random, type Timer, type Timers } from "@etcd-ts/base";
import type { ServerCall, StreamHandler } from "@etcd-ts/rpc";
import { encodeControl } from "./encoding.ts";
import type { WatchHub } from "./hub.ts";
import { endOfKeys } from "./interests.ts";
import type { WatchSource } from "./source.ts";
import type { Watcher, WatchSink } from "./watcher.ts";

export interface WatchStreamOptions {
  readonly hub: WatchHub;
  readonly source: WatchSource;
  readonly timers: Timers;
  readonly random: Random;
  readonly progressIntervalMs: number;
  /** The stream is over and holds nothing any more. */
  readonly onClose: (stream: WatchStream) => void;
}

const noId = -1n;
const filterNoPut = 0;
const filterNoDelete = 1;
const reasonCompacted = "etcdserver: mvcc: required revision has been compacted";
const reasonEmptyRange = "mvcc: watcher range is empty";
const reasonDuplicateId = "mvcc: duplicate watch ID provided on the WatchStream";

/** A watcher of the stream, with what only the stream needs to know. */
interface Entry {
  readonly watcher: Watcher;
  readonly progressNotify: boolean;
  /** As the client asked; 0: from its creation on. */
  readonly startRevision: number;
  /** Ended by compaction; its id stays taken until the client cancels it. */
  compacted: boolean;
  /** `watcher.eventCount` at the last progress tick. */
  eventsAtTick: number;
}

export class WatchStream implements StreamHandler, WatchSink {
  readonly #call: ServerCall;
  readonly #options: WatchStreamOptions;
  readonly #entries = new Map<bigint, Entry>();
  #nextId = 0n;
  #progressTimer: Timer | undefined;
  #writable = true;
  #closed = false;

  constructor(call: ServerCall, options: WatchStreamOptions) {
    this.#call = call;
    this.#options = options;
  }

  get watcherCount(): number {
    return this.#entries.size;
  }

  // --- requests -------------------------------------------------------------------------------------

  onMessage(message: Bytes): void {
    if (this.#closed) return;
    const request = decodeWatchRequest(message);
    // What is answered is said of everything that was applied.
    this.#options.hub.flush();
    if (request.createRequest !== undefined) this.#create(request.createRequest);
    else if (request.cancelRequest !== undefined) this.#cancel(request.cancelRequest);
    else if (request.progressRequest !== undefined) this.#reportProgress();
    // A member of the union that we do not know is ignored, as etcd does.
  }

  onHalfClose(): void {
    // The client has no more requests; it goes on to receive events.
  }

  onCancel(): void {
    this.#release();
  }

  onDrain(): void {
    this.#writable = true;
    this.#call.resume();
    this.#options.hub.drained();
  }

  /** Ends the stream from our side. */
  fail(code: number, message: string): void {
    if (this.#closed) return;
    this.#release();
    this.#call.finish({ code, message });
  }

  #create(request: WatchCreateRequest): void {
    const key = request.key.length === 0 ? "\0" : bytesToKey(request.key);
    if (request.startRevision < 0n) {
      this.#refuse(reasonCompacted);
      return;
    }
    const end = watchEnd(request.rangeEnd);
    if (end !== undefined && end <= key) {
      this.#refuse(reasonEmptyRange);
      return;
    }
    let id = request.watchId;
    if (id === 0n) {
      while (this.#entries.has(this.#nextId)) this.#nextId += 1n;
      id = this.#nextId;
      this.#nextId += 1n;
    } else if (this.#entries.has(id)) {
      this.#refuse(reasonDuplicateId);
      return;
    }
    const startRevision = Number(request.startRevision);
    this.#control({ watchId: id, created: true });
    const watcher = this.#options.hub.add(this, {
      id,
      key,
      end,
      startRevision,
      withPut: !request.filters.includes(filterNoPut),
      withDelete: !request.filters.includes(filterNoDelete),
      prevKv: request.prevKv,
      fragment: request.fragment,
    });
    const { progressNotify } = request;
    this.#entries.set(id, {
      watcher,
      progressNotify,
      startRevision,
      compacted: false,
      eventsAtTick: 0,
    });
    if (progressNotify && this.#progressTimer === undefined) this.#armProgress();
  }

  #cancel(request: WatchCancelRequest): void {
    const entry = this.#entries.get(request.watchId);
    if (entry === undefined) return; // unknown ids are not answered
    this.#entries.delete(request.watchId);
    this.#options.hub.remove(entry.watcher);
    this.#control({ watchId: request.watchId, canceled: true });
  }

  #refuse(cancelReason: string): void {
    this.#control({ watchId: noId, created: true, canceled: true, cancelReason });
  }

  // --- responses ------------------------------------------------------------------------------------

  get isWritable(): boolean {
    return this.#writable && !this.#closed;
  }

  /** A client that does not read what it asked for is not listened to either, until it does. */
  send(response: Bytes): void {
    if (!this.#closed && !this.#call.send(response)) this.#filledUp();
  }

  sendPrefixed(responses: Bytes, count: number): void {
    if (!this.#closed && !this.#call.sendPrefixed(responses, count)) this.#filledUp();
  }

  #filledUp(): void {
    if (!this.#writable) return;
    this.#writable = false;
    this.#call.pause();
  }

  compacted(watcher: Watcher, compactRevision: number): void {
    const entry = this.#entries.get(watcher.id);
    if (entry !== undefined) entry.compacted = true;
    const header = this.#options.source.header(0);
    this.send(encodeControl(header, { watchId: watcher.id, canceled: true, compactRevision }));
  }

  #control(fields: Parameters<typeof encodeControl>[1]): void {
    const { source } = this.#options;
    this.send(encodeControl(source.header(source.revision), fields));
  }

  // --- progress -------------------------------------------------------------------------------------

  /** On request: one answer for the whole stream, and only when it is true of every watcher. */
  #reportProgress(): void {
    if (this.#entries.size === 0) return;
    for (const entry of this.#entries.values()) if (!this.#isCurrent(entry)) return;
    this.#control({ watchId: noId });
  }

  /** It has been given everything up to the present revision. */
  #isCurrent(entry: Entry): boolean {
    const { watcher, compacted } = entry;
    if (compacted || !watcher.isCurrent) return false;
    return entry.startRevision <= this.#options.source.revision;
  }

  #armProgress(): void {
    const { progressIntervalMs, random, timers } = this.#options;
    const jitterMs = random.below(Math.max(1, Math.floor(progressIntervalMs / 10)));
    this.#progressTimer = timers.after(progressIntervalMs + jitterMs, () => {
      this.#armProgress();
      this.#notifyProgress();
    });
  }

  /** Periodic: for each idle watcher that asked for it. */
  #notifyProgress(): void {
    this.#options.hub.flush();
    for (const [watchId, entry] of this.#entries) {
      const idle = entry.eventsAtTick === entry.watcher.eventCount;
      entry.eventsAtTick = entry.watcher.eventCount;
      if (entry.progressNotify && idle && this.#isCurrent(entry) && this.isWritable) {
        this.#control({ watchId });
      }
    }
  }

  #release(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#progressTimer?.cancel();
    for (const entry of this.#entries.values()) this.#options.hub.remove(entry.watcher);
    this.#entries.clear();
    this.#options.onClose(this);
  }
}

/** `range_end` as watches read it: absent = the single key, one zero byte = up to the last key. */
function watchEnd(rangeEnd: Bytes): string | undefined {
  if (rangeEnd.length === 0) return undefined;
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return endOfKeys;
  return bytesToKey(rangeEnd);
}
