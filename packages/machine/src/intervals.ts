// How etcd names intervals of keys (semantics §1.3):
//
//     key, range_end          means
//     k, empty                exactly k
//     k, e > k                k ≤ x < e
//     k, e ≤ k                nothing
//     k, one zero byte        every x ≥ k

import { type Bytes, bytesToKey, type Key, keyAfter } from "@etcd-ts/base";
import { requestKey } from "./request-key.ts";

export class Interval {
  readonly from: Key;
  /** Exactly the key `from`. */
  readonly isSingle: boolean;
  readonly #end: Key | undefined;

  constructor(from: Key, end: Key | undefined, isSingle: boolean) {
    this.from = from;
    this.isSingle = isSingle;
    this.#end = end;
  }

  /** Exclusive; undefined: no end. */
  get to(): Key | undefined {
    return this.isSingle ? keyAfter(this.from) : this.#end;
  }

  contains(key: Key): boolean {
    if (this.isSingle) return key === this.from;
    return key >= this.from && (this.#end === undefined || key < this.#end);
  }
}

export function toInterval(key: Bytes, rangeEnd: Bytes): Interval {
  const from = requestKey(key);
  if (rangeEnd.length === 0) return new Interval(from, undefined, true);
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return new Interval(from, undefined, false);
  return new Interval(from, bytesToKey(rangeEnd), false);
}
