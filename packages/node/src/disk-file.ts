// One open file. Its operations stand in a queue and run one at a time on libuv's thread pool, so they
// take effect and call back in the order of the calls.
//
// A write with a sync right behind it, as the log asks for them, is one trip to the pool instead of two: it
// goes through a second descriptor of the same file, opened with O_DSYNC, whose writes return when they are
// durable. That covers the range of that write alone, so it is only done while everything before has
// been synced:
//
//      write, sync ──┬─ nothing unsynced before ──► write with O_DSYNC
//                    └─ otherwise, or not Linux ──► write, fdatasync
//
// Writing on the main thread would save a little more, and stall the loop when the kernel throttles writers.
//
// `preallocate` writes zeros, since a file system that merely reserves (fallocate, which Node does not have
// either) would turn the extents from unwritten to written at each sync: a journal commit on top of the
// data. It goes in chunks, and the file's reads, writes and syncs run between them, so a log can already
// write to its first segment while the rest of it is being filled:
//
//      0 ........ written ........ from ------ zeros to come ------ to
//                                   └─ a write up to here may go first; one beyond waits for the zeros
//
// A sync would pay for all zeros that are still in the page cache, so the filling syncs them by itself
// every few chunks.

import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstat,
  ftruncate,
  openSync,
  read,
  write,
  writev,
} from "node:fs";
import {
  allocateBytes,
  type Bytes,
  type DiskDone,
  type DiskError,
  type DiskFile,
} from "@etcd-ts/base";
import { diskError } from "./system-errors.ts";

const zeroChunkBytes = 256 << 10;
const zeroBytesPerSync = 4 << 20;
let zeros: Bytes | undefined;

type Finished = (error: Error | null | undefined) => void;

interface Operation {
  readonly kind: "write" | "sync" | "other";
  /** May run while zeros are missing from this position on. -1: always; Infinity: only without filling. */
  readonly position: number;
  run(finished: Finished): void;
  done(error: Error | undefined): void;
  /** Of a write. */
  readonly parts: readonly Bytes[];
}

const noParts: readonly Bytes[] = [];
/** Elsewhere O_DSYNC may promise less than fdatasync does, or a file cannot be opened by its descriptor. */
const canWriteDurably = process.platform === "linux";

interface Filling {
  from: number;
  readonly to: number;
  unsyncedBytes: number;
  readonly done: DiskDone;
}

