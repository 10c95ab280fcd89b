// Hot path: the protobuf wire format, under the generated codecs of `tools/src/protogen`.
//
// An encoder sizes first and writes once: `sizeX` functions add up, `writeX` functions put bytes at a
// position and return the next one. A decoder walks one `WireReader` over the input; a nested message
// narrows `end` for its time, so that every read is checked against the innermost limit only.
//
// 64-bit integers come in two kinds. A `number` is checked: encoding one that is no safe integer, and
// decoding one beyond ±(2^53 − 1), throws `WireError`. A `bigint` wraps to 64 bits as protobuf's own
// integers do. Varints are taken apart into two 32-bit halves, which is several times faster than bigint
// arithmetic; a typed array joins the halves (3 ns to store a bigint, 7 ns to make one).
//
// What is refused is what etcd 3.7 (protobuf for Go) refuses: truncation, varints beyond 64 bits, field
// number 0 or beyond 2^29 − 1, wire types 6 and 7, groups that do not match, text that is not UTF-8. Nothing
// but `WireError` comes out, and no length is believed before it was compared with the bytes that are there.

import { type Bytes, bytesToUtf8, emptyBytes, utf8Length, writeUtf8 } from "./bytes.ts";

/** The bytes are no message, or the message cannot be put into bytes. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/** Messages inside messages; a chain of nested transactions needs two for each. */
const messageDepthMax = 1000;
/** Groups inside groups, in fields that we do not know. */
const groupDepthMax = 100;

const twoTo32 = 4294967296;
const safeMax = Number.MAX_SAFE_INTEGER;

const halves = new Uint32Array(2);
const asUnsigned = new BigUint64Array(halves.buffer);
const asSigned = new BigInt64Array(halves.buffer);
asUnsigned[0] = 1n;
/** Where the less significant half lies on this machine. */
const LOW: 0 | 1 = halves[0] === 1 ? 0 : 1;
const HIGH: 0 | 1 = LOW === 0 ? 1 : 0;

// --- sizes ----------------------------------------------------------------------------------------

/** Bytes of the varint of `value`, a safe integer that is not negative. */
export function sizeVarint(value: number): number {
  if (value >>> 0 === value) {
    if (value < 128) return 1;
    if (value < 16384) return 2;
    if (value < 2097152) return 3;
    return value < 268435456 ? 4 : 5;
  }
  return sizeLargeVarint(value);
}

function sizeLargeVarint(value: number): number {
  if (!(Number.isSafeInteger(value) && value >= 0)) throw notEncodable(value, "unsigned");
  if (value < 34359738368) return 5;
  if (value < 4398046511104) return 6;
  return value < 562949953421312 ? 7 : 8;
}

/** As `sizeVarint`, for a signed type: a negative one takes ten bytes. */
export function sizeSignedVarint(value: number): number {
  if (value >= 0) return sizeVarint(value);
  if (!Number.isSafeInteger(value)) throw notEncodable(value, "signed");
  return 10;
}

/** Bytes of the varint of the low 64 bits of `value`. */
export function sizeVarint64(value: bigint): number {
  asUnsigned[0] = value;
  const high = halves[HIGH]!;
  if (high === 0) return sizeVarint(halves[LOW]!);
  if (high < 8) return 5;
  if (high < 1024) return 6;
  if (high < 131072) return 7;
  if (high < 16777216) return 8;
  return high < 2147483648 ? 9 : 10;
}

/** Bytes of `value` with its length in front. */
export function sizeBytes(value: Bytes): number {
  const length = value.length;
  return sizeVarint(length) + length;
}

/** Bytes of `value` as UTF-8 with its length in front. */
export function sizeText(value: string): number {
  const length = value.length > 32 ? utf8Length(value) : shortUtf8Length(value);
  return sizeVarint(length) + length;
}

function shortUtf8Length(value: string): number {
  const length = value.length;
  for (let i = 0; i < length; i++) if (value.charCodeAt(i) > 127) return utf8Length(value);
  return length;
}

/** Bytes of a nested message of `size` bytes with its length in front. */
export function sizeNested(size: number): number {
  return sizeVarint(size) + size;
}

// --- writing --------------------------------------------------------------------------------------

