// The server's side of one connection: one exchange after the other.
//
//     head ──► exchange ──► head …          request complete, both sides want to go on
//       │          └──────► lingering ──►   answered before the request was complete, or the last exchange
//       └► lingering (malformed: 4xx)
//
// Lingering: our direction is ended, what still comes is thrown away, and after a second or a quarter of
// a megabyte the connection is cut. Cutting at once would reset it, and the answer could get lost.
//
// Bytes behind a request that is not answered yet (pipelining) stay where they are: reading pauses.

import type { Bytes, Connection, ConnectionHandler, Host, Timer } from "@etcd-ts/base";
import { BodyDecoder, encodeChunk, lastChunk, requestFraming } from "./body.ts";
import type { FieldList } from "./fields.ts";
import { encodeResponseHead, HeadReader, keepsAlive, parseRequestHead } from "./head.ts";
import { Http1Error } from "./http1-error.ts";
import { IdleTimer } from "./idle-timer.ts";
import type { Http1Limits, Http1Timeouts } from "./limits.ts";
import {
  type ExchangeOwner,
  ServerExchange,
  type ServerExchangeHandler,
} from "./server-exchange.ts";

/** Takes a request whose head is complete; its body follows. Not called from inside another call. */
export type ServerHandler = (exchange: ServerExchange) => ServerExchangeHandler;

export interface ServerSetup {
  readonly host: Pick<Host, "clock" | "timers">;
  readonly limits: Http1Limits;
  readonly timeouts: Http1Timeouts;
  readonly handle: ServerHandler;
  /** A connection that broke the protocol. */
  readonly onMalformed: (error: Http1Error, remoteAddress: string) => void;
  readonly onClosed: (connection: ServerConnection) => void;
}

const lingerMs = 1000;
const lingerBytesMax = 256 * 1024;

interface Current {
  readonly exchange: ServerExchange;
  readonly handler: ServerExchangeHandler;
  readonly body: BodyDecoder;
  readonly toHead: boolean;
  keepAlive: boolean;
  isAnswered: boolean;
  isStreaming: boolean;
}

export class ServerConnection implements ConnectionHandler, ExchangeOwner {
  readonly #setup: ServerSetup;
  readonly #connection: Connection;
  readonly #reading: HeadReader;
  readonly #readIdle: IdleTimer;
  readonly #writeIdle: IdleTimer;
  #headTimer: Timer | undefined;
  #current: Current | undefined;
  /** Received, not looked at: behind the present exchange or a paused body. */
  #rest: Bytes | undefined;
  #paused = false;
  #bodyPaused = false;
  #lingering: Timer | undefined;
  #lingerBytes = 0;
  #closed = false;
  #inHandler = false;

  constructor(setup: ServerSetup, connection: Connection) {
    this.#setup = setup;
    this.#connection = connection;
    this.#reading = new HeadReader(setup.limits.headBytesMax);
    const { readIdleMs, writeIdleMs } = setup.timeouts;
    this.#readIdle = new IdleTimer(setup.host, readIdleMs, () => this.#timedOut("read"));
    this.#writeIdle = new IdleTimer(setup.host, writeIdleMs, () => this.#timedOut("write"));
    this.#readIdle.touch();
  }

  // --- from the wire ----------------------------------------------------------------------------------

