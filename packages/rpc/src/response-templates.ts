// Hot: the header blocks of answers. All successful answers of a server are alike, so their blocks are
// templates. Two fields go into the dynamic table of the connection, once, in this order: the content
// type with the first answer, `grpc-status: 0` with the first OK. From then on the headers of an answer
// are two bytes and its trailers one, which also spares the client the decoding of strings. Everything
// else is written as literals that leave the table alone, so this little is the whole encoder state:
//
//     0 nothing inserted · 1 content type at 62 · 2 grpc-status at 62, content type at 63
//     -1 the client's table is too small: literals only

import { allocateBytes, type Bytes } from "@etcd-ts/base";
import {
  encodeStateless,
  fieldBytesMax,
  writeIndexingLiteral,
  writeInteger,
  writeLiteral,
} from "./hpack-encoder.ts";
import { staticPairs } from "./hpack-static.ts";
import type { FinalStatus } from "./server-types.ts";
import { encodeGrpcMessage, type Metadata } from "./status.ts";

const contentType = "application/grpc";
const indexed = 0x80;
const status200 = indexed | 8;

const headersLiteral = encodeStateless([
  [":status", "200"],
  ["content-type", contentType],
]);
const trailersLiteral = encodeStateless([["grpc-status", "0"]]);
const headersInserting = build((target) => {
  target[0] = status200;
  return writeIndexingLiteral(target, 1, "content-type", contentType);
});
const trailersInserting = build((target) => writeIndexingLiteral(target, 0, "grpc-status", "0"));

/** A table smaller than this is not made use of. */
const tableBytesMin = 512;

export class ResponseEncoder {
  #state: -1 | 0 | 1 | 2 = 0;
  /** The size that the client's decoder has for us, and what must be announced first, if anything. */
  #tableBytes = 4096;
  #smallest = -1;
  #latest = -1;

  /** The template of both blocks is two bytes and one: `headers` is 0x88 0xbf, `trailers` 0xbe. */
  get primed(): boolean {
    return this.#state === 2 && this.#latest < 0;
  }

  /** SETTINGS_HEADER_TABLE_SIZE. A smaller one must be acknowledged in the next block (RFC 7541 §4.2). */
  setTableBytesMax(bytes: number): void {
    const size = Math.min(bytes, 4096);
    if (size === this.#tableBytes) return;
    this.#tableBytes = size;
    this.#smallest = this.#smallest < 0 ? size : Math.min(size, this.#smallest);
    this.#latest = size;
    if (this.#smallest < tableBytesMin) this.#state = -1;
  }

  /** Headers of an answer. The plain type without `extra` is the fast way. */
  headers(type: string, extra: Metadata | undefined): Bytes {
    if (this.#latest < 0 && extra === undefined && type === contentType) {
      switch (this.#state) {
        case 2:
          return headersState2;
        case 1:
          return headersState1;
        case 0:
          this.#state = 1;
          return headersInserting;
        default:
          return headersLiteral;
      }
    }
    return this.#compose([[":status", "200"], ["content-type", type], ...(extra ?? [])]);
  }

  /** Trailers of a call that ended with OK and without metadata. */
  okTrailers(): Bytes {
    if (this.#latest >= 0) return this.#compose([["grpc-status", "0"]]);
    switch (this.#state) {
      case 2:
        return trailersState2;
      case 1:
        this.#state = 2;
        return trailersInserting;
      default:
        return trailersLiteral;
    }
  }

  trailers(code: number, message: string, extra: Metadata): Bytes {
    return this.#compose(statusFields(code, message, extra));
  }

  /** Headers and status in one block, for an answer without messages. */
  trailersOnly(httpStatus: number, type: string, status: FinalStatus, extra: Metadata): Bytes {
    return this.#compose([
      [":status", String(httpStatus)],
      ["content-type", type],
      ...statusFields(status.code, status.message, extra),
    ]);
  }

  /** Any other block, such as that of a plain HTTP answer. */
  compose(fields: Metadata): Bytes {
    return this.#compose(fields);
  }

  #compose(fields: Metadata): Bytes {
    let most = 16;
    for (const [name, value] of fields) most += fieldBytesMax(name, value);
    const block = allocateBytes(most);
    let position = 0;
    if (this.#latest >= 0) {
      if (this.#smallest < this.#latest) {
        position = writeInteger(block, position, 0x20, 0x1f, this.#smallest);
      }
      position = writeInteger(block, position, 0x20, 0x1f, this.#latest);
      this.#smallest = -1;
      this.#latest = -1;
    }
    for (const [name, value] of fields) {
      const pair = staticPairs.get(`${name}\0${value}`);
      if (pair !== undefined) position = writeInteger(block, position, indexed, 0x7f, pair);
      else if (this.#state > 0 && name === "content-type" && value === contentType) {
        block[position++] = indexed | (61 + this.#state);
      } else position = writeLiteral(block, position, name, value);
    }
    return block.subarray(0, position);
  }
}

const headersState1 = new Uint8Array([status200, indexed | 62]);
const headersState2 = new Uint8Array([status200, indexed | 63]);
const trailersState2 = new Uint8Array([indexed | 62]);

function statusFields(code: number, message: string, extra: Metadata): Metadata {
  const status = ["grpc-status", String(code)] as const;
  if (message === "") return [status, ...extra];
  return [status, ["grpc-message", encodeGrpcMessage(message)], ...extra];
}

function build(write: (target: Bytes) => number): Bytes {
  const scratch = new Uint8Array(64);
  return scratch.slice(0, write(scratch));
}
