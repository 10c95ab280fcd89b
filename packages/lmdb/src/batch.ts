import type { Bytes } from "@etcd-ts/base";
import { revisionBucket } from "./buckets.ts";
import { type Known, OverlayBucket, type OverlaySource } from "./overlay.ts";
import { BatchPacker, type ChunkPool, type PackedChunk } from "./packed-batch.ts";

/** What is put between two commits: readable, and packed for the writing thread. */
export class Batch {
  readonly #packer: BatchPacker;
  readonly #buckets: (OverlayBucket | undefined)[] = [];
  /** Called when the batch is durable or lost. */
  readonly dones: ((error: Error | undefined) => void)[] = [];
  /** A view waits for this batch: nothing may be committed together with it and behind it. */
  isViewed = false;
  count = 0;
  /** Of keys and values. */
  bytes = 0;

  constructor(pool: ChunkPool) {
    this.#packer = new BatchPacker(pool);
  }

  put(bucket: number, key: Bytes, value: Bytes): void {
    this.#packer.put(bucket, key, value);
    this.#bucket(bucket).put(key, value);
    this.count++;
    this.bytes += key.length + value.length;
  }

  delete(bucket: number, key: Bytes): void {
    this.#packer.delete(bucket, key);
    this.#bucket(bucket).delete(key);
    this.count++;
    this.bytes += key.length;
  }

  lookup(bucket: number, key: Bytes): Known {
    return this.#buckets[bucket]?.lookup(key);
  }

  addSources(bucket: number, from: Bytes, sources: OverlaySource[]): void {
    this.#buckets[bucket]?.addSources(from, sources);
  }

  pack(): PackedChunk[] {
    return this.#packer.finish();
  }

  #bucket(bucket: number): OverlayBucket {
    let found = this.#buckets[bucket];
    if (found === undefined) {
      found = new OverlayBucket(bucket === revisionBucket);
      this.#buckets[bucket] = found;
    }
    return found;
  }
}
