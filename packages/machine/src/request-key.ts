// Hot path: the key of a request as a `Key`. A transaction as a rule names one key several times: it compares it, puts
// it and gets it. The string that was made last is taken again (20 ns) where another would be the same (150 ns).

import { type Bytes, bytesToKey, type Key } from "@etcd-ts/base";

/** Beyond it native code compares and copies faster than a loop. */
const comparedMax = 128;

let last: Key = "";

export function requestKey(bytes: Bytes): Key {
  const { length } = bytes;
  if (length > comparedMax) return bytesToKey(bytes);
  if (length === last.length) {
    // Keys differ at their ends more often than at their beginnings.
    let i = length - 1;
    while (i >= 0 && last.charCodeAt(i) === bytes[i]) i--;
    if (i < 0) return last;
  }
  last = bytesToKey(bytes);
  return last;
}
