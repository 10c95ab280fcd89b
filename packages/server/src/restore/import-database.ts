// A database in a file, as a leader sends it or an administrator brings it, becomes what a backend holds.

import { CorruptionError, compareBytes, type Disk, utf8ToBytes } from "@etcd-ts/base";
import { type Backend, type ContentSink, encodeMemberContext } from "@etcd-ts/machine";
import { hexId } from "../ids.ts";
import type { V2Membership } from "../v2-store.ts";
import { DatabaseContent, type DatabasePosition } from "./database-content.ts";

export interface ImportOptions {
  /** Called after every 64 KiB or so: lets others run. */
  readonly pause: () => Promise<void>;
  /** Bytes of keys and values so far, of the bytes of the whole database (which holds more than those). */
  readonly onProgress?: (doneBytes: number, databaseBytes: number) => void;
  /**
   * Term of the entry at which the database stands: for one of etcd 3.4, which does not know it. What the
   * database says itself goes first.
   */
  readonly term?: number;
  /** What came with the database from a leader: the truth about members when etcd before 3.6 wrote it. */
  readonly membership?: V2Membership | undefined;
}

const clusterVersionKey = utf8ToBytes("clusterVersion");
const removedMark = utf8ToBytes("removed");
const storageVersionKey = utf8ToBytes("storageVersion");
const termKey = utf8ToBytes("term");

/**
 * Replaces the backend's content by what is in the ten buckets of the bbolt file at `path`; other buckets are left out. Holds
 * 16 MiB of the file and some pieces of 4 MiB, whatever the size of the database. Rejects with `CorruptionError` when the file
 * is damaged, with `DiskError` when it cannot be read or its content not be stored; the backend holds what it held then.
 *
 * Who has a machine on the backend calls `Machine.reload` as soon as this resolves, without another `await` in between.
 */
export async function importDatabase(
  disk: Disk,
  path: string,
  backend: Backend,
  options: ImportOptions,
): Promise<void> {
  // The file is closed before the content changes: who awaits this must get to know of it in that very turn.
  await backend.replaceContent((sink) =>
    DatabaseContent.use(disk, path, undefined, async (content) => {
      const { membership } = options;
      // Since 3.6 a database names the form that it has, and its buckets are the truth.
      const isOverruled =
        membership !== undefined && !(await content.has("meta", storageVersionKey));
      const target = isOverruled ? withoutMembers(sink) : sink;
      const { appliedTerm } = await copyContent(content, target, options);
      if (isOverruled) putMembers(sink, membership);
      if (appliedTerm === 0 && options.term !== undefined) {
        sink.put("meta", termKey, bigEndian64(options.term));
      }
    }),
  );
}

function withoutMembers(sink: ContentSink): ContentSink {
  return {
    put: (bucket, key, value) => {
      const isVersion = bucket === "cluster" && compareBytes(key, clusterVersionKey) === 0;
      if (bucket !== "members" && bucket !== "members_removed" && !isVersion) {
        sink.put(bucket, key, value);
      }
    },
    flush: () => sink.flush(),
  };
}

function putMembers(sink: ContentSink, membership: V2Membership): void {
  const { members, removedIds, clusterVersion } = membership;
  for (const member of members) {
    sink.put("members", utf8ToBytes(hexId(member.id)), encodeMemberContext(member));
  }
  for (const id of removedIds) sink.put("members_removed", utf8ToBytes(hexId(id)), removedMark);
  if (clusterVersion !== "") sink.put("cluster", clusterVersionKey, utf8ToBytes(clusterVersion));
}

/** Puts all of the content into the sink. */
export async function copyContent(
  content: DatabaseContent,
  sink: ContentSink,
  { pause, onProgress }: ImportOptions,
): Promise<DatabasePosition> {
  let doneBytes = 0;
  const position = await content.read(
    (bucket, key, value) => {
      doneBytes += key.length + value.length;
      sink.put(bucket, key, value);
    },
    async () => {
      onProgress?.(doneBytes, content.bytes);
      await sink.flush();
      await pause();
    },
  );
  onProgress?.(doneBytes, content.bytes);
  return position;
}

/**
 * Whether the file at `path` is a whole database that stands at this log index: reads all of it and changes nothing.
 * Rejects with `CorruptionError`, or `DiskError` when it cannot be read.
 */
export async function inspectDatabase(
  disk: Disk,
  path: string,
  expectedIndex: number,
): Promise<void> {
  await DatabaseContent.use(disk, path, undefined, async (content) => {
    const { appliedIndex } = await content.read(
      () => undefined,
      () => Promise.resolve(),
    );
    if (appliedIndex === expectedIndex) return;
    throw new CorruptionError(
      path,
      0,
      `the database stands at index ${appliedIndex}, the snapshot at ${expectedIndex}`,
    );
  });
}

export function bigEndian64(value: number): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigUint64(0, BigInt(value));
  return new Uint8Array(bytes.buffer);
}
