// Stock etcd for tests that need one: found on PATH or in the folders that ETCD_TS_STOCK_DIRS lists.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

export interface StockRelease {
  readonly version: string;
  readonly program: string;
}

/** What a test that needs a stock etcd says when there is none. */
export const noStockReason = "no stock etcd on PATH or in ETCD_TS_STOCK_DIRS (Debian: etcd-server)";

/** Each release once. */
export function stockReleases(): StockRelease[] {
  const folders = [
    ...(process.env["ETCD_TS_STOCK_DIRS"] ?? "").split(delimiter),
    ...(process.env["PATH"] ?? "").split(delimiter),
  ].filter((folder) => folder !== "");
  const found = new Map<string, StockRelease>();
  for (const folder of folders) {
    const program = join(folder, "etcd");
    const version = versionOf(program);
    if (version !== undefined && !found.has(version)) found.set(version, { version, program });
  }
  return [...found.values()];
}

/** Undefined where there is no stock etcd. */
function versionOf(program: string): string | undefined {
  try {
    accessSync(program, constants.X_OK);
  } catch {
    return undefined;
  }
  const text = execFileSync(program, ["--version"], { encoding: "utf8" });
  if (!/Go Version: go/.test(text)) return undefined;
  return /etcd Version: (\S+)/.exec(text)?.[1];
}

export class StockMember {
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #folder: string;
  readonly clientUrl: string;
  #process: ChildProcess | undefined;
  #log = "";

  constructor(release: StockRelease, clientPort: number, args: readonly string[]) {
    this.#program = release.program;
    this.#folder = mkdtempSync(join(tmpdir(), "etcd-ts-peers-"));
    this.clientUrl = `http://127.0.0.1:${clientPort}`;
    this.#args = [
      `--data-dir=${this.#folder}/data`,
      `--listen-client-urls=${this.clientUrl}`,
      `--advertise-client-urls=${this.clientUrl}`,
      "--logger=zap",
      ...args,
    ];
  }

  get isRunning(): boolean {
    const child = this.#process;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** The last lines it said. */
  get log(): string {
    return this.#log.slice(-6000);
  }

  start(): void {
    const child = spawn(this.#program, this.#args, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-20_000);
    });
    this.#process = child;
  }

  /** `kill -9`, and waits for the end. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || !this.isRunning) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Writes a key through the JSON gateway; whether it was acknowledged. */
  async put(key: string, value: string): Promise<boolean> {
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    try {
      const response = await fetch(`${this.clientUrl}/v3/kv/put`, {
        method: "POST",
        body: JSON.stringify({ key: base64(key), value: base64(value) }),
        signal: AbortSignal.timeout(1000),
      });
      await response.text();
      return response.ok;
    } catch {
      return false;
    }
  }
}
