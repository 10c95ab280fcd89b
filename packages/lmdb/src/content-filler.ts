// The main thread's side of replacing the content of a store: packs what is put, and hands it to the writing thread in
// pieces. One piece is being filled while the one before is being written, so both threads have work and no more than
// two pieces are in memory.

import type { Bytes } from "@etcd-ts/base";
import type { BucketName, ContentSink } from "@etcd-ts/machine";
import { bucketNumber } from "./buckets.ts";
import { BatchPacker, type ChunkPool, type PackedChunk } from "./packed-batch.ts";

const pieceBytes = 4 << 20;

export class ContentFiller implements ContentSink {
  readonly #pool: ChunkPool;
  readonly #write: (chunks: readonly PackedChunk[]) => Promise<void>;
  #packer: BatchPacker;
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #ended = false;

  constructor(pool: ChunkPool, write: (chunks: readonly PackedChunk[]) => Promise<void>) {
    this.#pool = pool;
    this.#write = write;
    this.#packer = new BatchPacker(pool);
  }

  put(bucket: BucketName, key: Bytes, value: Bytes): void {
    if (this.#ended) throw new Error("the replacement has ended");
    this.#packer.put(bucketNumber(bucket), key, value);
    this.#bytes += key.length + value.length;
  }

  async flush(): Promise<void> {
    if (this.#bytes >= pieceBytes) {
      await this.#settle();
      this.#send();
    }
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    this.#check();
  }

  /** Everything has been written when it resolves. */
  async finish(): Promise<void> {
    await this.#settle();
    if (this.#bytes > 0) this.#send();
    this.#ended = true;
    await this.#settle();
  }

  /** Nothing is under way when it resolves. */
  async abandon(): Promise<void> {
    this.#ended = true;
    await this.#writing;
  }

  async #settle(): Promise<void> {
    await this.#writing;
    this.#check();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  #send(): void {
    const chunks = this.#packer.finish();
    this.#packer = new BatchPacker(this.#pool);
    this.#bytes = 0;
    this.#writing = this.#write(chunks).catch((reason: unknown) => {
      this.#failure = { reason };
    });
  }
}
