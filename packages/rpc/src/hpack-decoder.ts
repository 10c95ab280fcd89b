// Hot: decodes header blocks (RFC 7541 §6). An indexed field costs one array access, because the tables
// hold ready `HeaderField` objects. Nothing here trusts the input: every length is checked against the
// end of the block, and a list that grows beyond its limit is decoded to its end (both sides must keep
// the same dynamic table) without being stored.

import { type Bytes, sliceToKey } from "@etcd-ts/base";
import { HeaderField } from "./header-field.ts";
import { staticCount, staticFields } from "./hpack-static.ts";
import { DynamicTable } from "./hpack-table.ts";
import { huffmanDecode } from "./huffman.ts";

/** "invalid" is a COMPRESSION_ERROR of the connection; "too-large" concerns this one list. */
export type HpackOutcome = "ok" | "too-large" | "invalid";

export class HpackDecoder {
  readonly #table: DynamicTable;
  /** What our SETTINGS allow; the encoder on the other side may choose less. */
  readonly #tableBytesMax: number;
  #bytes: Bytes = new Uint8Array(0);
  #position = 0;
  #end = 0;
  /** RFC 9113 size of the list that was decoded last. */
  listBytes = 0;

  constructor(tableBytesMax = 4096) {
    this.#tableBytesMax = tableBytesMax;
    this.#table = new DynamicTable(tableBytesMax);
  }

  /** Changes whenever the dynamic table does. */
  get tableVersion(): number {
    return this.#table.version;
  }

  get tableBytes(): number {
    return this.#table.bytes;
  }

  /** Fields of the dynamic table, newest first; for tests. */
  tableFields(): HeaderField[] {
    const fields: HeaderField[] = [];
    for (let i = 0; i < this.#table.count; i++) fields.push(this.#table.at(i)!);
    return fields;
  }

  /** Appends the fields of the block `bytes[start, end)` to `into`. */
  decode(
    bytes: Bytes,
    start: number,
    end: number,
    listBytesMax: number,
    into: HeaderField[],
  ): HpackOutcome {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
    let listBytes = 0;
    let mayResize = true;
    while (this.#position < end) {
      const first = bytes[this.#position]!;
      let field: HeaderField | undefined;
      if (first >= 0x80) {
        field = this.#indexed(first);
      } else if (first >= 0x40) {
        field = this.#literal(this.#integer(0x3f));
        if (field !== undefined) this.#table.insert(field);
      } else if (first >= 0x20) {
        const size = this.#integer(0x1f);
        // RFC 7541 §4.2: only at the beginning of a block, and at most what we allowed.
        if (!mayResize || size < 0 || size > this.#tableBytesMax) return "invalid";
        this.#table.resize(size);
        continue;
      } else {
        field = this.#literal(this.#integer(0x0f));
      }
      if (field === undefined) return "invalid";
      mayResize = false;
      listBytes += field.size;
      if (listBytes <= listBytesMax) into.push(field);
    }
    this.listBytes = listBytes;
    return listBytes <= listBytesMax ? "ok" : "too-large";
  }

  #indexed(first: number): HeaderField | undefined {
    const index = first === 0xff ? this.#integer(0x7f) : first & 0x7f;
    if (first !== 0xff) this.#position++;
    if (index <= 0) return undefined;
    return index <= staticCount ? staticFields[index] : this.#table.at(index - staticCount - 1);
  }

  #literal(nameIndex: number): HeaderField | undefined {
    let name: string | undefined;
    if (nameIndex > 0) {
      name =
        nameIndex <= staticCount
          ? staticFields[nameIndex]!.name
          : this.#table.at(nameIndex - staticCount - 1)?.name;
    } else if (nameIndex === 0) {
      name = this.#string();
    }
    if (name === undefined) return undefined;
    const value = this.#string();
    return value === undefined ? undefined : new HeaderField(name, value);
  }

  /** An integer with the prefix `mask` (RFC 7541 §5.1); -1 when it is cut off or absurdly large. */
  #integer(mask: number): number {
    const bytes = this.#bytes;
    let value = bytes[this.#position++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#position >= this.#end) return -1;
      const byte = bytes[this.#position++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return -1;
  }

  #string(): string | undefined {
    if (this.#position >= this.#end) return undefined;
    const coded = this.#bytes[this.#position]! >= 0x80;
    const length = this.#integer(0x7f);
    const start = this.#position;
    if (length < 0 || length > this.#end - start) return undefined;
    this.#position = start + length;
    if (coded) return huffmanDecode(this.#bytes, start, start + length);
    return length === 0 ? "" : sliceToKey(this.#bytes, start, start + length);
  }
}
