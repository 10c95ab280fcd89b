// Hot path: API responses straight from results. KeyValues are copied as stored, so a Range of a thousand
// keys is a few large copies; the generated codecs would make an object of each and encode it again
// (3 µs a key). Equal to the generated codecs byte by byte, which the tests hold on random results.
//
// A response begins with its header, of which two ids never change: they are encoded once.

import {
  allocateBytes,
  type Bytes,
  finished,
  sizeVarint,
  sizeVarint64,
  writeVarint,
  writeVarint64,
} from "@etcd-ts/base";
import type { DeleteResult, OpResult, PutResult, RangeResult, TxnResult } from "./results.ts";

const headerTag = 0x0a;

/** Encodes response headers of one member. */
export class HeaderEncoder {
  readonly #ids: Bytes;

  constructor(clusterId: bigint, memberId: bigint) {
    let size = 0;
    if (clusterId !== 0n) size += 1 + sizeVarint64(clusterId);
    if (memberId !== 0n) size += 1 + sizeVarint64(memberId);
    const ids = allocateBytes(size);
    let at = 0;
    if (clusterId !== 0n) {
      ids[at] = 0x08;
      at = writeVarint64(ids, at + 1, clusterId);
    }
    if (memberId !== 0n) {
      ids[at] = 0x10;
      writeVarint64(ids, at + 1, memberId);
    }
    this.#ids = ids;
  }

  /** Bytes of the field `header` (always number 1), tag and length included. */
  size(revision: number, raftTerm: number): number {
    const size = this.#bodySize(revision, raftTerm);
    return 1 + sizeVarint(size) + size;
  }

  write(target: Bytes, position: number, revision: number, raftTerm: number): number {
    target[position] = headerTag;
    let at = writeVarint(target, position + 1, this.#bodySize(revision, raftTerm));
    target.set(this.#ids, at);
    at += this.#ids.length;
    if (revision > 0) {
      target[at] = 0x18;
      at = writeVarint(target, at + 1, revision);
    }
    if (raftTerm > 0) {
      target[at] = 0x20;
      at = writeVarint(target, at + 1, raftTerm);
    }
    return at;
  }

  #bodySize(revision: number, raftTerm: number): number {
    return (
      this.#ids.length +
      (revision > 0 ? 1 + sizeVarint(revision) : 0) +
      (raftTerm > 0 ? 1 + sizeVarint(raftTerm) : 0)
    );
  }
}

export function encodePutResponse(
  header: HeaderEncoder,
  raftTerm: number,
  result: PutResult,
): Bytes {
  const { revision } = result;
  const bytes = allocateBytes(header.size(revision, raftTerm) + sizePutBody(result));
  const at = header.write(bytes, 0, revision, raftTerm);
  return finished(bytes, writePutBody(result, bytes, at));
}

export function encodeRangeResponse(
  header: HeaderEncoder,
  raftTerm: number,
  result: RangeResult,
): Bytes {
  const { revision } = result;
  const bytes = allocateBytes(header.size(revision, raftTerm) + sizeRangeBody(result));
  const at = header.write(bytes, 0, revision, raftTerm);
  return finished(bytes, writeRangeBody(result, bytes, at));
}

export function encodeDeleteRangeResponse(
  header: HeaderEncoder,
  raftTerm: number,
  result: DeleteResult,
): Bytes {
  const { revision } = result;
  const bytes = allocateBytes(header.size(revision, raftTerm) + sizeDeleteBody(result));
  const at = header.write(bytes, 0, revision, raftTerm);
  return finished(bytes, writeDeleteBody(result, bytes, at));
}

/** The result must not be waiting for ranges any more (`ApplyOutcome.pending`). */
export function encodeTxnResponse(
  header: HeaderEncoder,
  raftTerm: number,
  result: TxnResult,
): Bytes {
  const { revision } = result;
  const encoder = new TxnEncoder();
  const bytes = allocateBytes(header.size(revision, raftTerm) + encoder.sizeBody(result));
  const at = header.write(bytes, 0, revision, raftTerm);
  return finished(bytes, encoder.writeBody(result, bytes, at));
}

/** One message of a RangeStream, whose only field is a RangeResponse: with KeyValues alone. */
export function encodeRangeStreamChunk(result: RangeResult): Bytes {
  const size = result.kvs.byteLength;
  const bytes = allocateBytes(1 + sizeVarint(size) + size);
  bytes[0] = headerTag;
  return finished(bytes, result.kvs.write(bytes, writeVarint(bytes, 1, size)));
}

/** The last message of a RangeStream; `result.count` must be that of the whole stream. */
export function encodeRangeStreamEnd(
  header: HeaderEncoder,
  raftTerm: number,
  result: RangeResult,
): Bytes {
  const size = header.size(result.revision, raftTerm) + sizeRangeBody(result);
  const bytes = allocateBytes(1 + sizeVarint(size) + size);
  bytes[0] = headerTag;
  let at = writeVarint(bytes, 1, size);
  at = header.write(bytes, at, result.revision, raftTerm);
  return finished(bytes, writeRangeBody(result, bytes, at));
}

// --- bodies: everything behind the header ---------------------------------------------------------

function sizePutBody(result: PutResult): number {
  const size = result.prevKv?.length;
  return size === undefined ? 0 : 1 + sizeVarint(size) + size;
}

function writePutBody(result: PutResult, target: Bytes, position: number): number {
  const kv = result.prevKv;
  if (kv === undefined) return position;
  target[position] = 0x12;
  const at = writeVarint(target, position + 1, kv.length);
  target.set(kv, at);
  return at + kv.length;
}

function sizeRangeBody(result: RangeResult): number {
  return (
    result.kvs.byteLength +
    (result.more ? 2 : 0) +
    (result.count > 0 ? 1 + sizeVarint(result.count) : 0)
  );
}

function writeRangeBody(result: RangeResult, target: Bytes, position: number): number {
  let at = result.kvs.write(target, position);
  if (result.more) {
    target[at++] = 0x18;
    target[at++] = 1;
  }
  if (result.count > 0) {
    target[at] = 0x20;
    at = writeVarint(target, at + 1, result.count);
  }
  return at;
}

function sizeDeleteBody(result: DeleteResult): number {
  return (result.deleted > 0 ? 1 + sizeVarint(result.deleted) : 0) + result.prevKvs.byteLength;
}

function writeDeleteBody(result: DeleteResult, target: Bytes, position: number): number {
  let at = position;
  if (result.deleted > 0) {
    target[at] = 0x10;
    at = writeVarint(target, at + 1, result.deleted);
  }
  return result.prevKvs.write(target, at);
}

/** Inside a transaction headers hold the revision alone; that of a nested transaction is empty. */
function sizeOpHeader(revision: number): number {
  return revision > 0 ? 3 + sizeVarint(revision) : 2;
}

function writeOpHeader(target: Bytes, position: number, revision: number): number {
  target[position] = headerTag;
  if (revision === 0) {
    target[position + 1] = 0;
    return position + 2;
  }
  target[position + 1] = 1 + sizeVarint(revision);
  target[position + 2] = 0x18;
  return writeVarint(target, position + 3, revision);
}

const opTags: Readonly<Record<Exclude<OpResult["kind"], "none">, number>> = {
  range: 0x0a,
  put: 0x12,
  deleteRange: 0x1a,
  txn: 0x22,
};

/** Sizes are computed once, in preorder, and used again in the same order when writing. */
class TxnEncoder {
  readonly #sizes: number[] = [];
  #next = 0;