/** Writes a safe integer that is not negative. */
export function writeVarint(target: Bytes, position: number, value: number): number {
  if (value >>> 0 !== value) return writeLargeVarint(target, position, value);
  let at = position;
  let rest = value;
  while (rest > 127) {
    target[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

function writeLargeVarint(target: Bytes, position: number, value: number): number {
  if (!(Number.isSafeInteger(value) && value >= 0)) throw notEncodable(value, "unsigned");
  return writeHalves(target, position, value >>> 0, Math.floor(value / twoTo32));
}

/** As `writeVarint`, for a signed type. */
export function writeSignedVarint(target: Bytes, position: number, value: number): number {
  if (value >= 0) return writeVarint(target, position, value);
  if (!Number.isSafeInteger(value)) throw notEncodable(value, "signed");
  return writeHalves(target, position, value >>> 0, Math.floor(value / twoTo32) >>> 0);
}

/** Writes the low 64 bits of `value`. */
export function writeVarint64(target: Bytes, position: number, value: bigint): number {
  asUnsigned[0] = value;
  const low = halves[LOW]!;
  const high = halves[HIGH]!;
  return high === 0 ? writeVarint(target, position, low) : writeHalves(target, position, low, high);
}

function writeHalves(target: Bytes, position: number, low: number, high: number): number {
  let at = position;
  let lowRest = low;
  let highRest = high;
  while (highRest !== 0 || lowRest > 127) {
    target[at++] = (lowRest & 127) | 128;
    lowRest = ((lowRest >>> 7) | (highRest << 25)) >>> 0;
    highRest >>>= 7;
  }
  target[at++] = lowRest;
  return at;
}

/** Writes the length of `value`, then its bytes. */
export function writeBytes(target: Bytes, position: number, value: Bytes): number {
  const length = value.length;
  const at = writeVarint(target, position, length);
  if (length > 0) target.set(value, at);
  return at + length;
}

/** Writes the length of `value` in UTF-8, then its bytes. */
export function writeText(target: Bytes, position: number, value: string): number {
  // At most three bytes for a char: the length of a short text takes one byte, whatever it will be.
  if (value.length <= 42) {
    const length = writeUtf8(target, position + 1, value);
    target[position] = length;
    return position + 1 + length;
  }
  const at = writeVarint(target, position, utf8Length(value));
  return at + writeUtf8(target, at, value);
}

function notEncodable(value: number, kind: string): WireError {
  return new WireError(`${value} is no safe integer of ${kind} type`);
}

/** For encoders: the buffer that was sized to `size`, once it has been written up to `end`. */
export function finished(target: Bytes, end: number): Bytes {
  if (end !== target.length) {
    throw new WireError(`message was sized to ${target.length} bytes and written in ${end}`);
  }
  return target;
}

/** A new message with some of its fields set. Handy at the edges; hot code assigns the fields. */
export function build<T extends object>(type: new () => T, fields: Partial<T>): T {
  return Object.assign(new type(), fields);
}

// --- reading --------------------------------------------------------------------------------------

export class WireReader {
  readonly bytes: Bytes;
  /** The next byte to read. `position <= end` always. */
  position: number;
  /** Where the innermost open message ends. `end <= bytes.length` always. */
  end: number;
  #depth = 0;
  /** The more significant half of the varint that was read last by `#varint`. */
  #high = 0;

  constructor(bytes: Bytes, start: number, end: number) {
    if (!(start >= 0 && start <= end && end <= bytes.length)) {
      throw new WireError(`no bytes ${start} to ${end} in ${bytes.length}`);
    }
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  /** Field number times eight plus wire type. */
  tag(): number {
    if (this.position < this.end) {
      const first = this.bytes[this.position]!;
      if (first < 128 && first > 7) {
        this.position++;
        return first;
      }
    }
    const tag = this.#varint();
    if (this.#high !== 0) throw new WireError("field number beyond 2^29 - 1");
    if (tag < 8) throw new WireError("field number 0");
    return tag;
  }

  /** Opens a nested message: reads its length and narrows `end`. Give the result to `close`. */
  open(): number {
    const length = this.#length();
    if (++this.#depth > messageDepthMax) throw new WireError("messages are nested too deeply");
    const outer = this.end;
    this.end = this.position + length;
    return outer;
  }

  /** Leaves a nested message, which was read to its end. */
  close(outer: number): void {
    this.end = outer;
    this.#depth--;
  }

  /** A 64-bit unsigned integer that we hold as a number. */
  uint64(): number {
    if (this.position < this.end) {
      const first = this.bytes[this.position]!;
      if (first < 128) {
        this.position++;
        return first;
      }
    }
    const low = this.#varint();
    if (this.#high === 0) return low;
    const value = this.#high * twoTo32 + low;
    if (value > safeMax) throw new WireError("integer beyond 2^53 - 1");
    return value;
  }

  /** A 64-bit signed integer that we hold as a number. */
  int64(): number {
    if (this.position < this.end) {
      const first = this.bytes[this.position]!;
      if (first < 128) {
        this.position++;
        return first;
      }
    }
    const low = this.#varint();
    if (this.#high === 0) return low;
    const value = (this.#high | 0) * twoTo32 + low;
    if (value > safeMax || value < -safeMax) throw new WireError("integer beyond 2^53 - 1");
    return value;
  }

  bigUint64(): bigint {
    const low = this.#varint();
    if (low === 0 && this.#high === 0) return 0n;
    halves[LOW] = low;
    halves[HIGH] = this.#high;
    return asUnsigned[0]!;
  }

  bigInt64(): bigint {
    const low = this.#varint();
    if (low === 0 && this.#high === 0) return 0n;
    halves[LOW] = low;
    halves[HIGH] = this.#high;
    return asSigned[0]!;
  }

  /** The low 32 bits, as protobuf has it: also for enums. */
  int32(): number {
    return this.#varint() | 0;
  }

  /** The low 32 bits. */
  uint32(): number {
    return this.#varint();
  }

  bool(): boolean {
    return this.#varint() !== 0 || this.#high !== 0;
  }

  /** A byte string; a view of the input. */
  blob(): Bytes {
    const length = this.#length();
    if (length === 0) return emptyBytes;
    const start = this.position;
    this.position = start + length;
    return this.bytes.subarray(start, start + length);
  }

  /** A text, which must be valid UTF-8. */
  text(): string {
    const length = this.#length();
    if (length === 0) return "";
    const start = this.position;
    const end = start + length;
    this.position = end;
    const text = bytesToUtf8(this.bytes, start, end);
    // The decoder puts U+FFFD where the input is broken; only then is a closer look needed.
    if (text.includes("\ufffd") && !isUtf8(this.bytes, start, end)) {
      throw new WireError("text is not valid UTF-8");
    }
    return text;
  }

  /** A text of an old format (proto2), in which broken UTF-8 passes. */
  looseText(): string {
    const length = this.#length();
    const start = this.position;
    this.position = start + length;
    return bytesToUtf8(this.bytes, start, start + length);
  }

  /** Passes over the value of a field whose tag was just read. */
  skip(tag: number): void {
    this.#skip(tag, 0);
  }

  #skip(tag: number, depth: number): void {
    switch (tag & 7) {
      case 0:
        this.#varint();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#advance(this.#length());
        return;
      case 3: {
        if (depth === groupDepthMax) throw new WireError("groups are nested too deeply");
        const endTag = tag + 1;
        for (;;) {
          const inner = this.tag();
          if (inner === endTag) return;
          this.#skip(inner, depth + 1);
        }
      }
      case 4:
        throw new WireError("end of a group that was not begun");
      case 5:
        this.#advance(4);
        return;
      default:
        throw new WireError(`wire type ${tag & 7}`);
    }
  }

  #advance(count: number): void {
    if (count > this.end - this.position) throw truncated();
    this.position += count;
  }

  /** The length in front of a byte string, which fits into what is left. */
  #length(): number {
    if (this.position < this.end) {
      const first = this.bytes[this.position]!;
      if (first < 128) {
        this.position++;
        if (first > this.end - this.position) throw truncated();
        return first;
      }
    }
    const length = this.#varint();
    if (this.#high !== 0 || length > this.end - this.position) throw truncated();
    return length;
  }

  /** Any varint: the less significant half is the result, the other goes to `#high`; both unsigned. */
  #varint(): number {
    const bytes = this.bytes;
    const end = this.end;
    let at = this.position;
    let low = 0;
    let byte = 128;
    // 28 bits in four bytes: nearly all lengths, terms and revisions end here.
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= end) throw truncated();
      byte = bytes[at++]!;
      low |= (byte & 127) << shift;
      if (byte < 128) {
        this.position = at;
        this.#high = 0;
        return low;
      }
    }
    // The fifth byte has bits of both halves.
    if (at >= end) throw truncated();
    byte = bytes[at++]!;
    low |= byte << 28;
    let high = (byte & 127) >>> 4;
    for (let shift = 3; byte > 127; shift += 7) {
      if (at >= end) throw truncated();
      byte = bytes[at++]!;
      // The tenth has the last of the 64 bits.
      if (shift === 31 && byte > 1) throw new WireError("varint beyond 64 bits");
      high |= (byte & 127) << shift;
    }
    this.position = at;
    this.#high = high >>> 0;
    return low >>> 0;
  }
}

function truncated(): WireError {
  return new WireError("message is cut short");
}

/** RFC 3629: no overlong form, no surrogate, nothing beyond U+10FFFF. */
function isUtf8(bytes: Bytes, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const first = bytes[at++]!;
    if (first < 0x80) continue;
    if (first < 0xc2 || first > 0xf4) return false;
    const more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (end - at < more) return false;
    const second = bytes[at]!;
    const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > most) return false;
    for (let i = 1; i < more; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return false;
    at += more;
  }
  return true;
}
