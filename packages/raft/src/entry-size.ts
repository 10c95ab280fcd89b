// Hot path: how many bytes entries take. Two measures exist. The *encoded* size is that of the protobuf
// message and bounds messages and apply batches; the *payload* size is that of the data alone and bounds
// what a leader accepts and what may be under way, because an entry without data must never be refused.
// Both are plain sums of a few comparisons an entry, so nothing is cached.

import type { Entry } from "./gen/raftpb.ts";

/** Encoded size: term and index always count, type and data when they are not empty. */
export function encodedSize(entry: Entry): number {
  const bytes = entry.data.length;
  let size = 2 + varintSize(entry.term) + varintSize(entry.index);
  if (entry.type !== 0) size += 2;
  if (bytes > 0) size += 1 + varintSize(bytes) + bytes;
  return size;
}

export function encodedSizeOf(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += encodedSize(entries[i]!);
  return size;
}

export function payloadSizeOf(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += entries[i]!.data.length;
  return size;
}

/** How many entries from the front fit into `bytesMax`; at least one when there is one. */
export function fittingCount(
  entries: readonly Entry[],
  start: number,
  end: number,
  bytesMax: number,
): number {
  if (bytesMax === Number.POSITIVE_INFINITY || end - start <= 1) return end - start;
  let size = 0;
  for (let i = start; i < end; i++) {
    size += encodedSize(entries[i]!);
    if (size > bytesMax && i > start) return i - start;
  }
  return end - start;
}

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  if (value < 0x8_0000_0000) return 5;
  if (value < 0x400_0000_0000) return 6;
  return value < 0x2_0000_0000_0000 ? 7 : 8;
}
