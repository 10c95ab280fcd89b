// The store of a member that does not run, for commands that look into it or change it.
//
//      <data-dir>/member/lock          held meanwhile: a server, or another tool, is refused
//      <data-dir>/member/store/        LMDB

import { statSync } from "node:fs";
import { CorruptionError, DiskError, type DiskLock, type Host } from "@etcd-ts/base";
import { LmdbBackend } from "@etcd-ts/lmdb";
import { ExitCode, Failure } from "../shared/exit.ts";

const lockRetryMs = 50;

export interface OfflineStore {
  readonly backend: LmdbBackend;
  /** The file that holds everything. */
  readonly path: string;
  close(): Promise<void>;
}

/** Where a store is: below a data directory, the folder itself, or its file. Undefined when there is none. */
export function findStore(
  path: string,
): { folder: string; lockPath: string | undefined } | undefined {
  const at = path.replace(/(?<=.)\/+$/, "");
  if (isFile(`${at}/member/store/data.mdb`)) {
    return { folder: `${at}/member/store`, lockPath: `${at}/member/lock` };
  }
  if (isFile(`${at}/data.mdb`)) return { folder: at, lockPath: lockBeside(at) };
  if (/(^|\/)data\.mdb$/.test(at) && isFile(at)) {
    const folder = at.slice(0, Math.max(0, at.length - "/data.mdb".length)) || ".";
    return { folder, lockPath: lockBeside(folder) };
  }
  return undefined;
}

/** Why a data directory has no store of ours; undefined when it has one. */
export function foreignReason(dataDir: string): string | undefined {
  if (findStore(dataDir) !== undefined) return undefined;
  const stock = `${dataDir}/member/snap/db`;
  return isFile(stock)
    ? `${dataDir} is a data directory of stock etcd: use its own etcdutl`
    : `stat ${stock}: no such file or directory`;
}

/** Of a store that stands where a member keeps it; a copy somewhere else belongs to nobody. */
function lockBeside(folder: string): string | undefined {
  const match = /^(.*(?:^|\/)member)\/store$/.exec(folder);
  return match === null ? undefined : `${match[1]}/lock`;
}

/** Waits `timeoutMs` for a member to let go of it, for ever when that is 0. */
export async function openStore(
  host: Host,
  path: string,
  timeoutMs: number,
): Promise<OfflineStore> {
  const found = findStore(path);
  if (found === undefined) throw new Failure(ExitCode.error, `failed to open database ${path}`);
  const { folder, lockPath } = found;
  const lock =
    lockPath === undefined ? undefined : await takeLock(host, lockPath, folder, timeoutMs);
  try {
    const backend = await LmdbBackend.open(folder);
    return {
      backend,
      path: `${folder}/data.mdb`,
      close: async () => {
        await backend.close();
        await lock?.release();
      },
    };
  } catch (error) {
    await lock?.release();
    throw openingFailure(folder, error);
  }
}

/** What a command says of a store or database that cannot be read. */
export function openingFailure(path: string, error: unknown): unknown {
  if (!(error instanceof CorruptionError || error instanceof DiskError)) return error;
  return new Failure(ExitCode.error, `failed to open database ${path}: ${error.message}`, {
    cause: error,
  });
}

async function takeLock(
  host: Host,
  lockPath: string,
  folder: string,
  timeoutMs: number,
): Promise<DiskLock> {
  const startMs = host.clock.monotonicMs();
  for (;;) {
    try {
      return await host.disk.lock(lockPath);
    } catch (error) {
      if (!(error instanceof DiskError && error.code === "locked")) {
        throw openingFailure(folder, error);
      }
      const waitedMs = host.clock.monotonicMs() - startMs;
      if (timeoutMs > 0 && waitedMs >= timeoutMs) {
        const message = `failed to open database ${folder}: timeout: another process uses it`;
        throw new Failure(ExitCode.error, message, { cause: error });
      }
    }
    await new Promise<void>((resolve) => void host.timers.after(lockRetryMs, resolve));
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    // Whatever the reason: not one that we can open.
    return false;
  }
}
