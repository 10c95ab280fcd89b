// Opening the LMDB environment, the same way on the main thread (which reads) and on the writing thread.
//
// lmdb-js copies each key and value that it hands out into arrays of its own. Its codecs are replaced here
// by ones that hand out where the bytes stand in its fixed buffers instead: a scan then takes 0.35 us an item
// (where its own binary codecs take 1.9), a read 1.9 us (where `getBinary` takes 3.1). What is handed out
// is overwritten by the next read, which the `Backend` contract allows.
//
// This module is also loaded by the writing thread, so it must not pull in the machine: which databases there
// are is an argument.
//
// Options that were tried and left: `overlappingSync` and `separateFlushed` (commits are synced before they
// count, so there is nothing to overlap), `noReadAhead` (no difference while the file is in the page
// cache; slower scans when it is not), `noMemInit` (3 % faster, but puts freed memory of the process
// into the file), larger `pageSize` (each small commit then writes more).

import { mkdirSync } from "node:fs";
import { assert, type Bytes, copyBytes } from "@etcd-ts/base";
import { type Database, open, type RootDatabase, type Transaction } from "lmdb";

export type { Transaction } from "lmdb";

export const dataFile = "data.mdb";

/** Address space to begin with; LMDB takes more when the file grows beyond it. Costs no memory. */
const defaultMapBytes = 16 * 2 ** 30;

/** Where lmdb-js has put the key of the last item of a range. */
let keyStart = 0;
let keyEnd = 0;

const rawKeys = {
  writeKey(key: Bytes, target: Bytes, start: number): number {
    target.set(key, start);
    return start + key.length;
  },
  readKey(target: Bytes, start: number, end: number): Bytes {
    keyStart = start;
    keyEnd = end;
    return target;
  },
};

const rawValues = {
  encode: (value: Bytes): Bytes => value,
  decode: (value: Bytes): Bytes => value,
};

const storeOptions = {
  keyEncoder: rawKeys,
  encoder: rawValues,
  useVersions: false,
} as const;

/** With what lmdb-js's declarations leave out. */
interface RawDatabase extends Omit<Database<Bytes, Bytes>, "getBinaryFast" | "putSync"> {
  readonly lastSize: number;
  getBinaryFast(key: Bytes, options?: { transaction: Transaction }): Bytes | undefined;
  putSync(key: Bytes, value: Bytes, options?: { append: true }): boolean;
}

interface RangeOptions {
  readonly start: Bytes;
  readonly end?: Bytes;
  readonly transaction?: Transaction;
}

interface RawIterator {
  next(): { readonly done?: boolean; readonly value: { key: Bytes; value: Bytes } };
  return(): unknown;
}

interface Stats {
  readonly pageSize: number;
  readonly entryCount: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

interface EnvironmentStats extends Stats {
  readonly lastPageNumber: number;
  readonly root: Stats;
  readonly free: Stats;
}

export interface EnvironmentOptions {
  readonly directory: string;
  readonly databases: readonly string[];
  readonly mapBytes?: number;
  /** Default `dataFile`. */
  readonly file?: string;
  /** Commits are not synced: for a file that counts only when it was synced as a whole. */
  readonly noSync?: boolean;
}

export interface Sizes {
  readonly allocatedBytes: number;
  readonly inUseBytes: number;
}

const lowestKey: Bytes = Uint8Array.of(0);

/** One bucket: an LMDB database of its own. Keys are 1 to 1,978 bytes. */
export class Store {
  readonly #database: RawDatabase;

  constructor(database: RawDatabase) {
    this.#database = database;
  }

  /** Overwritten by the next read of any store of this thread. */
  get(key: Bytes, transaction?: Transaction): Bytes | undefined {
    const found = this.#database.getBinaryFast(
      key,
      transaction === undefined ? undefined : { transaction },
    );
    if (found === undefined) return undefined;
    // Its `length` is a property of lmdb-js's own, which native functions do not know.
    return view(found, 0, this.#database.lastSize);
  }

  /** `end` is exclusive. */
  range(start: Bytes, end: Bytes | undefined, transaction?: Transaction): StoreCursor {
    const options: RangeOptions = {
      start: start.length === 0 ? lowestKey : start,
      ...(end === undefined ? {} : { end }),
      ...(transaction === undefined ? {} : { transaction }),
    };
    const range = this.#database.getRange(options as never) as unknown as {
      iterate(): RawIterator;
    };
    return new StoreCursor(range.iterate(), this.#database);
  }

