// The hash of Maintenance.Hash: over every bucket, its name first, then each key and value in order. It says
// something about one member only, as some of what it covers differs between equal members.

import { type Bytes, crc32c, emptyBytes, equalBytes, utf8ToBytes } from "@etcd-ts/base";
import { type BackendReader, bucketNames } from "./backend.ts";
import type { Job } from "./job.ts";
import { unhashedMetaKeys } from "./meta.ts";

const bytesPerItem = 2048;

export class HashJob implements Job {
  readonly #view: BackendReader;
  #bucket = 0;
  #next: Bytes | undefined = undefined;
  #hash = 0;

  /** The owner of the view closes it when the job is done. */
  constructor(view: BackendReader) {
    this.#view = view;
  }

  get done(): boolean {
    return this.#bucket === bucketNames.length;
  }

  /** Valid once done. */
  get hash(): number {
    return this.#hash;
  }

  step(itemCount: number): boolean {
    let items = 0;
    const itemMax = Math.max(1, itemCount);
    while (!this.done && items < itemMax) {
      const bucket = bucketNames[this.#bucket]!;
      if (this.#next === undefined) {
        this.#hash = crc32c(this.#hash, utf8ToBytes(bucket));
        this.#next = emptyBytes;
      }
      let last: Bytes | undefined;
      this.#view.scan(bucket, this.#next, undefined, Number.MAX_SAFE_INTEGER, (key, value) => {
        if (bucket !== "meta" || !unhashedMetaKeys.some((skipped) => equalBytes(skipped, key))) {
          this.#hash = crc32c(crc32c(this.#hash, key), value);
        }
        items += 1 + value.length / bytesPerItem;
        if (items < itemMax) return true;
        last = new Uint8Array(key.length + 1);
        last.set(key);
        return false;
      });
      this.#next = last;
      if (last === undefined) this.#bucket++;
    }
    return this.done;
  }
}
