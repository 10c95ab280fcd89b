// A backend for the machine's own tests: sorted arrays, and a durable copy that a crash falls back to.
// Strict where the contract is: arrays handed to readers are poisoned after the call, so that code which
// keeps a view instead of a copy is found out.

import { type Bytes, bytesToKey, copyBytes, type Key, keyToBytes } from "@etcd-ts/base";
import type {
  Backend,
  BackendReader,
  BackendView,
  BucketName,
  ContentSink,
  Visit,
} from "@etcd-ts/machine";
import { bucketNames } from "@etcd-ts/machine";

class Bucket {
  readonly values: Map<Key, Bytes> = new Map();
  #keys: Key[] = [];
  #sorted = true;

  put(key: Key, value: Bytes): void {
    if (!this.values.has(key)) {
      if (this.#keys.length > 0 && this.#keys[this.#keys.length - 1]! >= key) this.#sorted = false;
      this.#keys.push(key);
    }
    this.values.set(key, value);
  }

  delete(key: Key): void {
    this.values.delete(key);
  }

  keys(): Key[] {
    if (!this.#sorted || this.#keys.length > 2 * this.values.size + 64) {
      this.#keys = [...this.values.keys()].sort();
      this.#sorted = true;
    }
    return this.#keys;
  }

  copy(): Bucket {
    const copy = new Bucket();
    for (const key of this.keys()) {
      const value = this.values.get(key);
      if (value !== undefined) copy.put(key, value);
    }
    return copy;
  }
}

type Buckets = Map<BucketName, Bucket>;

export class TinyBackend implements Backend {
  #buckets: Buckets;
  #durable: Buckets;
  readonly #poisons: boolean;
  #lent: Bytes | undefined = undefined;
  pendingCount = 0;
  pendingBytes = 0;

  constructor(poisons = true, buckets: Buckets = emptyBuckets()) {
    this.#poisons = poisons;
    this.#buckets = buckets;
    this.#durable = poisons ? copyBuckets(buckets) : buckets;
  }

  get(bucket: BucketName, key: Bytes): Bytes | undefined {
    this.#takeBack();
    const value = this.#buckets.get(bucket)!.values.get(bytesToKey(key));
    return value === undefined ? undefined : this.#lend(value);
  }

  scan(bucket: BucketName, from: Bytes, to: Bytes | undefined, limit: number, visit: Visit): void {
    const { values } = this.#buckets.get(bucket)!;
    const keys = this.#buckets.get(bucket)!.keys();
    const first = bytesToKey(from);
    const end = to === undefined ? undefined : bytesToKey(to);
    let visited = 0;
    for (let i = lowerBound(keys, first); i < keys.length && visited < limit; i++) {
      const key = keys[i]!;
      if (end !== undefined && key >= end) return;
      const value = values.get(key);
      if (value === undefined) continue;
      visited++;
      this.#takeBack();
      const lentKey = keyToBytes(key);
      const goesOn = visit(lentKey, this.#lend(value));
      if (this.#poisons) lentKey.fill(0xee);
      if (goesOn === false) return;
    }
    this.#takeBack();
  }

  put(bucket: BucketName, key: Bytes, value: Bytes): void {
    this.#takeBack();
    this.#buckets.get(bucket)!.put(bytesToKey(key), value);
    this.pendingCount++;
    this.pendingBytes += key.length + value.length;
  }

  delete(bucket: BucketName, key: Bytes): void {
    this.#takeBack();
    this.#buckets.get(bucket)!.delete(bytesToKey(key));
    this.pendingCount++;
    this.pendingBytes += key.length;
  }

  commit(done: (error: Error | undefined) => void): void {
    this.commitNow();
    queueMicrotask(() => done(undefined));
  }

  commitNow(): void {
    this.pendingCount = 0;
    this.pendingBytes = 0;
    if (this.#poisons) this.#durable = copyBuckets(this.#buckets);
  }

  view(): Promise<BackendView> {
    return Promise.resolve(this.viewNow());
  }

  viewNow(): BackendView {
    this.commitNow();
    const frozen: BackendReader = new TinyBackend(false, copyBuckets(this.#buckets));
    return {
      get: (bucket, key) => frozen.get(bucket, key),
      scan: (bucket, from, to, limit, visit) => frozen.scan(bucket, from, to, limit, visit),
      close: () => undefined,
    };
  }

  /** What a process finds that starts after this one died: the last commit. */
  afterCrash(): TinyBackend {
    return new TinyBackend(true, copyBuckets(this.#durable));
  }

  /** Every pair of every bucket as text, for comparison. */
  dump(): string[] {
    const lines: string[] = [];
    for (const name of bucketNames) {
      const bucket = this.#buckets.get(name)!;
      for (const key of bucket.keys()) {
        const value = bucket.values.get(key);
        if (value === undefined) continue;
        lines.push(`${name} ${hex(keyToBytes(key))} ${hex(value)}`);
      }
    }
    return lines;
  }

  size(): { allocatedBytes: number; inUseBytes: number } {
    return { allocatedBytes: 0, inUseBytes: 0 };
  }

  async replaceContent(fill: (sink: ContentSink) => Promise<void>): Promise<void> {
    const buckets = emptyBuckets();
    await fill({
      put: (bucket, key, value) => buckets.get(bucket)!.put(bytesToKey(key), copyBytes(value)),
      flush: () => Promise.resolve(),
    });
    this.#takeBack();
    this.#buckets = buckets;
    this.commitNow();
  }

  defragment(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.commitNow();
    return Promise.resolve();
  }

  #lend(value: Bytes): Bytes {
    if (!this.#poisons) return value;
    this.#lent = copyBytes(value);
    return this.#lent;
  }

  #takeBack(): void {
    this.#lent?.fill(0xee);
    this.#lent = undefined;
  }
}

function emptyBuckets(): Buckets {
  return new Map(bucketNames.map((name) => [name, new Bucket()]));
}

function copyBuckets(buckets: Buckets): Buckets {
  return new Map([...buckets].map(([name, bucket]) => [name, bucket.copy()]));
}

function lowerBound(keys: readonly Key[], key: Key): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function hex(bytes: Bytes): string {
  return Buffer.from(bytes).toString("hex");
}
