// Deletions in the order of their revisions, until compaction passes them. In chunks, so that growing and
// shrinking never copy; the key is the very string of the index.

import type { Key } from "@etcd-ts/base";

const chunkRecords = 1024;

class Chunk {
  readonly mains: Float64Array = new Float64Array(chunkRecords);
  readonly subs: Uint32Array = new Uint32Array(chunkRecords);
  readonly keys: Key[] = [];
}

export class TombstoneQueue {
  readonly #chunks: Chunk[] = [];
  /** Place of the first record in the first chunk. */
  #first = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get firstMain(): number {
    return this.#chunks[0]!.mains[this.#first]!;
  }

  get firstSub(): number {
    return this.#chunks[0]!.subs[this.#first]!;
  }

  get firstKey(): Key {
    return this.#chunks[0]!.keys[this.#first]!;
  }

  push(main: number, sub: number, key: Key): void {
    const at = (this.#first + this.#count) % chunkRecords;
    if (at === 0) this.#chunks.push(new Chunk());
    const chunk = this.#chunks[this.#chunks.length - 1]!;
    chunk.mains[at] = main;
    chunk.subs[at] = sub;
    chunk.keys[at] = key;
    this.#count++;
  }

  removeFirst(): void {
    this.#first++;
    this.#count--;
    if (this.#first === chunkRecords || this.#count === 0) {
      this.#chunks.shift();
      this.#first = 0;
    }
  }

  has(main: number): boolean {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#mainAt(middle) < main) low = middle + 1;
      else high = middle;
    }
    return low < this.#count && this.#mainAt(low) === main;
  }

  #mainAt(place: number): number {
    const at = this.#first + place;
    return this.#chunks[Math.floor(at / chunkRecords)]!.mains[at % chunkRecords]!;
  }
}
