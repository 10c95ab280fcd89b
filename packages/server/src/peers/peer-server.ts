// Everything that members ask of each other at the peer listener: checks first, in etcd's order, then the
// stream, the message, the snapshot or one of the side endpoints.
//
// Two answers are dangerous: 403 and 410 make a stock member believe that it was removed, and it stops for
// good. They are given for exactly that reason and no other.

import { type Bytes, WireError } from "@etcd-ts/base";
import { decodeMessage, type Message } from "@etcd-ts/raft";
import type { ServerExchange, ServerExchangeHandler } from "@etcd-ts/rpc/http1";
import { hexId } from "../ids.ts";
import { verdictOn } from "./inbound.ts";
import { type LinkContext, pipelinePath, snapshotPath, streamPath } from "./link-context.ts";
import type { Peer } from "./peer.ts";
import { noBody, type PeerAnswering, whenGathered } from "./peer-answers.ts";
import { announcedUrls, areOfStrictMember, incompatibility, parseId } from "./peer-headers.ts";
import type { SideEndpoints } from "./side-endpoints.ts";
import { SnapshotReceiver } from "./snapshot-receiver.ts";
import { frameBytesMax } from "./stream-codecs.ts";

/** What the server asks the links. */
export interface PeerDirectory {
  peer(id: bigint): Peer | undefined;
  /** A member that we do not know (yet) says where it listens. */
  addRemote(id: bigint, urls: readonly string[]): void;
}

/** More at a time are no leader's doing. */
const receivingCountMax = 4;
const refusalToldEveryMs = 5000;
const removedSender = `{"message":"cannot process message from removed member"}`;

export class PeerServer {
  readonly #context: LinkContext;
  readonly #directory: PeerDirectory;
  readonly #answering: PeerAnswering;
  readonly #side: SideEndpoints;
  #receivingCount = 0;
  #refusalToldMs = Number.NEGATIVE_INFINITY;

  constructor(
    context: LinkContext,
    directory: PeerDirectory,
    answering: PeerAnswering,
    side: SideEndpoints,
  ) {
    this.#context = context;
    this.#directory = directory;
    this.#answering = answering;
    this.#side = side;
  }

  handle(exchange: ServerExchange): ServerExchangeHandler {
    const { path } = exchange;
    if (path.startsWith(`${streamPath}/`)) return this.#stream(exchange, path);
    if (path === pipelinePath) return this.#message(exchange);
    if (path === snapshotPath) return this.#snapshot(exchange);
    const handler = this.#side.handle(exchange);
    if (handler !== undefined) return handler;
    return this.#refuse(exchange, 404, "404 page not found");
  }

  #stream(exchange: ServerExchange, path: string): ServerExchangeHandler {
    const { fields, method } = exchange.head;
    const { own, seams } = this.#context;
    if (method !== "GET") return this.#wrongMethod(exchange, "GET");
    const incompatible = incompatibility(own, fields);
    if (incompatible !== undefined) return this.#incompatible(exchange, incompatible);
    const [kind, idText, ...more] = path.slice(streamPath.length + 1).split("/");
    if ((kind !== "message" && kind !== "msgapp") || more.length > 0) {
      return this.#refuse(exchange, 404, "invalid path");
    }
    const from = parseId(idText);
    if (from === undefined) return this.#refuse(exchange, 404, "invalid from");
    if (seams.isRemoved(from)) return this.#refuse(exchange, 410, "removed member");
    const peer = this.#directory.peer(from);
    if (peer === undefined) {
      this.#remember(exchange, from);
      return this.#refuse(exchange, 404, "error sender not found");
    }
    if (fields.get("x-raft-to") !== hexId(own.memberId)) {
      return this.#refuse(exchange, 412, "to field mismatch");
    }
    if (areOfStrictMember(fields)) seams.strictMemberMet();
    return peer.attach(kind, exchange, this.#answering.fields);
  }

