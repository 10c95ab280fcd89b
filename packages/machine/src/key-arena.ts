// Hot path while opening: the keys of a store, side by side in a few large arrays instead of a million strings.
// What makes it fast is what it does not do: no call into the engine, no object and nothing for the garbage
// collector per key. (Strings took 0.15 µs each to make and as much again to be carried from one generation of the
// heap to the next.)
//
// The records are those of `key-record.ts`. The position of one is a number: chunk * 2^14 + word within the chunk. A
// key that is larger than a chunk has one for itself.

import { assert, type Bytes, type Key } from "@etcd-ts/base";
import {
  allocateWords,
  bytesOf,
  headWords,
  recordKey,
  recordWords,
  wordsForKey,
} from "./key-record.ts";

/** 64 KiB. */
const chunkBits = 14;
const chunkWords = 1 << chunkBits;
const chunkMask = chunkWords - 1;
const chunksMax = 2 ** (32 - chunkBits);
export class KeyArena {
  readonly #words: Uint32Array[] = [];
  /** The same memory. */
  readonly #bytes: Bytes[] = [];
  /** Where each chunk but the last ends, in words. */
  readonly #ends: number[] = [];
  /** Where the next record goes: into the last chunk, here. */
  #chunk = -1;
  #end = chunkWords;
  #count = 0;

  /** Records. */
  get count(): number {
    return this.#count;
  }

  /** Keeps a copy of the record at `words[from]`, of a key of `slot`, and returns its position. */
  append(words: Uint32Array, from: number, slot: number): number {
    const size = recordWords(words, from);
    if (this.#end + size > chunkWords) this.#addChunk(size);
    const target = this.#words[this.#chunk]!;
    const start = this.#end;
    target[start] = slot;
    for (let i = 1; i < size; i++) target[start + i] = words[from + i]!;
    this.#end = start + size;
    this.#count++;
    return this.#chunk * chunkWords + start;
  }

  /** Whether the record at `position` has the same key as the one at `words[from]`. */
  hasKey(position: number, words: Uint32Array, from: number): boolean {
    const own = this.#words[position >>> chunkBits]!;
    const start = position & chunkMask;
    const size = recordWords(words, from);
    // The length is compared first.
    for (let i = 1; i < size; i++) if (own[start + i] !== words[from + i]) return false;
    return true;
  }

  slot(position: number): number {
    return this.#words[position >>> chunkBits]![position & chunkMask]!;
  }

  length(position: number): number {
    return this.#words[position >>> chunkBits]![(position & chunkMask) + 1]!;
  }

  key(position: number): Key {
    const chunk = position >>> chunkBits;
    return recordKey(this.#words[chunk]!, this.#bytes[chunk]!, position & chunkMask);
  }

  /** Words of the record at `position`. */
  wordCount(position: number): number {
    return wordsForKey(this.length(position));
  }

  /** Copies the record at `position` to `target[at…]`; returns where it ends there. */
  copy(position: number, target: Uint32Array, at: number): number {
    const words = this.#words[position >>> chunkBits]!;
    const end = at + this.wordCount(position);
    for (let from = position & chunkMask, to = at; to < end; ) target[to++] = words[from++]!;
    return end;
  }

  /** Position of the record behind the one at `position`. */
  next(position: number): number {
    const chunk = position >>> chunkBits;
    const end = (position & chunkMask) + wordsForKey(this.length(position));
    const isLast = end >= (chunk === this.#chunk ? this.#end : this.#ends[chunk]!);
    return isLast ? (chunk + 1) * chunkWords : chunk * chunkWords + end;
  }

  /** The byte at `at` of a key plus one, or 0 behind its end: sorts as the bytes do. */
  symbol(position: number, at: number): number {
    const chunk = position >>> chunkBits;
    const offset = position & chunkMask;
    if (at >= this.#words[chunk]![offset + 1]!) return 0;
    return this.#bytes[chunk]![((offset + headWords) << 2) + at]! + 1;
  }

  /** `symbolCount` symbols from `at` on, as one number. */
  symbols(position: number, at: number, symbolCount: number): number {
    const chunk = position >>> chunkBits;
    const offset = position & chunkMask;
    const bytes = this.#bytes[chunk]!;
    const start = (offset + headWords) << 2;
    const length = this.#words[chunk]![offset + 1]!;
    let code = 0;
    for (let i = at; i < at + symbolCount; i++) {
      code = code * symbolBase + (i < length ? bytes[start + i]! + 1 : 0);
    }
    return code;
  }

  /** How many bytes two keys share, of which `known` is a part. */
  shared(a: number, b: number, known: number): number {
    const aWords = this.#words[a >>> chunkBits]!;
    const bWords = this.#words[b >>> chunkBits]!;
    const aStart = (a & chunkMask) + headWords;
    const bStart = (b & chunkMask) + headWords;
    const end = Math.min(aWords[aStart - 1]!, bWords[bStart - 1]!);
    const wholeEnd = end >>> 2;
    let word = known >>> 2;
    while (word < wholeEnd && aWords[aStart + word] === bWords[bStart + word]) word++;
    const aBytes = this.#bytes[a >>> chunkBits]!;
    const bBytes = this.#bytes[b >>> chunkBits]!;
    let at = word << 2;
    while (at < end && aBytes[(aStart << 2) + at] === bBytes[(bStart << 2) + at]) at++;
    return at;
  }

  /** Negative or positive as `a` sorts before or behind `b`, which share `known` bytes. */
  compare(a: number, b: number, known: number): number {
    const at = this.shared(a, b, known);
    return this.symbol(a, at) - this.symbol(b, at);
  }

  #addChunk(size: number): void {
    if (this.#chunk >= 0) this.#ends[this.#chunk] = this.#end;
    this.#chunk++;
    assert(this.#chunk < chunksMax, "16 GiB of keys at most");
    const words = allocateWords(Math.max(chunkWords, size));
    this.#words[this.#chunk] = words;
    this.#bytes[this.#chunk] = bytesOf(words);
    this.#end = 0;
  }
}

/** Values that a symbol has. */
export const symbolBase = 257;
