// One other member: two streams each way, a pipeline, snapshots; and which message takes which way.
//
//     MsgSnap           its own request
//     MsgApp            append stream, else message stream, else pipeline
//     everything else   message stream, else pipeline
//
// A message that finds no room is dropped, and raft is told that the peer is unreachable: it then probes
// instead of sending ever more.

import { type Message, MessageType } from "@etcd-ts/raft";
import type { FieldList, ServerExchange, ServerExchangeHandler } from "@etcd-ts/rpc/http1";
import { hexId } from "../ids.ts";
import { verdictOn } from "./inbound.ts";
import type { LinkContext } from "./link-context.ts";
import { PeerStatus } from "./peer-status.ts";
import { UrlPicker } from "./peer-url.ts";
import { Pipeline } from "./pipeline.ts";
import { Prober } from "./prober.ts";
import { SnapshotSending } from "./snapshot-sender.ts";
import { StreamReader } from "./stream-reader.ts";
import { type StreamKind, StreamWriter } from "./stream-writer.ts";

export interface PeerOwner {
  /** How many snapshots may be on their way, to all peers together. */
  mayBeginSnapshot(): boolean;
  snapshotBegan(): void;
  snapshotEnded(): void;
}

export class Peer {
  readonly id: bigint;
  readonly status: PeerStatus;
  readonly urls: UrlPicker;
  readonly #context: LinkContext;
  readonly #owner: PeerOwner;
  readonly #messageWriter: StreamWriter;
  readonly #appendWriter: StreamWriter;
  readonly #messageReader: StreamReader;
  readonly #appendReader: StreamReader;
  readonly #pipeline: Pipeline;
  readonly #prober: Prober;
  #snapshot: SnapshotSending | undefined;
  #stopped = false;

  constructor(context: LinkContext, owner: PeerOwner, id: bigint, urls: readonly string[]) {
    this.#context = context;
    this.#owner = owner;
    this.id = id;
    this.status = new PeerStatus(context.host.clock, context.log, id);
    this.urls = new UrlPicker(urls);
    const lost = (reason: string): void => this.#lost("write to a stream", reason);
    this.#messageWriter = new StreamWriter(context, id, "message", lost);
    this.#appendWriter = new StreamWriter(context, id, "msgapp", lost);
    const reading = { context, peerId: id, urls: this.urls, status: this.status };
    const take = (message: Message): void => this.#receive(message);
    this.#messageReader = new StreamReader({ ...reading, kind: "message", take });
    this.#appendReader = new StreamReader({ ...reading, kind: "msgapp", take });
    this.#pipeline = new Pipeline(context, id, this.urls, {
      delivered: () => this.status.activate(),
      failed: (reason) => {
        context.metrics.sentFailures.add(1, hexId(id));
        this.#requestFailed("post", reason);
      },
    });
    this.#prober = new Prober(context, id, this.urls);
    this.#messageReader.start();
    this.#appendReader.start();
    this.#prober.start();
  }

  /** Both our streams to it and both its streams to us are there. */
  get isFullyConnected(): boolean {
    return (
      this.#messageWriter.isAttached &&
      this.#appendWriter.isAttached &&
      this.#messageReader.isAttached &&
      this.#appendReader.isAttached
    );
  }

  send(message: Message): void {
    if (this.#stopped) return;
    if (message.type === MessageType.MsgSnap) {
      this.#sendSnapshot(message);
      return;
    }
    if (this.#wayOf(message).send(message)) return;
    this.#context.metrics.sentFailures.add(1, hexId(this.id));
    this.#context.unreachable(this.id);
  }

  /** The peer dialled. */
  attach(kind: StreamKind, exchange: ServerExchange, fields: FieldList): ServerExchangeHandler {
    const writer = kind === "msgapp" ? this.#appendWriter : this.#messageWriter;
    this.#snapshot?.peerCameBack();
    const handler = writer.attach(exchange, fields);
    this.status.activate();
    return handler;
  }

  stop(): void {
    this.#stopped = true;
    this.#messageWriter.stop();
    this.#appendWriter.stop();
    this.#messageReader.stop();
    this.#appendReader.stop();
    this.#pipeline.stop();
    this.#prober.stop();
    if (this.#snapshot !== undefined) {
      this.#snapshot.stop();
      this.#snapshot = undefined;
      this.#owner.snapshotEnded();
    }
    this.status.deactivate("stop", "the peer was removed or this member stops");
  }

  #wayOf(message: Message): { send(message: Message): boolean } {
    if (message.type === MessageType.MsgApp && this.#appendWriter.isAttached) {
      return this.#appendWriter;
    }
    return this.#messageWriter.isAttached ? this.#messageWriter : this.#pipeline;
  }

  #receive(message: Message): void {
    const verdict = verdictOn(message, this.#context.own.memberId);
    if (verdict === "ok" && this.#context.seams.receive(message)) return;
    this.#context.metrics.receivedFailures.add(1, hexId(this.id));
    if (verdict !== "ok") {
      this.#context.log.debug("dropped a raft message from a stream", {
        "remote-peer-id": hexId(this.id),
        type: message.type,
        reason: verdict,
      });
    }
  }

  #sendSnapshot(request: Message): void {
    // Raft asks for one at a time; a second one would only compete with the first for the same socket.
    if (this.#snapshot !== undefined) return;
    if (!this.#owner.mayBeginSnapshot()) {
      this.#context.host.timers.soon(() => this.#reportSnapshot(false));
      return;
    }
    this.#owner.snapshotBegan();
    this.#snapshot = new SnapshotSending(this.#context, this.id, this.urls, request, (outcome) => {
      this.#snapshot = undefined;
      this.#owner.snapshotEnded();
      if (outcome.error === undefined) {
        this.status.activate();
      } else {
        this.#requestFailed("post a snapshot", outcome.error);
        if (outcome.saysRemoved) this.#context.removed();
      }
      this.#reportSnapshot(outcome.error === undefined);
    });
  }

  #reportSnapshot(succeeded: boolean): void {
    this.#context.seams.reportSnapshot(this.id, succeeded);
  }

  /** Streams that are up say more about the peer than a request that failed. */
  #requestFailed(what: string, reason: string): void {
    if (this.#stopped) return;
    if (this.isFullyConnected) this.#context.unreachable(this.id);
    else this.#lost(what, reason);
  }

  #lost(what: string, reason: string): void {
    if (this.#stopped) return;
    this.status.deactivate(what, reason);
    this.#context.unreachable(this.id);
  }
}

/** A member that we know by its URLs alone: not (yet) one in our view of the cluster. */
export class Remote {
  readonly #pipeline: Pipeline;

  constructor(context: LinkContext, id: bigint, urls: readonly string[]) {
    this.#pipeline = new Pipeline(context, id, new UrlPicker(urls), {
      delivered: () => {},
      failed: () => context.metrics.sentFailures.add(1, hexId(id)),
    });
  }

  /** Dropped when there is no room: nobody counts on it. */
  send(message: Message): void {
    if (message.type !== MessageType.MsgSnap) this.#pipeline.send(message);
  }

  stop(): void {
    this.#pipeline.stop();
  }
}
