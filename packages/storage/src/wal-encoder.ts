// Hot path: writes the log's records straight into one growing buffer, frame by frame.
//
//      ┌──────────────────┬───────────────────────────────────────────────┬──────────┐
//      │ length word  8 B │ 08 type · 10 crc · 1a length data     L bytes │ 0…0  P   │
//      └──────────────────┴───────────────────────────────────────────────┴──────────┘
//        little-endian: L in the low 56 bits; the top byte is 80 | P when P > 0. 8 + L + P is a
//        multiple of 8, so a length word never straddles two sectors.
//
// The checksum stands before the data it covers, as a varint of 1 to 5 bytes, and it runs on over all
// data since the log began. Data is encoded where it lands when the checksum takes 5 bytes (15 times out
// of 16) and moved down by the difference otherwise, so no record is ever encoded into a buffer of its own.

import { assert, type Bytes, crc32c, sizeVarint, writeVarint } from "@etcd-ts/base";
import {
  type Entry,
  type HardState,
  sizeEntry,
  sizeHardState,
  writeEntry,
  writeHardState,
} from "@etcd-ts/raft";
import { WalRecordType } from "./gen/walpb.ts";

const firstBufferBytes = 64 << 10;
/** A larger buffer is not kept for the next batch. */
const keptBufferBytes = 4 << 20;
/** Everything of a frame but its data: length word, three tags, type, checksum, data length, padding. */
const overheadBytes = 8 + 2 + 6 + 6 + 7;

export class WalEncoder {
  /** Always a whole ArrayBuffer, so that a taken part leads back to it. */
  #buffer: Bytes = new Uint8Array(firstBufferBytes);
  #length = 0;
  #spare: Bytes | undefined;
  /** CRC-32C over the data of all records so far. */
  #crc: number;

  constructor(crc: number) {
    this.#crc = crc;
  }

  /** Bytes since the last `take`. A multiple of 8. */
  get length(): number {
    return this.#length;
  }

  /** The chain's value after everything encoded so far. */
  get crc(): number {
    return this.#crc;
  }

  /** First record of a segment: the value with which the checksums go on. */
  crcRecord(): void {
    this.#reserve(0);
    const start = this.#length;
    this.#finish(start, WalRecordType.crc, this.#crc, 0, 0);
  }

  entry(entry: Entry): void {
    const size = sizeEntry(entry);
    const at = this.#reserve(size);
    writeEntry(entry, this.#buffer, at);
    this.#seal(WalRecordType.entry, at, size);
  }

  state(state: HardState): void {
    const size = sizeHardState(state);
    const at = this.#reserve(size);
    writeHardState(state, this.#buffer, at);
    this.#seal(WalRecordType.state, at, size);
  }

  /** Metadata or snapshot records, whose data is there already. */
  record(type: number, data: Bytes): void {
    const at = this.#reserve(data.length);
    this.#buffer.set(data, at);
    this.#seal(type, at, data.length);
  }

  /** What was encoded since the last call. The caller owns it until it gives it back. */
  take(): Bytes {
    const taken = this.#buffer.subarray(0, this.#length);
    this.#buffer = this.#spare ?? new Uint8Array(firstBufferBytes);
    this.#spare = undefined;
    this.#length = 0;
    return taken;
  }

  /** A taken array is not needed any more. */
  giveBack(taken: Bytes): void {
    if (this.#spare !== undefined || taken.buffer.byteLength > keptBufferBytes) return;
    this.#spare = new Uint8Array(taken.buffer);
  }

  /** Room for a record; returns where its data goes when the checksum takes 5 bytes. */
  #reserve(dataSize: number): number {
    const needed = this.#length + dataSize + overheadBytes;
    if (needed > this.#buffer.length) {
      let size = this.#buffer.length;
      while (size < needed) size *= 2;
      const larger = new Uint8Array(size);
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    return this.#length + 8 + 2 + 6 + 1 + sizeVarint(dataSize);
  }

  #seal(type: number, at: number, size: number): void {
    this.#crc = crc32c(this.#crc, this.#buffer, at, at + size);
    const spared = 5 - sizeVarint(this.#crc);
    if (spared > 0) this.#buffer.copyWithin(at - spared, at, at + size);
    this.#finish(this.#length, type, this.#crc, at - spared, size);
  }

  /** Writes everything around the data, which stands in its place. */
  #finish(start: number, type: number, crc: number, at: number, size: number): void {
    const buffer = this.#buffer;
    let position = start + 8;
    buffer[position++] = 8;
    buffer[position++] = type;
    buffer[position++] = 16;
    position = writeVarint(buffer, position, crc);
    if (size > 0) {
      buffer[position++] = 26;
      position = writeVarint(buffer, position, size);
      assert(position === at, "the header ends where the data begins");
      position += size;
    }
    const length = position - start - 8;
    assert(length < 2 ** 31, "a record is smaller than 2 GiB");
    const padding = -length & 7;
    for (let i = 0; i < padding; i++) buffer[position++] = 0;
    buffer[start] = length;
    buffer[start + 1] = length >>> 8;
    buffer[start + 2] = length >>> 16;
    buffer[start + 3] = length >>> 24;
    buffer[start + 4] = 0;
    buffer[start + 5] = 0;
    buffer[start + 6] = 0;
    buffer[start + 7] = padding === 0 ? 0 : 0x80 | padding;
    this.#length = position;
  }
}
