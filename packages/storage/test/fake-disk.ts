// A disk in memory that forgets: what was not synced is kept, dropped or torn at random by a crash, sector
// by sector for file contents, operation by operation for names. It can stop dead at any operation, and
// fail any operation. Small on purpose; the simulator has the real thing.

import {
  type Bytes,
  type Disk,
  type DiskDone,
  type DiskEntry,
  DiskError,
  type DiskFile,
  type DiskLock,
  type OpenMode,
  type SeededRandom,
} from "@etcd-ts/base";
import { parentFolder } from "../src/paths.ts";

const sectorBytes = 512;

type Change =
  | { readonly kind: "write"; readonly position: number; readonly bytes: Bytes }
  | { readonly kind: "resize"; readonly bytes: number };

interface Inode {
  live: Bytes;
  durable: Bytes;
  /** Since the last sync. */
  changes: Change[];
}

type NameChange =
  | { readonly kind: "link"; readonly path: string; readonly inode: Inode }
  | { readonly kind: "unlink"; readonly path: string };

export class FakeDisk implements Disk {
  readonly #files: Map<string, Inode> = new Map();
  readonly #durableFiles: Map<string, Inode> = new Map();
  readonly #folders: Set<string> = new Set(["/"]);
  /** Gone after a crash. */
  readonly #locks: Set<Inode> = new Set();
  #nameChanges: NameChange[] = [];
  /** Operations so far. */
  operationCount = 0;
  /** The operation with this number is the last: a write or sync may take effect; nothing calls back. */
  stopAt: number = Number.POSITIVE_INFINITY;
  /** Asked before each operation; what it returns is the operation's failure. */
  failWhen: ((operation: string, path: string) => DiskError | undefined) | undefined;

