// Hot path while opening: finds the slots of keys whose bytes stand in records, without making a string. A hash
// table with open addressing over typed arrays, in 256 parts, each of which grows by itself, so that growing never
// takes long. (A `Map` of strings takes several times as long, holds 16.7 million entries at most, and stops
// everything for 0.2 s when it grows at a million.)
//
//     part: (hash | position in the arena + 1, or 0: free)*

import { KeyArena } from "./key-arena.ts";
import type { KeyBatch } from "./key-batch.ts";

const partCount = 256;
const firstPlaces = 8;

export class KeyTable {
  readonly arena: KeyArena = new KeyArena();
  readonly #parts: Int32Array[] = [];
  readonly #counts: Uint32Array = new Uint32Array(partCount);
  /** Where the key of the last `slotOf` stands in the arena. */
  position = 0;
  /** Keeps `touch` from being optimised away. */
  touched = 0;

  constructor() {
    for (let i = 0; i < partCount; i++) this.#parts.push(new Int32Array(firstPlaces * 2));
  }

  /** Asks for the memory that `slotOf` is going to look at. Changes nothing. */
  touch(batch: KeyBatch): void {
    const { hashes, count } = batch;
    let touched = 0;
    for (let i = 0; i < count; i++) {
      const hash = hashes[i]!;
      const part = this.#parts[hash >>> 24]!;
      touched ^= part[(hash << 1) & (part.length - 1)]!;
    }
    this.touched = touched;
  }

  /** The slot of key `number` of a batch. Slots of new keys count up from 0. */
  slotOf(batch: KeyBatch, number: number): number {
    const { arena } = this;
    const { words } = batch;
    const start = batch.starts[number]!;
    const hash = batch.hashes[number]!;
    const partNumber = hash >>> 24;
    const part = this.#parts[partNumber]!;
    const mask = part.length - 1;
    let at = (hash << 1) & mask;
    for (;;) {
      const found = part[at + 1]!;
      if (found === 0) break;
      if (part[at] === hash) {
        const position = (found - 1) >>> 0;
        if (arena.hasKey(position, words, start)) {
          this.position = position;
          return arena.slot(position);
        }
      }
      at = (at + 2) & mask;
    }
    const slot = arena.count;
    const position = arena.append(words, start, slot);
    part[at] = hash;
    part[at + 1] = position + 1;
    this.position = position;
    const count = this.#counts[partNumber]! + 1;
    this.#counts[partNumber] = count;
    // At least a quarter of the places is free; a part has two words for each.
    if (count * 8 > part.length * 3) this.#parts[partNumber] = enlarged(part);
    return slot;
  }
}

/** By four, as moving everything once more costs more than the room: 42 bytes a key at worst. */
function enlarged(part: Int32Array): Int32Array {
  const larger = new Int32Array(part.length * 4);
  const mask = larger.length - 1;
  for (let from = 0; from < part.length; from += 2) {
    const position = part[from + 1]!;
    if (position === 0) continue;
    const hash = part[from]!;
    let at = (hash << 1) & mask;
    while (larger[at + 1] !== 0) at = (at + 2) & mask;
    larger[at] = hash;
    larger[at + 1] = position;
  }
  return larger;
}
