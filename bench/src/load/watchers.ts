// Many watchers on few streams, and a count of what they are told.
//
// A put carries its number in the last bytes of its value. The value is the last field of a key-value, and that the last of an event,
// so a response with one event ends with the number: it is read without decoding, since a million responses a second go through here.
// Every other response is decoded.

import {
  decodeWatchResponse,
  encodePutRequest,
  encodeWatchRequest,
  WatchCreateRequest,
  WatchRequest,
} from "@etcd-ts/api";
import type { Bytes } from "@etcd-ts/base";
import type { Channel, ClientStream } from "@etcd-ts/rpc";
import { Histogram } from "../measure/histogram.ts";
import { openChannels, pause, type Target } from "./connections.ts";
import { paths, putOf, type Request, valueBytes } from "./requests.ts";

const magic = 0x7e7cbe9c;
const tailBytes = 8;
const creationTimeoutMs = 60_000;

/** A put of key `number` whose event is recognised as the one with this sequence number. */
export function numberedPut(number: number, sequence: number): Request {
  return { path: paths.put, message: encodePutRequest(putOf(number, numberedValue(sequence))) };
}

export function numberedValue(sequence: number): Bytes {
  const value = new Uint8Array(valueBytes).fill(0x61);
  const view = new DataView(value.buffer, valueBytes - tailBytes);
  view.setUint32(0, magic);
  view.setUint32(4, sequence);
  return value;
}

/** The number at the end of these bytes, or -1. */
export function sequenceAtEnd(bytes: Bytes): number {
  const at = bytes.length - tailBytes;
  if (at < 0 || uint32(bytes, at) !== magic) return -1;
  return uint32(bytes, at + 4);
}

export class Watchers {
  /** Events that came, of puts with a number. */
  delivered = 0;
  /** Rejects when a stream breaks or a watcher is refused. */
  readonly failed: Promise<never>;
  readonly #channels: Channel[];
  readonly #streams: ClientStream[] = [];
  /** When the put of each sequence number was sent. */
  readonly #sentMs: Float64Array;
  #fail!: (error: Error) => void;
  #created = 0;
  #latency: Histogram | undefined;
  #closed = false;

  constructor(target: Target, connectionCount: number, sequenceMax: number) {
    this.#channels = openChannels(target, connectionCount);
    this.#sentMs = new Float64Array(sequenceMax);
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined);
    for (const channel of this.#channels) this.#streams.push(this.#open(channel));
  }

  /** Creates watchers of keys 0 to `keyCount`, `count` in all, dealt out to the streams; resolves when all are there. */
  async create(count: number, keyCount: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const create = new WatchCreateRequest();
      create.key = putOf(n % keyCount).key;
      const request = new WatchRequest();
      request.createRequest = create;
      const stream = this.#streams[n % this.#streams.length] as ClientStream;
      stream.send(encodeWatchRequest(request));
    }
    const endMs = performance.now() + creationTimeoutMs;
    while (this.#created < count) {
      if (performance.now() > endMs) {
        throw new Error(`${this.#created} of ${count} watchers were created in a minute`);
      }
      await Promise.race([pause(5), this.failed]);
    }
  }

  sent(sequence: number): void {
    this.#sentMs[sequence] = performance.now();
  }

  /** From now on, the time from put to delivery is counted. */
  record(): Histogram {
    this.#latency = new Histogram();
    return this.#latency;
  }

  /** Resolves with true when so many events have come; with false when none has come for `patienceMs`. */
  async until(delivered: number, patienceMs: number): Promise<boolean> {
    let last = this.delivered;
    let lastMs = performance.now();
    while (this.delivered < delivered) {
      await Promise.race([pause(5), this.failed]);
      const nowMs = performance.now();
      if (this.delivered !== last) {
        last = this.delivered;
        lastMs = nowMs;
      } else if (nowMs - lastMs > patienceMs) return false;
    }
    return true;
  }

  close(): void {
    this.#closed = true;
    for (const channel of this.#channels) channel.close();
  }

  #open(channel: Channel): ClientStream {
    return channel.stream(
      paths.watch,
      { waitForReady: true },
      {
        onMessage: (message) => this.#onMessage(message),
        onEnd: (error) => {
          if (this.#closed) return;
          this.#fail(error ?? new Error("the server ended a watch stream"));
        },
      },
    );
  }

  #onMessage(message: Bytes): void {
    // Two events do not fit into less than two values.
    const sequence = message.length < 2 * valueBytes ? sequenceAtEnd(message) : -1;
    if (sequence !== -1) {
      this.#deliver(sequence);
      return;
    }
    const response = decodeWatchResponse(message);
    if (response.created) this.#created += 1;
    if (response.canceled)
      this.#fail(new Error(`a watcher was cancelled: ${response.cancelReason}`));
    for (const { kv } of response.events) {
      if (kv !== undefined) this.#deliver(sequenceAtEnd(kv.value));
    }
  }

  #deliver(sequence: number): void {
    if (sequence === -1) return;
    this.delivered += 1;
    const sentMs = this.#sentMs[sequence] ?? 0;
    if (sentMs !== 0) this.#latency?.add(performance.now() - sentMs);
  }
}

function uint32(bytes: Bytes, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}
