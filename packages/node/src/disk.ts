// `promises` is loaded at its first use, where this is part of a bundle.
import { close, constants, fsync, open, promises, Stats } from "node:fs";
import { dirname } from "node:path";
import {
  type Disk,
  type DiskEntry,
  DiskError,
  type DiskFile,
  type DiskLock,
  type OpenMode,
} from "@etcd-ts/base";
import { NodeDiskFile } from "./disk-file.ts";
import { lockFile } from "./lock.ts";
import { diskError, systemCode } from "./system-errors.ts";

const openFlags: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};

class NodeDisk implements Disk {
  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const fd = await new Promise<number>((resolve, reject) => {
      open(path, openFlags[mode], 0o600, (error, opened) => {
        if (error) reject(diskError("open", path, error));
        else resolve(opened);
      });
    });
    return new NodeDiskFile(path, fd);
  }

  async stat(path: string): Promise<DiskEntry | undefined> {
    try {
      const found = await promises.stat(path);
      return { kind: found.isDirectory() ? "directory" : "file", bytes: found.size };
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw diskError("stat", path, error);
    }
  }

  async list(path: string): Promise<string[]> {
    const names = await attempt("open", path, promises.readdir(path));
    // By code unit, so that the order is the same wherever the list was made.
    return names.sort((a, b) => (a < b ? -1 : 1));
  }

  async makeDirectory(path: string): Promise<void> {
    await makeFolders(path);
  }

  rename(from: string, to: string): Promise<void> {
    return attempt("rename", from, promises.rename(from, to));
  }

  remove(path: string): Promise<void> {
    return attempt("remove", path, promises.rm(path, { recursive: true, force: true }));
  }

  syncDirectory(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      open(path, constants.O_RDONLY | constants.O_DIRECTORY, (openError, fd) => {
        if (openError) return reject(diskError("open", path, openError));
        fsync(fd, (syncError) => {
          close(fd, (closeError) => {
            if (syncError || closeError) reject(diskError("fsync", path, syncError ?? closeError));
            else resolve();
          });
        });
      });
    });
  }

  async lock(path: string): Promise<DiskLock> {
    return lockFile(path);
  }
}

export function nodeDisk(): Disk {
  return new NodeDisk();
}

/**
 * The folder and what is missing above it, mode 0700. Node's own recursion never ends where a folder exists and
 * takes no children (/proc), and says "no such file" of a file system that is read-only.
 */
async function makeFolders(path: string): Promise<void> {
  const problem = await makeFolder(path);
  if (problem === undefined) return;
  const above = dirname(path);
  const lacksParent = systemCode(problem) === "ENOENT" && (await isMissing(above));
  if (!lacksParent || above === path) throw diskError("mkdir", path, problem);
  await makeFolders(above);
  const again = await makeFolder(path);
  if (again !== undefined) throw diskError("mkdir", path, again);
}

/** Undefined when there is such a folder now; else why not. */
async function makeFolder(path: string): Promise<unknown> {
  try {
    await promises.mkdir(path, { mode: 0o700 });
    return undefined;
  } catch (error) {
    if (systemCode(error) !== "EEXIST") return error;
    const found = await promises.stat(path).catch((problem: unknown) => problem);
    if (found instanceof Stats) return found.isDirectory() ? undefined : error;
    if (systemCode(found) !== "ENOENT") return found;
    const text = `mkdir ${path}: there is a symbolic link here that leads nowhere`;
    return new DiskError("not-found", path, text, { cause: error });
  }
}

async function isMissing(path: string): Promise<boolean> {
  return await promises.stat(path).then(
    () => false,
    (error) => systemCode(error) === "ENOENT",
  );
}

async function attempt<T>(operation: string, path: string, task: Promise<T>): Promise<T> {
  try {
    return await task;
  } catch (error) {
    throw diskError(operation, path, error);
  }
}
