// The bbolt file format, version 2, as far as reading and writing whole files need it.
//
//      page      id u64 · flags u16 · count u16 · overflow u32 │ elements │ keys and values
//      branch element (16)   position u32 · key bytes u32 · child page u64
//      leaf element (16)     flags u32 · position u32 · key bytes u32 · value bytes u32
//      meta (at 16)          magic u32 · version u32 · page size u32 · flags u32 · root page u64 ·
//                            root sequence u64 · free list page u64 · high-water page u64 · txid u64 ·
//                            FNV-1a 64 of all that u64
//      bucket value          root page u64 (0: an inline leaf page follows) · sequence u64
//
// All little-endian; positions count from the start of their element.

import type { Bytes } from "@etcd-ts/base";

export const pageHeadBytes = 16;
export const elementBytes = 16;
export const bucketHeadBytes = 16;
export const metaBytes = 64;

export const PageFlag = { branch: 0x01, leaf: 0x02, meta: 0x04, freeList: 0x10 } as const;
export const leafIsBucket = 1;

export const keyBytesMax = 32_768;

const magic = 0xed0cdaed;
const version = 2;
const noFreeList = 0xffffffffffffffffn;

export interface BoltMeta {
  readonly pageSize: number;
  readonly root: number;
  readonly highWater: number;
  readonly txid: bigint;
}

/** A meta page without its padding. */
export function writeMeta(id: number, meta: BoltMeta): Bytes {
  const page = new DataView(new ArrayBuffer(pageHeadBytes + metaBytes));
  page.setBigUint64(0, BigInt(id), true);
  page.setUint16(8, PageFlag.meta, true);
  const at = pageHeadBytes;
  page.setUint32(at, magic, true);
  page.setUint32(at + 4, version, true);
  page.setUint32(at + 8, meta.pageSize, true);
  page.setBigUint64(at + 16, BigInt(meta.root), true);
  page.setBigUint64(at + 32, noFreeList, true);
  page.setBigUint64(at + 40, BigInt(meta.highWater), true);
  page.setBigUint64(at + 48, meta.txid, true);
  const bytes = new Uint8Array(page.buffer);
  page.setBigUint64(at + 56, fnv1a64(bytes.subarray(at, at + 56)), true);
  return bytes;
}

/** Undefined when `bytes` does not begin with a good meta page. */
export function readMeta(bytes: Bytes): BoltMeta | undefined {
  if (bytes.length < pageHeadBytes + metaBytes) return undefined;
  const page = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = pageHeadBytes;
  if (page.getUint32(at, true) !== magic || page.getUint32(at + 4, true) !== version) {
    return undefined;
  }
  if (page.getBigUint64(at + 56, true) !== fnv1a64(bytes.subarray(at, at + 56))) return undefined;
  const pageSize = page.getUint32(at + 8, true);
  const root = Number(page.getBigUint64(at + 16, true));
  const highWater = Number(page.getBigUint64(at + 40, true));
  if (pageSize < 512 || pageSize > 16 << 20 || (pageSize & (pageSize - 1)) !== 0) return undefined;
  if (!Number.isSafeInteger(root) || !Number.isSafeInteger(highWater)) return undefined;
  return { pageSize, root, highWater, txid: page.getBigUint64(at + 48, true) };
}

export function writePageHead(
  target: DataView,
  id: number,
  flags: number,
  count: number,
  overflow: number,
): void {
  target.setUint32(0, id % 2 ** 32, true);
  target.setUint32(4, Math.floor(id / 2 ** 32), true);
  target.setUint16(8, flags, true);
  target.setUint16(10, count, true);
  target.setUint32(12, overflow, true);
}

/** A page id, or any u64 that must be a safe integer; undefined when it is not. */
export function readPageId(source: DataView, at: number): number | undefined {
  const high = source.getUint32(at + 4, true);
  return high >= 2 ** 21 ? undefined : high * 2 ** 32 + source.getUint32(at, true);
}

function fnv1a64(bytes: Bytes): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}
