// A disk with the semantics of a crash. What a program wrote is visible at once; what survives a crash is
// what was synced, and of the rest whatever the crash likes:
//
//     file bytes    durable ──write──► pending writes ──sync──► durable        lost, kept, or torn by sectors
//     names         durable ──create, rename, remove──► pending ──syncDirectory──► durable      lost or kept
//
// The rules are the strictest that POSIX allows: syncing a file makes its bytes durable, not its name, and
// pending writes survive independently of one another and of their order, in units of a sector.
//
// A `SimDisk` is the medium, which outlives crashes; a `DiskPort` is what one run of a member sees of it,
// and is dead after the crash.

import {
  allocateBytes,
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
import { SparseContent } from "./sparse-content.ts";
import type { Gate, World } from "./world.ts";

const sectorBytes = 512;

/** How a crash treats what was not synced. */
export type CrashMode = "drop" | "keep" | "random";

interface PendingWrite {
  readonly position: number;
  /** Undefined: the file was cut to `position`. */
  readonly bytes: Bytes | undefined;
}

class Inode {
  current: SparseContent = new SparseContent();
  readonly #durable = new SparseContent();
  #pending: PendingWrite[] = [];
  lockedBy: DiskPort | undefined;

  write(position: number, bytes: Bytes): void {
    this.#change({ position, bytes });
  }

  truncate(size: number): void {
    this.#change({ position: size, bytes: undefined });
  }

  sync(): void {
    for (const change of this.#pending) apply(this.#durable, change);
    this.#pending = [];
  }

  crash(mode: CrashMode, random: SeededRandom): void {
    for (const change of this.#pending) {
      if (mode === "keep") apply(this.#durable, change);
      if (mode === "random") this.#tear(change, random);
    }
    this.#pending = [];
    this.current = this.#durable.clone();
    this.lockedBy = undefined;
  }

  flipBit(position: number, bit: number): void {
    for (const content of [this.current, this.#durable]) {
      const byte = content.read(position, 1);
      if (byte.length === 0) continue;
      byte[0] = (byte[0] as number) ^ (1 << bit);
      content.write(position, byte);
    }
  }

  #change(change: PendingWrite): void {
    apply(this.current, change);
    this.#pending.push(change);
  }

  /** Each sector of the device (not of the write) survives or not. */
  #tear({ position, bytes }: PendingWrite, random: SeededRandom): void {
    if (bytes === undefined) {
      if (random.chance(1, 2)) this.#durable.resize(position);
      return;
    }
    for (let at = 0; at < bytes.length; ) {
      const piece = Math.min(bytes.length - at, sectorBytes - ((position + at) % sectorBytes));
      if (random.chance(1, 2)) this.#durable.write(position + at, bytes.subarray(at, at + piece));
      at += piece;
    }
  }
}

function apply(content: SparseContent, { position, bytes }: PendingWrite): void {
  if (bytes === undefined) content.resize(position);
  else content.write(position, bytes);
}

/** `undefined`: a folder. */
type Names = Map<string, Inode | undefined>;

interface PendingName {
  /** The folder that must be synced for it. */
  readonly folder: string;
  readonly apply: (names: Names) => void;
}

export class SimDisk {
  readonly #names: Names = new Map([["/", undefined]]);
  #durableNames: Names = new Map([["/", undefined]]);
  #pendingNames: PendingName[] = [];
  /** Bytes that the disk holds at most; for tests of full disks. */
  capacityBytes: number = Number.POSITIVE_INFINITY;

  crash(mode: CrashMode, random: SeededRandom): void {
    const names = new Map(this.#durableNames);
    for (const { apply } of this.#pendingNames) {
      if (mode === "keep" || (mode === "random" && random.chance(1, 2))) apply(names);
    }
    // What stood in a folder that is gone is gone with it.
    for (const path of [...names.keys()].sort()) {
      if (path !== "/" && !names.has(parentOf(path))) names.delete(path);
    }
    this.#durableNames = names;
    this.#pendingNames = [];
    this.#names.clear();
    for (const [path, inode] of names) {
      this.#names.set(path, inode);
      inode?.crash(mode, random);
    }
  }

  /** Flips one bit of a file, as a failing medium does. */
  flipBit(path: string, position: number, bit: number): void {
    this.inode(path).flipBit(position, bit);
  }

  /** All files, sorted. */
  paths(): string[] {
    return [...this.#names]
      .filter(([, inode]) => inode !== undefined)
      .map(([path]) => path)
      .sort();
  }

  /** A name and everything below it. */
  under(path: string): (readonly [string, Inode | undefined])[] {
    return [...this.#names].filter(([name]) => name === path || name.startsWith(`${path}/`));
  }

  /** Up to the last byte of a file that is not zero. */
  writtenBytes(path: string): number {
    return this.inode(path).current.writtenBytes();
  }

  usedBytes(): number {
    let used = 0;
    for (const inode of this.#names.values()) used += inode?.current.size ?? 0;
    return used;
  }

  has(path: string): boolean {
    return this.#names.has(path);
  }

  isFolder(path: string): boolean {
    return this.#names.has(path) && this.#names.get(path) === undefined;
  }

  inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw notFound(path);
    return inode;
  }

  list(path: string): string[] {
    if (!this.isFolder(path)) throw notFound(path);
    const prefix = path === "/" ? "/" : `${path}/`;
    const found: string[] = [];
    for (const name of this.#names.keys()) {
      if (name !== "/" && name.startsWith(prefix) && !name.slice(prefix.length).includes("/")) {
        found.push(name.slice(prefix.length));
      }
    }
    return found.sort();
  }

  /** Changes names now, and for the next crash once `folder` is synced. */
  changeNames(folder: string, apply: (names: Names) => void): void {
    apply(this.#names);
    this.#pendingNames.push({ folder, apply });
  }

  syncFolder(folder: string): void {
    const rest: PendingName[] = [];
    for (const pending of this.#pendingNames) {
      if (pending.folder === folder) pending.apply(this.#durableNames);
      else rest.push(pending);
    }
    this.#pendingNames = rest;
  }
}

export type DiskOperation =
  | "open"
  | "list"
  | "makeDirectory"
  | "rename"
  | "remove"
  | "syncDirectory"
  | "read"
  | "write"
  | "sync"
  | "truncate"
  | "preallocate";

/** Operations that change what a crash would leave: the boundaries of a crash test. */
export const changingOperations: ReadonlySet<DiskOperation> = new Set<DiskOperation>([
  "makeDirectory",
  "rename",
  "remove",
  "syncDirectory",
  "write",
  "sync",
  "truncate",
  "preallocate",
]);

export interface DiskFaults {
  /** Called before each operation takes effect: may throw a `DiskError`, or crash the world around it. */
  before?(operation: DiskOperation, path: string): void;
  /** Virtual ms that the operation takes. */
  latencyMs(operation: DiskOperation, bytes: number): number;
  /** While true, the operation does not come to its end. */
  hangs?(operation: DiskOperation, path: string): boolean;
}

/** How often a hanging operation looks whether it may go on. */
const hangPollMs = 25;

export class DiskPort implements Disk {
  readonly disk: SimDisk;
  readonly #world: World;
  readonly #faults: DiskFaults;
  readonly #gate: Gate | undefined;
  #dead = false;

  constructor(world: World, disk: SimDisk, faults: DiskFaults, gate?: Gate) {
    this.#world = world;
    this.disk = disk;
    this.#faults = faults;
    this.#gate = gate;
  }

  /** Nothing is done any more and nobody is called back. */
  kill(): void {
    this.#dead = true;
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return this.#later("open", path, 0, () => {
      if (mode === "create") {
        if (this.disk.has(path)) throw new DiskError("exists", path, `${path} exists`);
        this.#requireFolder(path);
        const inode = new Inode();
        this.disk.changeNames(parentOf(path), (names) => names.set(path, inode));
      }
      return new SimFile(this, path, this.disk.inode(path));
    });
  }

  stat(path: string): Promise<DiskEntry | undefined> {
    return this.#later("list", path, 0, () => {
      if (!this.disk.has(path)) return undefined;
      if (this.disk.isFolder(path)) return { kind: "directory" as const, bytes: 0 };
      return { kind: "file" as const, bytes: this.disk.inode(path).current.size };
    });
  }

  list(path: string): Promise<string[]> {
    return this.#later("list", path, 0, () => this.disk.list(path));
  }

  makeDirectory(path: string): Promise<void> {
    return this.#later("makeDirectory", path, 0, () => {
      const missing: string[] = [];
      for (let at = path; !this.disk.has(at); at = parentOf(at)) missing.unshift(at);
      for (const folder of missing) {
        this.disk.changeNames(parentOf(folder), (names) => names.set(folder, undefined));
      }
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#later("rename", from, 0, () => {
      if (!this.disk.has(from)) throw notFound(from);
      this.#requireFolder(to);
      const moved = this.disk.under(from);
      this.disk.changeNames(parentOf(to), (names) => moveNames(names, moved, from, to));
    });
  }

  remove(path: string): Promise<void> {
    return this.#later("remove", path, 0, () => {
      if (!this.disk.has(path)) return;
      // What stands there now, and not what will be made under the same names before this is durable.
      const doomed = this.disk.under(path);
      this.disk.changeNames(parentOf(path), (names) => {
        for (const [name, inode] of doomed) {
          if (names.has(name) && names.get(name) === inode) names.delete(name);
        }
      });
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.#later("syncDirectory", path, 0, () => {
      if (!this.disk.isFolder(path)) throw notFound(path);
      this.disk.syncFolder(path);
    });
  }

  lock(path: string): Promise<DiskLock> {
    return this.#later("open", path, 0, () => {
      if (!this.disk.has(path)) {
        this.#requireFolder(path);
        const made = new Inode();
        this.disk.changeNames(parentOf(path), (names) => names.set(path, made));
      }
      const inode = this.disk.inode(path);
      if (inode.lockedBy !== undefined && !inode.lockedBy.#dead) {
        throw new DiskError("locked", path, `${path} is locked`);
      }
      inode.lockedBy = this;
      return {
        release: async () => {
          if (inode.lockedBy === this) inode.lockedBy = undefined;
        },
      };
    });
  }

  /** Runs an operation after its latency; its result comes from the event loop. */
  perform<T>(
    operation: DiskOperation,
    path: string,
    bytes: number,
    effect: () => T,
    done: (error: Error | undefined, result: T | undefined) => void,
  ): void {
    if (this.#dead) return;
    const finish = (): void => {
      if (this.#dead) return;
      if (this.#faults.hangs?.(operation, path) === true) {
        this.#world.after(hangPollMs, finish, this.#gate);
        return;
      }
      let result: T;
      try {
        this.#faults.before?.(operation, path);
        if (this.#dead) return; // crashed right here, before the operation took effect
        result = effect();
      } catch (error) {
        if (error instanceof DiskError) done(error, undefined);
        else this.#world.fail(error);
        return;
      }
      this.#world.mix(bytes);
      done(undefined, result);
    };
    this.#world.after(this.#faults.latencyMs(operation, bytes), finish, this.#gate);
  }

  requireSpace(path: string, moreBytes: number): void {
    const { capacityBytes } = this.disk;
    if (capacityBytes === Number.POSITIVE_INFINITY) return;
    if (this.disk.usedBytes() + moreBytes > capacityBytes) {
      throw new DiskError("no-space", path, `${path}: no space left on device`);
    }
  }

  #later<T>(operation: DiskOperation, path: string, bytes: number, effect: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.perform(operation, path, bytes, effect, (error, result) => {
        if (error !== undefined) reject(error);
        else resolve(result as T);
      });
    });
  }

  #requireFolder(path: string): void {
    if (!this.disk.isFolder(parentOf(path))) throw notFound(parentOf(path));
  }
}

