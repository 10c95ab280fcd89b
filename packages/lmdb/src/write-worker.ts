// The writing thread. It carries out one request after the other; see `messages.ts`.
//
// LMDB is synchronous: a commit holds its thread for the time of the B+ tree work and two syncs. Here that
// harms nobody. (lmdb-js's own asynchronous writes do the tree work on a thread too, but encoding them costs
// the main thread 0.6 to 1.8 us each, and a transaction must be handed over in one turn: 50 ms for
// 10,000 puts, where packed chunks take 0.15 us each, at the time of the put.)

import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
} from "node:fs";
import { basename } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { type Bytes, compareBytes, copyBytes, present } from "@etcd-ts/base";
import { dataFile, Environment, type Sizes, type Store } from "./environment.ts";
import { changeGroup, groupKey, groupKeyBytes, restOfKey } from "./long-keys.ts";
import type { Answer, Request, WriterData } from "./messages.ts";
import { NewContent } from "./new-content.ts";
import { type PackedChunk, unpack } from "./packed-batch.ts";

const port = present(parentPort, "the main thread");
const { environment: options, ascending } = workerData as WriterData;
/** Below this much free space a failed write is explained by a full disk; LMDB only says EIO. */
const fullBelowBytes = 1 << 20;

let environment: Environment | undefined = new Environment(options);
/** Last key of the ascending database, or a later one: puts behind it may be appended. */
let lastKey: Bytes | undefined = environment.store(ascending).lastKey();
/** Known of the present file. */
let hasFreePages = false;
let newContent: NewContent | undefined;
/** Of files that were replaced, oldest first, while the main thread reads them. */
const oldEnvironments: Environment[] = [];
/** The file was replaced, and the new one is not opened yet. */
let isBetweenFiles = false;

port.on("message", (request: Request) => {
  if (request.kind === "drop") {
    // A failure is one of this thread, which the main thread is told of.
    void oldEnvironments.shift()?.close();
    return;
  }
  carryOut(request).then(
    (answer) => {
      const moved = answer.kind === "done" ? answer.chunks.map((chunk) => chunk.buffer) : [];
      port.postMessage(answer, moved);
    },
    (error: unknown) => {
      port.postMessage({
        kind: "failed",
        message: error instanceof Error ? error.message : String(error),
        noSpace: isFull(),
        isFinal: isBetweenFiles,
      } satisfies Answer);
    },
  );
});

async function carryOut(request: Exclude<Request, { kind: "drop" }>): Promise<Answer> {
  switch (request.kind) {
    case "commit":
      refuseWhenFull(current(), request.chunks);
      commit(current(), request.chunks);
      return done(current().sizes(), request.chunks);
    case "copy": {
      await current().copyTo(request.path);
      await firstFreePages(request.path);
      const file = openSync(request.path, "r+");
      try {
        fchmodSync(file, 0o600);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      return done(current().sizes());
    }
    case "release": {
      for (const old of oldEnvironments.splice(0)) await old.close();
      const closing = current().close();
      environment = undefined;
      await closing;
      return done({ allocatedBytes: 0, inUseBytes: 0 });
    }
    case "swap":
      swap(request.path);
      return done(current().sizes());
    case "fill-begin":
      newContent = new NewContent(options);
      return done(current().sizes());
    case "fill":
      refuseWhenFull(undefined, request.chunks);
      present(newContent, "new content").put(request.chunks);
      return done(current().sizes(), request.chunks);
    case "fill-finish":
      await present(newContent, "new content").finish();
      newContent = undefined;
      return done(current().sizes());
    case "fill-abort":
      await newContent?.abort(options.directory);
      newContent = undefined;
      return done(current().sizes());
  }
}

/**
 * The old file lives on without a name as long as somebody has it open. Its lock file must not be the new one's, as it
 * tells which of the two meta pages is the present one; one that a crash leaves here is made anew by the next who opens.
 */
function swap(path: string): void {
  const dataPath = `${options.directory}/${dataFile}`;
  renameSync(path, dataPath);
  isBetweenFiles = true;
  rmSync(`${dataPath}-lock`, { force: true });
  syncFolder(options.directory);
  oldEnvironments.push(current());
  environment = new Environment(options);
  lastKey = environment.store(ascending).lastKey();
  hasFreePages = false;
  isBetweenFiles = false;
}

/** See `Environment.ensureFreePages`. */
async function firstFreePages(path: string): Promise<void> {
  const copy = new Environment({ ...options, file: basename(path), noSync: true });
  copy.ensureFreePages();
  await copy.close();
  rmSync(`${path}-lock`, { force: true });
}

function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function commit(target: Environment, chunks: readonly PackedChunk[]): void {
  if (chunks.length === 0) return;
  if (!hasFreePages) {
    target.ensureFreePages();
    hasFreePages = true;
  }
  target.transaction(() => {
    for (const chunk of chunks) {
      unpack(chunk, (bucket, key, value) => change(target.store(bucket), bucket, key, value));
    }
  });
  // The key is a view of a chunk, which is about to go.
  if (lastKey !== undefined) lastKey = copyBytes(lastKey);
}

function change(store: Store, bucket: number, key: Bytes, value: Bytes | undefined): void {
  if (key.length >= groupKeyBytes) {
    const row = groupKey(key);
    const group = changeGroup(store.get(row), restOfKey(key), value);
    if (group === undefined) store.remove(row);
    else store.put(row, group);
  } else if (value === undefined) {
    store.remove(key);
  } else if (bucket !== ascending) {
    store.put(key, value);
  } else if (lastKey === undefined || compareBytes(key, lastKey) > 0) {
    store.append(key, value);
    lastKey = key;
  } else {
    store.put(key, value);
  }
}

function current(): Environment {
  return present(environment, "the environment");
}

function done(sizes: Sizes, chunks: readonly PackedChunk[] = []): Answer {
  return { kind: "done", chunks, sizes };
}

/**
 * Does not begin what cannot end: LMDB writes lines of its own on standard error when the disk is full. A transaction
 * writes each page that it touches, to free pages of the file first.
 */
function refuseWhenFull(target: Environment | undefined, chunks: readonly PackedChunk[]): void {
  const free = freeBytes();
  if (free >= fullBelowBytes) return;
  let needed = 0;
  for (const chunk of chunks) needed += chunk.length;
  const sizes = target?.sizes() ?? { allocatedBytes: 0, inUseBytes: 0 };
  if (needed > free + sizes.allocatedBytes - sizes.inUseBytes) throw new Error("no space left");
}

function isFull(): boolean {
  return freeBytes() < fullBelowBytes;
}

/** On the disk; infinite when that cannot be told. */
function freeBytes(): number {
  try {
    const space = statfsSync(options.directory);
    return space.bavail * space.bsize;
  } catch {
    // The folder is gone or unreadable, which is not a full disk either.
    return Number.POSITIVE_INFINITY;
  }
}
