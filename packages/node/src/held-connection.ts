// A connection that nobody serves yet: its bytes stay unread, and its end is not lost.

import type { Connection, ConnectionHandler } from "@etcd-ts/base";

export class HeldConnection implements ConnectionHandler {
  readonly connection: Connection;
  readonly #gone: () => void;
  #target: ConnectionHandler | undefined;

  /** To be given to the connection as its handler. `gone`: it closed while it was held. */
  constructor(connection: Connection, gone: () => void) {
    this.connection = connection;
    this.#gone = gone;
    connection.pause();
  }

  /** From now on `target` is the handler. */
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