class SimFile implements DiskFile {
  readonly path: string;
  readonly #port: DiskPort;
  readonly #inode: Inode;
  /** Operations take effect in the order of the calls, whatever their latencies. */
  readonly #queue: (() => void)[] = [];

  constructor(port: DiskPort, path: string, inode: Inode) {
    this.#port = port;
    this.path = path;
    this.#inode = inode;
  }

  size(): Promise<number> {
    return this.#promise("read", 0, () => this.#inode.current.size);
  }

  read(position: number, length: number): Promise<Bytes> {
    return this.#promise("read", length, () => this.#inode.current.read(position, length));
  }

  write(position: number, parts: readonly Bytes[], done: DiskDone): void {
    const bytes = joined(parts);
    this.#enqueue(
      "write",
      bytes.length,
      () => {
        const growth = Math.max(0, position + bytes.length - this.#inode.current.size);
        this.#port.requireSpace(this.path, growth);
        this.#inode.write(position, bytes);
      },
      (error) => done(error),
    );
  }

  sync(done: DiskDone): void {
    this.#enqueue(
      "sync",
      0,
      () => this.#inode.sync(),
      (error) => done(error),
    );
  }

  truncate(bytes: number): Promise<void> {
    return this.#promise("truncate", 0, () => this.#inode.truncate(bytes));
  }

  preallocate(bytes: number): Promise<void> {
    return this.#promise("preallocate", bytes, () => {
      const growth = bytes - this.#inode.current.size;
      if (growth <= 0) return;
      this.#port.requireSpace(this.path, growth);
      this.#inode.truncate(bytes);
    });
  }

  close(): Promise<void> {
    return this.#promise("read", 0, () => undefined);
  }

  #promise<T>(operation: DiskOperation, bytes: number, effect: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#enqueue(operation, bytes, effect, (error, result) => {
        if (error !== undefined) reject(error);
        else resolve(result as T);
      });
    });
  }

  #enqueue<T>(
    operation: DiskOperation,
    bytes: number,
    effect: () => T,
    done: (error: Error | undefined, result: T | undefined) => void,
  ): void {
    this.#queue.push(() => {
      this.#port.perform<T>(operation, this.path, bytes, effect, (error, result) => {
        this.#queue.shift();
        done(error, result);
        this.#queue[0]?.();
      });
    });
    if (this.#queue.length === 1) this.#queue[0]?.();
  }
}

function parentOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at <= 0 ? "/" : path.slice(0, at);
}

function notFound(path: string): DiskError {
  return new DiskError("not-found", path, `${path}: no such file or directory`);
}

/**
 * A rename that survives gives `to` what stood at `from` when it was made, whatever became of the removal and the
 * creation before it. Of a folder, it takes those entries along that are its own by then.
 */
function moveNames(
  names: Names,
  moved: readonly (readonly [string, Inode | undefined])[],
  from: string,
  to: string,
): void {
  for (const [name, inode] of moved) {
    const isThere = names.has(name) && names.get(name) === inode;
    names.delete(name);
    if (isThere || name === from) names.set(to + name.slice(from.length), inode);
  }
}

function joined(parts: readonly Bytes[]): Bytes {
  let size = 0;
  for (const part of parts) size += part.length;
  const bytes = allocateBytes(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
