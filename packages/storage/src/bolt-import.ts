// Between bbolt files and backends, and files.

import { type Bytes, copyBytes, type Disk } from "@etcd-ts/base";
import { type Backend, type BackendReader, bucketNames } from "@etcd-ts/machine";
import type { BoltFile } from "./bolt-reader.ts";
import { writeBoltFile } from "./bolt-writer.ts";
import { promised } from "./paths.ts";

const batchBytes = 4 << 20;

/**
 * Puts everything of the ten buckets into an empty backend and commits it in pieces; other buckets are left
 * out. After a failure the backend holds a part: throw it away. Rejects with `CorruptionError` and with what
 * the backend's commits fail with.
 */
export async function importBolt(
  bolt: BoltFile,
  backend: Backend,
  pause: () => Promise<void>,
): Promise<void> {
  const breathe = async (): Promise<void> => {
    if (backend.pendingBytes >= batchBytes) await committed(backend);
    else await pause();
  };
  for (const bucket of bucketNames) {
    await bolt.scan(
      bucket,
      (key, value) => backend.put(bucket, copyBytes(key), copyBytes(value)),
      breathe,
    );
  }
  await committed(backend);
}

/** Writes a view as a bbolt file, which must not exist, and makes its contents durable. Returns its length. */
export async function saveBoltFile(
  disk: Disk,
  path: string,
  view: BackendReader,
  pause: () => Promise<void>,
): Promise<number> {
  const file = await disk.open(path, "create");
  let position = 0;
  try {
    await writeBoltFile(view, {
      begin: () => {},
      write: async (chunk: Bytes) => {
        await promised((done) => file.write(position, [chunk], done));
        position += chunk.length;
      },
      pause,
    });
    await promised((done) => file.sync(done));
  } finally {
    await file.close();
  }
  return position;
}

function committed(backend: Backend): Promise<void> {
  return promised((done) => backend.commit(done));
}
