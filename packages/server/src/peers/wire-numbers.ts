// 64-bit big-endian numbers, as they stand before frames. Values are lengths, counts and indexes of ours:
// whole numbers that a double holds.

import type { Bytes } from "@etcd-ts/base";

const twoTo32 = 0x1_0000_0000;

export function writeUint64(target: Bytes, position: number, value: number): number {
  writeHalf(target, position, Math.floor(value / twoTo32));
  writeHalf(target, position + 4, value >>> 0);
  return position + 8;
}

/** Infinity for what no double holds: larger than every limit. */
export function readUint64(bytes: Bytes, position: number): number {
  const high = readHalf(bytes, position);
  if (high > 0x1f_ffff) return Number.POSITIVE_INFINITY;
  return high * twoTo32 + readHalf(bytes, position + 4);
}

function writeHalf(target: Bytes, position: number, half: number): void {
  target[position] = half >>> 24;
  target[position + 1] = (half >>> 16) & 0xff;
  target[position + 2] = (half >>> 8) & 0xff;
  target[position + 3] = half & 0xff;
}

function readHalf(bytes: Bytes, position: number): number {
  return (
    bytes[position]! * 0x1000000 +
    ((bytes[position + 1]! << 16) | (bytes[position + 2]! << 8) | bytes[position + 3]!)
  );
}
