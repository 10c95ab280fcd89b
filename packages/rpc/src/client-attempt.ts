// One try of a call on one connection: the HTTP/2 stream.

import type { Bytes } from "@etcd-ts/base";
import type { ClientCall } from "./client-call.ts";
import type { ClientConnection } from "./client-connection.ts";
import { ErrorCode, Flag, frameHeaderBytes } from "./frames.ts";
import { GrpcStream, statusOfReset } from "./grpc-stream.ts";
import { quote } from "./grpc-timeout.ts";
import { type ResponseHead, statusOfHttp } from "./response-head.ts";
import type { GzipCodec } from "./server-types.ts";
import { type Metadata, RpcError, Status } from "./status.ts";

const highWaterBytes = 64 << 10;
const noMetadata: Metadata = [];

export class ClientAttempt extends GrpcStream {
  readonly client: ClientConnection;
  readonly call: ClientCall;
  #headersSeen = false;
  /** The end has come, but messages before it are held back by a pause. */
  #heldTrailers: ResponseHead | undefined = undefined;

  constructor(client: ClientConnection, id: number, call: ClientCall, streamWindowBytes: number) {
    super(client, id, client.peerStreamWindow, streamWindowBytes);
    this.client = client;
    this.call = call;
    this.paused = call.paused;
    this.compressing = call.compress && client.gzip !== undefined;
  }

  protected override get gzip(): GzipCodec | undefined {
    return this.client.gzip;
  }

  protected override get receiveBytesMax(): number {
    return this.client.receiveBytesMax;
  }

  // --- sending -------------------------------------------------------------------------------------

  /** Sends what the call has so far. The headers are written. */
  begin(): void {
    const { call, client } = this;
    const sent = call.sent!;
    if (call.sendClosed && sent.length === 1 && !this.compressing) {
      const message = sent[0]!;
      const length = message.length + 5;
      if (client.maySend(this, length)) {
        const at = client.out.reserve(frameHeaderBytes + length);
        client.counters.messagesSent++;
        client.counters.messageBytesSent += message.length;
        const { buffer } = client.out;
        client.out.position = this.writeMessage(buffer, at, message, Flag.endStream);
        this.localClosed = true;
        return;
      }
    }
    for (let i = 0; i < sent.length; i++) this.sendMessage(sent[i]!);
    if (call.sendClosed) {
      this.closeSend();
    } else if (call.wantsDrain) {
      call.wantsDrain = false;
      if (this.queuedBytes > highWaterBytes) this.wantsDrain = true;
      else call.owner.soon(() => call.onDrain());
    }
  }

  send(message: Bytes): boolean {
    if (this.localClosed) return true;
    this.sendMessage(message);
    if (this.queuedBytes <= highWaterBytes) return true;
    this.wantsDrain = true;
    return false;
  }

  closeSend(): void {
    if (this.localClosed) return;
    if (this.queuedBytes > 0) {
      this.endsWithQueue = true;
    } else {
      this.localClosed = true;
      this.client.writeEnd(this.id);
    }
  }

  override onQueueEmpty(): void {}

  override onDrained(): void {
    this.call.onDrain();
  }

  // --- receiving -----------------------------------------------------------------------------------

  /** A header block; `remoteClosed` is set when it was the last. */
  receiveHead(head: ResponseHead, endStream: boolean): void {
    if (this.discarding) return;
    if (head.malformed || (this.#headersSeen && (!endStream || head.httpStatus !== 0))) {
      this.client.resetStream(this, ErrorCode.protocolError, "malformed header block");
      return;
    }
    if (!this.#headersSeen) {
      if (head.httpStatus === 0) {
        this.client.resetStream(this, ErrorCode.protocolError, "header block without status");
        return;
      }
      if (head.httpStatus < 200 && !endStream) return; // informational
      this.#headersSeen = true;
      if (head.grpcStatus < 0 && (head.httpStatus !== 200 || !head.isGrpc)) {
        this.#end(httpError(head), noMetadata);
        return;
      }
      this.receiveEncoding = head.encoding;
      this.call.onHeaders(head.metadata);
      if (!endStream || this.discarding) return;
    }
    if (this.holding) this.#heldTrailers = head;
    else this.#finish(head);
  }

  protected override deliver(message: Bytes): void {
    if (!this.#headersSeen) {
      this.client.resetStream(this, ErrorCode.protocolError, "DATA before headers");
      return;
    }
    this.call.onMessage(message);
  }

  protected override receiveEnd(): void {
    this.#end(
      new RpcError(Status.internal, "server closed the stream without sending trailers"),
      noMetadata,
    );
  }

