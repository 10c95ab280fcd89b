// HTTP/1.1 on connections that somebody else accepted: a node:http server that never listens.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

export type Http1Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface Http1Options {
  /** A client must have sent its headers within this time. */
  readonly headersTimeoutMs?: number;
  /** An idle kept-alive connection is closed after this time. */
  readonly keepAliveTimeoutMs?: number;
}

export interface Http1Server {
  /** Takes over a socket, the result of `Connection.detach`. */
  adopt(socket: unknown): void;
  /** Number of connections. */
  readonly connectionCount: number;
  /** Closes idle connections, and busy ones when their answer is out or after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export function serveHttp1(handler: Http1Handler, options: Http1Options = {}): Http1Server {
  return new NodeHttp1Server(handler, options);
}

/** As Go's server takes; Node's default is 16 KiB. */
const headerBytesMax = 1 << 20;

class NodeHttp1Server implements Http1Server {
  readonly #handler: Http1Handler;
  readonly #options: Http1Options;
  readonly #sockets = new Set<Socket>();
  /** Requests being answered, by socket. */
  readonly #busy = new Map<Socket, number>();
  #server: Server | undefined;
  #closing = false;
  #allClosed: (() => void) | undefined;

  constructor(handler: Http1Handler, options: Http1Options) {
    this.#handler = handler;
    this.#options = options;
  }

  get connectionCount(): number {
    return this.#sockets.size;
  }

  adopt(adopted: unknown): void {
    const socket = adopted as Socket;
    if (this.#closing || socket.destroyed) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#busy.delete(socket);
      if (this.#sockets.size === 0) this.#allClosed?.();
    });
    // node:http ends its side when the other one did; it knows half-open sockets by this option only.
    socket.allowHalfOpen = true;
    this.#server ??= this.#create();
    this.#server.emit("connection", socket as Duplex);
    socket.resume();
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    for (const socket of this.#sockets) if (!this.#busy.has(socket)) socket.destroy();
    if (this.#sockets.size > 0) {
      const closed = new Promise<void>((resolve) => {
        this.#allClosed = resolve;
      });
      const timer = setTimeout(() => {
        for (const socket of this.#sockets) socket.destroy();
      }, graceMs);
      await closed;
      clearTimeout(timer);
    }
    this.#server?.close();
  }

  #create(): Server {
    // node:http is 4 ms of start-up time, and most members never see an HTTP/1.1 request at first.
    const { createServer } = process.getBuiltinModule("node:http");
    const server = createServer({
      maxHeaderSize: headerBytesMax,
      headersTimeout: this.#options.headersTimeoutMs ?? 300_000,
      requestTimeout: 0,
      keepAliveTimeout: this.#options.keepAliveTimeoutMs ?? 60_000,
    });
    server.on("request", (request, response) => {
      const socket = request.socket;
      this.#busy.set(socket, (this.#busy.get(socket) ?? 0) + 1);
      response.once("close", () => {
        const left = (this.#busy.get(socket) ?? 1) - 1;
        if (left > 0) this.#busy.set(socket, left);
        else this.#busy.delete(socket);
        if (this.#closing && left <= 0) socket.end();
      });
      if (this.#closing) response.setHeader("Connection", "close");
      this.#handler(request, response);
    });
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      const isTooLarge = error.code === "HPE_HEADER_OVERFLOW";
      const status = isTooLarge ? "431 Request Header Fields Too Large" : "400 Bad Request";
      if (socket.writable) socket.end(refusalText(status));
      else socket.destroy();
    });
    return server;
  }
}

/** To the letter what Go's server says before it hangs up. */
function refusalText(status: string): string {
  const fields = "Content-Type: text/plain; charset=utf-8\r\nConnection: close";
  return `HTTP/1.1 ${status}\r\n${fields}\r\n\r\n${status}`;
}