  #message(exchange: ServerExchange): ServerExchangeHandler {
    const from = this.#sender(exchange);
    if (typeof from !== "bigint") return from;
    return whenGathered(
      frameBytesMax,
      (body) => this.#step(exchange, from, body),
      () => this.#answering.refuse(exchange, 400, "error reading raft message"),
    );
  }

  #step(exchange: ServerExchange, from: bigint, body: Bytes): void {
    const context = this.#context;
    const answering = this.#answering;
    context.metrics.receivedBytes.add(body.length, hexId(from));
    let message: Message;
    try {
      message = decodeMessage(body);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      context.metrics.receivedFailures.add(1, hexId(from));
      answering.refuse(exchange, 400, "error unmarshalling raft message");
      return;
    }
    // Requests that are passed on name who asked first; whoever passes them on must not take this for its own end.
    if (context.seams.isRemoved(from === 0n ? message.from : from)) {
      answering.json(exchange, 403, removedSender);
      return;
    }
    const verdict = verdictOn(message, context.own.memberId);
    // A stock member says 403 to a message for somebody else; its sender then believes that it was removed.
    if (verdict === "not-for-us") answering.refuse(exchange, 412, "to field mismatch");
    else if (verdict === "ok" && context.seams.receive(message)) answering.noContent(exchange);
    else answering.refuse(exchange, 500, "error processing raft message");
  }

  #snapshot(exchange: ServerExchange): ServerExchangeHandler {
    const from = this.#sender(exchange);
    if (typeof from !== "bigint") return from;
    if (this.#context.seams.isRemoved(from)) {
      this.#answering.json(exchange, 403, removedSender);
      return noBody;
    }
    if (this.#receivingCount >= receivingCountMax) {
      return this.#refuse(exchange, 503, "too many snapshots are being received");
    }
    this.#receivingCount++;
    return new SnapshotReceiver({
      context: this.#context,
      from,
      exchange,
      refuse: (refused, status, text) => this.#answering.refuse(refused, status, text),
      accept: () => this.#answering.noContent(exchange),
      over: () => {
        this.#receivingCount--;
      },
    });
  }

  /** Who posts, when the request passes; else the handler of the refused exchange. */
  #sender(exchange: ServerExchange): bigint | ServerExchangeHandler {
    const { fields, method } = exchange.head;
    if (method !== "POST") return this.#wrongMethod(exchange, "POST");
    const incompatible = incompatibility(this.#context.own, fields);
    if (incompatible !== undefined) return this.#incompatible(exchange, incompatible);
    const from = parseId(fields.get("x-server-from")) ?? 0n;
    if (from !== 0n && this.#directory.peer(from) === undefined) this.#remember(exchange, from);
    if (areOfStrictMember(fields)) this.#context.seams.strictMemberMet();
    return from;
  }

  #remember(exchange: ServerExchange, id: bigint): void {
    const urls = announcedUrls(exchange.head.fields);
    if (urls.length > 0 && !this.#context.seams.isRemoved(id)) this.#directory.addRemote(id, urls);
  }

  #incompatible(exchange: ServerExchange, reason: string): ServerExchangeHandler {
    const now = this.#context.host.clock.monotonicMs();
    // It comes back ten times a second.
    if (now - this.#refusalToldMs >= refusalToldEveryMs) {
      this.#refusalToldMs = now;
      this.#context.log.warn("refused a request from a member", {
        "remote-address": exchange.remoteAddress,
        "remote-peer-id": exchange.head.fields.get("x-server-from") ?? "",
        error: reason,
      });
    }
    return this.#refuse(exchange, 412, reason);
  }

  #wrongMethod(exchange: ServerExchange, allowed: string): ServerExchangeHandler {
    this.#answering.refuseMethod(exchange, allowed);
    return noBody;
  }

  #refuse(exchange: ServerExchange, status: number, text: string): ServerExchangeHandler {
    this.#answering.refuse(exchange, status, text);
    return noBody;
  }
}
