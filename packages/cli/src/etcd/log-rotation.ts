// `--enable-log-rotation`: a log file that is put aside when it is full. What was put aside is called after the
// moment, `etcd-2026-01-02T03-04-05.678.log` beside `etcd.log`; it may be compressed, and goes when it is too
// old or one too many.

import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type LogOutput, writeLine } from "@etcd-ts/node";
import type { LogRotation } from "./rotation-config.ts";

export interface RotatingFileOptions {
  readonly path: string;
  readonly rotation: LogRotation;
  /** In place of the rotation's megabytes, for tests. */
  readonly bytesMax?: number;
  /** Milliseconds since 1970. */
  now(): number;
  /** The file cannot be put aside, or what was put aside cannot be tidied: it is written on. */
  failed(error: Error): void;
}

const megabyte = 1024 * 1024;
const dayMs = 86_400_000;

export class RotatingFile implements LogOutput {
  readonly #options: RotatingFileOptions;
  readonly #bytesMax: number;
  #fd: number;
  #bytes: number;
  #tidying: Promise<void> = Promise.resolve();

  /** Throws a system error when the file cannot be opened. */
  constructor(options: RotatingFileOptions) {
    this.#options = options;
    this.#bytesMax = options.bytesMax ?? (options.rotation.megabytes || 100) * megabyte;
    this.#fd = openSync(options.path, "a", 0o644);
    this.#bytes = fstatSync(this.#fd).size;
  }

  write(line: Uint8Array): void {
    if (this.#bytes > 0 && this.#bytes + line.length > this.#bytesMax) this.#rotate();
    writeLine(this.#fd, line);
    this.#bytes += line.length;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Resolves when what was put aside so far is compressed and the old ones are gone. */
  get tidied(): Promise<void> {
    return this.#tidying;
  }

  /** A file that cannot be put aside is written on, until it is as long again. */
  #rotate(): void {
    const { path, failed } = this.#options;
    this.#bytes = 0;
    try {
      renameSync(path, this.#backupPath());
      const fd = openSync(path, "a", 0o644);
      closeSync(this.#fd);
      this.#fd = fd;
    } catch (error) {
      failed(error as Error);
      return;
    }
    this.#tidying = this.#tidying.then(() => this.#tidy()).catch(failed);
  }

  #backupPath(): string {
    const { folder, prefix, suffix } = this.#names();
    const { localTime } = this.#options.rotation;
    for (let ms = this.#options.now(); ; ms++) {
      const path = join(folder, `${prefix}${timeText(ms, localTime)}${suffix}`);
      if (!existsSync(path) && !existsSync(`${path}.gz`)) return path;
    }
  }

  #names(): { folder: string; prefix: string; suffix: string } {
    const { path } = this.#options;
    const suffix = extname(path);
    return { folder: dirname(path), prefix: `${basename(path, suffix)}-`, suffix };
  }

  async #tidy(): Promise<void> {
    const { folder, prefix, suffix } = this.#names();
    const { now, rotation } = this.#options;
    const { backups, days, compress } = rotation;
    const time = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/;
    const isBackup = (name: string): boolean => {
      const plain = name.replace(/\.gz(\.part)?$/, "");
      if (!plain.startsWith(prefix) || !plain.endsWith(suffix)) return false;
      return time.test(plain.slice(prefix.length, plain.length - suffix.length));
    };
    // The newest first; their names order them.
    const names = readdirSync(folder).filter(isBackup).sort().reverse();
    const kept: string[] = [];
    for (const name of names) {
      const path = join(folder, name);
      const tooMany = backups > 0 && kept.length >= backups;
      const tooOld = days > 0 && now() - statSync(path).mtimeMs > days * dayMs;
      // Half a compressed file is of a process that was ended; the whole is still there.
      if (tooMany || tooOld || name.endsWith(".part")) rmSync(path, { force: true });
      else kept.push(path);
    }
    if (!compress) return;
    for (const path of kept.filter((each) => !each.endsWith(".gz"))) {
      const part = `${path}.gz.part`;
      await pipeline(
        createReadStream(path),
        createGzip(),
        createWriteStream(part, { mode: 0o600 }),
      );
      renameSync(part, `${path}.gz`);
      rmSync(path);
    }
  }
}

/** `2006-01-02T15-04-05.000` */
function timeText(ms: number, local: boolean): string {
  const date = new Date(ms);
  const shifted = local ? new Date(ms - date.getTimezoneOffset() * 60_000) : date;
  return shifted.toISOString().slice(0, -1).replaceAll(":", "-");
}
