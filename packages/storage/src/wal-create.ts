// A new log: its folder is made under another name, synced, and renamed, so that after a crash it is there
// with its head or not at all.

import { type Bytes, type Disk, DiskError, type DiskFile } from "@etcd-ts/base";
import type { HardState } from "@etcd-ts/raft";
import { encodeWalMetadata } from "./gen/metadata.ts";
import { encodeWalSnapshot, WalRecordType } from "./gen/walpb.ts";
import { parentFolder, promised } from "./paths.ts";
import { SegmentLocks } from "./segment-locks.ts";
import { WalEncoder } from "./wal-encoder.ts";
import { listWalSegments, type WalMetadata } from "./wal-log-reader.ts";
import { type WalSegment, walSegment } from "./wal-names.ts";

/** Where appending begins: the state in which creating or reading has left a log. */
export interface WalStart {
  /** Of the segments that matter, the last one among them. */
  readonly locks: SegmentLocks;
  /** Oldest first; the last one is open as `file`. */
  readonly segments: readonly WalSegment[];
  readonly file: DiskFile;
  readonly metadata: Bytes;
  /** Value of the checksum chain. */
  readonly crc: number;
  readonly position: number;
  /** Undefined while it is empty. */
  readonly hardState: HardState | undefined;
  readonly lastIndex: number;
}

export async function createLogFolder(
  disk: Disk,
  directory: string,
  metadata: WalMetadata,
): Promise<WalStart> {
  await refuseOccupied(disk, directory);
  const temporary = `${directory}.tmp`;
  await refuseWhileMade(disk, temporary);
  await disk.remove(temporary);
  await disk.makeDirectory(temporary);
  const segment = walSegment(0, 0);
  const metadataBytes = encodeWalMetadata({ ...metadata });
  const encoder = new WalEncoder(0);
  encoder.crcRecord();
  encoder.record(WalRecordType.metadata, metadataBytes);
  encoder.record(
    WalRecordType.snapshot,
    encodeWalSnapshot({ index: 0, term: 0, confState: undefined }),
  );
  const head = encoder.take();
  await writeHead(disk, temporary, segment, head);
  await disk.rename(temporary, directory);
  await disk.syncDirectory(parentFolder(directory));
  // Locked and opened anew, since its path has changed; whoever was faster has the log.
  const locks = new SegmentLocks(disk, directory);
  await locks.take(segment);
  let file: DiskFile;
  try {
    file = await disk.open(`${directory}/${segment.name}`, "write");
  } catch (error) {
    await locks.releaseAll();
    throw error;
  }
  return {
    locks,
    segments: [segment],
    file,
    metadata: metadataBytes,
    crc: encoder.crc,
    position: head.length,
    hardState: undefined,
    lastIndex: 0,
  };
}

/** Writes the first segment, under a lock that tells others that this folder is being made. */
async function writeHead(
  disk: Disk,
  folder: string,
  segment: WalSegment,
  head: Bytes,
): Promise<void> {
  const file = await disk.open(`${folder}/${segment.name}`, "create");
  const locks = new SegmentLocks(disk, folder);
  try {
    await locks.take(segment);
    await promised((done) => file.write(0, [head], done));
    await promised((done) => file.sync(done));
    await disk.syncDirectory(folder);
  } finally {
    await file.close();
    await locks.releaseAll();
  }
}

/** The new folder takes the place of one that is empty; what is in another is not ours to remove. */
async function refuseOccupied(disk: Disk, directory: string): Promise<void> {
  let names: string[];
  try {
    names = await disk.list(directory);
  } catch (error) {
    if (error instanceof DiskError && error.code === "not-found") return;
    throw error;
  }
  if (names.length === 0) return;
  const some = names.sort().slice(0, 3).join(", ") + (names.length > 3 ? ", …" : "");
  throw new DiskError(
    "exists",
    directory,
    `the log folder ${directory} has other files in it (${some}): give the log (--wal-dir) a folder of its own, empty or new`,
  );
}

/** What a crash left behind may go; what another process is making at this moment may not. */
async function refuseWhileMade(disk: Disk, temporary: string): Promise<void> {
  const locks = new SegmentLocks(disk, temporary);
  try {
    for (const segment of await listWalSegments(disk, temporary)) await locks.take(segment);
  } catch (error) {
    // Gone between the two calls: its maker has renamed it, and the rename below will fail.
    if (!(error instanceof DiskError && error.code === "not-found")) throw error;
  } finally {
    await locks.releaseAll();
  }
}
