// Keeps the next segment ready: a file of the full size, zeros on the disk, under a temporary name. Making
// one takes as long as writing 64 MB, which the log must not wait for, so it happens while the present
// segment is filling up. Two names alternate, so that the file in use (renamed or about to be) and
// the next one never meet.

import type { Disk, DiskFile } from "@etcd-ts/base";
import { promised } from "./paths.ts";

export class SegmentFactory {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #segmentBytes: number;
  #prepared: Promise<DiskFile> | undefined;
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

  /** The next file, zeros throughout, durable; its name is not. The caller closes it. */
  async take(): Promise<DiskFile> {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (prepared !== undefined) {
      const file = await prepared.catch(() => undefined);
      if (file !== undefined) return file;
    }
    return await this.#make();
  }

  /** Removes what was prepared in vain. */
  async close(): Promise<void> {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    const file = await prepared?.catch(() => undefined);
    if (file === undefined) return;
    await file.close();
    await this.#disk.remove(file.path);
  }

  async #make(): Promise<DiskFile> {
    const path = `${this.#directory}/${this.#count % 2}.tmp`;
    this.#count++;
    await this.#disk.remove(path);
    const file = await this.#disk.open(path, "create");
    try {
      await file.preallocate(this.#segmentBytes);
      await promised((done) => file.sync(done));
      return file;
    } catch (error) {
      await file.close();
      await this.#disk.remove(path);
      throw error;
    }
  }
}
