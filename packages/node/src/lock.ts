// Exclusive locks on files that end with their process, however it ends.
//
// Linux has three kinds. flock(2) and the classic fcntl lock are out of Node's reach, and the second one is
// lost when any descriptor of the file is closed; "open file description" locks (F_OFD_SETLK) belong to one
// open file and exclude holders in the same process too. etcd takes them on the segments of its log; so does
// our log (storage/segment-locks.ts), and stock etcd and we refuse each other. `member/lock` is ours alone.
// `fs-native-extensions` gives them to Node (prebuilt, a few lines of C).
// Left: a lock directory or a process id in a file (stale after `kill -9`, racy to break), and an abstract
// unix socket (exclusive only within one network namespace, and containers share volumes across them).
//
// The binary is loaded directly: 2 ms, where the package's own loader takes 14. Its version is pinned, and
// the loader is the fallback.

import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { DiskError, type DiskLock } from "@etcd-ts/base";
import { diskError, systemCode } from "./system-errors.ts";

interface LockBinding {
  /** Throws EAGAIN when somebody else has it. */
  tryLock(fd: number, offset: number, length: number, exclusive: boolean): void;
}

let loaded: LockBinding | undefined;

export function lockFile(path: string): DiskLock {
  for (;;) {
    const fd = openForLock(path);
    try {
      takeLock(fd, path);
      if (stillThere(fd, path)) return new NodeDiskLock(fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    // Somebody removed or replaced the file between our opening and our locking: again, on the new one.
    closeSync(fd);
  }
}

class NodeDiskLock implements DiskLock {
  #fd: number | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The file stays: removing it would let two holders lock two files of one name. */
  async release(): Promise<void> {
    if (this.#fd === undefined) return;
    const fd = this.#fd;
    this.#fd = undefined;
    closeSync(fd);
  }
}

function openForLock(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  } catch (error) {
    throw diskError("open", path, error);
  }
}

function takeLock(fd: number, path: string): void {
  try {
    binding(path).tryLock(fd, 0, 0, true);
  } catch (error) {
    if (systemCode(error) === "EAGAIN" || systemCode(error) === "EACCES") {
      const text = `lock ${path}: another process or member has it locked`;
      throw new DiskError("locked", path, text, { cause: error });
    }
    throw diskError("lock", path, error);
  }
}

function stillThere(fd: number, path: string): boolean {
  const ours = fstatSync(fd, { bigint: true });
  const named = statSync(path, { bigint: true, throwIfNoEntry: false });
  return named !== undefined && named.ino === ours.ino && named.dev === ours.dev;
}

function binding(path: string): LockBinding {
  if (loaded !== undefined) return loaded;
  const require = createRequire(import.meta.url);
  const name = "fs-native-extensions";
  const prebuilt = `${name}/prebuilds/${process.platform}-${process.arch}/${name}.node`;
  try {
    loaded = require(prebuilt) as LockBinding;
  } catch {
    loaded = loadThroughPackage(require, name, path);
  }
  return loaded;
}

function loadThroughPackage(require: NodeJS.Require, name: string, path: string): LockBinding {
  try {
    const library = require(name) as {
      tryLock(fd: number, offset: number, length: number): boolean;
    };
    return {
      tryLock(fd, offset, length) {
        if (library.tryLock(fd, offset, length)) return;
        throw Object.assign(new Error("resource temporarily unavailable"), { code: "EAGAIN" });
      },
    };
  } catch (cause) {
    const text = `lock ${path}: no file locks on ${process.platform}-${process.arch}: ${String(cause)}`;
    throw new DiskError("io", path, text, { cause });
  }
}
