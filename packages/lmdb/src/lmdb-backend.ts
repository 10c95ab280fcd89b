// The backend on LMDB: ordered, memory-mapped, copy-on-write, crash-safe, and it reuses its free pages.
//
//      main thread                                      writing thread
//      put ─► overlay + packed chunk
//      commit ──────────── chunks ────────────────────► one transaction, synced
//      overlay of it dropped ◄──────── done ─────────── chunks come back
//      get, scan: overlay, then LMDB
//
// One request is under way at a time. Commits that wait meanwhile are then carried out together, in one
// transaction, except that nothing joins behind a commit on which a view waits: the view is what was put
// before it was asked for.
//
// When a commit fails, the backend is dead: what waits and what follows gets the error. Reads still work.
//
// Defragmenting writes a copy without free pages and puts it in the place of the file:
//
//      views closed ─► copy (commits wait) ─► writer lets go ─► main thread: close, rename, open ─► go on
//
// The overlay takes the writes of that time, and reads never notice.

import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { assert, type Bytes, DiskError } from "@etcd-ts/base";
import {
  type Backend,
  type BackendView,
  type BucketName,
  bucketNames,
  type Visit,
  type VisitSpans,
} from "@etcd-ts/machine";
import { Batch } from "./batch.ts";
import { bucketNumber, revisionBucket } from "./buckets.ts";
import { DataFile } from "./data-file.ts";
import { dataFile, Environment, type EnvironmentOptions, type Sizes } from "./environment.ts";
import { LmdbView } from "./lmdb-view.ts";
import { scanMerged } from "./merged-scan.ts";
import type { Answer, Request, WriterData } from "./messages.ts";
import { MergedOverlay, type OverlaySource } from "./overlay.ts";
import { ChunkPool, type PackedChunk } from "./packed-batch.ts";
import { readStore, scanFile, scanStore } from "./store-reader.ts";

export interface LmdbBackendOptions {
  /** Address space to begin with; grows by itself. Default 16 GiB. */
  readonly mapBytes?: number;
}

export class LmdbBackend implements Backend {
  readonly #directory: string;
  readonly #environmentOptions: EnvironmentOptions;
  readonly #pool = new ChunkPool();
  /** Started for the first request, so that it does not take part of the machine while a store is opened. */
  #writer: Worker | undefined;
  /** For reading much at once, until something is written: undefined before it is needed, null when it is no use. */
  #file: DataFile | undefined | null;
  #environment: Environment;
  /**
   * A second handle on the same store, for views alone. lmdb-js keeps one current read transaction per
   * handle, and takes it for another one's when lasting transactions and plain reads share a handle.
   */
  #viewEnvironment: Environment;
  #sizes: Sizes;
  #open: Batch;
  /** Committed, in order: those under way first. */
  readonly #queue: Batch[] = [];
  #underWay = 0;
  /** Answers the request that is under way. */
  #onAnswer: ((answer: Answer) => void) | undefined;
  #failure: Error | undefined;
  #writerDied = false;
  #closed: Promise<void> | undefined;
  #viewCount = 0;
  #onNoView: (() => void) | undefined;
  #defragmenting: Promise<void> | undefined;
  /** While true, commits wait. */
  #paused = false;
  #onIdle: (() => void) | undefined;

  /** Opens the store in a folder, which is made when it is missing. */
  static async open(directory: string, options: LmdbBackendOptions = {}): Promise<LmdbBackend> {
    return new LmdbBackend(directory, options);
  }

