// A walk over an interval of keys as a reader at some point in time sees them, in batches.

import type { Key } from "@etcd-ts/base";

/** Reads see sub revisions below this one; the largest means "all of that main revision". */
export const allSubs = 0x7fff_ffff;

/** Where a reader stands: it sees (main, sub) when main is smaller, or equal with sub < subEnd. */
export interface ReadPoint {
  readonly main: number;
  readonly subEnd: number;
}

/** A walk over an interval, in batches. The arrays are parallel and reused. */
export class KeyWalk {
  /** Where the walk goes on. */
  next: Key;
  /** Exclusive; undefined: no end. */
  readonly to: Key | undefined;
  readonly at: ReadPoint;
  finished = false;
  /** Keys and subtrees looked at so far. */
  visitedCount = 0;
  /** Keys counted so far by `count`. */
  counted = 0;
  readonly keys: Key[] = [];
  readonly slots: number[] = [];
  /** Position in the history log of what the reader sees, or -1 when it is the slot's own revision. */
  readonly positions: number[] = [];
  /** Subtrees unchanged since this main look to the reader as they look now. */
  readonly settledAt: number;
  visitedEnd = 0;
  takenEnd = 0;

  constructor(from: Key, to: Key | undefined, at: ReadPoint) {
    this.next = from;
    this.to = to;
    this.at = at;
    this.settledAt = at.subEnd === allSubs ? at.main : at.main - 1;
    this.finished = to !== undefined && from >= to;
  }
}