  protected override truncated(): void {
    this.refuse(Status.internal, "unexpected EOF");
  }

  protected override refuse(code: number, message: string): void {
    this.#end(new RpcError(code, message), noMetadata);
  }

  override resume(): void {
    if (this.#heldTrailers === undefined) {
      super.resume();
      return;
    }
    // The stream itself may be over, and its connection too; what came is still to be delivered.
    this.paused = false;
    this.call.owner.soon(() => this.onResumed());
  }

  override onResumed(): void {
    super.onResumed();
    const head = this.#heldTrailers;
    if (head === undefined || this.holding || this.discarding) return;
    this.#heldTrailers = undefined;
    this.#finish(head);
  }

  #finish(head: ResponseHead): void {
    if (this.hasPartial) {
      this.refuse(Status.internal, "unexpected EOF");
      return;
    }
    const trailers = head.metadata;
    if (head.grpcStatus === Status.ok) {
      this.#end(undefined, trailers);
      return;
    }
    if (head.grpcStatus < 0) {
      this.receiveEnd();
      return;
    }
    this.#end(new RpcError(head.grpcStatus, head.grpcMessage, trailers), trailers);
  }

  /** The call has its end; the stream goes, too. */
  #end(error: RpcError | undefined, trailers: Metadata): void {
    this.discarding = true;
    if (!this.removed) {
      if (this.remoteClosed && this.localClosed) this.client.removeStream(this);
      else this.client.cancelStream(this, this.remoteClosed ? ErrorCode.noError : ErrorCode.cancel);
    }
    this.call.end(error, trailers);
  }

  // --- ends ----------------------------------------------------------------------------------------

  /** The user does not want it any more; the call is not told. */
  abandon(): void {
    this.discarding = true;
    this.client.cancelStream(this, ErrorCode.cancel);
  }

  /** The server has not touched it, and never will. */
  unprocessed(reason: string): void {
    this.discarding = true;
    this.#retry(reason);
  }

  override onGone(code: number, reason: string, byPeer: boolean): void {
    if (this.discarding || this.#heldTrailers !== undefined) return;
    this.discarding = true;
    if (this.client.isGone) {
      const text = `error reading from server: ${reason}`;
      this.call.end(new RpcError(Status.unavailable, text), noMetadata);
    } else if (byPeer && code === ErrorCode.refusedStream && this.call.refusals++ === 0) {
      this.#retry(reason);
    } else {
      // A stream that the server ended with NO_ERROR before its trailers is no success either.
      this.call.end(new RpcError(statusOfReset(code), reason), noMetadata);
    }
  }

  #retry(reason: string): void {
    const { call } = this;
    call.attempt = undefined;
    if (call.sent === undefined) {
      call.end(new RpcError(Status.unavailable, reason), noMetadata);
    } else {
      call.owner.submit(call);
    }
  }
}

function httpError(head: ResponseHead): RpcError {
  const { httpStatus, contentType } = head;
  const texts: string[] = [];
  if (httpStatus !== 200) {
    texts.push(`unexpected HTTP status code received from server: ${httpStatus}`);
  }
  if (contentType === undefined) texts.push("malformed header: missing HTTP content-type");
  else if (!head.isGrpc) {
    texts.push(`transport: received unexpected content-type ${quote(contentType)}`);
  }
  return new RpcError(statusOfHttp(httpStatus), texts.join("; "));
}