  sizeBody(result: TxnResult): number {
    let size = result.succeeded ? 2 : 0;
    for (const op of result.responses) {
      const place = this.#sizes.push(0) - 1;
      const opSize = this.#sizeOp(op);
      this.#sizes[place] = opSize;
      // A ResponseOp around the response: two tags and two lengths.
      const wrapped = op.kind === "none" ? 0 : 1 + sizeVarint(opSize) + opSize;
      size += 1 + sizeVarint(wrapped) + wrapped;
    }
    return size;
  }

  writeBody(result: TxnResult, target: Bytes, position: number): number {
    let at = position;
    if (result.succeeded) {
      target[at++] = 0x10;
      target[at++] = 1;
    }
    for (const op of result.responses) {
      const opSize = this.#sizes[this.#next++]!;
      target[at++] = 0x1a;
      if (op.kind === "none") {
        target[at++] = 0;
        continue;
      }
      at = writeVarint(target, at, 1 + sizeVarint(opSize) + opSize);
      target[at++] = opTags[op.kind];
      at = writeVarint(target, at, opSize);
      at = writeOpHeader(target, at, op.revision);
      at = this.#writeOpBody(op, target, at);
    }
    return at;
  }

  #sizeOp(op: OpResult): number {
    switch (op.kind) {
      case "put":
        return sizeOpHeader(op.revision) + sizePutBody(op);
      case "range":
        return sizeOpHeader(op.revision) + sizeRangeBody(op);
      case "deleteRange":
        return sizeOpHeader(op.revision) + sizeDeleteBody(op);
      case "txn":
        return sizeOpHeader(op.revision) + this.sizeBody(op);
      case "none":
        return 0;
      default:
        return op satisfies never;
    }
  }

  #writeOpBody(op: Exclude<OpResult, { kind: "none" }>, target: Bytes, position: number): number {
    switch (op.kind) {
      case "put":
        return writePutBody(op, target, position);
      case "range":
        return writeRangeBody(op, target, position);
      case "deleteRange":
        return writeDeleteBody(op, target, position);
      case "txn":
        return this.writeBody(op, target, position);
      default:
        return op satisfies never;
    }
  }
}
