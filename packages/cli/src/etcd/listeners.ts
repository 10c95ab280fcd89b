// The sockets of the daemon. They are bound before the data folder is touched, so that a port in use costs
// nothing, and serve when the member is ready: until then connections wait with their bytes unread. Those of
// other members do not wait: the links are there before the member and say for themselves that it is not.

import type { Connection, ConnectionHandler, Listener, Log, NetAddress } from "@etcd-ts/base";
import { HeldConnection, type Http1Server, type NodeHost } from "@etcd-ts/node";
import { addressText, type PlannedListener } from "./listen-plan.ts";
import type { TlsFiles } from "./tls-files.ts";

/** Who takes the connections of a listener. */
export type Acceptor = (connection: Connection) => ConnectionHandler;

/** Serves HTTP/1.1 and nothing else. */
export function httpOnly(http: Http1Server): Acceptor {
  return (connection) => new HttpOnly(connection, http);
}

export class DaemonListener {
  readonly planned: PlannedListener;
  readonly #host: NodeHost;
  readonly #log: Log;
  readonly #kind: "client" | "peer" | "metrics";
  readonly #waiting = new Set<HeldConnection>();
  #listener: Listener | undefined;
  #acceptor: Acceptor | undefined;
  #failed: ((error: Error) => void) | undefined;

  constructor(host: NodeHost, kind: "client" | "peer" | "metrics", planned: PlannedListener) {
    this.#host = host;
    this.#log = host.log;
    this.#kind = kind;
    this.planned = planned;
  }

  /** With the port that the system chose. */
  get address(): NetAddress {
    return this.#listener?.address ?? this.planned.address;
  }

  get addressText(): string {
    return addressText(this.address);
  }

  /** Rejects with `NetError`. `failed` is called when the listener breaks later. */
  async bind(
    tls: TlsFiles | undefined,
    options: { connectionCountMax: number; reusePort: boolean },
    failed: (error: Error) => void,
  ): Promise<void> {
    this.#failed = failed;
    const { connectionCountMax, reusePort } = options;
    const accept = (connection: Connection): ConnectionHandler => this.#accept(connection);
    this.#listener = await this.#host.net.listen(this.planned.address, {
      accept,
      ...(this.planned.secure && tls !== undefined
        ? { tls: tls.current(), refreshTls: tls.current }
        : {}),
      ...(this.planned.secure && this.planned.plain ? { acceptPlain: accept } : {}),
      ...(Number.isFinite(connectionCountMax) ? { connectionCountMax } : {}),
      reusePort,
      onError: (error, fatal, remoteAddress) => this.#onError(error, fatal, remoteAddress),
    });
  }

  /** Before `bind`, too. */
  serve(acceptor: Acceptor): void {
    this.#acceptor = acceptor;
    for (const waiting of this.#waiting) waiting.handOver(acceptor(waiting.connection));
    this.#waiting.clear();
  }

  async close(): Promise<void> {
    for (const waiting of this.#waiting) waiting.connection.destroy();
    this.#waiting.clear();
    await this.#listener?.close();
  }

  #accept(connection: Connection): ConnectionHandler {
    if (this.#acceptor !== undefined) return this.#acceptor(connection);
    const waiting = new HeldConnection(connection, () => this.#waiting.delete(waiting));
    this.#waiting.add(waiting);
    return waiting;
  }

  #onError(error: Error, fatal: boolean, remoteAddress: string): void {
    if (fatal) {
      this.#failed?.(error);
      return;
    }
    const fields = { "remote-addr": remoteAddress, error: error.message };
    // A client that looks whether the port is open is no news.
    if (isHangUp(error)) {
      this.#log.debug(`rejected connection on ${this.#kind} endpoint`, fields);
    } else this.#log.warn(`rejected connection on ${this.#kind} endpoint`, fields);
  }
}

/** A connection of a listener that serves HTTP/1.1 and nothing else. */
class HttpOnly implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #http: Http1Server;

  constructor(connection: Connection, http: Http1Server) {
    this.#connection = connection;
    this.#http = http;
  }

  onData(bytes: Uint8Array): void {
    this.#http.adopt(this.#connection.detach(bytes));
  }

  onDrain(): void {}

  onEnd(): void {
    this.#connection.destroy();
  }

  onClose(): void {}
}

function isHangUp(error: Error): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "ECONNRESET" || code === "EPIPE";
}
