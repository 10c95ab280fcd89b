// The dynamic table of HPACK (RFC 7541 §2.3.2, §4): a ring of fields, newest first, bounded by bytes.

import type { HeaderField } from "./header-field.ts";

export class DynamicTable {
  /** A ring; its length is a power of two and exceeds what `#bytesMax` can hold (32 bytes a field). */
  #ring: (HeaderField | undefined)[] = new Array<HeaderField | undefined>(16).fill(undefined);
  /** Slot of the next insertion. */
  #next = 0;
  #count = 0;
  #bytes = 0;
  #bytesMax: number;
  /** Grows with every change, so that what was derived from the table can be told stale. */
  version = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  /** `index` 0 is the newest. */
  at(index: number): HeaderField | undefined {
    if (index >= this.#count) return undefined;
    const ring = this.#ring;
    return ring[(this.#next - 1 - index) & (ring.length - 1)];
  }

  /** Evicts what must go; a field larger than the table empties it and is not kept. */
  insert(field: HeaderField): void {
    this.version++;
    this.#evictTo(this.#bytesMax - field.size);
    if (field.size > this.#bytesMax) return;
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[this.#next] = field;
    this.#next = (this.#next + 1) & (this.#ring.length - 1);
    this.#count++;
    this.#bytes += field.size;
  }

  resize(bytesMax: number): void {
    this.version++;
    this.#bytesMax = bytesMax;
    this.#evictTo(bytesMax);
  }

  #evictTo(bytes: number): void {
    const ring = this.#ring;
    while (this.#bytes > bytes && this.#count > 0) {
      const slot = (this.#next - this.#count) & (ring.length - 1);
      this.#bytes -= ring[slot]!.size;
      ring[slot] = undefined;
      this.#count--;
    }
  }

  #grow(): void {
    const before = this.#ring;
    const after = new Array<HeaderField | undefined>(before.length * 2).fill(undefined);
    for (let i = 0; i < this.#count; i++) {
      after[i] = before[(this.#next - this.#count + i) & (before.length - 1)];
    }
    this.#ring = after;
    this.#next = this.#count;
  }
}
