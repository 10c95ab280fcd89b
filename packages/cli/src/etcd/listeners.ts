// The sockets of the daemon. They are bound before the data folder is touched, so that a port in use costs
// nothing, and serve when the member is ready: until then connections wait with their bytes unread.

import type { Connection, ConnectionHandler, Listener, Log, NetAddress } from "@etcd-ts/base";
import type { Http1Server, NodeHost } from "@etcd-ts/node";
import type { RpcServer } from "@etcd-ts/rpc";
import { addressText, type PlannedListener } from "./listen-plan.ts";
import type { TlsFiles } from "./tls-files.ts";

/** Where connections go once there is somebody to serve them. */
export interface Destination {
  readonly rpc?: RpcServer;
  readonly http: Http1Server;
}

export class DaemonListener {
  readonly planned: PlannedListener;
  readonly #host: NodeHost;
  readonly #log: Log;
  readonly #kind: "client" | "peer" | "metrics";
  readonly #waiting = new Set<WaitingHandler>();
  #listener: Listener | undefined;
  #destination: Destination | undefined;
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
    connectionCountMax: number,
    failed: (error: Error) => void,
  ): Promise<void> {
    this.#failed = failed;
    const accept = (connection: Connection): ConnectionHandler => this.#accept(connection);
    this.#listener = await this.#host.net.listen(this.planned.address, {
      accept,
      ...(this.planned.secure && tls !== undefined
        ? { tls: tls.current(), refreshTls: tls.current }
        : {}),
      ...(this.planned.secure && this.planned.plain ? { acceptPlain: accept } : {}),
      ...(Number.isFinite(connectionCountMax) ? { connectionCountMax } : {}),
      onError: (error, fatal, remoteAddress) => this.#onError(error, fatal, remoteAddress),
    });
  }

  serve(destination: Destination): void {
    this.#destination = destination;
    for (const waiting of this.#waiting) waiting.handOver(this.#route(waiting.connection));
    this.#waiting.clear();
  }

  async close(): Promise<void> {
    for (const waiting of this.#waiting) waiting.connection.destroy();
    this.#waiting.clear();
    await this.#listener?.close();
  }

  #accept(connection: Connection): ConnectionHandler {
    if (this.#destination !== undefined) return this.#route(connection);
    const waiting = new WaitingHandler(connection, () => this.#waiting.delete(waiting));
    this.#waiting.add(waiting);
    return waiting;
  }

  #route(connection: Connection): ConnectionHandler {
    const destination = this.#destination as Destination;
    if (destination.rpc !== undefined && this.planned.grpc)
      return destination.rpc.attach(connection);
    return new HttpOnly(connection, destination.http);
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

/** A connection from before the member was ready. */
class WaitingHandler implements ConnectionHandler {
  readonly connection: Connection;
  readonly #gone: () => void;
  #target: ConnectionHandler | undefined;

  constructor(connection: Connection, gone: () => void) {
    this.connection = connection;
    this.#gone = gone;
    connection.pause();
  }

  handOver(target: ConnectionHandler): void {
    this.#target = target;
    this.connection.resume();
  }

  onData(bytes: Uint8Array): void {
    this.#target?.onData(bytes);
  }

  onDrain(): void {
    this.#target?.onDrain();
  }

  onEnd(): void {
    this.#target?.onEnd();
  }

  onClose(error: Error | undefined): void {
    if (this.#target === undefined) this.#gone();
    else this.#target.onClose(error);
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