  onData(bytes: Bytes): void {
    if (this.#closed) return;
    if (this.#lingering !== undefined) {
      this.#lingerBytes += bytes.length;
      if (this.#lingerBytes > lingerBytesMax) this.#connection.destroy();
      return;
    }
    if (this.#isReadingDue) this.#readIdle.touch();
    // A host may still deliver what it had read when it was paused.
    this.#rest = this.#rest === undefined ? bytes : joined(this.#rest, bytes);
    this.#consume();
  }

  onDrain(): void {
    this.#writeIdle.stop();
    this.#current?.handler.onDrain();
  }

  onEnd(): void {
    if (this.#lingering !== undefined || this.#current === undefined) this.#connection.destroy();
    else this.abort(new Error("the client closed the connection"));
  }

  onClose(error: Error | undefined): void {
    this.#finish(error ?? new Error("the connection was closed"));
  }

  /** The server stops. */
  destroy(): void {
    this.#connection.destroy();
    this.#finish(new Error("the server stops"));
  }

  // --- from the exchange ------------------------------------------------------------------------------

  pauseBody(): void {
    this.#bodyPaused = true;
    this.#readIdle.stop();
    this.#setPaused(true);
  }

  resumeBody(): void {
    if (!this.#bodyPaused) return;
    this.#bodyPaused = false;
    this.#setup.host.timers.soon(() => {
      if (this.#bodyPaused || this.#closed || this.#lingering !== undefined) return;
      if (this.#isReadingDue) this.#readIdle.touch();
      this.#setPaused(false);
      this.#consume();
    });
  }

  answer(status: number, fields: FieldList, body: Bytes): void {
    const current = this.#current;
    if (current === undefined || this.#closed) return;
    current.isAnswered = true;
    if (!current.body.isDone) current.keepAlive = false;
    const withLength: FieldList =
      status === 204 ? fields : [...fields, ["Content-Length", String(body.length)]];
    this.#send(encodeResponseHead(status, this.#withConnection(withLength, current)));
    if (body.length > 0 && status !== 204 && !current.toHead) this.#send(body);
    this.#answered(current);
  }

  startAnswer(status: number, fields: FieldList): void {
    const current = this.#current;
    if (current === undefined || this.#closed) return;
    const chunked = current.exchange.head.version === "1.1";
    if (!chunked || !current.body.isDone) current.keepAlive = false;
    current.isStreaming = chunked;
    const coded: FieldList = chunked ? [...fields, ["Transfer-Encoding", "chunked"]] : fields;
    this.#send(encodeResponseHead(status, this.#withConnection(coded, current)));
  }

  writeAnswer(bytes: Bytes): boolean {
    const current = this.#current;
    if (current === undefined || this.#closed || current.toHead) return true;
    if (!current.isStreaming) return this.#send(bytes);
    let hasRoom = true;
    for (const part of encodeChunk(bytes)) hasRoom = this.#send(part) && hasRoom;
    return hasRoom;
  }

  endAnswer(): void {
    const current = this.#current;
    if (current === undefined || this.#closed) return;
    if (current.isStreaming && !current.toHead) this.#send(lastChunk);
    current.isAnswered = true;
    this.#answered(current);
  }

  abort(error: Error): void {
    this.#connection.destroy();
    this.#finish(error);
  }

  // --- inside -----------------------------------------------------------------------------------------

  /** The other side owes us bytes. */
  get #isReadingDue(): boolean {
    const current = this.#current;
    return !this.#bodyPaused && (current === undefined || !current.body.isDone);
  }

  #consume(): void {
    if (this.#inHandler) return;
    this.#inHandler = true;
    try {
      while (this.#rest !== undefined && !this.#closed && this.#lingering === undefined) {
        const before = this.#rest;
        this.#rest = undefined;
        const position =
          this.#current === undefined ? this.#readHead(before) : this.#readBody(before);
        if (position < before.length) {
          const rest = before.subarray(position);
          this.#rest = this.#rest === undefined ? rest : joined(rest, this.#rest);
          if (position === 0) break;
        }
      }
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error;
      this.#malformed(error);
    } finally {
      this.#inHandler = false;
    }
    if (this.#rest !== undefined) this.#setPaused(true);
  }

  #readHead(bytes: Bytes): number {
    const setup = this.#setup;
    const fresh = !this.#reading.hasBytes;
    const position = this.#reading.push(bytes, 0);
    if (position < 0) {
      if (fresh) {
        this.#headTimer = setup.host.timers.after(setup.timeouts.headMs, () =>
          this.#timedOut("head"),
        );
      }
      return bytes.length;
    }
    this.#headTimer?.cancel();
    this.#headTimer = undefined;
    const head = parseRequestHead(this.#reading.text, setup.limits);
    const body = new BodyDecoder(requestFraming(head), setup.limits);
    const { remoteAddress, tls } = this.#connection;
    const exchange = new ServerExchange(this, head, remoteAddress, tls);
    const expectation = head.fields.get("expect");
    if (expectation !== undefined && expectation.toLowerCase() !== "100-continue") {
      throw new Http1Error(417, "unknown expectation");
    }
    // The exchange may be answered from inside `handle`, hence a place for the handler before it is there.
    const deferred: ServerExchangeHandler[] = [];
    const current: Current = {
      exchange,
      handler: {
        onBody: (part) => deferred[0]?.onBody(part),
        onBodyEnd: () => deferred[0]?.onBodyEnd(),
        onDrain: () => deferred[0]?.onDrain(),
        onClose: (error) => deferred[0]?.onClose(error),
      },
      body,
      toHead: head.method === "HEAD",
      keepAlive: keepsAlive(head),
      isAnswered: false,
      isStreaming: false,
    };
    this.#current = current;
    deferred.push(setup.handle(exchange));
    if (this.#current !== current) return position; // answered at once, and over
    if (expectation !== undefined && !body.isDone && !current.isAnswered) {
      this.#send(encodeResponseHead(100, []));
    }
    if (body.isDone) this.#bodyDone(current);
    return position;
  }

  #readBody(bytes: Bytes): number {
    const current = this.#current!;
    if (current.body.isDone || this.#bodyPaused) return 0;
    const position = current.body.push(bytes, 0, (part) => current.handler.onBody(part));
    if (current.body.isDone && this.#current === current) this.#bodyDone(current);
    return position;
  }

  #bodyDone(current: Current): void {
    this.#readIdle.stop();
    if (!current.isAnswered) current.handler.onBodyEnd();
  }

  #answered(current: Current): void {
    this.#current = undefined;
    this.#readIdle.stop();
    current.exchange.over();
    // Not from inside the call that gave the answer.
    this.#setup.host.timers.soon(() => current.handler.onClose(undefined));
    if (this.#closed) return;
    if (!current.keepAlive) {
      this.#linger();
      return;
    }
    this.#readIdle.touch();
    this.#bodyPaused = false;
    if (this.#inHandler) {
      this.#setPaused(false); // and paused again if there is something behind this request
      return;
    }
    this.#setup.host.timers.soon(() => {
      if (this.#closed || this.#lingering !== undefined || this.#current !== undefined) return;
      this.#setPaused(false);
      this.#consume();
    });
  }

  #malformed(error: Http1Error): void {
    this.#setup.onMalformed(error, this.#connection.remoteAddress);
    const current = this.#current;
    if (current === undefined) {
      const fields: FieldList = [
        ["Content-Type", "text/plain; charset=utf-8"],
        ["Connection", "close"],
      ];
      this.#send(encodeResponseHead(error.status, fields));
      this.#linger();
      return;
    }
    // The handler learns that this request never becomes whole; whatever it had to say is not said.
    this.abort(error);
  }

  #linger(): void {
    this.#readIdle.stop();
    this.#headTimer?.cancel();
    this.#rest = undefined;
    this.#setPaused(false);
    this.#connection.end();
    this.#lingering = this.#setup.host.timers.after(lingerMs, () => this.#connection.destroy());
  }

  #withConnection(fields: FieldList, current: Current): FieldList {
    return current.keepAlive ? fields : [...fields, ["Connection", "close"]];
  }

  #send(bytes: Bytes): boolean {
    const hasRoom = this.#connection.write(bytes);
    if (!hasRoom) this.#writeIdle.touch();
    return hasRoom;
  }

  #setPaused(paused: boolean): void {
    if (paused === this.#paused || this.#closed) return;
    this.#paused = paused;
    if (paused) this.#connection.pause();
    else this.#connection.resume();
  }

  #timedOut(what: string): void {
    this.#connection.destroy();
    this.#finish(new Error(`${what} timed out`));
  }

  #finish(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#readIdle.stop();
    this.#writeIdle.stop();
    this.#headTimer?.cancel();
    this.#lingering?.cancel();
    this.#rest = undefined;
    const current = this.#current;
    this.#current = undefined;
    current?.exchange.over();
    if (current !== undefined) this.#setup.host.timers.soon(() => current.handler.onClose(error));
    this.#setup.onClosed(this);
  }
}

function joined(a: Bytes, b: Bytes): Bytes {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a, 0);
  whole.set(b, a.length);
  return whole;
}
