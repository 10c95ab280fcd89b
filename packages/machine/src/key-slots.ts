// Hot path: what the index knows of a key, besides the key itself, in typed arrays: 40 bytes a key, nothing
// for the garbage collector to follow, and no cliff where a revision outgrows a small integer. (One object
// per key took 88 bytes and, at a million keys, long marking pauses.)
//
// A slot describes the newest revision of its key:
//
//     numbers (4 x float64):  main | create | version | history
//     words   (2 x uint32):   sub, top bit: tombstone | lease slot, 0: none
//
// `history` is the position in the history log of the revision before, or -1. A dead slot (its newest
// revision is a tombstone that is not compacted yet) has create = version = 0.
//
// Slots grow in chunks, because a doubling array would stop the loop to copy itself.

const chunkBits = 12;
const chunkSlots = 1 << chunkBits;
const chunkMask = chunkSlots - 1;

const tombstoneBit = 0x8000_0000;
const subMask = 0x7fff_ffff;

class Chunk {
  readonly numbers: Float64Array = new Float64Array(chunkSlots * 4);
  readonly words: Uint32Array = new Uint32Array(chunkSlots * 2);
}

export class KeySlots {
  readonly #chunks: Chunk[] = [];
  #next = 0;
  /** Heads a list through the `history` numbers of free slots; -1 is its end. */
  #free = -1;
  #usedCount = 0;

  get usedCount(): number {
    return this.#usedCount;
  }

  allocate(): number {
    this.#usedCount++;
    const free = this.#free;
    if (free >= 0) {
      this.#free = this.history(free);
      return free;
    }
    const slot = this.#next++;
    if ((slot & chunkMask) === 0) this.#chunks.push(new Chunk());
    return slot;
  }

  release(slot: number): void {
    this.#usedCount--;
    this.setHistory(slot, this.#free);
    this.setLease(slot, 0);
    this.#free = slot;
  }

  main(slot: number): number {
    return this.#chunks[slot >>> chunkBits]!.numbers[(slot & chunkMask) << 2]!;
  }

  create(slot: number): number {
    return this.#chunks[slot >>> chunkBits]!.numbers[((slot & chunkMask) << 2) + 1]!;
  }

  version(slot: number): number {
    return this.#chunks[slot >>> chunkBits]!.numbers[((slot & chunkMask) << 2) + 2]!;
  }

  history(slot: number): number {
    return this.#chunks[slot >>> chunkBits]!.numbers[((slot & chunkMask) << 2) + 3]!;
  }

  setHistory(slot: number, position: number): void {
    this.#chunks[slot >>> chunkBits]!.numbers[((slot & chunkMask) << 2) + 3] = position;
  }

  sub(slot: number): number {
    return this.#chunks[slot >>> chunkBits]!.words[(slot & chunkMask) << 1]! & subMask;
  }

  isDead(slot: number): boolean {
    return this.#chunks[slot >>> chunkBits]!.words[(slot & chunkMask) << 1]! >= tombstoneBit;
  }

  lease(slot: number): number {
    return this.#chunks[slot >>> chunkBits]!.words[((slot & chunkMask) << 1) + 1]!;
  }

  setLease(slot: number, lease: number): void {
    this.#chunks[slot >>> chunkBits]!.words[((slot & chunkMask) << 1) + 1] = lease;
  }

  setLive(slot: number, main: number, sub: number, create: number, version: number): void {
    const chunk = this.#chunks[slot >>> chunkBits]!;
    const at = (slot & chunkMask) << 2;
    chunk.numbers[at] = main;
    chunk.numbers[at + 1] = create;
    chunk.numbers[at + 2] = version;
    chunk.words[(slot & chunkMask) << 1] = sub;
  }

  setDead(slot: number, main: number, sub: number): void {
    const chunk = this.#chunks[slot >>> chunkBits]!;
    const at = (slot & chunkMask) << 2;
    chunk.numbers[at] = main;
    chunk.numbers[at + 1] = 0;
    chunk.numbers[at + 2] = 0;
    chunk.words[(slot & chunkMask) << 1] = sub + tombstoneBit;
  }
}
