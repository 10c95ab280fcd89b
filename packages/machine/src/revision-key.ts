// Keys of bucket `key`: a revision, so that the bucket is the history of the store in order.
//
//     offset  size
//     0       8     main revision, big-endian
//     8       1     '_'
//     9       8     sub revision, big-endian
//     17      1     't', tombstones only

import { allocateBytes, type Bytes } from "@etcd-ts/base";

export const revisionKeyBytes = 17;
export const tombstoneKeyBytes = 18;

const separator = 0x5f;
const tombstoneMark = 0x74;
const two32 = 0x1_0000_0000;

export function encodeRevisionKey(main: number, sub: number): Bytes {
  const key = allocateBytes(revisionKeyBytes);
  writeRevision(key, main, sub);
  return key;
}

export function encodeTombstoneKey(main: number, sub: number): Bytes {
  const key = allocateBytes(tombstoneKeyBytes);
  writeRevision(key, main, sub);
  key[revisionKeyBytes] = tombstoneMark;
  return key;
}

/** Writes the 17 bytes at the start of `target`: for look-ups with a scratch array. */
export function writeRevision(target: Bytes, main: number, sub: number): void {
  const mainHigh = Math.floor(main / two32);
  target[0] = mainHigh >>> 24;
  target[1] = mainHigh >>> 16;
  target[2] = mainHigh >>> 8;
  target[3] = mainHigh;
  target[4] = main >>> 24;
  target[5] = main >>> 16;
  target[6] = main >>> 8;
  target[7] = main;
  target[8] = separator;
  target[9] = 0;
  target[10] = 0;
  target[11] = 0;
  target[12] = 0;
  target[13] = sub >>> 24;
  target[14] = sub >>> 16;
  target[15] = sub >>> 8;
  target[16] = sub;
}

/** The main revision in a key of bucket `key` or in a value of `scheduledCompactRev`. */
export function mainOf(bytes: Bytes, start = 0): number {
  return readUint32(bytes, start) * two32 + readUint32(bytes, start + 4);
}

export function subOf(bytes: Bytes, start = 0): number {
  return readUint32(bytes, start + 9) * two32 + readUint32(bytes, start + 13);
}

export function isTombstoneKey(bytes: Bytes, start = 0, end: number = bytes.length): boolean {
  return end - start === tombstoneKeyBytes && bytes[start + revisionKeyBytes] === tombstoneMark;
}

/** Whether these bytes are laid out as above, with numbers that we can hold. */
export function isRevisionKey(bytes: Bytes, start = 0, end: number = bytes.length): boolean {
  return (
    (end - start === revisionKeyBytes || isTombstoneKey(bytes, start, end)) &&
    bytes[start + 8] === separator &&
    readUint32(bytes, start) < 0x20_0000 &&
    readUint32(bytes, start + 9) === 0 &&
    // The index keeps a flag in the top bit of a sub revision.
    bytes[start + 13]! < 0x80
  );
}

function readUint32(bytes: Bytes, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}
