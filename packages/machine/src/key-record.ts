// A key and its slot, in an array of words of 32 bits: how the key arena holds keys while opening, and packed leaves
// of the key tree after it.
//
//     slot | length of the key in bytes | the key, then zeros up to a whole word

import { allocateBytes, type Bytes, type Key, sliceToKey } from "@etcd-ts/base";

/** Slot and length. */
export const headWords = 2;

/** Uninitialised room for records. */
export function allocateWords(count: number): Uint32Array {
  const bytes = allocateBytes(count * 4);
  // Nothing that is so large comes from a pool, where it could begin anywhere.
  return bytes.byteOffset % 4 === 0
    ? new Uint32Array(bytes.buffer, bytes.byteOffset, count)
    : new Uint32Array(count);
}

/** The same memory. */
export function bytesOf(words: Uint32Array): Bytes {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

export function wordsForKey(length: number): number {
  return headWords + ((length + 3) >>> 2);
}

/** Words of the record at `at`. */
export function recordWords(words: Uint32Array, at: number): number {
  return wordsForKey(words[at + 1]!);
}

export function recordSlot(words: Uint32Array, at: number): number {
  return words[at]!;
}

/** `bytes` is the same memory as `words`. */
export function recordKey(words: Uint32Array, bytes: Bytes, at: number): Key {
  const start = (at + headWords) << 2;
  return sliceToKey(bytes, start, start + words[at + 1]!);
}
