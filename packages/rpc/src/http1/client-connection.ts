// The client's side of one connection: one exchange at a time, and another one only when both sides agree.
//
//     dialling ──► idle ──► exchange ──► idle …        broken or over at any time ──► closed
//
// The request's body may go on while the answer comes. An answer that is complete before the request is ends
// the exchange and the connection: nobody knows what the other side does with the rest.

import type {
  Bytes,
  Connection,
  ConnectionHandler,
  Host,
  NetAddress,
  TlsClientOptions,
} from "@etcd-ts/base";
import { BodyDecoder, encodeChunk, lastChunk, responseFraming } from "./body.ts";
import type { FieldList } from "./fields.ts";
import {
  encodeRequestHead,
  HeadReader,
  keepsAlive,
  parseResponseHead,
  type ResponseHead,
} from "./head.ts";
import { Http1Error } from "./http1-error.ts";
import { IdleTimer } from "./idle-timer.ts";
import { defaultLimits, type Http1Limits } from "./limits.ts";

export interface ClientConnectionOptions {
  readonly host: Pick<Host, "clock" | "timers" | "net">;
  readonly address: NetAddress;
  readonly tls?: TlsClientOptions | undefined;
  /** For the `Host` field. */
  readonly authority: string;
  readonly dialTimeoutMs: number;
  /** While an exchange waits for bytes of its answer; 0: for ever. */
  readonly readIdleMs: number;
  /** While bytes wait to be sent; 0: for ever. */
  readonly writeIdleMs: number;
  readonly limits?: Partial<Http1Limits>;
}

export interface ClientRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: FieldList;
  /** "stream": in chunks, by `write` and `end`. Absent: none. */
  readonly body?: Bytes | "stream";
}

/** Told about one exchange; never from inside a call of the connection. */
export interface ResponseHandler {
  onHead(head: ResponseHead): void;
  /** A part of the answer's body; the receiver owns it. */
  onBody(part: Bytes): void;
  /** `write` returned false before; now there is room. */
  onDrain(): void;
  /** Once, last: undefined when the answer is complete, else why it is not. */
  onDone(error: Error | undefined): void;
}

export class ClientConnection implements ConnectionHandler {
  readonly #options: ClientConnectionOptions;
  readonly #limits: Http1Limits;
  readonly #connection: Connection;
  readonly #readIdle: IdleTimer;
  readonly #writeIdle: IdleTimer;
  #opened = false;
  #closed = false;
  #handler: ResponseHandler | undefined;
  #reading: HeadReader;
  #body: BodyDecoder | undefined;
  #keepAlive = true;
  #toHead = false;
  /** Parts of the request's body are to come. */
  #sending = false;
  /** A byte of the present answer arrived: the request was seen. */
  #answerBegan = false;
  /** Told when the connection is closed, in use or not. */
  onClosed: () => void = () => {};

  constructor(options: ClientConnectionOptions) {
    const { host, address, tls, dialTimeoutMs } = options;
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#reading = new HeadReader(this.#limits.headBytesMax);
    this.#readIdle = new IdleTimer(host, options.readIdleMs, () => this.#fail("read timed out"));
    this.#writeIdle = new IdleTimer(host, options.writeIdleMs, () => this.#fail("write timed out"));
    const dialOptions = { timeoutMs: dialTimeoutMs, ...(tls === undefined ? {} : { tls }) };
    this.#connection = host.net.dial(address, dialOptions, this);
  }

  /** Whether a request may be sent. */
  get isFree(): boolean {
    return !this.#closed && this.#keepAlive && this.#handler === undefined;
  }

  /** False where the present request may not have reached anybody. */
  get answerBegan(): boolean {
    return this.#answerBegan;
  }

