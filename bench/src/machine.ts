// What the figures were measured on, as far as it matters for reading them.

import { existsSync, mkdirSync, readFileSync, statfsSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

const tmpfsMagic = 0x01021994;
const ramfsMagic = 0x858458f6;

export function describeMachine(): string {
  const all = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${all.length} × ${all[0]?.model ?? "?"}, ${memory} GiB, Linux ${release()}, Node ${process.version}`;
}

/** Why durable writes to this folder cost nothing, if so: what is measured there says little of a disk. */
export function memoryDisk(folder: string): string | undefined {
  mkdirSync(folder, { recursive: true });
  const { type } = statfsSync(folder);
  if (type !== tmpfsMagic && type !== ramfsMagic) return undefined;
  return `${folder} is in memory, where a sync costs nothing: choose a folder on a disk with --dir`;
}

/** Of this checkout. */
export function ownVersion(): string {
  const manifest = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

/** The measuring itself reads `/proc`. */
export function unsupportedReason(): string | undefined {
  return existsSync("/proc/self/stat")
    ? undefined
    : "the bench reads CPU time and memory of the servers from /proc, so it runs on Linux only";
}
