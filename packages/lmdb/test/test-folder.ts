import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** In memory where the system has that: nothing here loses its power, and syncing a disk takes its time. */
export function makeTestFolder(): string {
  return mkdtempSync(join(isWritable("/dev/shm") ? "/dev/shm" : tmpdir(), "etcd-ts-lmdb-"));
}

export function removeTestFolder(path: string): void {
  rmSync(path, { recursive: true });
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
