// Hot path: the InternalRaftRequest around a client's request. One field holds the request exactly as the
// client sent it (it was checked to be canonical, or encoded anew), and field 100 the header with the
// request id by which the answer finds its waiter:
//
//     field < 100:   [tag][length][request bytes] [a2 06][length][08][id varint]
//     field > 100:   [a2 06][length][08][id varint] [tag][length][request bytes]
//
// Written in one piece without decoding, ascending by field as every other encoder of the format does.
// `peekRequestId` is the counterpart at apply: it finds the id without decoding the request.

import { allocateKept, type Bytes, sizeVarint, writeVarint } from "@etcd-ts/base";
import type { RequestIds } from "./ids.ts";

/** Field numbers of InternalRaftRequest. */
export const Operation = {
  /** Of the old store, for members before 3.5. */
  v2: 2,
  put: 4,
  deleteRange: 5,
  txn: 6,
  compaction: 7,
  leaseGrant: 8,
  leaseRevoke: 9,
  alarm: 10,
  leaseCheckpoint: 11,
  clusterVersionSet: 1300,
  clusterMemberAttrSet: 1301,
  downgradeInfoSet: 1302,
} as const;
export type Operation = (typeof Operation)[keyof typeof Operation];

const headerTag0 = 0xa2;
const headerTag1 = 0x06;

export function encodeEnvelope(
  operation: Operation,
  request: Bytes,
  ids: RequestIds,
  low: number,
): Bytes {
  const idSize = sizeRequestId(ids.high16, low);
  const headerSize = 4 + idSize;
  const tag = operation * 8 + 2;
  const size = sizeVarint(tag) + sizeVarint(request.length) + request.length + headerSize;
  const bytes = allocateKept(size);
  let position = 0;
  if (operation > 100) position = writeHeader(bytes, position, idSize, ids.high16, low);
  position = writeVarint(bytes, position, tag);
  position = writeVarint(bytes, position, request.length);
  bytes.set(request, position);
  position += request.length;
  if (operation < 100) writeHeader(bytes, position, idSize, ids.high16, low);
  return bytes;
}

/**
 * The low 48 bits of the request id when `data` was proposed by the owner of `high16`, else -1. Anything
 * that is not a plain envelope gives -1: nobody waits for it.
 */
export function peekRequestId(data: Bytes, high16: number): number {
  let position = 0;
  const end = data.length;
  while (position < end) {
    if (data[position] === headerTag0 && data[position + 1] === headerTag1) {
      return readHeaderId(data, position + 2, high16);
    }
    let tag = 0;
    let scale = 1;
    let byte: number;
    do {
      byte = data[position++] ?? 0;
      tag += (byte & 127) * scale;
      scale *= 128;
    } while (byte > 127 && position < end);
    if (tag % 8 !== 2) return -1;
    let length = 0;
    scale = 1;
    do {
      byte = data[position++] ?? 0;
      length += (byte & 127) * scale;
      scale *= 128;
    } while (byte > 127 && position < end);
    position += length;
  }
  return -1;
}

/** The field number of the operation in an entry that one of us encoded; 0 when there is none. */
export function operationOf(data: Bytes): number {
  let position = 0;
  if (data[0] === headerTag0 && data[1] === headerTag1) position = 3 + (data[2] ?? 0);
  let tag = 0;
  let scale = 1;
  for (; position < data.length; position++) {
    const byte = data[position]!;
    tag += (byte & 127) * scale;
    scale *= 128;
    if (byte < 128) break;
  }
  return Math.floor(tag / 8);
}

/** `[length][08][varint]`: the id must come first, as every encoder writes it. */
function readHeaderId(data: Bytes, start: number, high16: number): number {
  if (data[start + 1] !== 0x08) return -1;
  let position = start + 2;
  let low = 0;
  let high = 0;
  // Seven groups of seven bits are 49 bits: the 49th is the lowest bit of the upper sixteen.
  let scale = 1;
  for (let group = 0; group < 7; group++) {
    const byte = data[position++]!;
    low += (byte & 127) * scale;
    scale *= 128;
    if (byte < 128) return finish(low, 0, high16);
  }
  let shift = 1;
  for (let group = 7; group < 10; group++) {
    const byte = data[position++]!;
    high += (byte & 127) * shift;
    shift *= 128;
    if (byte < 128) break;
  }
  return finish(low, high, high16);
}

function finish(low49: number, highRest: number, high16: number): number {
  const top = Math.floor(low49 / 2 ** 48) + highRest * 2;
  return top === high16 ? low49 % 2 ** 48 : -1;
}

function writeHeader(
  bytes: Bytes,
  start: number,
  idSize: number,
  high16: number,
  low: number,
): number {
  bytes[start] = headerTag0;
  bytes[start + 1] = headerTag1;
  bytes[start + 2] = 1 + idSize;
  bytes[start + 3] = 0x08;
  return writeRequestId(bytes, start + 4, high16, low);
}

function sizeRequestId(high16: number, low: number): number {
  if (high16 === 0) return sizeVarint(low);
  // Seven groups hold 49 bits: `low` and the lowest bit of `high16`.
  const rest = high16 >>> 1;
  return rest === 0 ? 7 : rest < 128 ? 8 : rest < 16384 ? 9 : 10;
}

function writeRequestId(bytes: Bytes, start: number, high16: number, low: number): number {
  let position = start;
  if (high16 === 0) {
    let rest = low;
    while (rest > 127) {
      bytes[position++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    bytes[position++] = rest;
    return position;
  }
  let rest = low;
  for (let group = 0; group < 6; group++) {
    bytes[position++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  // Six groups took 42 bits; six bits of `low` are left and the lowest of `high16` joins them.
  const seventh = rest | ((high16 & 1) << 6);
  let top = high16 >>> 1;
  if (top === 0) {
    bytes[position++] = seventh;
    return position;
  }
  bytes[position++] = seventh | 128;
  while (top > 127) {
    bytes[position++] = (top & 127) | 128;
    top >>>= 7;
  }
  bytes[position++] = top;
  return position;
}
