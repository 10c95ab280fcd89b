// Hot path: looks at an encoded PutRequest without decoding it. A request that is canonical (every field
// once, ascending, shortest form, no defaults, nothing unknown) and passes the checks for a put is put into
// the log as it came; everything else takes the ordinary way through the decoder, which decides what to
// answer. About 0.1 µs where decoding and encoding again take 1.5. The decoder is the oracle in the test.
//
//     0a key · 12 value · 18 lease · 28 ignore_value · 30 ignore_lease
//
// One with prev_kv (20) may have a large answer, which needs room, and is not plain for that reason.

import type { Bytes } from "@etcd-ts/base";

/** The bytes of key and value, or -1: not plain. */
export function scanPlainPut(message: Bytes): number {
  const end = message.length;
  if (message[0] !== 0x0a) return -1;
  let position = 1;
  let size = 0;
  let lastTag = 0;
  let hasValue = false;
  let hasLease = false;
  for (;;) {
    // Here `position` is behind a tag of key or value: a length and as many bytes.
    let length = message[position++]!;
    if (length > 127) {
      length &= 127;
      let scale = 128;
      let byte: number;
      do {
        if (position >= end || scale > 1 << 28) return -1;
        byte = message[position++]!;
        length += (byte & 127) * scale;
        scale *= 128;
      } while (byte > 127);
      if (byte === 0) return -1;
    }
    if (length === 0 || !(position + length <= end)) return -1;
    position += length;
    size += length;
    if (lastTag === 0) {
      lastTag = 0x0a;
      if (position === end) return size;
      if (message[position] === 0x12) {
        position++;
        lastTag = 0x12;
        hasValue = true;
        continue;
      }
    }
    break;
  }
  while (position < end) {
    const tag = message[position++]!;
    if (tag <= lastTag) return -1;
    lastTag = tag;
    if (tag === 0x18) {
      hasLease = true;
      let count = 1;
      let byte = message[position++]!;
      if (!(byte > 0)) return -1;
      while (byte > 127) {
        if (position >= end || count === 10) return -1;
        byte = message[position++]!;
        count++;
      }
      if ((byte === 0 && count > 1) || (count === 10 && byte > 1)) return -1;
    } else if (tag === 0x28) {
      if (message[position++] !== 1 || hasValue) return -1;
    } else if (tag === 0x30) {
      if (message[position++] !== 1 || hasLease) return -1;
    } else {
      return -1;
    }
  }
  return size;
}
