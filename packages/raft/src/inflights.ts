// The window of appends that were sent to one follower and not yet acknowledged (thesis §10.2.1,
// pipelining). A ring of (last index, payload bytes) in two parallel number arrays that double as needed,
// because the configured limit may be far beyond what is ever used. The byte limit is soft: the message
// that crosses it may still leave, otherwise one large entry could block a follower for ever.

import { assert } from "@etcd-ts/base";

export class Inflights {
  readonly #countMax: number;
  /** Infinity when bytes are not limited. */
  readonly #bytesMax: number;
  #indexes: number[] = [];
  #sizes: number[] = [];
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === this.#countMax || this.#bytes >= this.#bytesMax;
  }

  /** Records a message whose last entry has `index`. Indexes must come in ascending order. */
  add(index: number, bytes: number): void {
    assert(!this.full, "an append is sent only while the window has room");
    if (this.#count === this.#indexes.length) this.#grow();
    const at = (this.#start + this.#count) % this.#indexes.length;
    this.#indexes[at] = index;
    this.#sizes[at] = bytes;
    this.#count += 1;
    this.#bytes += bytes;
  }

  /** Forgets all messages whose last entry is at or below `index`. */
  freeThrough(index: number): void {
    while (this.#count > 0 && this.#indexes[this.#start]! <= index) {
      this.#bytes -= this.#sizes[this.#start]!;
      this.#start = (this.#start + 1) % this.#indexes.length;
      this.#count -= 1;
    }
  }

  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const indexes: number[] = [];
    const sizes: number[] = [];
    for (let i = 0; i < this.#count; i++) {
      const at = (this.#start + i) % this.#indexes.length;
      indexes.push(this.#indexes[at]!);
      sizes.push(this.#sizes[at]!);
    }
    for (let i = Math.max(8, this.#count); i > 0; i--) {
      indexes.push(0);
      sizes.push(0);
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
