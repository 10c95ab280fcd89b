// A database that is being received. It is written beside its place under another name, made durable, and
// takes its place with its name made durable: a file named `….snap.db` is always whole and right.
//
//     create `….part` ──► write … write ──► sync ──► inspect ──► rename to `<index>.snap.db` ──► sync folder

import { type Bytes, type Disk, DiskError, type DiskFile } from "@etcd-ts/base";

/** The name under which a state received at `index` waits to be taken over. */
export function databasePath(folder: string, index: number): string {
  return `${folder}/${index.toString(16).padStart(16, "0")}.snap.db`;
}

/**
 * Removes received databases, whole or not, but those at `keptIndexes`. To be called when the member starts
 * (what nobody refers to is rubbish of a crash).
 */
export async function purgeDatabases(
  disk: Disk,
  folder: string,
  keptIndexes: readonly number[],
): Promise<void> {
  const kept = new Set(keptIndexes.map((index) => databasePath("", index).slice(1)));
  for (const name of await disk.list(folder)) {
    if (/\.snap\.db(\.[0-9]+\.part)?$/.test(name) && !kept.has(name)) {
      await disk.remove(`${folder}/${name}`);
    }
  }
}

/** Removes the whole ones up to `index`; the others may still be received, or wait to be taken over. */
export async function purgeDatabasesTo(disk: Disk, folder: string, index: number): Promise<void> {
  for (const name of await disk.list(folder)) {
    const match = /^([0-9a-f]{16})\.snap\.db$/.exec(name);
    if (match !== null && Number.parseInt(match[1]!, 16) <= index) {
      await disk.remove(`${folder}/${name}`);
    }
  }
}

let partCounter = 0;

export class DatabaseFile {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #index: number;
  readonly #partPath: string;
  readonly #file: DiskFile;
  #position = 0;
  #waitingBytes = 0;
  #error: Error | undefined;
  #closed = false;
  #idle: (() => void) | undefined;
  /** Called when bytes have reached the file. */
  onProgress: () => void = () => {};

  private constructor(disk: Disk, folder: string, index: number, partPath: string, file: DiskFile) {
    this.#disk = disk;
    this.#folder = folder;
    this.#index = index;
    this.#partPath = partPath;
    this.#file = file;
  }

  static async create(disk: Disk, folder: string, index: number): Promise<DatabaseFile> {
    for (;;) {
      const partPath = `${databasePath(folder, index)}.${partCounter++}.part`;
      try {
        const file = await disk.open(partPath, "create");
        return new DatabaseFile(disk, folder, index, partPath, file);
      } catch (error) {
        // Left over by an earlier process; the next number is free sooner or later.
        if (!(error instanceof DiskError && error.code === "exists")) throw error;
      }
    }
  }

  /** Given and not yet written. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get bytes(): number {
    return this.#position;
  }

  get error(): Error | undefined {
    return this.#error;
  }

  write(part: Bytes): void {
    this.#waitingBytes += part.length;
    this.#file.write(this.#position, [part], (error) => {
      this.#waitingBytes -= part.length;
      this.#error ??= error;
      this.onProgress();
      if (this.#waitingBytes === 0) this.#idle?.();
    });
    this.#position += part.length;
  }

  /**
   * Makes it durable, has it inspected and gives it its name; the path. Throws `DiskError`, or what `inspect` threw: then
   * nothing is left of it, and a good one that has the name already stays.
   */
  async finish(inspect: (path: string) => Promise<void>): Promise<string> {
    try {
      await this.#written();
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve, reject) => {
        this.#file.sync((error) => (error === undefined ? resolve() : reject(error)));
      });
      await this.#close();
      await inspect(this.#partPath);
      const path = databasePath(this.#folder, this.#index);
      await this.#disk.rename(this.#partPath, path);
      await this.#disk.syncDirectory(this.#folder);
      return path;
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  /** It will not be whole. Nothing is left of it. */
  async discard(): Promise<void> {
    await this.#written();
    await this.#close();
    await this.#disk.remove(this.#partPath);
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }

  #written(): Promise<void> {
    if (this.#waitingBytes === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }
}
