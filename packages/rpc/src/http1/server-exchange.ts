// One request and its answer, as the handler of a server sees them.

import { type Bytes, emptyBytes, type TlsInfo } from "@etcd-ts/base";
import type { FieldList } from "./fields.ts";
import type { RequestHead } from "./head.ts";

/** Told about one exchange; never from inside a call of the exchange. */
export interface ServerExchangeHandler {
  /** A part of the request's body; the receiver owns it. */
  onBody(part: Bytes): void;
  /** The request is complete. Comes for a request without a body, too. */
  onBodyEnd(): void;
  /** `write` returned false before; now there is room. */
  onDrain(): void;
  /** Once, last: undefined when the answer was handed over completely, else why it was not. */
  onClose(error: Error | undefined): void;
}

/** What a connection does for its exchange. */
export interface ExchangeOwner {
  pauseBody(): void;
  resumeBody(): void;
  answer(status: number, fields: FieldList, body: Bytes): void;
  startAnswer(status: number, fields: FieldList): void;
  writeAnswer(bytes: Bytes): boolean;
  endAnswer(): void;
  abort(error: Error): void;
}

export class ServerExchange {
  readonly head: RequestHead;
  readonly remoteAddress: string;
  readonly tls: TlsInfo | undefined;
  readonly #owner: ExchangeOwner;
  #state: "waiting" | "streaming" | "done" = "waiting";

  constructor(
    owner: ExchangeOwner,
    head: RequestHead,
    remoteAddress: string,
    tls: TlsInfo | undefined,
  ) {
    this.#owner = owner;
    this.head = head;
    this.remoteAddress = remoteAddress;
    this.tls = tls;
  }

  /** The path of the target, as it stands there. */
  get path(): string {
    const { target } = this.head;
    const mark = target.indexOf("?");
    return mark < 0 ? target : target.slice(0, mark);
  }

  /** An answer was given or begun, or nobody waits for one any more. */
  get isAnswered(): boolean {
    return this.#state !== "waiting";
  }

  pauseBody(): void {
    this.#owner.pauseBody();
  }

  resumeBody(): void {
    this.#owner.resumeBody();
  }

  /** The whole answer. Ignored when there is one already: the request may have ended otherwise meanwhile. */
  respond(status: number, fields: FieldList = [], body: Bytes = emptyBytes): void {
    if (this.#state !== "waiting") return;
    this.#state = "done";
    this.#owner.answer(status, fields, body);
  }

  /** The head of an answer whose body follows in parts; it leaves at once. */
  start(status: number, fields: FieldList = []): void {
    if (this.#state !== "waiting") return;
    this.#state = "streaming";
    this.#owner.startAnswer(status, fields);
  }

  /** False: wait for `onDrain`. Ignored when nobody reads any more. */
  write(bytes: Bytes): boolean {
    if (this.#state !== "streaming" || bytes.length === 0) return true;
    return this.#owner.writeAnswer(bytes);
  }

  end(): void {
    if (this.#state !== "streaming") return;
    this.#state = "done";
    this.#owner.endAnswer();
  }

  /** Breaks the connection. */
  abort(reason = "aborted"): void {
    if (this.#state !== "done") this.#owner.abort(new Error(reason));
  }

  /** The connection ended the exchange: nothing that is said from now on has an effect. */
  over(): void {
    this.#state = "done";
  }
}
