// The writing thread's side of replacing the content of a store: fills a data file of its own beside the present one.
//
//     begin ─► data.mdb.new   put*, in pieces ─► finish: synced, closed ─► (renamed over data.mdb by the caller)
//
// Its commits are not synced one by one: nothing counts before the whole file is. But what was written is handed to the
// disk every 32 MiB; otherwise a gigabyte of it would be due at the end, and every sync of the log would wait for it.
// Pieces are small, as LMDB keeps what a transaction changes in memory until it is committed.

import { closeSync, fsyncSync, openSync, rmSync } from "node:fs";
import { type Bytes, compareBytes, copyBytes } from "@etcd-ts/base";
import { Environment, type EnvironmentOptions } from "./environment.ts";
import { changeGroup, groupKey, groupKeyBytes, restOfKey } from "./long-keys.ts";
import { type PackedChunk, unpack } from "./packed-batch.ts";

export const newDataFile = "data.mdb.new";

const syncEveryBytes = 32 << 20;

export class NewContent {
  readonly #path: string;
  readonly #environment: Environment;
  readonly #file: number;
  /** Last row of each database, when it is known that none is behind it. */
  readonly #lastRows: (Bytes | undefined)[] = [];
  #unsyncedBytes = 0;
  #isOpen = true;

  constructor(options: EnvironmentOptions) {
    this.#path = `${options.directory}/${newDataFile}`;
    removeNewContent(options.directory);
    this.#environment = new Environment({ ...options, file: newDataFile, noSync: true });
    this.#file = openSync(this.#path, "r+");
  }

  put(chunks: readonly PackedChunk[]): void {
    this.#environment.transaction(() => {
      for (const chunk of chunks) {
        unpack(chunk, (bucket, key, value) => {
          if (value !== undefined) this.#put(bucket, key, value);
        });
      }
    });
    // They are views of a chunk, which is about to go.
    for (let i = 0; i < this.#lastRows.length; i++) {
      const row = this.#lastRows[i];
      if (row !== undefined) this.#lastRows[i] = copyBytes(row);
    }
    for (const chunk of chunks) this.#unsyncedBytes += chunk.length;
    if (this.#unsyncedBytes < syncEveryBytes) return;
    fsyncSync(this.#file);
    this.#unsyncedBytes = 0;
  }

  /** Durable and closed when it resolves; cannot be aborted any more then. */
  async finish(): Promise<void> {
    await this.#close(() => fsyncSync(this.#file));
    rmSync(`${this.#path}-lock`, { force: true });
  }

  async abort(directory: string): Promise<void> {
    await this.#close(() => undefined);
    removeNewContent(directory);
  }

  async #close(sync: () => void): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#environment.close();
    try {
      sync();
    } finally {
      closeSync(this.#file);
    }
  }

  #put(bucket: number, key: Bytes, value: Bytes): void {
    const store = this.#environment.store(bucket);
    const isLong = key.length >= groupKeyBytes;
    const row = isLong ? groupKey(key) : key;
    const last = this.#lastRows[bucket];
    const isBehind = last === undefined || compareBytes(row, last) > 0;
    const stored = isLong
      ? changeGroup(isBehind ? undefined : store.get(row), restOfKey(key), value)
      : value;
    if (stored === undefined) return;
    if (isBehind) {
      store.append(row, stored);
      this.#lastRows[bucket] = row;
    } else store.put(row, stored);
  }
}

/** What is left of a file that was never finished. */
export function removeNewContent(directory: string): void {
  rmSync(`${directory}/${newDataFile}`, { force: true });
  rmSync(`${directory}/${newDataFile}-lock`, { force: true });
}