  /** What the machine finds after losing its power now: everything unsynced at the mercy of `random`. */
  afterCrash(random: SeededRandom): FakeDisk {
    const next = new FakeDisk();
    for (const folder of this.#folders) next.#folders.add(folder);
    const names = new Map(this.#durableFiles);
    // Names change in order: a prefix of the changes survives.
    const kept = random.below(this.#nameChanges.length + 1);
    for (const change of this.#nameChanges.slice(0, kept)) {
      if (change.kind === "link") names.set(change.path, change.inode);
      else names.delete(change.path);
    }
    const made: Map<Inode, Inode> = new Map();
    for (const [path, inode] of names) {
      let copy = made.get(inode);
      if (copy === undefined) {
        const bytes = survive(inode, random);
        copy = { live: bytes, durable: bytes.slice(), changes: [] };
        made.set(inode, copy);
      }
      next.#files.set(path, copy);
      next.#durableFiles.set(path, copy);
    }
    return next;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    await this.#operation("open", path);
    let inode = this.#files.get(path);
    if (mode === "create") {
      if (inode !== undefined) throw new DiskError("exists", path, `${path}: file exists`);
      this.#checkFolder(parentFolder(path));
      inode = { live: new Uint8Array(0), durable: new Uint8Array(0), changes: [] };
      this.#link(path, inode);
    }
    if (inode === undefined) throw notFound(path);
    return new FakeFile(this, path, inode);
  }

  async stat(path: string): Promise<DiskEntry | undefined> {
    await this.#operation("stat", path);
    const inode = this.#files.get(path);
    if (inode !== undefined) return { kind: "file", bytes: inode.live.length };
    return this.#folders.has(path) ? { kind: "directory", bytes: 0 } : undefined;
  }

  async list(path: string): Promise<string[]> {
    await this.#operation("list", path);
    this.#checkFolder(path);
    const names: Set<string> = new Set();
    for (const each of [...this.#files.keys(), ...this.#folders]) {
      if (each !== "/" && parentFolder(each) === path)
        names.add(each.slice(each.lastIndexOf("/") + 1));
    }
    return [...names].sort();
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#operation("mkdir", path);
    for (let each = path; each !== "/"; each = parentFolder(each)) this.#folders.add(each);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#operation("rename", from);
    const inode = this.#files.get(from);
    if (inode !== undefined) {
      // One change, as a rename is atomic: the new name first, so that no prefix loses the file.
      this.#link(to, inode);
      this.#unlink(from);
      return;
    }
    this.#checkFolder(from);
    if ([...this.#files.keys()].some((path) => path.startsWith(`${to}/`))) {
      throw new DiskError("exists", to, `${to}: directory not empty`);
    }
    this.#folders.delete(from);
    this.#folders.add(to);
    for (const [path, each] of [...this.#files]) {
      if (!path.startsWith(`${from}/`)) continue;
      this.#link(`${to}${path.slice(from.length)}`, each);
      this.#unlink(path);
    }
  }

  async remove(path: string): Promise<void> {
    await this.#operation("remove", path);
    for (const each of [...this.#files.keys()]) {
      if (each === path || each.startsWith(`${path}/`)) this.#unlink(each);
    }
    this.#folders.delete(path);
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#operation("syncDirectory", path);
    // Like a journalling file system: one sync makes all changes of names up to now durable.
    this.#durableFiles.clear();
    for (const [name, inode] of this.#files) this.#durableFiles.set(name, inode);
    this.#nameChanges = [];
  }

  async lock(path: string): Promise<DiskLock> {
    await this.#operation("lock", path);
    let inode = this.#files.get(path);
    if (inode === undefined) {
      this.#checkFolder(parentFolder(path));
      inode = { live: new Uint8Array(0), durable: new Uint8Array(0), changes: [] };
      this.#link(path, inode);
    }
    const locked = inode;
    if (this.#locks.has(locked)) throw new DiskError("locked", path, `${path} is locked`);
    this.#locks.add(locked);
    let isHeld = true;
    return {
      release: async () => {
        if (isHeld) this.#locks.delete(locked);
        isHeld = false;
      },
    };
  }

  /** Paths of the files that somebody has locked. */
  get lockedPaths(): string[] {
    return this.paths.filter((path) => this.#locks.has(this.#files.get(path) as Inode));
  }

  /** For tests: a file's bytes, to look at or to damage. */
  bytesOf(path: string): Bytes {
    const inode = this.#files.get(path);
    if (inode === undefined) throw notFound(path);
    return inode.live;
  }

  /** For tests: puts a durable file there. */
  place(path: string, bytes: Bytes): void {
    const inode: Inode = { live: bytes, durable: bytes.slice(), changes: [] };
    for (let each = parentFolder(path); each !== "/"; each = parentFolder(each)) {
      this.#folders.add(each);
    }
    this.#files.set(path, inode);
    this.#durableFiles.set(path, inode);
  }

  get paths(): string[] {
    return [...this.#files.keys()].sort();
  }

  /** Counts an operation and lets it begin, fail, or never end. */
  async #operation(operation: string, path: string): Promise<void> {
    const failure = this.enter(operation, path);
    await new Promise((resolve) => setImmediate(resolve));
    // Also one that was on its way when another was the last.
    if (this.isStopped || failure === "stopped") await new Promise(() => {});
    else if (failure !== undefined) throw failure;
  }

  /** For `FakeFile`. */
  enter(operation: string, path: string): DiskError | "stopped" | undefined {
    this.operationCount++;
    if (this.operationCount > this.stopAt) return "stopped";
    return this.failWhen?.(operation, path);
  }

  get isStopped(): boolean {
    return this.operationCount >= this.stopAt;
  }

  #checkFolder(path: string): void {
    if (!this.#folders.has(path)) throw notFound(path);
  }

  #link(path: string, inode: Inode): void {
    this.#files.set(path, inode);
    this.#nameChanges.push({ kind: "link", path, inode });
  }

  #unlink(path: string): void {
    if (this.#files.delete(path)) this.#nameChanges.push({ kind: "unlink", path });
  }
}

class FakeFile implements DiskFile {
  readonly path: string;
  readonly #disk: FakeDisk;
  readonly #inode: Inode;
  readonly #queue: (() => void)[] = [];
  #isOpen = true;

  constructor(disk: FakeDisk, path: string, inode: Inode) {
    this.#disk = disk;
    this.path = path;
    this.#inode = inode;
  }

  size(): Promise<number> {
    return this.#promise("size", () => this.#inode.live.length);
  }

  read(position: number, length: number): Promise<Bytes> {
    return this.#promise("read", () => this.#inode.live.slice(position, position + length));
  }

  write(position: number, parts: readonly Bytes[], done: DiskDone): void {
    this.#enqueue(
      "write",
      () => {
        let at = position;
        for (const part of parts) {
          this.#change({ kind: "write", position: at, bytes: part.slice() });
          at += part.length;
        }
      },
      done,
    );
  }

  sync(done: DiskDone): void {
    this.#enqueue(
      "sync",
      () => {
        // A machine that stops while it syncs may have synced, or not.
        if (this.#disk.isStopped) return;
        this.#inode.durable = this.#inode.live.slice();
        this.#inode.changes = [];
      },
      done,
    );
  }

  truncate(bytes: number): Promise<void> {
    return this.#promise("truncate", () => this.#change({ kind: "resize", bytes }));
  }

  preallocate(bytes: number): Promise<void> {
    return this.#promise("preallocate", () => {
      if (this.#inode.live.length < bytes) this.#change({ kind: "resize", bytes });
    });
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  #change(change: Change): void {
    this.#inode.live = applied(this.#inode.live, change);
    this.#inode.changes.push(change);
  }

  #promise<T>(operation: string, run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      let result: T;
      this.#enqueue(
        operation,
        () => {
          result = run();
        },
        (error) => (error === undefined ? resolve(result) : reject(error)),
      );
    });
  }

  #enqueue(operation: string, run: () => void, done: DiskDone): void {
    if (!this.#isOpen) {
      setImmediate(done, new DiskError("io", this.path, `${this.path}: file already closed`));
      return;
    }
    this.#queue.push(() => {
      const failure = this.#disk.enter(operation, this.path);
      if (failure === "stopped") return;
      if (failure === undefined) run();
      if (!this.#disk.isStopped) done(failure);
      this.#queue.shift();
      if (this.#queue.length > 0) setImmediate(this.#queue[0] as () => void);
    });
    if (this.#queue.length === 1) setImmediate(this.#queue[0] as () => void);
  }
}

function notFound(path: string): DiskError {
  return new DiskError("not-found", path, `${path}: no such file or directory`);
}

function applied(bytes: Bytes, change: Change): Bytes {
  const end = change.kind === "resize" ? change.bytes : change.position + change.bytes.length;
  let result = bytes;
  if (change.kind === "resize" ? end !== bytes.length : end > bytes.length) {
    result = new Uint8Array(end);
    result.set(bytes.subarray(0, Math.min(end, bytes.length)));
  } else result = bytes.slice();
  if (change.kind === "write") result.set(change.bytes, change.position);
  return result;
}

/** Unsynced writes arrive sector by sector, each or not; sizes change or not. */
function survive(inode: Inode, random: SeededRandom): Bytes {
  let bytes: Bytes = inode.durable.slice();
  const luck = random.below(4); // 0: nothing, 3: everything, else at random
  const arrives = (): boolean => luck === 3 || (luck !== 0 && random.chance(1, 2));
  for (const change of inode.changes) {
    if (change.kind === "resize") {
      if (arrives()) bytes = applied(bytes, change);
      continue;
    }
    let at = 0;
    while (at < change.bytes.length) {
      const position = change.position + at;
      const length = Math.min(sectorBytes - (position % sectorBytes), change.bytes.length - at);
      if (arrives()) {
        const part = change.bytes.slice(at, at + length);
        bytes = applied(bytes, { kind: "write", position, bytes: part });
      }
      at += length;
    }
  }
  return bytes;
}
