// A disk in memory that keeps apart what is written and what is durable. `crash()` goes back to what is
// durable: bytes that `sync` covered, names that `syncDirectory` of their folder covered. Operations take
// effect in order and call back later; from operation `stopAfter` on nothing happens any more, as on a
// machine that lost power.

import {
  type Bytes,
  type Disk,
  type DiskDone,
  type DiskEntry,
  DiskError,
  type DiskFile,
  type DiskLock,
  type OpenMode,
} from "@etcd-ts/base";

/** A file with a tail of zeros that takes no memory: what was written, and how long the file is. */
class Content {
  used: Uint8Array = new Uint8Array(0);
  usedBytes = 0;
  size = 0;

  copy(): Content {
    const copy = new Content();
    copy.used = this.used.slice(0, this.usedBytes);
    copy.usedBytes = this.usedBytes;
    copy.size = this.size;
    return copy;
  }

  write(position: number, part: Uint8Array): void {
    const end = position + part.length;
    if (end > this.used.length) {
      const grown = new Uint8Array(Math.max(end, this.used.length * 2, 1024));
      grown.set(this.used.subarray(0, this.usedBytes));
      this.used = grown;
    }
    if (position > this.usedBytes) this.used.fill(0, this.usedBytes, position);
    this.used.set(part, position);
    this.usedBytes = Math.max(this.usedBytes, end);
    this.size = Math.max(this.size, end);
  }

  read(position: number, length: number): Uint8Array {
    const end = Math.min(position + length, this.size);
    const bytes = new Uint8Array(Math.max(0, end - position));
    const known = this.used.subarray(position, Math.min(end, this.usedBytes));
    bytes.set(known);
    return bytes;
  }

  resize(size: number): void {
    if (size < this.usedBytes) this.usedBytes = size;
    this.size = size;
  }
}

class FileNode {
  readonly kind = "file";
  now: Content = new Content();
  durable: Content = new Content();
  dirty = false;

  crash(): void {
    this.now = this.durable.copy();
    this.dirty = false;
  }
}

class FolderNode {
  readonly kind = "directory";
  entries: Map<string, Node> = new Map();
  durable: Map<string, Node> = new Map();

  crash(): void {
    this.entries = new Map(this.durable);
    for (const node of this.entries.values()) node.crash();
  }
}

type Node = FileNode | FolderNode;

/** The platters; `life` gives a disk to one life of a machine, which falls silent when that ends. */
export class MemoryDisk {
  readonly #root = new FolderNode();
  /** By what is locked, since a lock stays with its file through a rename. */
  readonly locks: Set<object> = new Set();
  #later: (fire: () => void) => void = (fire) => setImmediate(fire);
  operationCount = 0;
  stopAfter: number = Number.POSITIVE_INFINITY;
  syncCount = 0;
  /** Keeps no contents at all: for benchmarks, which never read again. */
  discards = false;
  /** When set, writes and syncs fail with it. */
  failure: Error | undefined;

  attach(later: (fire: () => void) => void): void {
    this.#later = later;
  }

  get isStopped(): boolean {
    return this.operationCount >= this.stopAfter;
  }

  life(isAlive: () => boolean): Disk {
    return new DiskLife(this, isAlive);
  }

  /** Power comes back: only what is durable is there. */
  crash(): void {
    this.#root.crash();
    this.locks.clear();
    this.stopAfter = Number.POSITIVE_INFINITY;
    this.operationCount = 0;
  }

  /** All files. */
  paths(): string[] {
    const found: string[] = [];
    const walk = (folder: FolderNode, path: string) => {
      for (const [name, node] of folder.entries) {
        if (node.kind === "file") found.push(`${path}/${name}`);
        else walk(node, `${path}/${name}`);
      }
    };
    walk(this.#root, "");
    return found.sort();
  }

  contents(path: string): Uint8Array | undefined {
    const node = this.find(path);
    return node?.kind === "file" ? node.now.read(0, node.now.size) : undefined;
  }

  /** Changes a file as if it had always been so; undefined removes it. */
  overwrite(path: string, bytes: Uint8Array | undefined): void {
    const { folder, name } = this.place(path);
    folder.entries.delete(name);
    folder.durable.delete(name);
    if (bytes === undefined) return;
    const node = new FileNode();
    node.now.write(0, bytes);
    node.durable = node.now.copy();
    folder.entries.set(name, node);
    folder.durable.set(name, node);
  }

  find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const part of path.split("/")) {
      if (part === "") continue;
      node = node?.kind === "directory" ? node.entries.get(part) : undefined;
    }
    return node;
  }

  folder(path: string): FolderNode {
    const node = this.find(path);
    if (node?.kind !== "directory") throw new DiskError("not-found", path, "no such folder");
    return node;
  }

  place(path: string): { folder: FolderNode; name: string } {
    const end = path.lastIndexOf("/");
    return { folder: this.folder(path.slice(0, end)), name: path.slice(end + 1) };
  }

  /** Runs `effect` now and calls back later; neither once the power is off or the caller's life over. */
  operate(isAlive: () => boolean, effect: () => void, done: DiskDone): void {
    if (this.isStopped || !isAlive()) return;
    this.operationCount++;
    const failure = this.failure;
    if (failure === undefined && !this.discards) effect();
    this.#later(() => {
      if (isAlive()) done(failure);
    });
  }

  perform<T>(isAlive: () => boolean, effect: () => T): Promise<T> {
    if (this.isStopped || !isAlive()) return new Promise(() => {});
    this.operationCount++;
    return new Promise((resolve, reject) => {
      let settle: () => void;
      try {
        const result = effect();
        settle = () => resolve(result);
      } catch (error) {
        settle = () => reject(error);
      }
      this.#later(() => {
        if (isAlive()) settle();
      });
    });
  }
}

