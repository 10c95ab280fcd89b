import type { Bytes } from "@etcd-ts/base";
import type { BackendView, BucketName, Visit } from "@etcd-ts/machine";
import { bucketNumber } from "./buckets.ts";
import type { Environment, Transaction } from "./environment.ts";
import { readStore, scanStore } from "./store-reader.ts";

/**
 * A second handle on the store, for views alone. lmdb-js keeps one current read transaction per handle, and takes it
 * for another one's when lasting transactions and plain reads share a handle.
 */
export class ViewHandle {
  readonly #environment: Environment;
  #onUnused: (() => void) | undefined;
  /** Open views. */
  count = 0;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  begin(): BackendView {
    this.count++;
    return new LmdbView(this.#environment, () => {
      this.count--;
      if (this.count === 0) this.#onUnused?.();
    });
  }

  /** Calls back, once, as soon as no view is open. For one caller at a time. */
  whenUnused(run: () => void): void {
    if (this.count === 0) {
      run();
      return;
    }
    this.#onUnused = (): void => {
      this.#onUnused = undefined;
      run();
    };
  }

  /** Views that are still open become useless. */
  close(): Promise<void> {
    return this.#environment.close();
  }
}

/** What was durable at one moment: a read transaction, which keeps its pages from being reused. */
export class LmdbView implements BackendView {
  readonly #environment: Environment;
  readonly #onClose: () => void;
  #transaction: Transaction | undefined;

  constructor(environment: Environment, onClose: () => void) {
    this.#environment = environment;
    this.#transaction = environment.beginRead();
    this.#onClose = onClose;
  }

  get(bucket: BucketName, key: Bytes): Bytes | undefined {
    return readStore(this.#environment.store(bucketNumber(bucket)), key, this.#open());
  }

  scan(bucket: BucketName, from: Bytes, to: Bytes | undefined, limit: number, visit: Visit): void {
    scanStore(this.#environment.store(bucketNumber(bucket)), from, to, limit, visit, this.#open());
  }

  close(): void {
    if (this.#transaction === undefined) return;
    this.#transaction.done();
    this.#transaction = undefined;
    this.#onClose();
  }

  #open(): Transaction {
    if (this.#transaction === undefined) throw new Error("view is closed");
    return this.#transaction;
  }
}
