// What is in the data folder before anybody touches it.

import { existsSync, readdirSync, statSync } from "node:fs";
import type { NodeLog } from "@etcd-ts/node";
import { systemCode, systemText } from "@etcd-ts/node";

export class DataDirError extends Error {
  override readonly name = "DataDirError";
}

/** Whether there is a member's log. Throws `DataDirError` when the folder cannot be used. */
export function inspectDataDir(path: string, walDir: string, log: NodeLog): boolean {
  const names = namesIn(path);
  warnOfPermissions(path, log);
  if (names.includes("proxy")) {
    throw new DataDirError(
      `${path} has a folder "proxy", of an etcd proxy before 3.6: remove it or choose another folder`,
    );
  }
  // Beside a store of ours it is a mistake that somebody made, and the member says so.
  if (existsSync(`${path}/member/snap/db`) && !existsSync(`${path}/member/store`)) {
    throw new DataDirError(
      `${path} is the data directory of a stock etcd (its database is ${path}/member/snap/db), which ` +
        "cannot be opened in place: let this member join its cluster with an empty --data-dir " +
        "(etcdctl member add), or save a snapshot from it (etcdctl snapshot save) and restore that " +
        "into a new directory (etcdutl snapshot restore)",
    );
  }
  for (const name of names) {
    if (name === "member" && statSync(`${path}/${name}`).isDirectory()) continue;
    log.warn("found invalid file under data directory", { filename: name, "data-dir": path });
  }
  const logs = namesIn(walDir === "" ? `${path}/member/wal` : walDir);
  return logs.some((name) => name.endsWith(".wal"));
}

/** Everything that the cluster knows is in there, and keys of `--auto-tls`. */
function warnOfPermissions(path: string, log: NodeLog): void {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode;
  if (mode === undefined || (mode & 0o077) === 0) return;
  log.warn("check file permission", {
    error: `others than its owner may get into ${path}, whose mode is ${(mode & 0o777).toString(8)}: 700 is recommended`,
  });
}

/** None when there is no such folder. */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw new DataDirError(`open ${path}: ${systemText(error)}`, { cause: error });
  }
}
