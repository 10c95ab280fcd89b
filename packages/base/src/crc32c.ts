// Hot path: CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), as the WAL, snapshot files and
// HASHKV use it. Eight bytes a step with eight tables ("slicing by 8"). Check value: "123456789" gives
// 0xE3069283. The bitwise version in the test is the oracle.
//
// The tables are constants of a function that is made once, so that the engine knows where they are and that no index
// can be beyond their end: 1.1 GB/s instead of 0.7. (WebAssembly, three stretches at a time, reaches 2.1 with values of
// 4 KiB, and gains nothing with 300 bytes, since they have to be copied into its memory.)

import type { Bytes } from "./bytes.ts";

/** The CRC of `bytes[start, end)` continued from `crc`, which is the CRC of what came before (0 at first). */
export const crc32c: (crc: number, bytes: Bytes, start?: number, end?: number) => number =
  makeCrc32c();

function makeCrc32c(): typeof crc32c {
  const t0 = firstTable();
  const t1 = nextTable(t0, t0);
  const t2 = nextTable(t1, t0);
  const t3 = nextTable(t2, t0);
  const t4 = nextTable(t3, t0);
  const t5 = nextTable(t4, t0);
  const t6 = nextTable(t5, t0);
  const t7 = nextTable(t6, t0);
  return (crc, bytes, start = 0, end = bytes.length) => {
    let state = ~crc;
    let i = start;
    for (const last = end - 8; i <= last; i += 8) {
      state ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
      state =
        t7[state & 255]! ^
        t6[(state >>> 8) & 255]! ^
        t5[(state >>> 16) & 255]! ^
        t4[state >>> 24]! ^
        t3[bytes[i + 4]!]! ^
        t2[bytes[i + 5]!]! ^
        t1[bytes[i + 6]!]! ^
        t0[bytes[i + 7]!]!;
    }
    for (; i < end; i++) state = t0[(state ^ bytes[i]!) & 255]! ^ (state >>> 8);
    return ~state >>> 0;
  };
}

/** What each byte does to the state. */
function firstTable(): Int32Array {
  const table = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
    table[n] = c;
  }
  return table;
}

/** The same, with one more zero byte behind it. */
function nextTable(before: Int32Array, first: Int32Array): Int32Array {
  return before.map((c) => (c >>> 8) ^ first[c & 255]!);
}
