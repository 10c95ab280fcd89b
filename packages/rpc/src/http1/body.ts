// Bodies (RFC 9112 §6–§7): none, of a stated length, in chunks, or (responses only) all until the end of
// the connection. The decoder hands out views of what arrived and stores nothing but a chunk's size line
// and the count of trailer bytes.
//
//     chunked = *( size [";" extension] CRLF data CRLF ) "0" [...] CRLF *( field CRLF ) CRLF

import { allocateBytes, type Bytes, keyToBytes } from "@etcd-ts/base";
import { Fields, parseField } from "./fields.ts";
import type { HttpVersion, RequestHead, ResponseHead } from "./head.ts";
import { Http1Error } from "./http1-error.ts";
import type { Http1Limits } from "./limits.ts";

export type Framing =
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "until-close" };

const noBody: Framing = { kind: "length", bytes: 0 };

export function requestFraming(head: RequestHead): Framing {
  return framing(head.fields, head.version) ?? noBody;
}

/** `toHead`: the answer to a HEAD request, which has fields of a body but no body. */
export function responseFraming(head: ResponseHead, toHead: boolean): Framing {
  const found = framing(head.fields, head.version);
  if (toHead || head.status < 200 || head.status === 204 || head.status === 304) return noBody;
  return found ?? { kind: "until-close" };
}

/** Two statements about the length are one too many, even where they agree. */
function framing(fields: Fields, version: HttpVersion): Framing | undefined {
  const codings = fields.all("transfer-encoding");
  const lengths = fields.all("content-length");
  if (codings.length > 0) {
    if (lengths.length > 0 || version === "1.0") {
      throw new Http1Error(400, "conflicting statements about the length of the body");
    }
    if (codings.length > 1 || codings[0]!.toLowerCase() !== "chunked") {
      throw new Http1Error(501, "unsupported transfer encoding");
    }
    return { kind: "chunked" };
  }
  if (lengths.length === 0) return undefined;
  if (lengths.length > 1 || !/^[0-9]{1,15}$/.test(lengths[0]!)) {
    throw new Http1Error(400, "malformed content length");
  }
  return { kind: "length", bytes: Number(lengths[0]) };
}

/** Chunks up to this size are put into one write with their frame. */
const joinedBytesMax = 64 * 1024;
const crlf: Bytes = keyToBytes("\r\n");
export const lastChunk: Bytes = keyToBytes("0\r\n\r\n");

/** A chunk, in one part or three. `data` must not be empty: that would end the body. */
export function encodeChunk(data: Bytes): readonly Bytes[] {
  const size = data.length.toString(16);
  if (data.length > joinedBytesMax) return [keyToBytes(`${size}\r\n`), data, crlf];
  const whole = allocateBytes(size.length + data.length + 4);
  let at = 0;
  for (; at < size.length; at++) whole[at] = size.charCodeAt(at);
  whole[at++] = 0x0d;
  whole[at++] = 0x0a;
  whole.set(data, at);
  at += data.length;
  whole[at++] = 0x0d;
  whole[at] = 0x0a;
  return [whole];
}

/** Sizes of more digits are read the long way. */
const plainDigitsMax = 8;

type State = "size" | "data" | "data-end" | "trailer" | "done";

export class BodyDecoder {
  readonly #framing: Framing;
  readonly #limits: Http1Limits;
  #state: State;
  /** Bytes of the body, or of the present chunk, that are to come. */
  #left: number;
  /** The line in the making, without its CRLF. */
  #line: number[] = [];
  #sawCr = false;
  #trailerBytes = 0;

  constructor(framing: Framing, limits: Http1Limits) {
    this.#framing = framing;
    this.#limits = limits;
    if (framing.kind === "chunked") {
      this.#state = "size";
      this.#left = 0;
    } else {
      this.#left = framing.kind === "length" ? framing.bytes : Number.POSITIVE_INFINITY;
      this.#state = this.#left === 0 ? "done" : "data";
    }
  }

  get isDone(): boolean {
    return this.#state === "done";
  }

  /**
   * Takes bytes from `position`, hands the body's to `take`, and returns the position behind what belongs
   * to the body. `take` may throw. Throws `Http1Error`.
   */
  push(bytes: Bytes, position: number, take: (part: Bytes) => void): number {
    let at = position;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state === "data") {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        if (this.#left === 0) this.#state = this.#framing.kind === "chunked" ? "data-end" : "done";
        take(bytes.subarray(at, end));
        at = end;
      } else {
        at = this.#readLine(bytes, at);
      }
    }
    return at;
  }

  /** The other side ended its direction. Throws unless that is how this body ends. */
  end(): void {
    if (this.#framing.kind === "until-close") this.#state = "done";
    if (this.#state !== "done") throw new Http1Error(400, "the body is not complete");
  }

  #readLine(bytes: Bytes, position: number): number {
    const behind = this.#readPlainLine(bytes, position);
    return behind < 0 ? this.#readAnyLine(bytes, position) : behind;
  }

  /**
   * Around each message between members stand two lines that are as plain as they can be: a few digits, and nothing.
   * Gives the position behind such a line when all of it is here, else -1.
   */
  #readPlainLine(bytes: Bytes, position: number): number {
    if (this.#state === "trailer" || this.#sawCr || this.#line.length > 0) return -1;
    let at = position;
    let size = 0;
    if (this.#state === "size") {
      const digitsMax = Math.min(plainDigitsMax, this.#limits.chunkLineBytesMax);
      const end = Math.min(bytes.length, position + digitsMax);
      for (; at < end; at++) {
        const digit = hexDigitOf(bytes[at]!);
        if (digit < 0) break;
        size = size * 16 + digit;
      }
      if (at === position) return -1;
    }
    if (bytes[at] !== 0x0d || bytes[at + 1] !== 0x0a) return -1;
    if (this.#state === "data-end") this.#state = "size";
    else this.#sizeIs(size);
    return at + 2;
  }

  #readAnyLine(bytes: Bytes, position: number): number {
    const bytesMax =
      this.#state === "trailer"
        ? this.#limits.trailerBytesMax - this.#trailerBytes
        : this.#state === "data-end"
          ? 0
          : this.#limits.chunkLineBytesMax;
    for (let i = position; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (this.#sawCr) {
        if (byte !== 0x0a) throw new Http1Error(400, "malformed chunk");
        this.#sawCr = false;
        this.#lineDone();
        return i + 1;
      }
      if (byte === 0x0d) this.#sawCr = true;
      else if (this.#line.length >= bytesMax || byte === 0x0a) {
        throw new Http1Error(400, "malformed chunk");
      } else {
        this.#line.push(byte);
      }
    }
    return bytes.length;
  }

  #lineDone(): void {
    const text = String.fromCharCode(...this.#line);
    this.#line = [];
    if (this.#state === "data-end") {
      this.#state = "size";
    } else if (this.#state === "trailer") {
      this.#trailerBytes += text.length + 2;
      if (text === "") this.#state = "done";
      else parseField(text, new Fields());
    } else {
      const match = /^([0-9A-Fa-f]{1,13})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/.exec(text);
      if (match === null) throw new Http1Error(400, "malformed chunk size");
      this.#sizeIs(Number.parseInt(match[1]!, 16));
    }
  }

  #sizeIs(bytes: number): void {
    this.#left = bytes;
    this.#state = bytes === 0 ? "trailer" : "data";
  }
}

/** -1: none. */
function hexDigitOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
