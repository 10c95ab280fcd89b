// Heads of requests and responses (RFC 9112 §2–§3), taken literally: lines end with CRLF and nothing else,
// a request names its host once, and how long its body is can be read in one way only. Whatever two servers
// could understand differently is refused, which is what makes smuggling impossible.

import { type Bytes, bytesToKey, concatBytes, copyBytes, keyToBytes } from "@etcd-ts/base";
import { type FieldList, Fields, formatFields, isToken, parseField } from "./fields.ts";
import { Http1Error } from "./http1-error.ts";
import type { Http1Limits } from "./limits.ts";

export type HttpVersion = "1.0" | "1.1";

export interface RequestHead {
  readonly method: string;
  /** As in the request line: origin form, or `*`. */
  readonly target: string;
  readonly version: HttpVersion;
  readonly fields: Fields;
}

export interface ResponseHead {
  readonly status: number;
  readonly version: HttpVersion;
  readonly fields: Fields;
}

const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\/[\x21-\x7e]*|\*) HTTP\/1\.([01])$/;
const statusLine = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;

/** `text` is the head without the empty line that ends it. Throws `Http1Error`, as all of these. */
export function parseRequestHead(text: string, limits: Http1Limits): RequestHead {
  const lines = text.split("\r\n");
  const match = requestLine.exec(lines[0]!);
  if (match === null) {
    if (/ HTTP\/[2-9]/.test(lines[0]!)) throw new Http1Error(505, "HTTP version not supported");
    throw new Http1Error(400, "malformed request line");
  }
  const fields = parseFields(lines, limits);
  const version: HttpVersion = match[3] === "1" ? "1.1" : "1.0";
  const hostCount = fields.all("host").length;
  if (hostCount > 1 || (hostCount === 0 && version === "1.1")) {
    throw new Http1Error(400, "a request names its host once");
  }
  return { method: match[1]!, target: match[2]!, version, fields };
}

export function parseResponseHead(text: string, limits: Http1Limits): ResponseHead {
  const lines = text.split("\r\n");
  const match = statusLine.exec(lines[0]!);
  if (match === null) throw new Http1Error(502, "malformed status line");
  const version: HttpVersion = match[1] === "1" ? "1.1" : "1.0";
  return { status: Number(match[2]), version, fields: parseFields(lines, limits) };
}

function parseFields(lines: readonly string[], limits: Http1Limits): Fields {
  if (lines.length - 1 > limits.fieldCountMax) throw new Http1Error(431, "too many header fields");
  const fields = new Fields();
  for (let i = 1; i < lines.length; i++) parseField(lines[i]!, fields);
  return fields;
}

/** Throws `TypeError` for what must not be sent. */
export function encodeRequestHead(method: string, target: string, fields: FieldList): Bytes {
  if (!isToken(method) || !/^\/[\x21-\x7e]*$/.test(target)) {
    throw new TypeError(`request ${JSON.stringify(`${method} ${target}`)} cannot be sent`);
  }
  return keyToBytes(`${method} ${target} HTTP/1.1\r\n${formatFields(fields)}\r\n`);
}

export function encodeResponseHead(status: number, fields: FieldList): Bytes {
  const reason = reasons[status] ?? "Status";
  return keyToBytes(`HTTP/1.1 ${status} ${reason}\r\n${formatFields(fields)}\r\n`);
}

const reasons: Readonly<Record<number, string>> = {
  100: "Continue",
  200: "OK",
  204: "No Content",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  410: "Gone",
  412: "Precondition Failed",
  413: "Request Entity Too Large",
  417: "Expectation Failed",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/** Whether the connection may carry another exchange after the one with this head. */
export function keepsAlive(head: {
  readonly version: HttpVersion;
  readonly fields: Fields;
}): boolean {
  return head.version === "1.1" && !head.fields.lists("connection", "close");
}

/** Gathers bytes until a head is whole: an empty line after at least one other. */
export class HeadReader {
  readonly #bytesMax: number;
  #parts: Bytes[] = [];
  #bytes = 0;
  /** How much of CR LF CR LF the last bytes match. */
  #matched = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get hasBytes(): boolean {
    return this.#bytes > 0;
  }

  /** Text of the head, once it is whole. */
  text = "";

  /** Takes bytes from `position`; the position after the head when that makes it whole, else -1. */
  push(bytes: Bytes, position: number): number {
    let matched = this.#matched;
    const end = Math.min(bytes.length, position + this.#bytesMax - this.#bytes);
    for (let i = position; i < end; i++) {
      const byte = bytes[i];
      if (byte === (matched % 2 === 0 ? 0x0d : 0x0a)) matched++;
      else matched = byte === 0x0d ? 1 : 0;
      if (matched === 4) return this.#finish(bytes.subarray(position, i + 1), i + 1);
    }
    if (end < bytes.length || this.#bytes + end - position >= this.#bytesMax) {
      throw new Http1Error(431, "header fields too large");
    }
    this.#matched = matched;
    this.#bytes += end - position;
    // Copied: a head that trickles in must not keep a socket chunk alive for each of its bytes.
    if (end > position) this.#parts.push(copyBytes(bytes.subarray(position, end)));
    return -1;
  }

  #finish(last: Bytes, position: number): number {
    this.#parts.push(last);
    const whole = bytesToKey(concatBytes(this.#parts));
    this.text = whole.slice(0, -4);
    this.#parts = [];
    this.#bytes = 0;
    this.#matched = 0;
    return position;
  }
}