  /** Inside of `Environment.transaction`, like everything that changes something. */
  put(key: Bytes, value: Bytes): void {
    assert(this.#database.putSync(key, value), "LMDB takes a put");
  }

  /** Only when `key` sorts behind all there are: fills pages to the end. */
  append(key: Bytes, value: Bytes): void {
    // LMDB refuses a key out of order, and lmdb-js says so by a result.
    assert(this.#database.putSync(key, value, { append: true }), "LMDB takes an append");
  }

  remove(key: Bytes): void {
    void this.#database.remove(key);
  }

  /** An own copy. */
  lastKey(): Bytes | undefined {
    const keys = this.#database.getKeys({ end: lowestKey, reverse: true, limit: 1 } as never);
    for (const buffer of keys as Iterable<Bytes>) return copyBytes(view(buffer, keyStart, keyEnd));
    return undefined;
  }

  pagesInUse(): number {
    return pages(this.#database.getStats() as Stats);
  }
}

/** Walks a range. `key` and `value` are overwritten by the next step. */
export class StoreCursor {
  readonly #iterator: RawIterator;
  readonly #database: RawDatabase;
  key: Bytes = lowestKey;
  value: Bytes = lowestKey;

  constructor(iterator: RawIterator, database: RawDatabase) {
    this.#iterator = iterator;
    this.#database = database;
  }

  /** False at the end, where the cursor is closed. */
  next(): boolean {
    const step = this.#iterator.next();
    if (step.done === true) return false;
    this.key = view(step.value.key, keyStart, keyEnd);
    this.value = view(step.value.value, 0, this.#database.lastSize);
    return true;
  }

  /** To be called when the end was not reached. */
  close(): void {
    this.#iterator.return();
  }
}

export class Environment {
  readonly #root: RootDatabase<Bytes, Bytes>;
  readonly #stores: readonly Store[];

  /** Makes the folder and the databases that are missing. */
  constructor(options: EnvironmentOptions) {
    const { directory, databases } = options;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#root = open<Bytes, Bytes>({
      ...storeOptions,
      path: `${directory}/${options.file ?? dataFile}`,
      mapSize: options.mapBytes ?? defaultMapBytes,
      maxDbs: databases.length,
      overlappingSync: false,
      noSync: options.noSync ?? false,
      permissionsMode: 0o600,
    } as never);
    const stores: Store[] = [];
    // One transaction for all, which syncs only when a bucket is new.
    this.transaction(() => {
      for (const name of databases) {
        stores.push(
          new Store(this.#root.openDB(name, storeOptions as never) as unknown as RawDatabase),
        );
      }
    });
    this.#stores = stores;
  }

  /** By its place in `databases`. */
  store(number: number): Store {
    const store = this.#stores[number];
    assert(store !== undefined, "a database has a number");
    return store;
  }

  /** Runs `change` and commits it durably; throws what LMDB says when that fails. */
  transaction(change: () => void): void {
    // 2: not a nested one; committed and synced when the call returns.
    this.#root.transactionSync(() => {
      change();
    }, 2);
  }

  /**
   * A file without any free pages is dangerous: a transaction that frees some hundreds of pages needs pages for their list
   * while the list is still empty, and LMDB's search for those ends in a failed assertion, which ends the process.
   * (lmdb-js 3.5.6; `defragment-churn.test.ts`.) A compact copy is such a file. A transaction that changes nothing leaves
   * the pages that it rewrote.
   */
  ensureFreePages(): void {
    if ((this.#root.getStats() as EnvironmentStats).free.entryCount > 0) return;
    const [store] = this.#stores;
    assert(store !== undefined, "there are databases");
    this.transaction(() => {
      store.put(lowestKey, lowestKey);
      store.remove(lowestKey);
    });
    const { free } = this.#root.getStats() as EnvironmentStats;
    assert(free.entryCount > 0, "rewritten pages are free");
  }

  /** Reads see what was committed up to now. */
  refresh(): void {
    this.#root.resetReadTxn();
  }

  /** A lasting view of what is committed; `done` releases it. */
  beginRead(): Transaction {
    this.refresh();
    return this.#root.useReadTransaction();
  }

  sizes(): Sizes {
    const stats = this.#root.getStats() as EnvironmentStats;
    let inUse = 2 + pages(stats.root) + pages(stats.free);
    for (const store of this.#stores) inUse += store.pagesInUse();
    return {
      allocatedBytes: (stats.lastPageNumber + 1) * stats.pageSize,
      inUseBytes: inUse * stats.pageSize,
    };
  }

  /** A copy without free pages, made in the background. Not synced. */
  copyTo(path: string): Promise<void> {
    return this.#root.backup(path, true);
  }

  /** Has happened when the call returns; the promise only reports. */
  async close(): Promise<void> {
    const closing = this.#root.close();
    // Nothing is ever written but in transactions that ended inside their call.
    assert((this.#root as unknown as { status: string }).status === "closed", "nothing is pending");
    await closing;
  }
}

function pages(stats: Stats): number {
  return stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
}

function view(bytes: Bytes, start: number, end: number): Bytes {
  return bytes.subarray(start, end);
}
