// Byte strings. Everything that is not text travels as `Bytes`; inside the state machine a key is a
// `Key`, a latin1 string with one char per byte, because engines compare and hash strings at memcmp
// speed (315 ns for a search among 20,000 keys, against 2,340 ns over byte arrays) and because string
// order then is byte order.
//
// Pure packages have no `Buffer` type, so the few methods that we use are declared here. They are
// native code and several times faster than loops.

/**
 * Raw bytes. A view may keep a larger buffer alive: copy what is stored for long. Use `subarray` for a view
 * and `copyBytes` for a copy, never `slice`: most arrays are Buffers, whose `slice` is a view as well.
 */
export type Bytes = Uint8Array;

/** A byte string as latin1 text: one char in 0..255 per byte. Ordered by `<` as the bytes are. */
export type Key = string;

interface NativeBuffer extends Uint8Array {
  latin1Slice(start?: number, end?: number): string;
  utf8Slice(start?: number, end?: number): string;
  hexSlice(start?: number, end?: number): string;
  base64Slice(start?: number, end?: number): string;
  latin1Write(text: string, offset?: number, length?: number): number;
  utf8Write(text: string, offset?: number, length?: number): number;
  compare(other: Uint8Array): number;
  equals(other: Uint8Array): boolean;
}

interface NativeBufferConstructor {
  allocUnsafe(size: number): NativeBuffer;
  allocUnsafeSlow(size: number): NativeBuffer;
  from(text: string, encoding: "latin1" | "utf8" | "hex" | "base64"): NativeBuffer;
  byteLength(text: string, encoding: "utf8"): number;
  compare(a: Uint8Array, b: Uint8Array): number;
  concat(parts: readonly Uint8Array[], totalBytes?: number): NativeBuffer;
  prototype: NativeBuffer;
}

declare const Buffer: NativeBufferConstructor;
const native: NativeBuffer = Buffer.prototype;

export const emptyBytes: Bytes = new Uint8Array(0);

/** Uninitialised bytes from a pool (55 ns, where `new Uint8Array(128)` takes 820). */
export function allocateBytes(size: number): Bytes {
  return Buffer.allocUnsafe(size);
}

const keptPoolBytes = 64 << 10;
let keptPool: NativeBuffer | undefined;
let keptEnd = 0;

/**
 * The same for what is kept for a while, log entries and stored values: from pools of their own. In those of `allocateBytes`
 * each would keep alive 64 KiB of answers and requests that came and went beside it.
 */
export function allocateKept(size: number): Bytes {
  if (size > keptPoolBytes >>> 3) return Buffer.allocUnsafeSlow(size);
  if (keptPool === undefined || keptEnd + size > keptPoolBytes) {
    keptPool = Buffer.allocUnsafeSlow(keptPoolBytes);
    keptEnd = 0;
  }
  const start = keptEnd;
  // Pieces begin where words do.
  keptEnd = (start + size + 7) & ~7;
  return keptPool.subarray(start, start + size);
}

/** An own copy, which keeps no larger buffer alive beyond the pool's. */
export function copyBytes(bytes: Bytes): Bytes {
  const copy = Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  return copy;
}

export function concatBytes(parts: readonly Bytes[]): Bytes {
  return parts.length === 1 ? (parts[0] as Bytes) : Buffer.concat(parts);
}

/** Negative, zero or positive as `a` sorts before, with or after `b` in byte order. */
export function compareBytes(a: Bytes, b: Bytes): number {
  return Buffer.compare(a, b);
}

export function equalBytes(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

export function bytesToKey(bytes: Bytes): Key {
  return native.latin1Slice.call(bytes, 0, bytes.length);
}

/** The `Key` in `bytes[start, end)`, without a view in between. */
export function sliceToKey(bytes: Bytes, start: number, end: number): Key {
  return native.latin1Slice.call(bytes, start, end);
}

export function keyToBytes(key: Key): Bytes {
  return Buffer.from(key, "latin1");
}

/** Writes the bytes of `key` at `position` and returns their number. */
export function writeKey(target: Bytes, position: number, key: Key): number {
  return key.length === 0 ? 0 : native.latin1Write.call(target, key, position, key.length);
}

export function utf8ToBytes(text: string): Bytes {
  return Buffer.from(text, "utf8");
}

/** Invalid sequences become U+FFFD. */
export function bytesToUtf8(bytes: Bytes, start = 0, end: number = bytes.length): string {
  return native.utf8Slice.call(bytes, start, end);
}

export function utf8Length(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

/** Writes `text` as UTF-8 at `position` and returns the number of bytes. */
export function writeUtf8(target: Bytes, position: number, text: string): number {
  return text.length === 0 ? 0 : native.utf8Write.call(target, text, position);
}

export function bytesToHex(bytes: Bytes): string {
  return native.hexSlice.call(bytes, 0, bytes.length);
}

export function hexToBytes(hex: string): Bytes {
  return Buffer.from(hex, "hex");
}

export function bytesToBase64(bytes: Bytes): string {
  return native.base64Slice.call(bytes, 0, bytes.length);
}

export function base64ToBytes(text: string): Bytes {
  return Buffer.from(text, "base64");
}

/** The smallest key that no key with prefix `key` reaches: its successor with one zero byte more. */
export function keyAfter(key: Key): Key {
  return `${key}\0`;
}
