// Reading one bucket in LMDB, with its long keys (see `long-keys.ts`).

import { type Bytes, compareBytes, concatBytes, copyBytes } from "@etcd-ts/base";
import type { Visit, VisitSpans } from "@etcd-ts/machine";
import type { DataFile } from "./data-file.ts";
import type { Store, Transaction } from "./environment.ts";
import { findInGroup, groupKey, groupKeyBytes, restOfKey, visitGroup } from "./long-keys.ts";

const zero: Bytes = Uint8Array.of(0);

export function readStore(store: Store, key: Bytes, transaction?: Transaction): Bytes | undefined {
  if (key.length < groupKeyBytes) {
    // LMDB has no empty keys.
    return key.length === 0 ? undefined : store.get(key, transaction);
  }
  const group = store.get(groupKey(key), transaction);
  return group === undefined ? undefined : findInGroup(group, restOfKey(key));
}

export function scanStore(
  store: Store,
  from: Bytes,
  to: Bytes | undefined,
  limit: number,
  visit: Visit,
  transaction?: Transaction,
): void {
  if (limit <= 0 || (to !== undefined && compareBytes(from, to) >= 0)) return;
  // A group is visited whenever one of its keys may be in the range.
  const start = from.length < groupKeyBytes ? from : groupKey(from);
  const end =
    to === undefined || to.length < groupKeyBytes ? to : concatBytes([groupKey(to), zero]);
  let left = limit;
  const cursor = store.range(start, end, transaction);
  let finished = false;
  try {
    while (cursor.next()) {
      if (cursor.key.length < groupKeyBytes) {
        left--;
        if (visit(cursor.key, cursor.value) === false || left <= 0) return;
        continue;
      }
      const row = copyBytes(cursor.key);
      let goOn = true;
      visitGroup(copyBytes(cursor.value), (rest, value) => {
        const key = concatBytes([row, rest]);
        if (compareBytes(key, from) < 0) return true;
        goOn = (to === undefined || compareBytes(key, to) < 0) && left > 0;
        if (!goOn) return false;
        left--;
        goOn = visit(key, value) !== false && left > 0;
        return goOn;
      });
      if (!goOn) return;
    }
    finished = true;
  } finally {
    if (!finished) cursor.close();
  }
}

/** All of a bucket from `from` on, from the file itself, which must not be written meanwhile. */
export function scanFile(file: DataFile, bucket: string, from: Bytes, visit: VisitSpans): void {
  const start = from.length < groupKeyBytes ? from : groupKey(from);
  file.scan(bucket, start, (keys, keyStart, keyEnd, values, valueStart, valueEnd) => {
    if (keyEnd - keyStart < groupKeyBytes) {
      return visit(keys, keyStart, keyEnd, values, valueStart, valueEnd);
    }
    const row = keys.subarray(keyStart, keyEnd);
    let goOn = true;
    visitGroup(values.subarray(valueStart, valueEnd), (rest, value) => {
      const key = concatBytes([row, rest]);
      if (compareBytes(key, from) >= 0) {
        goOn = visit(key, 0, key.length, value, 0, value.length) !== false;
      }
      return goOn;
    });
    return goOn;
  });
}
