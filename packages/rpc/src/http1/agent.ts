// Whole requests to one server, over connections that are kept for a moment.
//
// A kept connection may be closed by the other side at the moment of its reuse. So a request that fails on
// one before a byte of the answer has come is sent once more, on a fresh one: only requests that may arrive
// twice belong here.

import { type Bytes, concatBytes, emptyBytes, type Host, type Timer } from "@etcd-ts/base";
import {
  ClientConnection,
  type ClientConnectionOptions,
  type ClientRequest,
} from "./client-connection.ts";
import type { Fields } from "./fields.ts";
import type { ResponseHead } from "./head.ts";

export interface AgentOptions extends Omit<ClientConnectionOptions, "host"> {
  readonly host: Pick<Host, "clock" | "timers" | "net">;
  /** An unused connection is closed after so long; less than the server's own patience. */
  readonly keepMs: number;
  readonly keptCountMax: number;
}

export interface WholeRequest extends ClientRequest {
  readonly body?: Bytes;
  /** For all of it, dialling included. */
  readonly timeoutMs: number;
  readonly responseBytesMax: number;
}

export interface WholeResponse {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Bytes;
}

export type ResponseTaker = (response: WholeResponse | undefined, error: Error | undefined) => void;

export class Agent {
  readonly #options: AgentOptions;
  readonly #kept: { readonly connection: ClientConnection; readonly timer: Timer }[] = [];
  readonly #busy: Set<ClientConnection> = new Set();
  #stopped = false;

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  /** `done` is called once, from the event loop, with one of the two. */
  request(request: WholeRequest, done: ResponseTaker): void {
    if (this.#stopped) {
      this.#options.host.timers.soon(() => done(undefined, new Error("the client is stopped")));
      return;
    }
    const kept = this.#kept.pop();
    kept?.timer.cancel();
    const connection = kept?.connection ?? new ClientConnection(this.#options);
    new Exchange(this.#options.host, request, (outcome) => {
      this.#busy.delete(connection);
      const retry =
        outcome.error !== undefined && kept !== undefined && !outcome.timedOut && !outcome.answered;
      if (retry && !this.#stopped) {
        this.#drop();
        this.request(request, done);
        return;
      }
      if (outcome.error === undefined) this.#keep(connection);
      done(outcome.response, outcome.error);
    }).begin(connection);
    this.#busy.add(connection);
  }

  send(request: WholeRequest): Promise<WholeResponse> {
    return new Promise((resolve, reject) => {
      this.request(request, (response, error) => {
        if (response !== undefined) resolve(response);
        else reject(error);
      });
    });
  }

  /** Requests under way fail. */
  stop(): void {
    this.#stopped = true;
    this.#drop();
    for (const connection of this.#busy) connection.destroy("the client is stopped");
  }

  #keep(connection: ClientConnection): void {
    if (!connection.isFree) return;
    if (this.#stopped || this.#kept.length >= this.#options.keptCountMax) {
      connection.destroy();
      return;
    }
    const remove = (): void => {
      const at = this.#kept.findIndex((kept) => kept.connection === connection);
      if (at >= 0) this.#kept.splice(at, 1)[0]!.timer.cancel();
    };
    connection.onClosed = remove;
    const timer = this.#options.host.timers.after(this.#options.keepMs, () => {
      remove();
      connection.destroy();
    });
    this.#kept.push({ connection, timer });
  }

  /** Closes what is kept: one of them was stale, so all are doubtful. */
  #drop(): void {
    for (const { connection, timer } of this.#kept.splice(0)) {
      timer.cancel();
      connection.destroy();
    }
  }
}

interface Outcome {
  readonly response: WholeResponse | undefined;
  readonly error: Error | undefined;
  readonly timedOut: boolean;
  /** A byte of the answer came. */
  readonly answered: boolean;
}

class Exchange {
  readonly #host: Pick<Host, "timers">;
  readonly #request: WholeRequest;
  readonly #done: (outcome: Outcome) => void;
  #connection: ClientConnection | undefined;
  #timer: Timer | undefined;
  #head: ResponseHead | undefined;
  #parts: Bytes[] = [];
  #bytes = 0;
  #timedOut = false;

  constructor(host: Pick<Host, "timers">, request: WholeRequest, done: (outcome: Outcome) => void) {
    this.#host = host;
    this.#request = request;
    this.#done = done;
  }

  begin(connection: ClientConnection): void {
    this.#connection = connection;
    this.#timer = this.#host.timers.after(this.#request.timeoutMs, () => {
      this.#timedOut = true;
      connection.destroy("the request timed out");
    });
    connection.send(this.#request, this);
  }

  onHead(head: ResponseHead): void {
    this.#head = head;
  }

  onBody(part: Bytes): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#request.responseBytesMax) {
      this.#connection!.destroy("the answer is too large");
    } else {
      this.#parts.push(part);
    }
  }

  onDrain(): void {
    // The request was given to the connection in one piece.
  }

  onDone(error: Error | undefined): void {
    this.#timer?.cancel();
    const head = this.#head;
    const response =
      error !== undefined || head === undefined
        ? undefined
        : {
            status: head.status,
            fields: head.fields,
            body: this.#parts.length === 0 ? emptyBytes : concatBytes(this.#parts),
          };
    this.#done({
      response,
      error: response === undefined ? (error ?? new Error("no answer")) : undefined,
      timedOut: this.#timedOut,
      answered: this.#connection!.answerBegan,
    });
  }
}
