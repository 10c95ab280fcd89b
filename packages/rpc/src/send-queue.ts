// Messages (or pieces of a body) of one stream that wait for flow control. They are kept by reference
// and copied into frames when there is credit; a frame may hold the end of one and the beginning of the
// next.

import { type Bytes, copyBytes } from "@etcd-ts/base";
import { writeUint32 } from "./frames.ts";
import { giveSegment, segmentBytes, takeSegment } from "./segments.ts";

const grpcPrefixBytes = 5;

/** Pieces from here on are copied into segments, which are used again. */
const pooledFromBytes = 16 << 10;

export class SendQueue {
  /** What is left to send, gRPC prefixes included. */
  bytes = 0;
  readonly #prefixBytes: number;
  /** First byte of every gRPC prefix: 1 when the messages are compressed. */
  readonly #flag: number;
  #items: Bytes[] = [];
  /** Those of the items that bring their prefixes with them, and the memory of the pool that they are in. */
  #prefixed: Map<Bytes, Bytes | undefined> | undefined = undefined;
  #head = 0;
  /** How much of the first item, with its prefix, is sent. */
  #offset = 0;

  constructor(kind: "grpc" | "grpc-compressed" | "plain") {
    this.#prefixBytes = kind === "plain" ? 0 : grpcPrefixBytes;
    this.#flag = kind === "grpc-compressed" ? 1 : 0;
  }

  push(item: Bytes): void {
    this.#items.push(item);
    this.bytes += item.length + this.#prefixBytes;
  }

  /** Messages that have their prefixes already, or what is left of such. They are copied. */
  pushPrefixed(bytes: Bytes): void {
    for (let from = 0; from < bytes.length; from += segmentBytes) {
      const piece = bytes.subarray(from, Math.min(bytes.length, from + segmentBytes));
      const memory = piece.length < pooledFromBytes ? undefined : takeSegment();
      const item = memory === undefined ? copyBytes(piece) : memory.subarray(0, piece.length);
      if (memory !== undefined) item.set(piece);
      if (this.#prefixed === undefined) this.#prefixed = new Map();
      this.#prefixed.set(item, memory);
      this.#items.push(item);
    }
    this.bytes += bytes.length;
  }

  /** Moves the next `count` bytes (at most `bytes`) to `target`. */
  take(target: Bytes, position: number, count: number): void {
    this.bytes -= count;
    let left = count;
    let at = position;
    while (left > 0) {
      const item = this.#items[this.#head]!;
      const prefixBytes = this.#prefixed?.has(item) === true ? 0 : this.#prefixBytes;
      if (this.#offset < prefixBytes) {
        const prefix = grpcPrefix(this.#flag, item.length);
        while (left > 0 && this.#offset < prefixBytes) {
          target[at++] = prefix[this.#offset++]!;
          left--;
        }
      }
      const from = this.#offset - prefixBytes;
      const piece = Math.min(left, item.length - from);
      if (piece > 0) {
        target.set(piece === item.length ? item : item.subarray(from, from + piece), at);
        at += piece;
        left -= piece;
        this.#offset += piece;
      }
      if (this.#offset === item.length + prefixBytes) this.#next();
    }
  }

  clear(): void {
    this.#items = [];
    if (this.#prefixed !== undefined) {
      for (const memory of this.#prefixed.values()) if (memory !== undefined) giveSegment(memory);
      this.#prefixed = undefined;
    }
    this.#head = 0;
    this.#offset = 0;
    this.bytes = 0;
  }

  #next(): void {
    this.#offset = 0;
    if (this.#prefixed !== undefined && this.#prefixed.size > 0) {
      const item = this.#items[this.#head]!;
      const memory = this.#prefixed.get(item);
      if (memory !== undefined) giveSegment(memory);
      this.#prefixed.delete(item);
    }
    this.#head++;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= 64 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }
}

const prefixScratch = new Uint8Array(grpcPrefixBytes);

function grpcPrefix(flag: number, length: number): Uint8Array {
  prefixScratch[0] = flag;
  writeUint32(prefixScratch, 1, length);
  return prefixScratch;
}
