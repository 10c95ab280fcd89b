// Rebuilds the key index from the records of bucket `key`, in three sliced phases:
//
//     read    every record, oldest first: a hash table finds the slot of its key, revisions are chained up
//     sort    the keys
//     load    the tree, from keys in order
//
// Putting key by key into the tree instead took 5.7 µs for each in all, against 2.4 µs, because keys lie in the
// bucket in the order in which they were written last, and each goes to another corner of memory.

import type { Bytes, Key } from "@etcd-ts/base";
import type { KeyIndex } from "./key-index.ts";
import { KeySort } from "./key-sort.ts";
import { KeyTable } from "./key-table.ts";
import { TreeLoader } from "./tree-loader.ts";

export class IndexBuilder {
  readonly #index: KeyIndex;
  /** Keys by the number of their slot: slots are handed out in order here. */
  readonly #table: KeyTable = new KeyTable();
  #sort: KeySort | undefined = undefined;
  #loader: TreeLoader | undefined = undefined;
  #loaded = 0;

  /** The index must be empty. */
  constructor(index: KeyIndex) {
    this.#index = index;
  }

  keyOf(slot: number): Key {
    return this.#table.keys[slot]!;
  }

  /** A stored KeyValue, of the key in `bytes[start, end)`. Returns the key's slot. */
  put(
    bytes: Bytes,
    start: number,
    end: number,
    main: number,
    sub: number,
    create: number,
    version: number,
  ): number {
    const slot = this.#table.numberOf(bytes, start, end);
    this.#index.restorePut(slot, main, sub, create, version);
    return slot;
  }

  /** A stored tombstone. Returns the key's slot. */
  tombstone(bytes: Bytes, start: number, end: number, main: number, sub: number): number {
    const slot = this.#table.numberOf(bytes, start, end);
    this.#index.restoreTombstone(this.keyOf(slot), slot, main, sub);
    return slot;
  }

  /** Call once all records are in, until it returns true. */
  step(itemCount: number): boolean {
    const { keys } = this.#table;
    this.#sort ??= new KeySort(keys);
    if (this.#loader === undefined) {
      if (!this.#sort.step(itemCount)) return false;
      this.#loader = new TreeLoader(this.#index.slots);
    }
    const { order } = this.#sort;
    const end = Math.min(keys.length, this.#loaded + itemCount);
    for (; this.#loaded < end; this.#loaded++) {
      const slot = order[this.#loaded]!;
      this.#loader.add(keys[slot]!, slot);
    }
    if (this.#loaded < keys.length) return false;
    this.#index.adopt(this.#loader.finish());
    return true;
  }
}