export class NodeDiskFile implements DiskFile {
  readonly path: string;
  readonly #fd: number;
  readonly #queue: Operation[] = [];
  /** With O_DSYNC, once it was needed; -1 when it cannot be had. */
  #durableFd: number | undefined;
  /** Something was written, perhaps before this file was opened, that only a sync of all makes durable. */
  #unsynced = true;
  /**
   * The first failure of a sync. The kernel reports it once and forgets the pages, so no later sync of this
   * file may say that all is well.
   */
  #syncFailure: Error | undefined;
  #running = false;
  #closing: Promise<void> | undefined;
  #filling: Filling | undefined;
  /** The filling takes turns with the queue. */
  #fillNext = false;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  size(): Promise<number> {
    let bytes = 0;
    return this.#promise(
      "stat",
      Number.POSITIVE_INFINITY,
      (finished) =>
        fstat(this.#fd, (error, stats) => {
          if (!error) bytes = stats.size;
          finished(error);
        }),
      () => bytes,
    );
  }

  read(position: number, length: number): Promise<Bytes> {
    const target = allocateBytes(length);
    let got = 0;
    const readOn = (finished: Finished): void => {
      read(this.#fd, target, got, length - got, position + got, (error, count) => {
        if (error) return finished(error);
        got += count;
        if (count === 0 || got === length) finished(undefined);
        else readOn(finished);
      });
    };
    return this.#promise("read", position + length, readOn, () =>
      got === length ? target : target.subarray(0, got),
    );
  }

  write(position: number, parts: readonly Bytes[], done: DiskDone): void {
    const run = (finished: Finished): void => {
      this.#unsynced = true;
      this.#writeAll(this.#fd, position, parts, finished);
    };
    this.#enqueue("write", done, position, run, "write", parts);
  }

  sync(done: DiskDone): void {
    const run = (finished: Finished): void =>
      this.#fdatasync((error) => {
        if (!error) this.#unsynced = false;
        finished(error);
      });
    this.#enqueue("fdatasync", done, -1, run, "sync");
  }

  truncate(bytes: number): Promise<void> {
    return this.#promise(
      "truncate",
      Number.POSITIVE_INFINITY,
      (finished) => {
        this.#unsynced = true;
        ftruncate(this.#fd, bytes, finished);
      },
      () => undefined,
    );
  }

  preallocate(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const done: DiskDone = (error) => (error === undefined ? resolve() : reject(error));
      let filled = false;
      this.#enqueue(
        "preallocate",
        (error) => {
          if (error !== undefined || !filled) done(error);
        },
        Number.POSITIVE_INFINITY,
        (finished) =>
          fstat(this.#fd, (error, stats) => {
            if (!error && stats.size < bytes) {
              filled = true;
              this.#filling = { from: stats.size, to: bytes, unsyncedBytes: 0, done };
            }
            finished(error);
          }),
      );
    });
  }

  close(): Promise<void> {
    // The operations that were asked for before still run.
    this.#closing ??= this.#promise(
      "close",
      Number.POSITIVE_INFINITY,
      (finished) => {
        if (this.#durableFd !== undefined && this.#durableFd >= 0) closeSync(this.#durableFd);
        close(this.#fd, finished);
      },
      () => undefined,
    );
    return this.#closing;
  }

  #promise<T>(
    operation: string,
    position: number,
    run: (finished: Finished) => void,
    result: () => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const done: DiskDone = (error) => (error === undefined ? resolve(result()) : reject(error));
      this.#enqueue(operation, done, position, run);
    });
  }

  #enqueue(
    operation: string,
    done: DiskDone,
    position: number,
    run: (finished: Finished) => void,
    kind: Operation["kind"] = "other",
    parts: readonly Bytes[] = noParts,
  ): void {
    const wrapped: DiskDone = (error) =>
      done(error === undefined ? undefined : diskError(operation, this.path, error));
    const closed = this.#closing !== undefined;
    this.#queue.push(
      closed
        ? { kind: "other", position, run: refuse, done: wrapped, parts: noParts }
        : { kind, position, run, done: wrapped, parts },
    );
    if (!this.#running) {
      // From the event loop, so that no callback comes before the caller has returned.
      this.#running = true;
      process.nextTick(this.#next);
    }
  }

  /** Runs the next operation or the next piece of the filling. */
  readonly #next = (): void => {
    const filling = this.#filling;
    const head = this.#queue[0];
    if (filling !== undefined) {
      if (head === undefined || this.#fillNext || head.position > filling.from) {
        this.#fillNext = false;
        this.#fill(filling);
        return;
      }
      this.#fillNext = true;
    }
    if (head === undefined) {
      this.#running = false;
      return;
    }
    this.#queue.shift();
    const mayJoin = !this.#unsynced && this.#syncFailure === undefined;
    if (head.kind === "write" && mayJoin && this.#queue[0]?.kind === "sync") {
      const fd = this.#openDurable();
      if (fd >= 0) {
        this.#writeDurably(fd, head, this.#queue.shift() as Operation);
        return;
      }
    }
    head.run((error) => {
      // What the callback asks for stands behind what was queued before.
      head.done(error ?? undefined);
      this.#next();
    });
  };

  #writeDurably(fd: number, head: Operation, sync: Operation): void {
    // Until it has succeeded, nobody knows how much of it is on the disk.
    this.#unsynced = true;
    this.#writeAll(fd, head.position, head.parts, (error) => {
      if (error) this.#syncFailure ??= error;
      else this.#unsynced = false;
      head.done(error ?? undefined);
      sync.done(error ?? undefined);
      this.#next();
    });
  }

  #fdatasync(finished: Finished): void {
    if (this.#syncFailure !== undefined) {
      process.nextTick(finished, this.#syncFailure);
      return;
    }
    fdatasync(this.#fd, (error) => {
      if (error) this.#syncFailure = error;
      finished(error);
    });
  }

  #openDurable(): number {
    if (this.#durableFd === undefined) {
      this.#durableFd = -1;
      if (canWriteDurably) {
        try {
          // The path may lead elsewhere by now; the descriptor does not.
          const path = `/proc/self/fd/${this.#fd}`;
          this.#durableFd = openSync(path, constants.O_WRONLY | constants.O_DSYNC);
        } catch {
          // No /proc, or no right to open it again: two trips, then.
        }
      }
    }
    return this.#durableFd;
  }

  #fill(filling: Filling): void {
    const proceed: Finished = (error) => {
      if (error) this.#endFilling(filling, diskError("preallocate", this.path, error));
      else if (filling.unsyncedBytes >= zeroBytesPerSync) this.#syncFilling(filling);
      else this.#next();
    };
    const bytes = Math.min(zeroChunkBytes, filling.to - filling.from);
    if (bytes <= 0) {
      if (filling.unsyncedBytes > 0) this.#syncFilling(filling);
      else this.#endFilling(filling, undefined);
      return;
    }
    zeros ??= new Uint8Array(zeroChunkBytes);
    this.#writeAll(this.#fd, filling.from, [zeros.subarray(0, bytes)], (error) => {
      filling.unsyncedBytes += bytes;
      proceed(error);
    });
  }

  #syncFilling(filling: Filling): void {
    filling.unsyncedBytes = 0;
    this.#fdatasync((error) => {
      if (error) this.#endFilling(filling, diskError("preallocate", this.path, error));
      else this.#next();
    });
  }

  #endFilling(filling: Filling, error: DiskError | undefined): void {
    this.#filling = undefined;
    filling.done(error);
    this.#next();
  }

  /** Writes everything; the system may take less than it was given, at its limits or on a full disk. */
  #writeAll(fd: number, position: number, parts: readonly Bytes[], finished: Finished): void {
    let total = 0;
    for (let i = 0; i < parts.length; i++) total += (parts[i] as Bytes).length;
    if (total === 0) {
      process.nextTick(finished, undefined);
      return;
    }
    const written = (error: NodeJS.ErrnoException | null, count: number): void => {
      if (error) {
        finished(error);
        return;
      }
      const filling = this.#filling;
      if (filling !== undefined && position + count > filling.from) filling.from = position + count;
      if (count === total) finished(undefined);
      else if (count === 0) finished(new Error("nothing was written"));
      else this.#writeAll(fd, position + count, partsAfter(parts, count), finished);
    };
    if (parts.length === 1) write(fd, parts[0] as Bytes, 0, total, position, written);
    else writev(fd, parts, position, written);
  }
}

function refuse(finished: Finished): void {
  process.nextTick(finished, new Error("file already closed"));
}

/** What is left of `parts` without their first `count` bytes. */
function partsAfter(parts: readonly Bytes[], count: number): Bytes[] {
  const left: Bytes[] = [];
  let skip = count;
  for (const part of parts) {
    if (skip < part.length) left.push(skip === 0 ? part : part.subarray(skip));
    skip = Math.max(0, skip - part.length);
  }
  return left;
}
