// Keys that are too long for LMDB, which takes 1,978 bytes (etcd's bbolt takes 32,768: a user may have a
// long name). All keys that agree in their first 1,900 bytes stand together in one row under those
// bytes, sorted by what follows:
//
//      row key: 1,900 bytes       row value: ( rest length u16 · value length u32 · rest · value )*
//
// A row whose key has exactly 1,900 bytes is such a group, also when it holds a key of just that length;
// so rows are in the order of the keys they hold.

import { type Bytes, compareBytes, concatBytes, emptyBytes } from "@etcd-ts/base";

/** Keys shorter than this are rows of their own. */
export const groupKeyBytes = 1_900;

/** The row in which a long key stands, and its rest there. */
export function groupKey(key: Bytes): Bytes {
  return key.subarray(0, groupKeyBytes);
}

export function restOfKey(key: Bytes): Bytes {
  return key.subarray(groupKeyBytes);
}

export function findInGroup(group: Bytes, rest: Bytes): Bytes | undefined {
  let found: Bytes | undefined;
  visitGroup(group, (candidate, value) => {
    const order = compareBytes(candidate, rest);
    if (order === 0) found = value;
    return order < 0;
  });
  return found;
}

/** In order, until `visit` returns false. The arrays are views of `group`. */
export function visitGroup(group: Bytes, visit: (rest: Bytes, value: Bytes) => boolean): void {
  const numbers = new DataView(group.buffer, group.byteOffset, group.length);
  let at = 0;
  while (at < group.length) {
    const restEnd = at + 6 + numbers.getUint16(at);
    const end = restEnd + numbers.getUint32(at + 2);
    if (!visit(group.subarray(at + 6, restEnd), group.subarray(restEnd, end))) return;
    at = end;
  }
}

/** The group with a value put or (undefined) removed. Nothing when it is empty then. */
export function changeGroup(
  group: Bytes | undefined,
  rest: Bytes,
  value: Bytes | undefined,
): Bytes | undefined {
  const parts: Bytes[] = [];
  let waiting = value !== undefined;
  const addNew = (): void => {
    if (waiting && value !== undefined) parts.push(itemHead(rest, value), rest, value);
    waiting = false;
  };
  visitGroup(group ?? emptyBytes, (otherRest, otherValue) => {
    const order = compareBytes(otherRest, rest);
    if (order >= 0) addNew();
    if (order !== 0) parts.push(itemHead(otherRest, otherValue), otherRest, otherValue);
    return true;
  });
  addNew();
  return parts.length === 0 ? undefined : concatBytes(parts);
}

function itemHead(rest: Bytes, value: Bytes): Bytes {
  const head = new DataView(new ArrayBuffer(6));
  head.setUint16(0, rest.length);
  head.setUint32(2, value.length);
  return new Uint8Array(head.buffer);
}