  /** Only when free. Throws `TypeError` for a request that must not be sent. */
  send(request: ClientRequest, handler: ResponseHandler): void {
    if (!this.isFree) throw new TypeError("the connection is not free");
    const { body } = request;
    const fields: (readonly [string, string])[] = [["Host", this.#options.authority]];
    fields.push(...request.fields);
    if (body === "stream") fields.push(["Transfer-Encoding", "chunked"]);
    else if (body !== undefined) fields.push(["Content-Length", String(body.length)]);
    const head = encodeRequestHead(request.method, request.target, fields);
    this.#handler = handler;
    this.#answerBegan = false;
    this.#body = undefined;
    this.#toHead = request.method === "HEAD";
    this.#sending = body === "stream";
    this.#write(head);
    if (body !== undefined && body !== "stream" && body.length > 0) this.#write(body);
    if (this.#opened) this.#readIdle.touch();
  }

  /** A part of the request's body; false: wait for `onDrain`. Ignored when nobody reads any more. */
  write(part: Bytes): boolean {
    if (!this.#sending || this.#closed || part.length === 0) return true;
    let hasRoom = true;
    for (const piece of encodeChunk(part)) hasRoom = this.#write(piece) && hasRoom;
    return hasRoom;
  }

  /** The request's body is complete. */
  end(): void {
    if (!this.#sending || this.#closed) return;
    this.#sending = false;
    this.#write(lastChunk);
  }

  pause(): void {
    this.#readIdle.stop();
    this.#connection.pause();
  }

  resume(): void {
    if (this.#handler !== undefined) this.#readIdle.touch();
    this.#connection.resume();
  }

  /** Breaks the connection; an exchange under way is told, from the event loop. */
  destroy(reason = "the connection was closed"): void {
    if (this.#closed) return;
    this.#connection.destroy();
    // An error nobody hears of is not made: its stack costs more than the rest.
    this.#finish(this.#handler === undefined ? undefined : new Error(reason), true);
  }

  // --- from the wire ----------------------------------------------------------------------------------

  onOpen(): void {
    if (this.#closed) return;
    this.#opened = true;
    if (this.#handler !== undefined) this.#readIdle.touch();
  }

  onData(bytes: Bytes): void {
    if (this.#closed) return;
    this.#readIdle.touch();
    try {
      let position = 0;
      while (position < bytes.length && !this.#closed) {
        if (this.#handler === undefined)
          throw new Http1Error(502, "an answer that nobody asked for");
        this.#answerBegan = true;
        position = this.#consume(bytes, position);
      }
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error;
      this.#connection.destroy();
      this.#finish(error, false);
    }
  }

  onDrain(): void {
    this.#writeIdle.stop();
    this.#handler?.onDrain();
  }

  onEnd(): void {
    if (this.#closed) return;
    let error: Error | undefined = new Error("the server closed the connection");
    if (this.#body !== undefined) {
      try {
        this.#body.end();
        error = undefined;
      } catch (reason) {
        if (!(reason instanceof Http1Error)) throw reason;
      }
    }
    this.#connection.destroy();
    this.#finish(error, false);
  }

  onClose(error: Error | undefined): void {
    if (this.#closed) return;
    this.#finish(error ?? new Error("the connection was closed"), false);
  }

  // --- inside -----------------------------------------------------------------------------------------

  #consume(bytes: Bytes, from: number): number {
    let position = from;
    if (this.#body === undefined) {
      position = this.#reading.push(bytes, position);
      if (position < 0) return bytes.length;
      const head = parseResponseHead(this.#reading.text, this.#limits);
      if (head.status < 200) {
        if (head.status === 101) throw new Http1Error(502, "unexpected change of protocol");
        return position;
      }
      const framing = responseFraming(head, this.#toHead);
      this.#keepAlive = keepsAlive(head) && framing.kind !== "until-close";
      this.#body = new BodyDecoder(framing, this.#limits);
      this.#handler!.onHead(head);
    }
    const body = this.#body;
    if (this.#closed) return bytes.length; // by the handler
    position = body.push(bytes, position, this.#onPart);
    if (body.isDone && !this.#closed) this.#answerDone();
    return position;
  }

  readonly #onPart = (part: Bytes): void => {
    if (!this.#closed) this.#handler?.onBody(part);
  };

  #answerDone(): void {
    this.#readIdle.stop();
    const handler = this.#handler!;
    if (this.#sending || !this.#keepAlive) {
      this.#connection.destroy();
      this.#finish(undefined, false);
      return;
    }
    this.#handler = undefined;
    this.#body = undefined;
    handler.onDone(undefined);
  }

  #write(bytes: Bytes): boolean {
    const hasRoom = this.#connection.write(bytes);
    if (!hasRoom) this.#writeIdle.touch();
    return hasRoom;
  }

  #fail(reason: string): void {
    this.#connection.destroy();
    this.#finish(new Error(reason), false);
  }

  #finish(error: Error | undefined, later: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#readIdle.stop();
    this.#writeIdle.stop();
    const handler = this.#handler;
    this.#handler = undefined;
    this.#body = undefined;
    this.#sending = false;
    const tell = (): void => {
      handler?.onDone(error);
      this.onClosed();
    };
    if (later) this.#options.host.timers.soon(tell);
    else tell();
  }
}
