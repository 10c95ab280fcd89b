// How this member's peer listener says things: fields that are always there, errors as texts with a line
// end, and bodies gathered up to a limit.

import { type Bytes, concatBytes, emptyBytes, utf8ToBytes } from "@etcd-ts/base";
import type { FieldList, ServerExchange, ServerExchangeHandler } from "@etcd-ts/rpc/http1";

const plain: FieldList = [
  ["Content-Type", "text/plain; charset=utf-8"],
  ["X-Content-Type-Options", "nosniff"],
];

export class PeerAnswering {
  /** On every answer. */
  readonly #always: FieldList;

  constructor(always: FieldList) {
    this.#always = always;
  }

  get fields(): FieldList {
    return this.#always;
  }

  /** A refusal: one line of text. */
  refuse(exchange: ServerExchange, status: number, text: string): void {
    exchange.respond(status, [...plain, ...this.#always], utf8ToBytes(`${text}\n`));
  }

  /** GET only, and the like. */
  refuseMethod(exchange: ServerExchange, allowed: string): void {
    const fields: FieldList = [...plain, ["Allow", allowed], ...this.#always];
    exchange.respond(405, fields, utf8ToBytes("Method Not Allowed\n"));
  }

  json(exchange: ServerExchange, status: number, text: string): void {
    this.#typed(exchange, status, "application/json", utf8ToBytes(text));
  }

  text(exchange: ServerExchange, text: string): void {
    this.#typed(exchange, 200, "text/plain; charset=utf-8", utf8ToBytes(text));
  }

  protobuf(exchange: ServerExchange, body: Bytes): void {
    this.#typed(exchange, 200, "application/protobuf", body);
  }

  noContent(exchange: ServerExchange): void {
    exchange.respond(204, this.#always);
  }

  #typed(exchange: ServerExchange, status: number, type: string, body: Bytes): void {
    exchange.respond(status, [["Content-Type", type], ...this.#always], body);
  }
}

/** For exchanges that are answered already. */
export const noBody: ServerExchangeHandler = {
  onBody: () => {},
  onBodyEnd: () => {},
  onDrain: () => {},
  onClose: () => {},
};

/** For exchanges without a body that matters: `run` comes when the request is whole. */
export function whenWhole(run: () => void): ServerExchangeHandler {
  return { ...noBody, onBodyEnd: run };
}

/** Gathers the body; `tooLarge` instead of `whole` when it exceeds the limit. */
export function whenGathered(
  bytesMax: number,
  whole: (body: Bytes) => void,
  tooLarge: () => void,
): ServerExchangeHandler {
  let parts: Bytes[] = [];
  let bytes = 0;
  return {
    ...noBody,
    onBody: (part) => {
      bytes += part.length;
      if (bytes <= bytesMax) {
        parts.push(part);
        return;
      }
      if (parts.length > 0 || bytes === part.length) tooLarge();
      parts = [];
    },
    onBodyEnd: () => {
      if (bytes <= bytesMax) whole(parts.length === 0 ? emptyBytes : concatBytes(parts));
    },
  };
}
