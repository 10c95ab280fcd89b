// The little of DER (X.690) that certificates and revocation lists need: tag, length, value.

import { type Bytes, concatBytes } from "@etcd-ts/base";

export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

export function der(tag: number, ...parts: readonly Bytes[]): Bytes {
  const content = parts.length === 1 ? (parts[0] as Bytes) : concatBytes(parts);
  const length = content.length;
  if (length < 0x80) return concatBytes([Uint8Array.of(tag, length), content]);
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return concatBytes([Uint8Array.of(tag, 0x80 | digits.length, ...digits), content]);
}

/** A non-negative integer, given big-endian. */
export function derInteger(magnitude: Bytes): Bytes {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  const trimmed = magnitude.subarray(start);
  const padded = (trimmed[0] as number) & 0x80 ? concatBytes([Uint8Array.of(0), trimmed]) : trimmed;
  return der(derTag.integer, padded);
}

export function derObjectId(dotted: string): Bytes {
  const [first, second, ...rest] = dotted.split(".").map(Number) as [number, number, ...number[]];
  const out = [first * 40 + second];
  for (const arc of rest) {
    const digits = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift(0x80 | (left & 0x7f));
    out.push(...digits);
  }
  return der(derTag.objectId, Uint8Array.from(out));
}

export interface DerNode {
  readonly tag: number;
  readonly content: Bytes;
  /** Where the next sibling begins. */
  readonly end: number;
}

/** The element at `position`; throws RangeError when it does not fit. */
export function readDer(bytes: Bytes, position: number): DerNode {
  const tag = bytes[position];
  let length = bytes[position + 1];
  if (tag === undefined || length === undefined) throw new RangeError("DER: truncated");
  let start = position + 2;
  if (length >= 0x80) {
    const digits = length & 0x7f;
    if (digits === 0 || digits > 4) throw new RangeError("DER: unsupported length");
    length = 0;
    for (let i = 0; i < digits; i++) {
      const digit = bytes[start];
      if (digit === undefined) throw new RangeError("DER: truncated");
      length = length * 256 + digit;
      start += 1;
    }
  }
  const end = start + length;
  if (end > bytes.length) throw new RangeError("DER: truncated");
  return { tag, content: bytes.subarray(start, end), end };
}

export function derChildren(content: Bytes): DerNode[] {
  const children: DerNode[] = [];
  for (let position = 0; position < content.length; ) {
    const child = readDer(content, position);
    children.push(child);
    position = child.end;
  }
  return children;
}
