// A new log: its folder is made under another name, synced, and renamed, so that after a crash it is there
// with its head or not at all.

import type { Bytes, Disk, DiskFile } from "@etcd-ts/base";
import type { HardState } from "@etcd-ts/raft";
import { encodeWalMetadata } from "./gen/metadata.ts";
import { encodeWalSnapshot, WalRecordType } from "./gen/walpb.ts";
import { parentFolder, promised } from "./paths.ts";
import { WalEncoder } from "./wal-encoder.ts";
import type { WalMetadata } from "./wal-log-reader.ts";
import { type WalSegment, walSegment } from "./wal-names.ts";

/** Where appending begins: the state in which creating or reading has left a log. */
export interface WalStart {
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
  const temporary = `${directory}.tmp`;
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
  const first = await disk.open(`${temporary}/${segment.name}`, "create");
  try {
    await promised((done) => first.write(0, [head], done));
    await promised((done) => first.sync(done));
  } finally {
    await first.close();
  }
  await disk.syncDirectory(temporary);
  await disk.rename(temporary, directory);
  await disk.syncDirectory(parentFolder(directory));
  return {
    segments: [segment],
    // Opened anew, since its path has changed under it.
    file: await disk.open(`${directory}/${segment.name}`, "write"),
    metadata: metadataBytes,
    crc: encoder.crc,
    position: head.length,
    hardState: undefined,
    lastIndex: 0,
  };
}
