// Which programs the conformance suites drive: ours, built in this checkout, and stock ones, found on PATH
// or in the folders that ETCD_TS_STOCK_DIRS lists (`:` between them), each with an `etcd` and an `etcdctl`.

import { execFileSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));

export interface Programs {
  /** "ours", or "stock 3.4.23". */
  readonly name: string;
  /** As `etcd --version` prints it. */
  readonly version: string;
  readonly etcd: string;
  readonly etcdctl: string;
}

export const ours: Programs = {
  name: "ours",
  version: "3.7.1",
  etcd: join(root, "bin", "etcd"),
  etcdctl: join(root, "bin", "etcdctl"),
};

/** Every stock release at hand, oldest first; a release is listed once. */
export function stockReleases(): Programs[] {
  const folders = [
    ...(process.env["ETCD_TS_STOCK_DIRS"] ?? "").split(delimiter),
    ...(process.env["PATH"] ?? "").split(delimiter),
  ].filter((folder) => folder !== "");
  const found = new Map<string, Programs>();
  for (const folder of folders) {
    const release = stockFrom(folder);
    if (release !== undefined && !found.has(release.version)) found.set(release.version, release);
  }
  return [...found.values()].sort((a, b) =>
    a.version.localeCompare(b.version, "en", { numeric: true }),
  );
}

/** The stock release in a folder, if there is one. */
export function stockFrom(folder: string): Programs | undefined {
  const etcd = join(folder, "etcd");
  const etcdctl = join(folder, "etcdctl");
  if (!isExecutable(etcd) || !isExecutable(etcdctl)) return undefined;
  const version = stockVersion(etcd);
  return version === undefined ? undefined : { name: `stock ${version}`, version, etcd, etcdctl };
}

/** What a test that needs a stock etcd says when there is none. */
export const noStockReason =
  "no stock etcd and etcdctl on PATH or in ETCD_TS_STOCK_DIRS (Debian: etcd-server, etcd-client)";

/** Undefined when the program is no stock etcd: one of ours installed under the same name, say. */
function stockVersion(etcd: string): string | undefined {
  const text = execFileSync(etcd, ["--version"], { encoding: "utf8" });
  if (!/Go Version: go/.test(text)) return undefined;
  return /etcd Version: (\S+)/.exec(text)?.[1];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
