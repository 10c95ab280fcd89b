// Where the state machine keeps its bytes: a few ordered maps ("buckets", with etcd's own names and
// layouts) that change together. The log is what makes a write durable; the backend only has to come back
// after a crash as it was at *some* commit, all buckets together, with the applied index of that moment
// inside (`meta/consistent_index`), and the log is replayed from there.
//
//      put, delete ──► open batch ──commit()──► being written ──► durable
//                          └────────── get, scan see all three ──────────┘
//
// Implementations: `lmdb` (the real one) and `storage/memory-backend` (tests, simulation, embedding).
// One contract suite, exported by `machine/testing`, runs on both.

import type { Bytes } from "@etcd-ts/base";

/** In the order in which they stand in a snapshot file. */
export const bucketNames = [
  "alarm",
  "auth",
  "authRoles",
  "authUsers",
  "cluster",
  "key",
  "lease",
  "members",
  "members_removed",
  "meta",
] as const;

export type BucketName = (typeof bucketNames)[number];

/** Called for each pair in key order; the arrays are only valid during the call. False stops the scan. */
export type Visit = (key: Bytes, value: Bytes) => boolean | undefined;

/** As `Visit`, without views: a pair is `keys[keyStart, keyEnd)` and `values[valueStart, valueEnd)`. */
export type VisitSpans = (
  keys: Bytes,
  keyStart: number,
  keyEnd: number,
  values: Bytes,
  valueStart: number,
  valueEnd: number,
) => boolean | undefined;

export interface BackendReader {
  /** The value, valid until the next call on this object: copy what is kept. */
  get(bucket: BucketName, key: Bytes): Bytes | undefined;
  /**
   * Visits the pairs with `from <= key < to` in ascending order (`to` undefined: to the end) until `visit`
   * returns false or `limit` pairs were visited.
   */
  scan(bucket: BucketName, from: Bytes, to: Bytes | undefined, limit: number, visit: Visit): void;
}

/** A point-in-time view that later writes do not change. Must be closed: it holds back space. */
export interface BackendView extends BackendReader {
  close(): void;
}

/** Takes the new content of a backend, see `Backend.replaceContent`. */
export interface ContentSink {
  /** Copies both arrays. Within a bucket ascending keys are by far the cheapest; a key put twice keeps the last value. */
  put(bucket: BucketName, key: Bytes, value: Bytes): void;
  /**
   * Lets the event loop run, and waits while too much is on its way: to be awaited after every few hundred puts or
   * 64 KiB, which keeps memory bounded. Rejects when the new content cannot be stored.
   */
  flush(): Promise<void>;
}

export interface Backend extends BackendReader {
  /**
   * As `scan` to the end of the bucket, for whoever reads everything: a million pairs cost two million views there.
   * What does not stand in the spans must not be looked at, `length` of the arrays included. Optional: where it is
   * missing, `scan` does.
   */
  scanSpans?(bucket: BucketName, from: Bytes, visit: VisitSpans): void;
  /**
   * Writes into the open batch. The backend keeps `value`, which nobody may change any more; `key` is the caller's
   * again when the call returns.
   * Keys of bucket `key` mostly come in ascending order, which an implementation may exploit.
   */
  put(bucket: BucketName, key: Bytes, value: Bytes): void;
  delete(bucket: BucketName, key: Bytes): void;
  /** Operations in the open batch. */
  readonly pendingCount: number;
  /** Bytes of keys and values in the open batch. */
  readonly pendingBytes: number;
  /**
   * Closes the open batch and makes it durable, all or nothing. Commits become durable in order. `done`
   * comes from the event loop; an error means that the member must stop.
   */
  commit(done: (error: Error | undefined) => void): void;
  /** A view of everything put so far; the open batch is committed first. */
  view(): Promise<BackendView>;
  /** Allocated size, and the part of it in use, of what is durable. */
  size(): { readonly allocatedBytes: number; readonly inUseBytes: number };
  /**
   * Everything that the backend holds becomes what `fill` puts: at once, atomically, and durably when the promise
   * resolves. A crash before that leaves the old content or the new one, never a mixture; when `fill` or the disk
   * fails, the promise rejects with that and the old content stays.
   *
   * Until then reads see the old content, up to the turn of the event loop in which it resolves. What is written meanwhile belongs to it, and goes with it (its commits
   * call back without an error then). Views that were opened before stay valid, and keep showing the old content;
   * views that are asked for meanwhile show the new one. Replacements do not overlap: a second one waits.
   */
  replaceContent(fill: (sink: ContentSink) => Promise<void>): Promise<void>;
  /** Gives free space back where the implementation has something to give. */
  defragment(): Promise<void>;
  /** Commits the open batch, waits until it is durable and releases everything. */
  close(): Promise<void>;
}
