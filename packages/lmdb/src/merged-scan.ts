import { type Bytes, bytesToKey, compareBytes, sliceToKey } from "@etcd-ts/base";
import type { Visit } from "@etcd-ts/machine";
import type { MergedOverlay } from "./overlay.ts";

/** Merges the overlay into what `scanBelow` visits. */
export function scanMerged(
  overlay: MergedOverlay,
  from: Bytes,
  to: Bytes | undefined,
  limit: number,
  visit: Visit,
  scanBelow: (visit: Visit) => void,
): void {
  if (limit <= 0 || (to !== undefined && compareBytes(from, to) >= 0)) return;
  const end = to === undefined ? undefined : bytesToKey(to);
  let left = limit;
  /** Visits the overlay's present item; false when the scan is over. */
  const take = (): boolean => {
    const value = overlay.value();
    if (value !== null) {
      left--;
      if (visit(overlay.keyBytes(), value) === false) return false;
    }
    overlay.advance();
    return left > 0;
  };
  let goOn = true;
  scanBelow((key, value) => {
    if (overlay.key !== undefined) {
      const name = sliceToKey(key, 0, key.length);
      while (overlay.key !== undefined && overlay.key < name) {
        // `key` and `value` stand in a buffer that any read of ours would overwrite: visitors do not read.
        goOn = take();
        if (!goOn) return false;
      }
      if (overlay.key === name) {
        goOn = take();
        return goOn;
      }
    }
    left--;
    goOn = visit(key, value) !== false && left > 0;
    return goOn;
  });
  while (goOn && overlay.key !== undefined && (end === undefined || overlay.key < end)) {
    goOn = take();
  }
}
