// Who wants to know of a key: single keys in a hash map, ranges in an interval index.
//
// The interval index is an array of distinct ranges sorted by their start, with the largest end of every
// power-of-two block above it (an implicit tree, rebuilt when ranges came or went and a key is looked up):
//
//     starts   a    b    b/   k    m          a lookup of "c" takes the prefix of ranges with
//     ends     c    z    b0   ∞    n          start <= "c" and descends only into blocks whose
//     blocks   └─ z ─┘   └─ ∞ ─┘              largest end lies above it
//
// A lookup costs O(log n + hits), and thousands of watchers of one range share one entry.

import type { Key } from "@etcd-ts/base";

/** Above every `Key`: keys have no char beyond U+00FF. */
export const endOfKeys: Key = "\u0100";

/** What is watched: one key (`end` undefined), or all keys with `key <= x < end`. */
export interface Interest {
  readonly key: Key;
  readonly end: Key | undefined;
}

class Range<T extends Interest> {
  readonly key: Key;
  readonly end: Key;
  readonly members: Set<T> = new Set();

  constructor(key: Key, end: Key) {
    this.key = key;
    this.end = end;
  }
}

export class Interests<T extends Interest> {
  readonly #single = new Map<Key, Set<T>>();
  /** By start, then by end. */
  readonly #ranges = new Map<Key, Map<Key, Range<T>>>();
  #sorted: Range<T>[] = [];
  /** `#largest[level][i]`: the largest end of ranges `i << level` to `(i + 1) << level`. */
  #largest: Key[][] = [];
  #stale = false;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(interest: T): void {
    this.#count += 1;
    if (interest.end === undefined) {
      const members = this.#single.get(interest.key);
      if (members === undefined) this.#single.set(interest.key, new Set([interest]));
      else members.add(interest);
      return;
    }
    let byEnd = this.#ranges.get(interest.key);
    if (byEnd === undefined) {
      byEnd = new Map();
      this.#ranges.set(interest.key, byEnd);
    }
    let range = byEnd.get(interest.end);
    if (range === undefined) {
      range = new Range(interest.key, interest.end);
      byEnd.set(interest.end, range);
      this.#stale = true;
    }
    range.members.add(interest);
  }

  /** False when it was not there. */
  remove(interest: T): boolean {
    if (interest.end === undefined) {
      const members = this.#single.get(interest.key);
      if (members?.delete(interest) !== true) return false;
      if (members.size === 0) this.#single.delete(interest.key);
    } else {
      const byEnd = this.#ranges.get(interest.key);
      const range = byEnd?.get(interest.end);
      if (byEnd === undefined || range?.members.delete(interest) !== true) return false;
      if (range.members.size === 0) {
        byEnd.delete(interest.end);
        if (byEnd.size === 0) this.#ranges.delete(interest.key);
        this.#stale = true;
      }
    }
    this.#count -= 1;
    return true;
  }

  /** Everyone, as of now: the set may be changed while the list is gone through. */
  all(): T[] {
    const everyone: T[] = [];
    for (const members of this.#single.values()) for (const each of members) everyone.push(each);
    for (const byEnd of this.#ranges.values()) {
      for (const range of byEnd.values()) for (const each of range.members) everyone.push(each);
    }
    return everyone;
  }

  /** Calls `visit` for everyone who wants to know of `key`, in no particular order. */
  match(key: Key, visit: (interest: T) => void): void {
    const members = this.#single.get(key);
    if (members !== undefined) for (const interest of members) visit(interest);
    if (this.#ranges.size === 0) return;
    if (this.#stale) this.#rebuild();
    const count = this.#startingUpTo(key);
    if (count > 0) this.#descend(this.#largest.length - 1, 0, count, key, visit);
  }

  /** Whether anybody wants to know of `key`. */
  has(key: Key): boolean {
    if (this.#single.has(key)) return true;
    let found = false;
    if (this.#ranges.size > 0) {
      this.match(key, () => {
        found = true;
      });
    }
    return found;
  }

  #rebuild(): void {
    this.#stale = false;
    this.#sorted = [];
    for (const byEnd of this.#ranges.values()) {
      for (const range of byEnd.values()) this.#sorted.push(range);
    }
    this.#sorted.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    this.#largest = [this.#sorted.map((range) => range.end)];
    for (let level = this.#largest[0] as Key[]; level.length > 1; ) {
      const above: Key[] = [];
      for (let i = 0; i < level.length; i += 2) {
        const left = level[i] as Key;
        const right = level[i + 1];
        if (right !== undefined && right > left) above.push(right);
        else above.push(left);
      }
      this.#largest.push(above);
      level = above;
    }
  }

  /** How many ranges start at or before `key`. */
  #startingUpTo(key: Key): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle] as Range<T>).key <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #descend(
    level: number,
    block: number,
    count: number,
    key: Key,
    visit: (interest: T) => void,
  ): void {
    const ends = this.#largest[level] as Key[];
    if (block >= ends.length || block << level >= count || (ends[block] as Key) <= key) return;
    if (level === 0) {
      for (const interest of (this.#sorted[block] as Range<T>).members) visit(interest);
      return;
    }
    this.#descend(level - 1, 2 * block, count, key, visit);
    this.#descend(level - 1, 2 * block + 1, count, key, visit);
  }
}
