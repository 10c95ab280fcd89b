// Hot path: KeyValues of an answer, packed as the repeated field that they become. Every KeyValue is copied
// once, from where it is stored to behind its tag and length; the response encoder then copies whole chunks.
// What the value cache has packed is a chunk as it is.
//
//     [tag][length varint][KeyValue] [tag][length varint][KeyValue] …

import { allocateBytes, type Bytes, sizeVarint, writeVarint } from "@etcd-ts/base";

const firstChunkBytes = 1024;
const chunkBytesMax = 64 * 1024;
const noChunks: Bytes[] = [];

/** Field tags: `RangeResponse.kvs` and `DeleteRangeResponse.prev_kvs`. */
export const KvField = { kvs: 0x12, prevKvs: 0x1a } as const;
export type KvField = (typeof KvField)[keyof typeof KvField];

export class KvList {
  readonly #tag: KvField;
  #full: Bytes[] = noChunks;
  #chunk: Bytes | undefined = undefined;
  #used = 0;
  #fullBytes = 0;
  #count = 0;

  constructor(tag: KvField) {
    this.#tag = tag;
  }

  /** Of one encoded KeyValue, which is copied. */
  static ofOne(tag: KvField, kv: Bytes): KvList {
    const size = kv.length;
    const chunk = allocateBytes(1 + sizeVarint(size) + size);
    chunk[0] = tag;
    chunk.set(kv, writeVarint(chunk, 1, size));
    return KvList.#whole(tag, chunk);
  }

  /** Of one field that is packed already, in bytes that nobody writes any more. It is not copied. */
  static ofPacked(tag: KvField, bytes: Bytes, start: number, end: number): KvList {
    return KvList.#whole(tag, bytes.subarray(start, end));
  }

  static #whole(tag: KvField, field: Bytes): KvList {
    const list = new KvList(tag);
    list.#chunk = field;
    list.#used = field.length;
    list.#count = 1;
    return list;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of all fields. */
  get byteLength(): number {
    return this.#fullBytes + this.#used;
  }

  /** Appends a copy of an encoded KeyValue. */
  add(kv: Bytes): void {
    const position = this.reserve(kv.length);
    this.#chunk!.set(kv, position);
  }

  /** Appends a field of `size` bytes and returns where in `chunk` they go; the caller fills them at once. */
  reserve(size: number): number {
    const need = 1 + sizeVarint(size) + size;
    let chunk = this.#chunk;
    if (chunk === undefined || chunk.length - this.#used < need) chunk = this.#grow(need);
    chunk[this.#used] = this.#tag;
    const position = writeVarint(chunk, this.#used + 1, size);
    this.#used = position + size;
    this.#count++;
    return position;
  }

  /** Appends `count` fields that are packed already, in bytes that nobody writes any more. They are not copied. */
  addPacked(bytes: Bytes, start: number, end: number, count: number): void {
    if (this.#full === noChunks) this.#full = [];
    const chunk = this.#chunk;
    if (chunk !== undefined && this.#used > 0) {
      this.#full.push(chunk.subarray(0, this.#used));
      this.#fullBytes += this.#used;
      this.#chunk = chunk.subarray(this.#used);
      this.#used = 0;
    }
    this.#full.push(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    this.#fullBytes += end - start;
    this.#count += count;
  }

  /** The chunk of the last `reserve`. */
  get chunk(): Bytes {
    return this.#chunk!;
  }

  /** Copies all fields to `position` and returns the position behind them. */
  write(target: Bytes, position: number): number {
    let at = position;
    for (let i = 0; i < this.#full.length; i++) {
      const chunk = this.#full[i]!;
      target.set(chunk, at);
      at += chunk.length;
    }
    const chunk = this.#chunk;
    if (chunk !== undefined) {
      target.set(this.#used === chunk.length ? chunk : chunk.subarray(0, this.#used), at);
      at += this.#used;
    }
    return at;
  }

  /** The encoded KeyValues one by one, as views. */
  toArray(): Bytes[] {
    const out: Bytes[] = [];
    for (const chunk of this.#full) unpack(chunk, chunk.length, out);
    if (this.#chunk !== undefined) unpack(this.#chunk, this.#used, out);
    return out;
  }

  #grow(need: number): Bytes {
    let size = firstChunkBytes;
    const old = this.#chunk;
    if (old !== undefined) {
      if (this.#full === noChunks) this.#full = [];
      this.#full.push(old.subarray(0, this.#used));
      this.#fullBytes += this.#used;
      size = Math.max(firstChunkBytes, Math.min(chunkBytesMax, old.length * 2));
    }
    const chunk = allocateBytes(Math.max(size, need));
    this.#chunk = chunk;
    this.#used = 0;
    return chunk;
  }
}

function unpack(chunk: Bytes, end: number, out: Bytes[]): void {
  let at = 0;
  while (at < end) {
    at++;
    let size = 0;
    let scale = 1;
    let byte: number;
    do {
      byte = chunk[at++]!;
      size += (byte & 127) * scale;
      scale *= 128;
    } while (byte > 127);
    out.push(chunk.subarray(at, at + size));
    at += size;
  }
}
