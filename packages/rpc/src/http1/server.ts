// An HTTP/1.1 server over connections that somebody else accepts.

import type { Connection, ConnectionHandler, Host } from "@etcd-ts/base";
import type { Http1Error } from "./http1-error.ts";
import { defaultLimits, defaultTimeouts, type Http1Limits, type Http1Timeouts } from "./limits.ts";
import { ServerConnection, type ServerHandler, type ServerSetup } from "./server-connection.ts";

export interface Http1ServerOptions {
  readonly host: Pick<Host, "clock" | "timers">;
  readonly handle: ServerHandler;
  readonly limits?: Partial<Http1Limits>;
  readonly timeouts?: Partial<Http1Timeouts>;
  readonly onMalformed?: (error: Http1Error, remoteAddress: string) => void;
}

export class Http1Server {
  readonly #setup: ServerSetup;
  readonly #connections: Set<ServerConnection> = new Set();
  #stopped = false;

  constructor(options: Http1ServerOptions) {
    this.#setup = {
      host: options.host,
      handle: options.handle,
      limits: { ...defaultLimits, ...options.limits },
      timeouts: { ...defaultTimeouts, ...options.timeouts },
      onMalformed: options.onMalformed ?? (() => {}),
      onClosed: (connection) => this.#connections.delete(connection),
    };
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** For `ListenOptions.accept`. */
  attach(connection: Connection): ConnectionHandler {
    const handler = new ServerConnection(this.#setup, connection);
    if (this.#stopped) this.#setup.host.timers.soon(() => handler.destroy());
    this.#connections.add(handler);
    return handler;
  }

  /** Breaks all connections; exchanges are told. */
  stop(): void {
    this.#stopped = true;
    for (const connection of [...this.#connections]) connection.destroy();
  }
}
