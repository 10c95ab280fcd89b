import type { DiskDone } from "@etcd-ts/base";

/** The folder in which `path` stands. */
export function parentFolder(path: string): string {
  const slash = path.lastIndexOf("/");
  if (slash < 0) return ".";
  return slash === 0 ? "/" : path.slice(0, slash);
}

/** A completion callback as a promise, off the hot path. */
export function promised(run: (done: DiskDone) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    run((error) => (error === undefined ? resolve() : reject(error)));
  });
}
