// Locks on the segments of a log that is open for appending: two servers that share a log folder, by
// mistake or because a `--wal-dir` was copied into another command line, would write into one another's
// records. etcd locks its segments in the same way, so the programs refuse each other, too.
//
//     opening      each segment before it is read, the newest first: that one is always locked
//     preparing    the next segment as soon as its file is there
//     releaseTo    the segments before the one that holds the index, whether they are removed or kept
//     close        all of them, last
//
// A lock belongs to the file, so it stays through the rename of a prepared file. It goes when its process
// ends, however that happens.

import type { Disk, DiskLock } from "@etcd-ts/base";
import type { WalSegment } from "./wal-names.ts";

export class SegmentLocks {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #held: Map<number, DiskLock> = new Map();

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /** `DiskError` "locked", with the segment's path, when somebody else has it. */
  async take(segment: WalSegment): Promise<void> {
    this.#held.set(segment.sequence, await this.#disk.lock(`${this.#directory}/${segment.name}`));
  }

  /** A prepared file has become this segment. */
  adopt(segment: WalSegment, lock: DiskLock): void {
    this.#held.set(segment.sequence, lock);
  }

  async release(segment: WalSegment): Promise<void> {
    const lock = this.#held.get(segment.sequence);
    this.#held.delete(segment.sequence);
    await lock?.release();
  }

  async releaseAll(): Promise<void> {
    const locks = [...this.#held.values()];
    this.#held.clear();
    for (const lock of locks) await lock.release();
  }
}
