// Encodes header lists (RFC 7541 §6). Two layers:
//
// - functions that write single fields without touching a dynamic table, from which the server builds
//   its few templates;
// - `HpackEncoder`, with a dynamic table, for clients, which send the same ten fields with every call:
//   from the second call on that is ten bytes.
//
// Strings go out in Huffman code when that is shorter.

import { allocateBytes, type Bytes, writeKey } from "@etcd-ts/base";
import { HeaderField } from "./header-field.ts";
import { staticCount, staticNames, staticPairs } from "./hpack-static.ts";
import { DynamicTable } from "./hpack-table.ts";
import { huffmanEncode, huffmanLength } from "./huffman.ts";

/** An upper bound for one field in any representation. */
export function fieldBytesMax(name: string, value: string): number {
  return name.length + value.length + 16;
}

/** Writes an integer with the bits above `mask` set to `pattern`; returns the position behind it. */
export function writeInteger(
  target: Bytes,
  position: number,
  pattern: number,
  mask: number,
  value: number,
): number {
  if (value < mask) {
    target[position] = pattern | value;
    return position + 1;
  }
  target[position++] = pattern | mask;
  let rest = value - mask;
  while (rest >= 0x80) {
    target[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[position] = rest;
  return position + 1;
}

export function writeString(target: Bytes, position: number, text: string): number {
  const coded = huffmanLength(text);
  if (coded < text.length) {
    return huffmanEncode(target, writeInteger(target, position, 0x80, 0x7f, coded), text);
  }
  const start = writeInteger(target, position, 0, 0x7f, text.length);
  return start + writeKey(target, start, text);
}

/** A literal that leaves the dynamic table alone; "never" also tells proxies not to keep it. */
export function writeLiteral(
  target: Bytes,
  position: number,
  name: string,
  value: string,
  indexing: "without" | "never" = "without",
): number {
  const nameIndex = staticNames.get(name) ?? 0;
  let at = writeInteger(target, position, indexing === "never" ? 0x10 : 0, 0x0f, nameIndex);
  if (nameIndex === 0) at = writeString(target, at, name);
  return writeString(target, at, value);
}

/** A literal that the other side puts into its dynamic table. */
export function writeIndexingLiteral(
  target: Bytes,
  position: number,
  name: string,
  value: string,
): number {
  const nameIndex = staticNames.get(name) ?? 0;
  let at = writeInteger(target, position, 0x40, 0x3f, nameIndex);
  if (nameIndex === 0) at = writeString(target, at, name);
  return writeString(target, at, value);
}

/** A block of literals (or fields of the static table) that leaves the dynamic table alone. */
export function encodeStateless(fields: readonly (readonly [string, string])[]): Bytes {
  let most = 0;
  for (const [name, value] of fields) most += fieldBytesMax(name, value);
  const block = allocateBytes(most);
  let position = 0;
  for (const [name, value] of fields) {
    const pair = staticPairs.get(`${name}\0${value}`);
    position =
      pair === undefined
        ? writeLiteral(block, position, name, value)
        : writeInteger(block, position, 0x80, 0x7f, pair);
  }
  return block.subarray(0, position);
}

export class HpackEncoder {
  readonly #table = new DynamicTable(4096);
  /** Size updates that the next block must begin with: the smallest since the last block, and the last. */
  #smallestUpdate = -1;
  #lastUpdate = -1;
  /** Number of insertions so far; a field inserted as number n sits at `#inserted - n` now. */
  #inserted = 0;
  readonly #pairs = new Map<string, number>();
  readonly #names = new Map<string, number>();

  /** Changes whenever the dynamic table does. */
  get tableVersion(): number {
    return this.#table.version;
  }

  /** True when the next block must begin with a size update. */
  get hasUpdate(): boolean {
    return this.#lastUpdate >= 0;
  }

  /** The other side's SETTINGS_HEADER_TABLE_SIZE. More than 4096 is not made use of. */
  setTableBytesMax(bytes: number): void {
    const size = Math.min(bytes, 4096);
    if (size === this.#table.bytesMax && this.#lastUpdate < 0) return;
    this.#table.resize(size);
    if (this.#smallestUpdate < 0 || size < this.#smallestUpdate) this.#smallestUpdate = size;
    this.#lastUpdate = size;
  }

  /** Must come first in a block. */
  writeUpdates(target: Bytes, position: number): number {
    let at = position;
    if (this.#lastUpdate < 0) return at;
    if (this.#smallestUpdate < this.#lastUpdate) {
      at = writeInteger(target, at, 0x20, 0x1f, this.#smallestUpdate);
    }
    at = writeInteger(target, at, 0x20, 0x1f, this.#lastUpdate);
    this.#smallestUpdate = -1;
    this.#lastUpdate = -1;
    return at;
  }

  /** Writes a field, by reference to the tables where it is in one, else so that it is from now on. */
  writeField(target: Bytes, position: number, name: string, value: string): number {
    const key = `${name}\0${value}`;
    const fixed = staticPairs.get(key);
    if (fixed !== undefined) return writeInteger(target, position, 0x80, 0x7f, fixed);
    const pair = this.#indexOf(this.#pairs.get(key));
    if (pair > 0) return writeInteger(target, position, 0x80, 0x7f, pair);
    const nameIndex = staticNames.get(name) ?? this.#indexOf(this.#names.get(name));
    const field = new HeaderField(name, value);
    // A field that would push most others out is not worth its place.
    const keep = field.size * 4 <= this.#table.bytesMax * 3;
    let at = writeInteger(target, position, keep ? 0x40 : 0, keep ? 0x3f : 0x0f, nameIndex);
    if (nameIndex === 0) at = writeString(target, at, name);
    at = writeString(target, at, value);
    if (keep) {
      this.#table.insert(field);
      this.#inserted++;
      if (this.#pairs.size > 1024) this.#forgetEvicted();
      this.#pairs.set(key, this.#inserted);
      this.#names.set(name, this.#inserted);
    }
    return at;
  }

  /** The table index of the field inserted as `ordinal`, 0 when it is no longer there. */
  #indexOf(ordinal: number | undefined): number {
    if (ordinal === undefined) return 0;
    const age = this.#inserted - ordinal;
    return age < this.#table.count ? staticCount + 1 + age : 0;
  }

  #forgetEvicted(): void {
    for (const [key, ordinal] of this.#pairs) {
      if (this.#indexOf(ordinal) === 0) this.#pairs.delete(key);
    }
    for (const [key, ordinal] of this.#names) {
      if (this.#indexOf(ordinal) === 0) this.#names.delete(key);
    }
  }
}
