// A walk over an interval of keys as a reader at some point in time sees them, in batches.

import type { Bytes, Key } from "@etcd-ts/base";
import type { ValueCache } from "./value-cache.ts";

/** Reads see sub revisions below this one; the largest means "all of that main revision". */
export const allSubs = 0x7fff_ffff;

/** Where a reader stands: it sees (main, sub) when main is smaller, or equal with sub < subEnd. */
export interface ReadPoint {
  readonly main: number;
  readonly subEnd: number;
}

/** What reading a KeyValue from the backend costs, measured in looks at a key. */
export const visitsPerRead = 16;
/** Copying this many bytes counts as one look at a key. */
export const bytesPerVisit = 1024;

/** In `KeyWalk.positions`: not a key, but piece `slots[i]` of `pieces`. */
export const pieceEntry = -3;

/** Neighbouring keys whose packed values lie side by side. */
export class WalkPiece {
  readonly bytes: Bytes;
  readonly start: number;
  readonly end: number;
  /** Keys in it. */
  readonly count: number;

  constructor(bytes: Bytes, start: number, end: number, count: number) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.count = count;
  }
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
  /** Set by who takes whole pieces instead of keys where it can, and reads the values of the keys from the backend. */
  values: ValueCache | undefined = undefined;
  readonly pieces: WalkPiece[] = [];
  /** Keys of the batch, those in pieces included. */
  takenCount = 0;
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
