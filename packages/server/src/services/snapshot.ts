// Maintenance.Snapshot: the store as one bbolt file, in blobs of 32 KiB with the bytes still to come, and
// at last the SHA-256 of all. The file is written on the fly from a view of the backend and no faster than
// the client takes it.

import { decodeSnapshotRequest, encodeSnapshotResponse, SnapshotResponse } from "@etcd-ts/api";
import { type Bytes, background, concatBytes } from "@etcd-ts/base";
import type { BackendView } from "@etcd-ts/machine";
import type { ServerCall, StreamHandler } from "@etcd-ts/rpc";
import { writeBoltFile } from "@etcd-ts/storage";
import { durationText } from "../duration-text.ts";
import { catalogue } from "../errors.ts";
import { doublingBounds, Histogram } from "../metric-types.ts";
import { unknownFailure } from "../refusals.ts";
import type { MemberContext } from "../seams.ts";

const blobBytes = 32_768;

export class SnapshotStreams {
  readonly #context: MemberContext;
  readonly #active: Set<SnapshotStream> = new Set();
  readonly seconds: Histogram = new Histogram(doublingBounds(0.01, 17));

  constructor(context: MemberContext) {
    this.#context = context;
  }

  open(call: ServerCall): StreamHandler {
    const stream = new SnapshotStream(this.#context, call);
    return {
      onMessage: (message) => {
        decodeSnapshotRequest(message);
        if (this.#active.has(stream)) return;
        this.#active.add(stream);
        const { clock } = this.#context.host;
        const startMs = clock.monotonicMs();
        background(
          stream.run().finally(() => {
            this.#active.delete(stream);
            this.seconds.observe((clock.monotonicMs() - startMs) / 1000);
          }),
          (error) => stream.failed(error),
        );
      },
      onHalfClose() {},
      onCancel: () => stream.wakeUp(),
      onDrain: () => stream.wakeUp(),
    };
  }

  stop(): void {
    for (const stream of this.#active) stream.stop();
  }
}

/** The stream ended before its file did. */
class StreamEnded extends Error {}

class SnapshotStream {
  readonly #context: MemberContext;
  readonly #call: ServerCall;
  #wake: (() => void) | undefined;
  #held: Bytes[] = [];
  #heldBytes = 0;
  #leftBytes = 0;

  constructor(context: MemberContext, call: ServerCall) {
    this.#context = context;
    this.#call = call;
  }

  async run(): Promise<void> {
    const { host } = this.#context;
    const view = await this.#context.view();
    try {
      await this.#send(view);
    } catch (error) {
      if (!(error instanceof StreamEnded)) throw error;
      host.log.info("the client went away before the database snapshot was sent");
    } finally {
      view.close();
    }
  }

  /** The client has taken what was queued, or is gone. */
  wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  stop(): void {
    this.#call.fail(catalogue.stopped.code, catalogue.stopped.message);
    this.wakeUp();
  }

  failed(error: Error): void {
    const { code, message } = unknownFailure(error.message);
    this.#call.fail(code, message);
    this.#context.host.log.warn("failed to send database snapshot", { error: message });
  }

  async #send(view: BackendView): Promise<void> {
    const { host, machine } = this.#context;
    const version = machine.storageVersion;
    const hash = host.digests.sha256();
    const startMs = host.clock.monotonicMs();
    let totalBytes = 0;
    await writeBoltFile(view, {
      begin: (bytes) => {
        totalBytes = bytes;
        this.#leftBytes = bytes;
        host.log.info("sending database snapshot to client", {
          "total-bytes": bytes,
          "storage-version": version,
        });
      },
      write: async (chunk) => {
        hash.update(chunk);
        await this.#queue(chunk, version);
      },
      pause: () => new Promise<void>((resolve) => host.timers.soon(resolve)),
    });
    await this.#flush(version);
    const last = new SnapshotResponse();
    last.blob = hash.digest();
    last.version = version;
    this.#call.respond(encodeSnapshotResponse(last));
    host.log.info("successfully sent database snapshot to client", {
      "total-bytes": totalBytes,
      took: durationText(host.clock.monotonicMs() - startMs),
      "storage-version": version,
    });
  }

  async #queue(chunk: Bytes, version: string): Promise<void> {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < blobBytes) return;
    const all = concatBytes(this.#held);
    let position = 0;
    while (all.length - position >= blobBytes) {
      await this.#blob(all.subarray(position, position + blobBytes), version);
      position += blobBytes;
    }
    this.#held = position === all.length ? [] : [all.subarray(position)];
    this.#heldBytes = all.length - position;
  }

  async #flush(version: string): Promise<void> {
    if (this.#heldBytes > 0) await this.#blob(concatBytes(this.#held), version);
  }

  async #blob(blob: Bytes, version: string): Promise<void> {
    if (this.#call.ended) throw new StreamEnded();
    this.#leftBytes -= blob.length;
    const response = new SnapshotResponse();
    response.remainingBytes = this.#leftBytes;
    response.blob = blob;
    response.version = version;
    if (this.#call.send(encodeSnapshotResponse(response))) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.#call.ended) throw new StreamEnded();
  }
}
