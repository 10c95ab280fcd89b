// Keeps the next segment ready: a file of the full size, zeros on the disk, under a temporary name. Making
// one takes as long as writing 64 MB, which the log must not wait for, so it happens while the present
// segment is filling up. Two names alternate, so that the file in use (renamed or about to be) and
// the next one never meet.

import type { Disk, DiskFile, DiskLock } from "@etcd-ts/base";
import { promised } from "./paths.ts";

/** A file of zeros, and the lock that keeps others from it. */
export interface PreparedSegment {
  readonly file: DiskFile;
  readonly lock: DiskLock;
}

export class SegmentFactory {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #segmentBytes: number;
  #prepared: Promise<PreparedSegment> | undefined;
  #count = 0;

  constructor(disk: Disk, directory: string, segmentBytes: number) {
    this.#disk = disk;
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
  }

  /** Begins to make the next file, if it is not there or under way. */
  prepare(): void {
    if (this.#prepared !== undefined) return;
    const made = this.#make();
    this.#prepared = made;
    made.catch(() => {
      // A full disk may have room again later: `take` makes another attempt, and reports.
      if (this.#prepared === made) this.#prepared = undefined;
    });
  }

  /** The next file, zeros throughout, durable; its name is not. The caller closes and unlocks it. */
  async take(): Promise<PreparedSegment> {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (prepared !== undefined) {
      const made = await prepared.catch(() => undefined);
      if (made !== undefined) return made;
    }
    return await this.#make();
  }

  /** Removes what was prepared in vain. */
  async close(): Promise<void> {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    const made = await prepared?.catch(() => undefined);
    if (made === undefined) return;
    await made.file.close();
    await this.#disk.remove(made.file.path);
    await made.lock.release();
  }

  async #make(): Promise<PreparedSegment> {
    const path = `${this.#directory}/${this.#count % 2}.tmp`;
    this.#count++;
    await this.#disk.remove(path);
    const file = await this.#disk.open(path, "create");
    let lock: DiskLock | undefined;
    try {
      lock = await this.#disk.lock(path);
      await file.preallocate(this.#segmentBytes);
      await promised((done) => file.sync(done));
      return { file, lock };
    } catch (error) {
      await file.close();
      await this.#disk.remove(path);
      await lock?.release();
      throw error;
    }
  }
}
