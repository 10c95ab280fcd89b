// Hot path: the stored form of a key's value, a canonical `mvccpb.KeyValue`. Encoded once, when a put is
// applied; answers, watch events, hashes and snapshots all carry these same bytes.
//
//     field   tag    content
//     1       0a     key
//     2       10     create_revision (varint)
//     3       18     mod_revision
//     4       20     version
//     5       2a     value
//     6       30     lease (int64: a negative id takes ten bytes)
//
// Zero and empty fields are left out. `KvFields.read` finds the parts without making strings or copies; it
// takes fields in any order and skips unknown ones, as what other members stored may hold them.

import {
  allocateKept,
  type Bytes,
  CorruptionError,
  emptyBytes,
  type Key,
  sizeVarint,
  sizeVarint64,
  sliceToKey,
  writeKey,
  writeVarint,
  writeVarint64,
} from "@etcd-ts/base";

export function encodeKeyValue(
  key: Key,
  createRevision: number,
  modRevision: number,
  version: number,
  value: Bytes,
  lease: bigint,
): Bytes {
  const keySize = key.length;
  const valueSize = value.length;
  let size = 0;
  if (keySize > 0) size += 1 + sizeVarint(keySize) + keySize;
  if (createRevision > 0) size += 1 + sizeVarint(createRevision);
  if (modRevision > 0) size += 1 + sizeVarint(modRevision);
  if (version > 0) size += 1 + sizeVarint(version);
  if (valueSize > 0) size += 1 + sizeVarint(valueSize) + valueSize;
  if (lease !== 0n) size += 1 + sizeVarint64(lease);
  const bytes = allocateKept(size);
  let at = 0;
  if (keySize > 0) {
    bytes[0] = 0x0a;
    at = writeVarint(bytes, 1, keySize);
    at += writeKey(bytes, at, key);
  }
  if (createRevision > 0) {
    bytes[at] = 0x10;
    at = writeVarint(bytes, at + 1, createRevision);
  }
  if (modRevision > 0) {
    bytes[at] = 0x18;
    at = writeVarint(bytes, at + 1, modRevision);
  }
  if (version > 0) {
    bytes[at] = 0x20;
    at = writeVarint(bytes, at + 1, version);
  }
  if (valueSize > 0) {
    bytes[at] = 0x2a;
    at = writeVarint(bytes, at + 1, valueSize);
    bytes.set(value, at);
    at += valueSize;
  }
  if (lease !== 0n) {
    bytes[at] = 0x30;
    writeVarint64(bytes, at + 1, lease);
  }
  return bytes;
}

/** What a tombstone stores: the key alone. */
export function encodeTombstoneValue(key: Key): Bytes {
  return encodeKeyValue(key, 0, 0, 0, emptyBytes, 0n);
}

/** What a delete event shows: key and mod_revision. */
export function encodeDeletedKeyValue(key: Key, modRevision: number): Bytes {
  return encodeKeyValue(key, 0, modRevision, 0, emptyBytes, 0n);
}

/** The parts of one encoded KeyValue. Reused: read, take what you need, read the next. */
export class KvFields {
  #bytes: Bytes = emptyBytes;
  keyStart = 0;
  keyEnd = 0;
  createRevision = 0;
  modRevision = 0;
  version = 0;
  /** The whole value field with tag and length; an empty span when there is none. */
  valueFieldStart = 0;
  valueStart = 0;
  valueEnd = 0;
  /** The whole lease field. */
  leaseFieldStart = 0;
  leaseFieldEnd = 0;
  #position = 0;

  /** Of the message in `bytes[begin, end)`. Throws `CorruptionError` when that is none. */
  read(bytes: Bytes, begin = 0, end: number = bytes.length): this {
    this.#bytes = bytes;
    this.keyStart = this.keyEnd = 0;
    this.createRevision = this.modRevision = this.version = 0;
    this.valueFieldStart = this.valueStart = this.valueEnd = 0;
    this.leaseFieldStart = this.leaseFieldEnd = 0;
    this.#position = begin;
    while (this.#position < end) {
      const start = this.#position;
      const tag = this.#varint();
      switch (tag) {
        case 0x0a: {
          const length = this.#varint();
          this.keyStart = this.#position;
          this.keyEnd = this.#position += length;
          break;
        }
        case 0x10:
          this.createRevision = this.#varint();
          break;
        case 0x18:
          this.modRevision = this.#varint();
          break;
        case 0x20:
          this.version = this.#varint();
          break;
        case 0x2a: {
          const length = this.#varint();
          this.valueFieldStart = start;
          this.valueStart = this.#position;
          this.valueEnd = this.#position += length;
          break;
        }
        case 0x30:
          this.leaseFieldStart = start;
          this.#skipVarint();
          this.leaseFieldEnd = this.#position;
          break;
        default:
          this.#skip(tag & 7);
      }
    }
    if (this.#position !== end) throw this.#damaged("a field reaches beyond the end");
    return this;
  }

  key(): Key {
    return sliceToKey(this.#bytes, this.keyStart, this.keyEnd);
  }

  /** A view. */
  value(): Bytes {
    return this.#bytes.subarray(this.valueStart, this.valueEnd);
  }

  lease(): bigint {
    let result = 0n;
    let shift = 0n;
    for (let at = this.leaseFieldStart + 1; at < this.leaseFieldEnd; at++) {
      result |= BigInt(this.#bytes[at]! & 127) << shift;
      shift += 7n;
    }
    return BigInt.asIntN(64, result);
  }

  #varint(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#position++];
    if (byte === undefined) throw this.#damaged("a field is cut off");
    if (byte < 128) return byte;
    let value = byte & 127;
    let scale = 128;
    do {
      byte = bytes[this.#position++];
      if (byte === undefined) throw this.#damaged("a field is cut off");
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte > 127);
    if (value > Number.MAX_SAFE_INTEGER) throw this.#damaged("a number is out of range");
    return value;
  }

  #skipVarint(): void {
    for (let count = 0; count < 10; count++) {
      const byte = this.#bytes[this.#position++];
      if (byte === undefined) break;
      if (byte < 128) return;
    }
    throw this.#damaged("a number does not end");
  }

  #skip(wireType: number): void {
    if (wireType === 0) this.#skipVarint();
    else if (wireType === 1) this.#position += 8;
    else if (wireType === 5) this.#position += 4;
    else if (wireType === 2) {
      const length = this.#varint();
      this.#position += length;
    } else throw this.#damaged("a field has an unknown wire type");
  }

  #damaged(what: string): CorruptionError {
    return new CorruptionError("bucket key", this.#position, `stored KeyValue: ${what}`);
  }
}
