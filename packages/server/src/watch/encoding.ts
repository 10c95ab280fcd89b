// Hot path: watch responses, written by hand so that what many watchers share is encoded once. The header is
// shared by all responses of a revision, an event by all its watchers; a response is then three copies.
// The generated codecs are the oracle in the test.
//
//     WatchResponse { 1 header, 2 watch_id, 3 created, 4 canceled, 5 compact_revision,
//                     6 cancel_reason, 7 fragment, 11 events }       Event { 1 type, 2 kv, 3 prev_kv }

import { allocateBytes, type Bytes, utf8ToBytes } from "@etcd-ts/base";

export const tagWatchId: number = (2 << 3) | 0;
const tagCreated = (3 << 3) | 0;
const tagCanceled = (4 << 3) | 0;
const tagCompactRevision = (5 << 3) | 0;
const tagCancelReason = (6 << 3) | 2;
const tagFragment = (7 << 3) | 0;
const tagEvent = (11 << 3) | 2;
const tagType = (1 << 3) | 0;
const tagKv = (2 << 3) | 2;
const tagPrevKv = (3 << 3) | 2;

const varintBytesMax = 10;

/** A small response without events. */
export interface ControlFields {
  readonly watchId: bigint;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly cancelReason?: string;
}

/** `header` is the encoded field, tag and length included. */
export function encodeControl(header: Bytes, fields: ControlFields): Bytes {
  const reason = utf8ToBytes(fields.cancelReason ?? "");
  const target = allocateBytes(header.length + reason.length + 6 * varintBytesMax);
  target.set(header);
  let at = header.length;
  if (fields.watchId !== 0n) at = writeInt64Field(target, at, tagWatchId, fields.watchId);
  if (fields.created === true) at = writeTrue(target, at, tagCreated);
  if (fields.canceled === true) at = writeTrue(target, at, tagCanceled);
  if (fields.compactRevision !== undefined && fields.compactRevision !== 0) {
    at = writeInt64Field(target, at, tagCompactRevision, BigInt(fields.compactRevision));
  }
  if (reason.length > 0) at = writeBytesField(target, at, tagCancelReason, reason);
  return target.subarray(0, at);
}

/** One `events` field with its tag. `kv` and `prevKv` are encoded KeyValues. */
export function encodeEventField(isDelete: boolean, kv: Bytes, prevKv: Bytes | undefined): Bytes {
  let size = bytesFieldSize(kv.length) + (isDelete ? 2 : 0);
  if (prevKv !== undefined) size += bytesFieldSize(prevKv.length);
  const target = allocateBytes(1 + varintSize(size) + size);
  target[0] = tagEvent;
  let at = writeVarint(target, 1, size);
  if (isDelete) at = writeTrue(target, at, tagType);
  at = writeBytesField(target, at, tagKv, kv);
  if (prevKv !== undefined) writeBytesField(target, at, tagPrevKv, prevKv);
  return target;
}

/** A response with the event fields `[start, end)` of `events`; `header` as above. */
export function encodeEvents(
  header: Bytes,
  watchId: bigint,
  events: readonly Bytes[],
  start: number,
  end: number,
  fragment: boolean,
): Bytes {
  const idSize = watchId === 0n ? 0 : 1 + int64Size(watchId);
  let size = header.length + idSize + (fragment ? 2 : 0);
  for (let i = start; i < end; i++) size += (events[i] as Bytes).length;
  const target = allocateBytes(size);
  target.set(header);
  let at = header.length;
  if (idSize > 0) at = writeInt64Field(target, at, tagWatchId, watchId);
  if (fragment) at = writeTrue(target, at, tagFragment);
  for (let i = start; i < end; i++) {
    const event = events[i] as Bytes;
    target.set(event, at);
    at += event.length;
  }
  return target;
}

function writeTrue(target: Bytes, at: number, tag: number): number {
  target[at] = tag;
  target[at + 1] = 1;
  return at + 2;
}

function writeBytesField(target: Bytes, at: number, tag: number, bytes: Bytes): number {
  target[at] = tag;
  const start = writeVarint(target, at + 1, bytes.length);
  target.set(bytes, start);
  return start + bytes.length;
}

function bytesFieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

function writeVarint(target: Bytes, at: number, value: number): number {
  let position = at;
  let rest = value;
  while (rest > 127) {
    target[position++] = (rest & 127) | 128;
    rest = Math.floor(rest / 128);
  }
  target[position++] = rest;
  return position;
}

function int64Size(value: bigint): number {
  if (value >= 0n && value <= 0xffff_ffffn) return varintSize(Number(value));
  let size = 1;
  for (let rest = BigInt.asUintN(64, value); rest > 127n; rest >>= 7n) size += 1;
  return size;
}

function writeInt64Field(target: Bytes, at: number, tag: number, value: bigint): number {
  target[at] = tag;
  if (value >= 0n && value <= 0xffff_ffffn) return writeVarint(target, at + 1, Number(value));
  let position = at + 1;
  let rest = BigInt.asUintN(64, value);
  while (rest > 127n) {
    target[position++] = Number(rest & 127n) | 128;
    rest >>= 7n;
  }
  target[position++] = Number(rest);
  return position;
}
