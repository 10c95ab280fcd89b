// Reads a bbolt file as a database of etcd, and trusts nothing: the file's structure (`BoltFile`), and that what stands in
// the buckets is what a machine could open. All of it is looked at before anybody lets go of what there was before.
//
// Records of `key` and `lease` are checked one by one. The other buckets that say something about a member (alarms,
// members, versions, where the database stands) are small: they are put into a machine in memory, which reads them as it
// will read them later.

import {
  type Bytes,
  bytesToHex,
  CorruptionError,
  compareBytes,
  type Disk,
  type Timers,
} from "@etcd-ts/base";
import {
  type BucketName,
  bucketNames,
  checkLeaseRecord,
  isRevisionKey,
  KvFields,
  MachineOpening,
} from "@etcd-ts/machine";
import { BoltFile, MemoryBackend } from "@etcd-ts/storage";

/** Where a database stands. */
export interface DatabasePosition {
  /** Index of the last log entry that was applied. */
  readonly appliedIndex: number;
  /** Its term; 0 in a database of etcd 3.4, which does not say. */
  readonly appliedTerm: number;
  /** Main revision of the last record in bucket `key`, 0 when there is none. */
  readonly lastRevision: number;
}

export type VisitRecord = (bucket: BucketName, key: Bytes, value: Bytes) => void;

const smallBuckets: readonly BucketName[] = [
  "alarm",
  "cluster",
  "members",
  "members_removed",
  "meta",
];
const smallBytesMax = 64 << 20;

/** Only a machine's own reads touch this backend: nothing is ever committed. */
const noTimers: Timers = {
  after: () => {
    throw new Error("a backend that is only read needs no timer");
  },
  soon: () => {
    throw new Error("a backend that is only read needs no timer");
  },
};

export class DatabaseContent {
  readonly #path: string;
  readonly #database: BoltFile;

  private constructor(path: string, database: BoltFile) {
    this.#path = path;
    this.#database = database;
  }

  /**
   * Opens a file for the time of `use`. `bytes`: length of the database, when something follows it in the file.
   * What is damaged rejects with a `CorruptionError` that names the file and, of the structure, the page.
   */
  static async use<T>(
    disk: Disk,
    path: string,
    bytes: number | undefined,
    use: (content: DatabaseContent) => Promise<T>,
  ): Promise<T> {
    const file = await disk.open(path, "read");
    try {
      const database = await BoltFile.open(file, bytes);
      for (const bucket of ["key", "meta"]) {
        if (!database.buckets.includes(bucket)) {
          throw new CorruptionError(path, 0, `no database of etcd: there is no bucket "${bucket}"`);
        }
      }
      return await use(new DatabaseContent(path, database));
    } finally {
      await file.close();
    }
  }

  /** Length of the database in the file. */
  get bytes(): number {
    return this.#database.bytes;
  }

  /**
   * Visits everything in the ten buckets, bucket by bucket in their order, keys ascending; the arrays are only valid during
   * the call. `pause` comes after every 64 KiB or so. What was visited counts only once this resolves.
   */
  async read(visit: VisitRecord, pause: () => Promise<void>): Promise<DatabasePosition> {
    const small = new MemoryBackend({ timers: noTimers });
    let smallBytes = 0;
    let lastRevision = 0;
    const fields = new KvFields();
    for (const bucket of bucketNames) {
      const isSmall = smallBuckets.includes(bucket);
      await this.#scan(
        bucket,
        (key, value) => {
          if (bucket === "key") lastRevision = this.#checkRevision(fields, key, value);
          else if (bucket === "lease") {
            this.#named(bucket, key, () => checkLeaseRecord(key, value));
          } else if (isSmall) {
            smallBytes += key.length + value.length;
            if (smallBytes > smallBytesMax) throw this.#damaged(bucket, key, "too much of it");
            small.put(bucket, new Uint8Array(key), new Uint8Array(value));
          }
          visit(bucket, key, value);
        },
        pause,
      );
    }
    const { appliedIndex, appliedTerm } = this.#openSmall(small);
    return { appliedIndex, appliedTerm, lastRevision };
  }

  /** For buckets that are small. */
  async has(bucket: BucketName, key: Bytes): Promise<boolean> {
    let isThere = false;
    await this.#scan(
      bucket,
      (other) => {
        if (compareBytes(other, key) === 0) isThere = true;
      },
      () => Promise.resolve(),
    );
    return isThere;
  }

  async #scan(
    bucket: BucketName,
    visit: (key: Bytes, value: Bytes) => void,
    pause: () => Promise<void>,
  ): Promise<void> {
    try {
      await this.#database.scan(bucket, visit, pause);
    } catch (error) {
      throw this.#withPage(error, bucket);
    }
  }

  /** The structure's errors say where in the file; administrators know pages. */
  #withPage(error: unknown, bucket: string): unknown {
    if (!(error instanceof CorruptionError) || error.file !== this.#path) return error;
    const { pageSize } = this.#database;
    if (error.position === 0 || error.position % pageSize !== 0) return error;
    const what = error.message.slice(error.message.indexOf(": offset "));
    const detail = what.slice(what.indexOf(": ", 2) + 2);
    return new CorruptionError(
      this.#path,
      error.position,
      `page ${error.position / pageSize} (bucket "${bucket}"): ${detail}`,
      { cause: error },
    );
  }

  /** The main revision. */
  #checkRevision(fields: KvFields, key: Bytes, value: Bytes): number {
    if (!isRevisionKey(key)) throw this.#damaged("key", key, "no revision");
    this.#named("key", key, () => fields.read(value));
    return mainRevision(key);
  }

  #openSmall(small: MemoryBackend): { appliedIndex: number; appliedTerm: number } {
    try {
      const opening = new MachineOpening({ backend: small });
      while (!opening.step(1024));
      return opening.machine;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      throw new CorruptionError(this.#path, 0, error.message, { cause: error });
    }
  }

  #named(bucket: BucketName, key: Bytes, check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      throw this.#damaged(bucket, key, error.message, error);
    }
  }

  #damaged(bucket: BucketName, key: Bytes, what: string, cause?: Error): CorruptionError {
    const name = bytesToHex(key.length > 40 ? key.subarray(0, 40) : key);
    const text = `bucket "${bucket}", key ${name}: ${what}`;
    return new CorruptionError(this.#path, 0, text, cause === undefined ? {} : { cause });
  }
}

/** Of a key in the bucket `key`. */
export function mainRevision(key: Bytes): number {
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  return view.getUint32(0) * 2 ** 32 + view.getUint32(4);
}
