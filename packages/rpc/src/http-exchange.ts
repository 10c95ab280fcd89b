// A plain HTTP/2 request and its answer (`HttpExchange`), for what is not gRPC on a TLS connection.

import { type Bytes, InvariantError, type TlsInfo } from "@etcd-ts/base";
import { ErrorCode } from "./frames.ts";
import { Http2Stream } from "./http2-stream.ts";
import type { RequestHead } from "./request-head.ts";
import { SendQueue } from "./send-queue.ts";
import { metadataOf } from "./server-call.ts";
import type { ServerConnection } from "./server-connection.ts";
import type { HttpExchange, HttpHandler } from "./server-types.ts";
import type { Metadata } from "./status.ts";

export class Http2Exchange extends Http2Stream implements HttpExchange {
  readonly server: ServerConnection;
  readonly head: RequestHead;
  tag: unknown = undefined;
  ended = false;
  #handler: HttpHandler | undefined = undefined;
  #headSent = false;
  #bodyBytes = 0;

  constructor(server: ServerConnection, id: number, head: RequestHead, streamWindowBytes: number) {
    super(server, id, server.peerStreamWindow, streamWindowBytes);
    this.server = server;
    this.head = head;
  }

  get method(): string {
    return this.head.method;
  }

  get path(): string {
    return this.head.path;
  }

  get authority(): string {
    return this.head.authority;
  }

  get scheme(): string {
    return this.head.scheme;
  }

  get headers(): Metadata {
    const list = [...metadataOf(this.head)];
    if (this.head.contentType !== undefined) list.push(["content-type", this.head.contentType]);
    if (this.head.contentLength >= 0) {
      list.push(["content-length", String(this.head.contentLength)]);
    }
    return list;
  }

  get remoteAddress(): string {
    return this.server.io.remoteAddress;
  }

  get tls(): TlsInfo | undefined {
    return this.server.io.tls;
  }

  start(open: (exchange: HttpExchange) => HttpHandler): void {
    this.#guard(() => {
      this.#handler = open(this);
    });
    if (this.remoteClosed) this.#requestEnded();
  }

  override receiveData(bytes: Bytes, start: number, end: number, endStream: boolean): void {
    this.#bodyBytes += end - start;
    const expected = this.head.contentLength;
    if (
      expected >= 0 &&
      (this.#bodyBytes > expected || (endStream && this.#bodyBytes < expected))
    ) {
      // Malformed (RFC 9113 §8.1.1).
      this.server.resetStream(this, ErrorCode.protocolError, "content-length");
      return;
    }
    if (this.ended) return;
    if (end > start) this.#guard(() => this.#handler!.onBody(bytes.subarray(start, end)));
    if (endStream && !this.ended) this.#requestEnded();
  }

  #requestEnded(): void {
    if (!this.ended) this.#guard(() => this.#handler!.onEnd());
  }

  respondHead(status: number, headers: Metadata, end: boolean): void {
    if (this.ended || this.#headSent) return;
    this.#headSent = true;
    const block = this.server.responses.compose([[":status", String(status)], ...headers]);
    this.server.writeHeaders(this.id, block, block.length, end);
    if (end) {
      this.ended = true;
      this.#closeLocal();
    }
  }

  write(bytes: Bytes): boolean {
    if (this.ended || bytes.length === 0) return true;
    if (!this.#headSent) this.respondHead(200, [], false);
    if (this.queue === undefined) this.queue = new SendQueue("plain");
    this.queue.push(bytes);
    this.server.queuedBytes += bytes.length;
    this.server.weigh(this);
    this.server.listStream(this);
    if (this.queue.bytes <= this.server.options.highWaterBytes) return true;
    this.wantsDrain = true;
    return false;
  }

  end(): void {
    if (this.ended) return;
    if (!this.#headSent) {
      this.respondHead(200, [], true);
      return;
    }
    this.ended = true;
    if (this.queue !== undefined && this.queue.bytes > 0) {
      this.endsWithQueue = true;
    } else {
      this.server.writeEnd(this.id);
      this.#closeLocal();
    }
  }

  abort(): void {
    if (this.ended) return;
    this.ended = true;
    this.server.cancelStream(this, ErrorCode.internalError);
  }

  override onQueueEmpty(): void {
    if (this.endsWithQueue) this.#closeLocal();
  }

  override onDrained(): void {
    if (!this.ended) this.#guard(() => this.#handler!.onDrain());
  }

  override onResumed(): void {}

  override onGone(): void {
    if (this.ended) return;
    this.ended = true;
    this.#guard(() => this.#handler?.onCancel());
  }

  #closeLocal(): void {
    this.localClosed = true;
    if (this.remoteClosed) this.server.removeStream(this);
    else this.server.linger(this);
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.server.onHandlerError(error, this.path);
      this.abort();
    }
  }
}
