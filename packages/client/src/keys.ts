// Keys, values and ranges of keys as callers may give them.

import { type Bytes, emptyBytes, utf8ToBytes } from "@etcd-ts/base";

/** Text is taken as UTF-8. */
export type BytesInput = string | Bytes;

/** One key, the keys from one to (not with) another, those with a prefix, those from a key on. */
export type KeySelection =
  | { readonly key: BytesInput; readonly end?: BytesInput }
  | { readonly prefix: BytesInput }
  | { readonly from: BytesInput };

/** One zero byte: as an end, no end; as a start, the first key of all. */
const zero: Bytes = Uint8Array.of(0);

export function toBytes(input: BytesInput): Bytes {
  return typeof input === "string" ? utf8ToBytes(input) : input;
}

/** The two fields that requests have. */
export function selectKeys(selection: KeySelection): { key: Bytes; rangeEnd: Bytes } {
  if ("prefix" in selection) {
    const key = toBytes(selection.prefix);
    return key.length === 0 ? { key: zero, rangeEnd: zero } : { key, rangeEnd: prefixEnd(key) };
  }
  if ("from" in selection) {
    const key = toBytes(selection.from);
    return { key: key.length === 0 ? zero : key, rangeEnd: zero };
  }
  return {
    key: toBytes(selection.key),
    rangeEnd: selection.end === undefined ? emptyBytes : toBytes(selection.end),
  };
}

/** The end of the range of all keys with a prefix; open when the prefix is all 0xff. */
export function prefixEnd(prefix: Bytes): Bytes {
  for (let i = prefix.length - 1; i >= 0; i--) {
    if (prefix[i]! < 0xff) {
      const end = Uint8Array.from(prefix.subarray(0, i + 1));
      end[i] = end[i]! + 1;
      return end;
    }
  }
  return zero;
}