class DiskLife implements Disk {
  readonly #platters: MemoryDisk;
  readonly #isAlive: () => boolean;

  constructor(platters: MemoryDisk, isAlive: () => boolean) {
    this.#platters = platters;
    this.#isAlive = isAlive;
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return this.#do(() => {
      const { folder, name } = this.#platters.place(path);
      let node = folder.entries.get(name);
      if (mode === "create") {
        if (node !== undefined) throw new DiskError("exists", path, "file exists");
        node = new FileNode();
        folder.entries.set(name, node);
      }
      if (node?.kind !== "file") throw new DiskError("not-found", path, "no such file");
      return new MemoryFile(path, node, this.#platters, this.#isAlive);
    });
  }

  stat(path: string): Promise<DiskEntry | undefined> {
    return this.#do(() => {
      const node = this.#platters.find(path);
      if (node === undefined) return undefined;
      return { kind: node.kind, bytes: node.kind === "file" ? node.now.size : 0 };
    });
  }

  list(path: string): Promise<string[]> {
    return this.#do(() => [...this.#platters.folder(path).entries.keys()].sort());
  }

  makeDirectory(path: string): Promise<void> {
    return this.#do(() => {
      let folder = this.#platters.folder("");
      for (const part of path.split("/")) {
        if (part === "") continue;
        let node = folder.entries.get(part);
        if (node === undefined) {
          node = new FolderNode();
          folder.entries.set(part, node);
        }
        if (node.kind !== "directory") throw new DiskError("exists", path, "is a file");
        folder = node;
      }
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do(() => {
      const old = this.#platters.place(from);
      const node = old.folder.entries.get(old.name);
      if (node === undefined) throw new DiskError("not-found", from, "no such file");
      const next = this.#platters.place(to);
      old.folder.entries.delete(old.name);
      next.folder.entries.set(next.name, node);
    });
  }

  remove(path: string): Promise<void> {
    return this.#do(() => {
      const { folder, name } = this.#platters.place(path);
      folder.entries.delete(name);
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.#do(() => {
      this.#platters.syncCount++;
      const folder = this.#platters.folder(path);
      folder.durable = new Map(folder.entries);
    });
  }

  lock(path: string): Promise<DiskLock> {
    return this.#do(() => {
      const { locks } = this.#platters;
      const { folder, name } = this.#platters.place(path);
      const node = folder.entries.get(name) ?? new FileNode();
      if (locks.has(node)) throw new DiskError("locked", path, "locked by another");
      locks.add(node);
      folder.entries.set(name, node);
      return {
        release: () =>
          this.#do(() => {
            locks.delete(node);
          }),
      };
    });
  }

  #do<T>(effect: () => T): Promise<T> {
    return this.#platters.perform(this.#isAlive, effect);
  }
}

class MemoryFile implements DiskFile {
  readonly path: string;
  readonly #node: FileNode;
  readonly #disk: MemoryDisk;
  readonly #isAlive: () => boolean;

  constructor(path: string, node: FileNode, disk: MemoryDisk, isAlive: () => boolean) {
    this.path = path;
    this.#node = node;
    this.#disk = disk;
    this.#isAlive = isAlive;
  }

  async size(): Promise<number> {
    return this.#node.now.size;
  }

  async read(position: number, length: number): Promise<Bytes> {
    return this.#node.now.read(position, length);
  }

  write(position: number, parts: readonly Bytes[], done: DiskDone): void {
    const node = this.#node;
    const effect = () => {
      node.dirty = true;
      let at = position;
      for (const part of parts) {
        node.now.write(at, part);
        at += part.length;
      }
    };
    this.#disk.operate(this.#isAlive, effect, done);
  }

  sync(done: DiskDone): void {
    const node = this.#node;
    const effect = () => {
      this.#disk.syncCount++;
      if (node.dirty) node.durable = node.now.copy();
      node.dirty = false;
    };
    this.#disk.operate(this.#isAlive, effect, done);
  }

  truncate(bytes: number): Promise<void> {
    return this.#promise(() => {
      this.#node.dirty = true;
      this.#node.now.resize(bytes);
    });
  }

  preallocate(bytes: number): Promise<void> {
    if (bytes <= this.#node.now.size) return Promise.resolve();
    return this.truncate(bytes);
  }

  async close(): Promise<void> {}

  #promise(effect: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const done: DiskDone = (error) => (error === undefined ? resolve() : reject(error));
      this.#disk.operate(this.#isAlive, effect, done);
    });
  }
}
