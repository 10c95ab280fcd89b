// Hot path: all revisions of all keys that are not the newest of their key any more, in the order in which
// they were superseded. The log is two things at once:
//
// - *the past of each key*: a record points back to the revision of the same key before it, so a read at an
//   older revision walks from the newest one down. A second pointer jumps further (skew-binary jump
//   pointers, after Myers 1983), which makes that walk O(log n): a watcher that asks for the previous value
//   of a counter a million times over does not cost a million steps each time.
// - *the garbage list*: a revision superseded at main revision S is needed by reads below S only, so
//   compaction at R takes records off the front while `supersededAt <= R`, and never looks at a live key.
//
//     numbers (4 x float64):  main | superseded at | previous | jump       40 bytes a record
//     words   (2 x uint32):   sub, top bit: tombstone | depth
//
// Positions grow for ever; those below `firstPosition` are gone, and a pointer below it means "nothing older
// is readable". A tombstone that a later put superseded has a record too, for reads between the two, but
// its removal from the backend is the business of the tombstone queue, which has an earlier deadline.

const chunkBits = 12;
const chunkRecords = 1 << chunkBits;
const chunkMask = chunkRecords - 1;

const tombstoneBit = 0x8000_0000;
const subMask = 0x7fff_ffff;

class Chunk {
  readonly numbers: Float64Array = new Float64Array(chunkRecords * 4);
  readonly words: Uint32Array = new Uint32Array(chunkRecords * 2);
}

export class HistoryLog {
  /** Chunk k holds the positions from (firstChunk + k) * chunkRecords. */
  #chunks: Chunk[] = [];
  #firstChunk = 0;
  #first = 0;
  #end = 0;

  get firstPosition(): number {
    return this.#first;
  }

  get endPosition(): number {
    return this.#end;
  }

  get recordCount(): number {
    return this.#end - this.#first;
  }

  /** Appends and returns the position. `supersededAt` must not decrease. */
  append(
    main: number,
    sub: number,
    isTombstone: boolean,
    supersededAt: number,
    previous: number,
  ): number {
    const position = this.#end++;
    if ((position & chunkMask) === 0) this.#chunks.push(new Chunk());
    const chunk = this.#chunks[this.#chunks.length - 1]!;
    const at = (position & chunkMask) << 2;
    chunk.numbers[at] = main;
    chunk.numbers[at + 1] = supersededAt;
    chunk.numbers[at + 2] = previous;
    chunk.words[(position & chunkMask) << 1] = isTombstone ? sub + tombstoneBit : sub;
    let depth = 0;
    let jump = previous;
    if (previous >= this.#first) {
      depth = this.#depth(previous) + 1;
      const far = this.#jump(previous);
      if (far >= this.#first) {
        const farther = this.#jump(far);
        if (
          farther >= this.#first &&
          depth - 1 - this.#depth(far) === this.#depth(far) - this.#depth(farther)
        ) {
          jump = farther;
        }
      }
    }
    chunk.numbers[at + 3] = jump;
    chunk.words[((position & chunkMask) << 1) + 1] = depth;
    return position;
  }

  main(position: number): number {
    return this.#chunk(position).numbers[(position & chunkMask) << 2]!;
  }

  supersededAt(position: number): number {
    return this.#chunk(position).numbers[((position & chunkMask) << 2) + 1]!;
  }

  previous(position: number): number {
    return this.#chunk(position).numbers[((position & chunkMask) << 2) + 2]!;
  }

  sub(position: number): number {
    return this.#chunk(position).words[(position & chunkMask) << 1]! & subMask;
  }

  isTombstone(position: number): boolean {
    return this.#chunk(position).words[(position & chunkMask) << 1]! >= tombstoneBit;
  }

  /**
   * The newest record at or behind `position` in its key's past that a reader at (main, subEnd) sees, that
   * is the newest with a smaller main, or the same main and a sub below `subEnd`; -1 when there is none.
   */
  visible(position: number, main: number, subEnd: number): number {
    let at = position;
    while (at >= this.#first) {
      if (!this.#isLater(at, main, subEnd)) return at;
      const jump = this.#jump(at);
      at = jump >= this.#first && this.#isLater(jump, main, subEnd) ? jump : this.previous(at);
    }
    return -1;
  }

  /** Forgets the front record. */
  removeFirst(): void {
    this.#first++;
    if ((this.#first & chunkMask) === 0) {
      this.#chunks.shift();
      this.#firstChunk++;
    }
  }

  #isLater(position: number, main: number, subEnd: number): boolean {
    const own = this.main(position);
    return own > main || (own === main && this.sub(position) >= subEnd);
  }

  #jump(position: number): number {
    return this.#chunk(position).numbers[((position & chunkMask) << 2) + 3]!;
  }

  #depth(position: number): number {
    return this.#chunk(position).words[((position & chunkMask) << 1) + 1]!;
  }

  #chunk(position: number): Chunk {
    return this.#chunks[Math.floor(position / chunkRecords) - this.#firstChunk]!;
  }
}
