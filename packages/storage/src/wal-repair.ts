// Making the last segment fit for appending.
//
// A torn record was never acknowledged: it is cut off, after a copy of the whole segment was put aside as
// `<name>.broken`. Also without one, bytes may stand behind a clean end (a write whose first sector did
// not arrive, but a later one did). Left there, they could one day continue a record that we write before
// them, so everything after the last good record must be zeros.

import type { Bytes, Disk, DiskFile } from "@etcd-ts/base";
import { promised } from "./paths.ts";
import type { SegmentContent } from "./wal-segment-reader.ts";

const chunkBytes = 1 << 20;

/** Copies the segment, cuts the tail off and makes both durable. */
export async function mendTornTail(disk: Disk, segment: SegmentContent): Promise<void> {
  const file = await disk.open(segment.path, "write");
  try {
    await copyAside(disk, file, `${segment.path}.broken`, segment.fileBytes);
    await file.truncate(segment.end);
    await promised((done) => file.sync(done));
  } finally {
    await file.close();
  }
}

/** Cuts off what stands behind the end, unless it is zeros already. */
export async function makeTailClean(file: DiskFile, segment: SegmentContent): Promise<void> {
  for (let at = segment.end; at < segment.fileBytes; at += chunkBytes) {
    const chunk = await file.read(at, Math.min(chunkBytes, segment.fileBytes - at));
    if (!isZero(chunk)) {
      await file.truncate(segment.end);
      await promised((done) => file.sync(done));
      return;
    }
  }
}

async function copyAside(disk: Disk, from: DiskFile, path: string, bytes: number): Promise<void> {
  await disk.remove(path);
  const copy = await disk.open(path, "create");
  try {
    for (let at = 0; at < bytes; at += chunkBytes) {
      const chunk = await from.read(at, Math.min(chunkBytes, bytes - at));
      await promised((done) => copy.write(at, [chunk], done));
    }
    await promised((done) => copy.sync(done));
  } finally {
    await copy.close();
  }
}

/** Four bytes at a time: a preallocated tail has tens of megabytes. */
function isZero(bytes: Bytes): boolean {
  const whole = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  const words = new Int32Array(whole.buffer, whole.byteOffset, whole.length >> 2);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  for (let i = words.length * 4; i < whole.length; i++) if (whole[i] !== 0) return false;
  return true;
}
