// Cuts a stream of JSON documents, such as the body of a streaming gateway call, into its documents as they
// arrive. Only brackets and strings are looked at: whether a document is sound is for its reader to say.

import { type Bytes, bytesToUtf8, concatBytes } from "@etcd-ts/base";
import { JsonError } from "./json-text.ts";

const quote = 34;
const backslash = 92;

export class JsonDocuments {
  readonly #documentBytesMax: number;
  #pending: Bytes[] = [];
  #pendingBytes = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** Inside a document that is no object or array, such as `5`. */
  #inWord = false;

  constructor(documentBytesMax: number) {
    this.#documentBytesMax = documentBytesMax;
  }

  /** The documents that `chunk` completes. Throws `JsonError` when one grows too long. */
  push(chunk: Bytes): string[] {
    const documents: string[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (!this.#endsAfter(chunk[at]!)) continue;
      documents.push(this.#finish(chunk.subarray(start, at + 1)));
      start = at + 1;
    }
    if (start < chunk.length) {
      this.#pending.push(chunk.subarray(start));
      this.#pendingBytes += chunk.length - start;
      if (this.#pendingBytes > this.#documentBytesMax) throw new JsonError("document is too large");
    }
    return documents;
  }

  /** What is left when the stream has ended: a last document, perhaps a broken one, or nothing. */
  end(): string[] {
    const rest = this.#finish(new Uint8Array(0));
    return rest.trim() === "" ? [] : [rest];
  }

  #finish(last: Bytes): string {
    this.#pending.push(last);
    const text = bytesToUtf8(concatBytes(this.#pending));
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#inWord = false;
    return text;
  }

  /** Whether this byte is the last of a document. */
  #endsAfter(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === backslash) this.#escaped = true;
      else if (byte === quote) this.#inString = false;
      return !this.#inString && this.#depth === 0;
    }
    switch (byte) {
      case quote:
        this.#inString = true;
        return false;
      case 0x7b: // {
      case 0x5b: // [
        this.#depth++;
        return false;
      case 0x7d: // }
      case 0x5d: // ]
        if (this.#depth > 0) this.#depth--;
        return this.#depth === 0;
      case 0x20:
      case 0x09:
      case 0x0a:
      case 0x0d:
        return this.#inWord && this.#depth === 0;
      default:
        if (this.#depth === 0) this.#inWord = true;
        return false;
    }
  }
}
