// Messages (or pieces of a body) of one stream that wait for flow control. They are kept by reference
// and copied into frames when there is credit; a frame may hold the end of one and the beginning of the
// next.

import type { Bytes } from "@etcd-ts/base";
import { writeUint32 } from "./frames.ts";

const grpcPrefixBytes = 5;

export class SendQueue {
  /** What is left to send, gRPC prefixes included. */
  bytes = 0;
  readonly #prefixBytes: number;
  /** First byte of every gRPC prefix: 1 when the messages are compressed. */
  readonly #flag: number;
  #items: Bytes[] = [];
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

  /** Moves the next `count` bytes (at most `bytes`) to `target`. */
  take(target: Bytes, position: number, count: number): void {
    this.bytes -= count;
    let left = count;
    let at = position;
    while (left > 0) {
      const item = this.#items[this.#head]!;
      if (this.#offset < this.#prefixBytes) {
        const prefix = grpcPrefix(this.#flag, item.length);
        while (left > 0 && this.#offset < this.#prefixBytes) {
          target[at++] = prefix[this.#offset++]!;
          left--;
        }
      }
      const from = this.#offset - this.#prefixBytes;
      const piece = Math.min(left, item.length - from);
      if (piece > 0) {
        target.set(piece === item.length ? item : item.subarray(from, from + piece), at);
        at += piece;
        left -= piece;
        this.#offset += piece;
      }
      if (this.#offset === item.length + this.#prefixBytes) this.#next();
    }
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#offset = 0;
    this.bytes = 0;
  }

  #next(): void {
    this.#offset = 0;
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
