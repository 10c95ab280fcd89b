// Hot path while opening: finds the slot of a key whose bytes stand in a record, without making a string
// first. An open-addressing hash table over typed arrays. (A `Map` of strings takes twice as long, holds
// 16.7 million entries at most, and stops everything for 0.2 s when it grows at a million.)

import { type Bytes, type Key, sliceToKey } from "@etcd-ts/base";

const firstSize = 1 << 12;

export class KeyTable {
  /** By number, which counts the keys as they come. */
  readonly keys: Key[] = [];
  /** Number + 1 of the key that hashed here; 0: free. */
  #places: Uint32Array = new Uint32Array(firstSize);
  /** Hash of each key, by number. */
  #hashes: Uint32Array = new Uint32Array(firstSize);

  /** The number of the key in `bytes[start, end)`; a new one when it was not there. */
  numberOf(bytes: Bytes, start: number, end: number): number {
    const hash = hashOf(bytes, start, end);
    let mask = this.#places.length - 1;
    let place = hash & mask;
    let key: Key | undefined;
    for (;;) {
      const found = this.#places[place]!;
      if (found === 0) break;
      if (this.#hashes[found - 1] === hash) {
        key ??= sliceToKey(bytes, start, end);
        if (this.keys[found - 1] === key) return found - 1;
      }
      place = (place + 1) & mask;
    }
    const number = this.keys.push(key ?? sliceToKey(bytes, start, end)) - 1;
    if (number * 2 >= this.#places.length) {
      this.#grow();
      mask = this.#places.length - 1;
      place = this.#freePlace(hash, mask);
    }
    this.#places[place] = number + 1;
    this.#hashes[number] = hash;
    return number;
  }

  #grow(): void {
    const size = this.#places.length * 2;
    const hashes = new Uint32Array(size);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    this.#places = new Uint32Array(size);
    // The last key is not in the table yet.
    for (let number = 0; number < this.keys.length - 1; number++) {
      this.#places[this.#freePlace(hashes[number]!, size - 1)] = number + 1;
    }
  }

  #freePlace(hash: number, mask: number): number {
    let place = hash & mask;
    while (this.#places[place] !== 0) place = (place + 1) & mask;
    return place;
  }
}

/** FNV-1a, with a last stir because only low bits are used. */
function hashOf(bytes: Bytes, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
