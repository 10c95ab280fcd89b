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
// Defragmenting and replacing the content make a new file beside the old one, and put it in its place:
//
//     commits wait ─► copy, or fill ─► writer: sync, rename, sync the folder ─► main thread: opens the new file ─► go on
//
// The main thread reads the old file up to then, and views of it keep it open as long as they like: it has no name
// any more, and a lock file of its own. The overlay takes the writes of that time, and reads never notice. (After a
// replacement they are dropped: they were made on what is no more.) The writer is the last to close the old file:
// giving back the map of a gigabyte can take a quarter of a second.

import { rmSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { assert, type Bytes, background, DiskError } from "@etcd-ts/base";
import {
  type Backend,
  type BackendView,
  type BucketName,
  bucketNames,
  type ContentSink,
  type Visit,
  type VisitSpans,
} from "@etcd-ts/machine";
import { Batch } from "./batch.ts";
import { bucketNumber, revisionBucket } from "./buckets.ts";
import { ContentFiller } from "./content-filler.ts";
import { checkDataFile, DataFile } from "./data-file.ts";
import { dataFile, Environment, type EnvironmentOptions, type Sizes } from "./environment.ts";
import { ViewHandle } from "./lmdb-view.ts";
import { scanMerged } from "./merged-scan.ts";
import type { Answer, Request, WriterData } from "./messages.ts";
import { newDataFile, removeNewContent } from "./new-content.ts";
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
  #views: ViewHandle;
  /** With open views of files that were replaced; oldest first. */
  readonly #retired: ViewHandle[] = [];
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
  #defragmenting: Promise<void> | undefined;
  #replacing: Promise<void> | undefined;
  /** While true, commits wait. */
  #paused = false;
  #onIdle: (() => void) | undefined;

  /**
   * Opens the store in a folder, which is made when it is missing. Rejects with `CorruptionError` when its file is
   * damaged, as far as that can be seen without reading all of it.
   */
  static async open(directory: string, options: LmdbBackendOptions = {}): Promise<LmdbBackend> {
    return new LmdbBackend(directory, options);
  }

  private constructor(directory: string, options: LmdbBackendOptions) {
    this.#directory = directory;
    this.#environmentOptions = { ...options, directory, databases: bucketNames };
    checkDataFile(`${directory}/${dataFile}`, "key");
    this.#environment = new Environment(this.#environmentOptions);
    this.#views = new ViewHandle(new Environment(this.#environmentOptions));
    // Left by a defragmentation or a replacement that a crash has ended.
    rmSync(this.#copyPath(), { force: true });
    removeNewContent(directory);
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
    while (this.#fileChange !== undefined) await this.#fileChange;
    return await new Promise((resolve, reject) => {
      const begin = (error: Error | undefined): void => {
        if (error !== undefined) reject(error);
        else resolve(this.#views.begin());
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

  async replaceContent(fill: (sink: ContentSink) => Promise<void>): Promise<void> {
    while (this.#fileChange !== undefined) await this.#fileChange;
    // Begins in a moment, when the field is set.
    this.#replacing = Promise.resolve()
      .then(() => this.#replaceContent(fill))
      .finally(() => {
        this.#replacing = undefined;
      });
    await this.#replacing;
  }

  async defragment(): Promise<void> {
    while (this.#replacing !== undefined) await this.#fileChange;
    this.#defragmenting ??= this.#defragment().finally(() => {
      this.#defragmenting = undefined;
    });
    await this.#defragmenting;
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
    if (request.kind === "commit" || request.kind === "release") this.#closeFile();
    const moved = "chunks" in request ? request.chunks.map((chunk) => chunk.buffer) : [];
    this.#writer.postMessage(request, moved);
  }

  #closeFile(): void {
    this.#file?.close();
    this.#file = null;
  }

  #startWriter(): Worker {
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
    if (this.#open.count > 0 || this.#queue.length > 0 || this.#file === null) return undefined;
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
        if (answer.kind === "failed") {
          const error = this.#errorOf(answer);
          if (answer.isFinal) this.#fail(error);
          reject(error);
        } else {
          this.#pool.giveBack(answer.chunks);
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
      onAnswer?.({ kind: "failed", message: error.message, noSpace: false, isFinal: false });
    }
    this.#onIdle?.();
  }

  async #defragment(): Promise<void> {
    await this.#holdCommits(async () => {
      const path = this.#copyPath();
      rmSync(path, { force: true });
      try {
        await this.#asked({ kind: "copy", path });
        await this.#swapFiles(path, () => undefined);
      } catch (error) {
        rmSync(path, { force: true });
        throw error;
      }
    });
  }

  async #replaceContent(fill: (sink: ContentSink) => Promise<void>): Promise<void> {
    // What was put and committed before goes first: views may wait for it.
    if (this.#queue.length > 0) await new Promise<void>((resolve) => this.#whenCommitted(resolve));
    await this.#holdCommits(async () => {
      await this.#asked({ kind: "fill-begin" });
      const filler = new ContentFiller(this.#pool, (chunks) =>
        this.#asked({ kind: "fill", chunks }),
      );
      try {
        await fill(filler);
        await filler.finish();
        await this.#asked({ kind: "fill-finish" });
      } catch (error) {
        await filler.abandon();
        if (this.#failure === undefined) await this.#asked({ kind: "fill-abort" });
        throw error;
      }
      await this.#swapFiles(`${this.#directory}/${newDataFile}`, () => {
        this.#open = new Batch(this.#pool);
        const batches = this.#queue.splice(0);
        for (const batch of batches) for (const done of batch.dones) done(undefined);
      });
    });
  }

  /** Runs `change` while the writing thread does nothing else. */
  async #holdCommits(change: () => Promise<void>): Promise<void> {
    this.#paused = true;
    try {
      await this.#idle();
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#closed !== undefined) throw new Error("the backend is closed");
      await change();
    } finally {
      this.#paused = false;
      this.#send();
    }
  }

  /** Puts a finished file in the place of the present one. `swapped` is called in the turn in which reads change over. */
  async #swapFiles(path: string, swapped: () => void): Promise<void> {
    await this.#asked({ kind: "swap", path });
    const old = { environment: this.#environment, views: this.#views };
    try {
      this.#environment = new Environment(this.#environmentOptions);
      this.#views = new ViewHandle(new Environment(this.#environmentOptions));
    } catch (reason) {
      const error = reason instanceof Error ? reason : new Error(String(reason));
      this.#fail(error);
      throw error;
    }
    // It is read before anything is written again.
    this.#closeFile();
    this.#file = undefined;
    swapped();
    // Not awaited: whoever waits for the new content has to hear of it in this turn.
    background(old.environment.close(), (error) => this.#fail(error));
    this.#retired.push(old.views);
    old.views.whenUnused(() => this.#dropRetired());
  }

  /** Closes the handles of replaced files that nobody uses any more, in the order in which they were replaced. */
  #dropRetired(): void {
    if (this.#closed !== undefined) return;
    while (this.#retired[0]?.count === 0) {
      const views = this.#retired.shift() as ViewHandle;
      background(
        views.close().then(() => this.#writer?.postMessage({ kind: "drop" } satisfies Request)),
        (error) => this.#fail(error),
      );
    }
  }

  /** Calls back when all that is committed now is durable, or lost. */
  #whenCommitted(done: () => void): void {
    const newest = this.#queue[this.#queue.length - 1];
    if (newest === undefined || this.#failure !== undefined) done();
    else newest.dones.push(done);
  }

  /** While the file is being defragmented or replaced: resolves when that ends, however it does. */
  get #fileChange(): Promise<void> | undefined {
    return (this.#replacing ?? this.#defragmenting)?.catch(() => {});
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
    while (this.#fileChange !== undefined) await this.#fileChange;
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
    this.#closeFile();
    for (const views of this.#retired.splice(0)) await views.close();
    await this.#views.close();
    await this.#environment.close();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #copyPath(): string {
    return `${this.#directory}/${dataFile}.copy`;
  }
}
