// The writing thread. It carries out one request after the other; see `messages.ts`.
//
// LMDB is synchronous: a commit holds its thread for the time of the B+ tree work and two syncs. Here that
// harms nobody. (lmdb-js's own asynchronous writes do the tree work on a thread too, but encoding them costs
// the main thread 0.6 to 1.8 us each, and a transaction must be handed over in one turn: 50 ms for
// 10,000 puts, where packed chunks take 0.15 us each, at the time of the put.)

import { closeSync, fsyncSync, openSync, statfsSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { type Bytes, compareBytes, copyBytes, present } from "@etcd-ts/base";
import { Environment, type Sizes, type Store } from "./environment.ts";
import { changeGroup, groupKey, groupKeyBytes, restOfKey } from "./long-keys.ts";
import type { Answer, Request, WriterData } from "./messages.ts";
import { type PackedChunk, unpack } from "./packed-batch.ts";

const port = present(parentPort, "the main thread");
const { environment: options, ascending } = workerData as WriterData;
/** Below this much free space a failed write is explained by a full disk; LMDB only says EIO. */
const fullBelowBytes = 1 << 20;

let environment: Environment | undefined = new Environment(options);
/** Last key of the ascending database, or a later one: puts behind it may be appended. */
let lastKey: Bytes | undefined = environment.store(ascending).lastKey();

port.on("message", (request: Request) => {
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
      } satisfies Answer);
    },
  );
});

async function carryOut(request: Request): Promise<Answer> {
  switch (request.kind) {
    case "commit":
      commit(current(), request.chunks);
      return done(current().sizes(), request.chunks);
    case "copy": {
      await current().copyTo(request.path);
      const file = openSync(request.path, "r+");
      try {
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      return done(current().sizes());
    }
    case "release": {
      const closing = current().close();
      environment = undefined;
      await closing;
      return done({ allocatedBytes: 0, inUseBytes: 0 });
    }
    case "acquire":
      environment = new Environment(options);
      lastKey = environment.store(ascending).lastKey();
      return done(environment.sizes());
  }
}

function commit(target: Environment, chunks: readonly PackedChunk[]): void {
  if (chunks.length === 0) return;
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

function isFull(): boolean {
  try {
    const space = statfsSync(options.directory);
    return space.bavail * space.bsize < fullBelowBytes;
  } catch {
    // The folder is gone or unreadable, which is not a full disk either.
    return false;
  }
}