  private constructor(directory: string, options: LmdbBackendOptions) {
    this.#directory = directory;
    this.#environmentOptions = { ...options, directory, databases: bucketNames };
    this.#environment = new Environment(this.#environmentOptions);
    this.#viewEnvironment = new Environment(this.#environmentOptions);
    // Left by a defragmentation that a crash has ended.
    if (existsSync(this.#copyPath())) rmSync(this.#copyPath());
    this.#sizes = this.#environment.sizes();
    this.#open = new Batch(this.#pool);
  }

  get pendingCount(): number {
    return this.#open.count;
  }

  get pendingBytes(): number {
    return this.#open.bytes;
  }

  put(bucket: BucketName, key: Bytes, value: Bytes): void {
    this.#open.put(bucketNumber(bucket), key, value);
  }

  delete(bucket: BucketName, key: Bytes): void {
    this.#open.delete(bucketNumber(bucket), key);
  }

  get(bucket: BucketName, key: Bytes): Bytes | undefined {
    const number = bucketNumber(bucket);
    let known = this.#open.lookup(number, key);
    for (let i = this.#queue.length - 1; known === undefined && i >= 0; i--) {
      known = (this.#queue[i] as Batch).lookup(number, key);
    }
    if (known !== undefined) return known ?? undefined;
    return readStore(this.#environment.store(number), key);
  }

  scan(bucket: BucketName, from: Bytes, to: Bytes | undefined, limit: number, visit: Visit): void {
    const number = bucketNumber(bucket);
    const store = this.#environment.store(number);
    const sources: OverlaySource[] = [];
    this.#open.addSources(number, from, sources);
    for (let i = this.#queue.length - 1; i >= 0; i--) {
      (this.#queue[i] as Batch).addSources(number, from, sources);
    }
    if (sources.length === 0) scanStore(store, from, to, limit, visit);
    else
      scanMerged(new MergedOverlay(sources), from, to, limit, visit, (each) => {
        scanStore(store, from, to, Number.POSITIVE_INFINITY, each);
      });
  }

  scanSpans(bucket: BucketName, from: Bytes, visit: VisitSpans): void {
    const file = this.#readableFile();
    if (file !== undefined) scanFile(file, bucket, from, visit);
    else {
      this.scan(bucket, from, undefined, Number.POSITIVE_INFINITY, (key, value) =>
        visit(key, 0, key.length, value, 0, value.length),
      );
    }
  }

  commit(done: (error: Error | undefined) => void): void {
    const batch = this.#open;
    this.#open = new Batch(this.#pool);
    batch.dones.push(done);
    if (this.#failure !== undefined || this.#closed !== undefined) {
      const failure = this.#failure ?? new Error("the backend is closed");
      setImmediate(done, failure);
      return;
    }
    this.#queue.push(batch);
    this.#send();
  }

  async view(): Promise<BackendView> {
    while (this.#defragmenting !== undefined) await this.#defragmenting.catch(() => {});
    return await new Promise((resolve, reject) => {
      const begin = (error: Error | undefined): void => {
        if (error !== undefined) reject(error);
        else resolve(this.#beginView());
      };
      const newest = this.#queue[this.#queue.length - 1];
      if (this.#open.count > 0 || (newest !== undefined && this.#failure !== undefined)) {
        this.#open.isViewed = true;
        this.commit(begin);
      } else if (newest !== undefined) {
        newest.isViewed = true;
        newest.dones.push(begin);
      } else begin(undefined);
    });
  }

  size(): Sizes {
    return this.#sizes;
  }

  defragment(): Promise<void> {
    this.#defragmenting ??= this.#defragment().finally(() => {
      this.#defragmenting = undefined;
    });
    return this.#defragmenting;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Sends what waits, as one transaction, when nothing is under way. */
  #send(): void {
    if (this.#onAnswer !== undefined || this.#paused || this.#failure !== undefined) return;
    if (this.#queue.length === 0) return;
    const chunks: PackedChunk[] = [];
    let count = 0;
    for (const batch of this.#queue) {
      chunks.push(...batch.pack());
      count++;
      if (batch.isViewed) break;
    }
    this.#underWay = count;
    this.#request({ kind: "commit", chunks }, this.#committed);
  }

  readonly #committed = (answer: Answer): void => {
    if (answer.kind === "failed") {
      this.#fail(this.#errorOf(answer));
      return;
    }
    this.#pool.giveBack(answer.chunks);
    this.#sizes = answer.sizes;
    // Reads must see in LMDB what leaves the overlay.
    this.#environment.refresh();
    const batches = this.#queue.splice(0, this.#underWay);
    this.#underWay = 0;
    for (const batch of batches) for (const done of batch.dones) done(undefined);
    this.#send();
  };

  #request(request: Request, onAnswer: (answer: Answer) => void): void {
    assert(this.#onAnswer === undefined, "one request at a time");
    this.#onAnswer = onAnswer;
    this.#writer ??= this.#startWriter();
    this.#writer.ref();
    const moved = request.kind === "commit" ? request.chunks.map((chunk) => chunk.buffer) : [];
    this.#writer.postMessage(request, moved);
  }

  #startWriter(): Worker {
    this.#file?.close();
    this.#file = null;
    const writer = new Worker(new URL("./write-worker.js", import.meta.url), {
      workerData: {
        environment: this.#environmentOptions,
        ascending: revisionBucket,
      } satisfies WriterData,
    });
    writer.on("message", (answer: Answer) => this.#answered(answer));
    writer.on("error", (error) => this.#writerEnded(error));
    writer.on("exit", () => this.#writerEnded(new Error("the writing thread has ended")));
    return writer;
  }

  /** The file, as long as LMDB holds all there is and nobody writes. */
  #readableFile(): DataFile | undefined {
    if (this.#open.count > 0 || this.#file === null) return undefined;
    this.#file ??= DataFile.open(`${this.#directory}/${dataFile}`) ?? null;
    return this.#file ?? undefined;
  }

  #answered(answer: Answer): void {
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    this.#writer?.unref();
    onAnswer?.(answer);
    if (this.#onAnswer === undefined) this.#onIdle?.();
  }

  #writerEnded(error: Error): void {
    this.#writerDied = true;
    // Its end is expected when we are closing and wait for nothing.
    if (this.#closed === undefined || this.#onAnswer !== undefined) this.#fail(error);
  }

  #asked(request: Request): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#request(request, (answer) => {
        if (answer.kind === "failed") reject(this.#errorOf(answer));
        else {
          if (request.kind !== "release") this.#sizes = answer.sizes;
          resolve();
        }
      });
    });
  }

  #errorOf(answer: Answer & { kind: "failed" }): DiskError {
    const path = `${this.#directory}/${dataFile}`;
    const code = answer.noSpace ? "no-space" : "io";
    const what = answer.noSpace ? "no space left on device" : answer.message;
    return new DiskError(code, path, `${path}: commit: ${what}`);
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    // The batches stay in the overlay for reads; nobody waits for them any more.
    for (const batch of this.#queue) {
      for (const done of batch.dones.splice(0)) done(error);
    }
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    if (onAnswer !== this.#committed) {
      onAnswer?.({ kind: "failed", message: error.message, noSpace: false });
    }
    this.#onIdle?.();
  }

  #beginView(): BackendView {
    this.#viewCount++;
    return new LmdbView(this.#viewEnvironment, () => {
      this.#viewCount--;
      if (this.#viewCount === 0) this.#onNoView?.();
    });
  }

  async #defragment(): Promise<void> {
    const copy = this.#copyPath();
    try {
      await this.#quiet();
      if (this.#failure !== undefined) throw this.#failure;
      rmSync(copy, { force: true });
      await this.#asked({ kind: "copy", path: copy });
      await this.#asked({ kind: "release" });
      const closing = Promise.all([this.#viewEnvironment.close(), this.#environment.close()]);
      try {
        renameSync(copy, `${this.#directory}/${dataFile}`);
        syncFolder(this.#directory);
      } finally {
        // In one turn with the closing: no read comes in between.
        this.#environment = new Environment(this.#environmentOptions);
        this.#viewEnvironment = new Environment(this.#environmentOptions);
      }
      await closing;
      await this.#asked({ kind: "acquire" });
    } catch (error) {
      rmSync(copy, { force: true });
      throw error;
    } finally {
      this.#paused = false;
      this.#send();
    }
  }

  /** Resolves when no view is open, nothing is under way, and nothing is sent any more but by ourselves. */
  async #quiet(): Promise<void> {
    for (;;) {
      if (this.#viewCount > 0) {
        await new Promise<void>((resolve) => {
          this.#onNoView = resolve;
        });
        this.#onNoView = undefined;
      }
      this.#paused = true;
      await this.#idle();
      if (this.#viewCount === 0) return;
      // The last commit opened a view that had been asked for before us: it goes first.
      this.#paused = false;
      this.#send();
    }
  }

  /** Resolves when no request is under way. */
  async #idle(): Promise<void> {
    while (this.#onAnswer !== undefined) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
      this.#onIdle = undefined;
    }
  }

  async #close(): Promise<void> {
    await this.#defragmenting?.catch(() => {});
    if (this.#failure === undefined) {
      const batch = this.#open;
      this.#open = new Batch(this.#pool);
      if (batch.count > 0) {
        this.#queue.push(batch);
        this.#send();
      }
      await this.#idle();
    }
    // The writer lets go of the environment by itself: a thread that is ended while it opens or commits
    // could leave the process with a handle that nobody closes.
    if (this.#writer !== undefined) {
      if (!this.#writerDied) await this.#asked({ kind: "release" });
      await this.#writer.terminate();
    }
    this.#file?.close();
    this.#file = null;
    await this.#viewEnvironment.close();
    await this.#environment.close();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #copyPath(): string {
    return `${this.#directory}/${dataFile}.copy`;
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
