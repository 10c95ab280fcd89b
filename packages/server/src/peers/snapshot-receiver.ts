// Receives a snapshot: the envelope first, then the database, which goes straight to disk. The socket is
// paused while the disk is behind, so memory holds about a megabyte of it, however large it is.
//
//     envelope ──► opening the file ──► database … ──► end of body: finish, inspect, tell raft ──► 204
//
// Until the body has come to a clean end nothing is believed; whatever breaks before leaves nothing behind.

import { type Bytes, background, WireError } from "@etcd-ts/base";
import { decodeMessage, type Message, MessageType } from "@etcd-ts/raft";
import type { ServerExchange, ServerExchangeHandler } from "@etcd-ts/rpc/http1";
import { hexId } from "../ids.ts";
import { ByteQueue } from "./byte-queue.ts";
import { DatabaseFile } from "./database-file.ts";
import { verdictOn } from "./inbound.ts";
import type { LinkContext } from "./link-context.ts";

const envelopeBytesMax = 64 * 1024 * 1024;
const waitingBytesMax = 1024 * 1024;

/** Answers; the fields and the form are those of all refusals. */
export type Refuse = (exchange: ServerExchange, status: number, text: string) => void;

export interface SnapshotReceiverParts {
  readonly context: LinkContext;
  readonly from: bigint;
  readonly exchange: ServerExchange;
  readonly refuse: Refuse;
  readonly accept: () => void;
  readonly over: () => void;
}

export class SnapshotReceiver implements ServerExchangeHandler {
  readonly #parts: SnapshotReceiverParts;
  readonly #queue = new ByteQueue();
  readonly #startMs: number;
  #envelopeBytes = -1;
  #message: Message | undefined;
  #file: DatabaseFile | undefined;
  #opening = false;
  #paused = false;
  #bodyEnded = false;
  #over = false;

  constructor(parts: SnapshotReceiverParts) {
    this.#parts = parts;
    const { metrics, host } = parts.context;
    this.#startMs = host.clock.monotonicMs();
    metrics.snapshotReceiveInFlight.add(1, hexId(parts.from));
  }

  onBody(part: Bytes): void {
    if (this.#over) return;
    this.#queue.push(part);
    if (this.#message === undefined) this.#readEnvelope();
    if (this.#file !== undefined) this.#drainQueue(this.#file);
  }

  onBodyEnd(): void {
    if (this.#over) return;
    this.#bodyEnded = true;
    if (this.#message === undefined)
      this.#refuse(400, "failed to decode raft message (unexpected EOF)");
    else if (this.#file !== undefined) this.#finish(this.#file, this.#message);
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    if (this.#over) return;
    this.#failed(error?.message ?? "the request ended");
  }

  #readEnvelope(): void {
    if (this.#envelopeBytes < 0) {
      const bytes = this.#queue.takeUint64();
      if (bytes === undefined) return;
      if (bytes > envelopeBytesMax) {
        this.#refuse(400, "failed to decode raft message (rafthttp: error limit exceeded)");
        return;
      }
      this.#envelopeBytes = bytes;
    }
    const envelope = this.#queue.take(this.#envelopeBytes);
    if (envelope === undefined) return;
    let message: Message;
    try {
      message = decodeMessage(envelope);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#refuse(400, `failed to decode raft message (${error.message})`);
      return;
    }
    if (message.type !== MessageType.MsgSnap) {
      this.#refuse(400, "wrong raft message type");
      return;
    }
    const index = message.snapshot?.metadata?.index ?? 0;
    if (verdictOn(message, this.#parts.context.own.memberId, true) !== "ok" || index === 0) {
      this.#refuse(412, "a snapshot for another member");
      return;
    }
    this.#message = message;
    this.#open(index);
  }

  #open(index: number): void {
    const { host, seams, log } = this.#parts.context;
    log.info("receiving database snapshot", {
      "local-member-id": hexId(this.#parts.context.own.memberId),
      "remote-snapshot-sender-id": hexId(this.#parts.from),
      "incoming-snapshot-index": index,
    });
    this.#opening = true;
    this.#pause();
    background(
      DatabaseFile.create(host.disk, seams.snapshotFolder, index).then((file) => {
        this.#opening = false;
        if (this.#over) return file.discard();
        this.#file = file;
        file.onProgress = () => this.#progress(file);
        this.#drainQueue(file);
        this.#progress(file);
        if (this.#bodyEnded) this.#finish(file, this.#message!);
        return undefined;
      }),
      (error) => this.#refuse(500, `failed to save KV snapshot (${error.message})`),
    );
  }

  #drainQueue(file: DatabaseFile): void {
    for (const part of this.#queue.takeAll()) file.write(part);
    if (file.waitingBytes > waitingBytesMax) this.#pause();
  }

  #progress(file: DatabaseFile): void {
    if (this.#over) return;
    if (file.error !== undefined) {
      this.#refuse(500, `failed to save KV snapshot (${file.error.message})`);
    } else if (this.#paused && !this.#opening && file.waitingBytes <= waitingBytesMax / 2) {
      this.#paused = false;
      this.#parts.exchange.resumeBody();
    }
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#parts.exchange.pauseBody();
  }

  #finish(file: DatabaseFile, message: Message): void {
    const { context, from, accept } = this.#parts;
    const index = message.snapshot!.metadata!.index;
    this.#over = true; // of the request; what follows is told by the answer
    this.#file = undefined;
    background(
      file
        .finish((path) => context.seams.inspectDatabase(path, index))
        .then(() => {
          context.metrics.receivedBytes.add(file.bytes, hexId(from));
          context.log.info("received and saved database snapshot", {
            "remote-snapshot-sender-id": hexId(from),
            "incoming-snapshot-index": index,
            "incoming-snapshot-size-bytes": file.bytes,
          });
          if (context.seams.receive(message)) {
            accept();
            this.#count(true);
          } else {
            this.#parts.refuse(
              this.#parts.exchange,
              500,
              "failed to process raft message (dropped)",
            );
            this.#count(false);
          }
        }),
      (error) => {
        this.#parts.refuse(
          this.#parts.exchange,
          500,
          `failed to save KV snapshot (${error.message})`,
        );
        this.#count(false);
      },
    );
  }

  #refuse(status: number, text: string): void {
    if (this.#over) return;
    this.#parts.refuse(this.#parts.exchange, status, text);
    this.#failed(text);
  }

  /** The request came to nothing. */
  #failed(reason: string): void {
    this.#over = true;
    const { context, from } = this.#parts;
    const file = this.#file;
    this.#file = undefined;
    this.#queue.takeAll();
    context.log.warn("failed to receive database snapshot", {
      "remote-snapshot-sender-id": hexId(from),
      error: reason,
    });
    if (file !== undefined) {
      background(file.discard(), (error) => {
        context.log.warn("failed to remove a broken snapshot", { error: error.message });
      });
    }
    this.#count(false);
  }

  #count(succeeded: boolean): void {
    const { context, from, over } = this.#parts;
    const { metrics, host } = context;
    const label = hexId(from);
    metrics.snapshotReceiveInFlight.add(-1, label);
    if (succeeded) {
      metrics.snapshotReceiveSuccess.add(1, label);
      const seconds = (host.clock.monotonicMs() - this.#startMs) / 1000;
      metrics.snapshotReceiveSeconds.of(label).observe(seconds);
    } else {
      metrics.snapshotReceiveFailures.add(1, label);
    }
    over();
  }
}
