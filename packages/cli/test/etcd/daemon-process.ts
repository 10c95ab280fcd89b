// Runs `bin/etcd` for the tests: in a folder of its own, on ports that the system chooses.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const binary: string = fileURLToPath(new URL("../../../../../bin/etcd", import.meta.url));

/** Long enough for a machine that is busy with other things. */
const lineTimeoutMs = 60_000;

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Ended {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class DaemonProcess {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly lines: LogLine[] = [];
  /** Of standard error, what is no log line. */
  #stderr = "";
  #stdout = "";
  #partial = "";
  #waiting: (() => void)[] = [];
  #isOver = false;

  constructor(
    args: readonly string[],
    options: { cwd: string; environment?: Record<string, string>; program?: string },
  ) {
    this.process = spawn(options.program ?? binary, args, {
      cwd: options.cwd,
      env: { PATH: process.env["PATH"] ?? "", TZ: "UTC", ...options.environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process.stdout?.on("data", (chunk) => {
      this.#stdout += String(chunk);
    });
    this.process.stderr?.on("data", (chunk) => this.#onStderr(String(chunk)));
    this.ended = once(this.process, "close").then(([exitCode, signal]) => {
      this.#isOver = true;
      this.#wake();
      return { exitCode, signal, stdout: this.#stdout, stderr: this.#stderr } as Ended;
    });
  }

  /** The first line with this message. */
  async line(message: string): Promise<LogLine> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, lineTimeoutMs);
    try {
      for (;;) {
        const found = this.lines.find((line) => line.msg === message);
        if (found !== undefined) return found;
        if (this.#isOver) throw new Error(`ended without "${message}":\n${this.text()}`);
        if (late) throw new Error(`no "${message}" in ${lineTimeoutMs} ms:\n${this.text()}`);
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Addresses of the client listeners, once they serve. */
  async addresses(count = 1): Promise<string[]> {
    await this.line("successfully notified init daemon");
    const found = this.lines
      .filter((line) => /^serving client traffic (in)?securely/.test(line.msg))
      .map((line) => String(line["address"]));
    if (found.length < count) throw new Error(`only ${found.length} listeners:\n${this.text()}`);
    return found;
  }

  async address(): Promise<string> {
    return (await this.addresses())[0] as string;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    this.process.kill(signal);
    return this.ended;
  }

  messages(): string[] {
    return this.lines.map((line) => line.msg);
  }

  text(): string {
    return this.lines.map((line) => JSON.stringify(line)).join("\n") + this.#stderr;
  }

  #onStderr(chunk: string): void {
    const parts = (this.#partial + chunk).split("\n");
    this.#partial = parts.pop() ?? "";
    for (const part of parts) {
      if (part.startsWith("{")) this.lines.push(JSON.parse(part) as LogLine);
      else this.#stderr += `${part}\n`;
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Flags for a member that is alone, on ports of the system's choice. */
export function memberFlags(directory: string, ...more: string[]): string[] {
  return [
    "--name=m1",
    `--data-dir=${directory}/data`,
    "--listen-client-urls=http://127.0.0.1:0",
    "--advertise-client-urls=http://127.0.0.1:1",
    "--listen-peer-urls=http://127.0.0.1:0",
    "--initial-advertise-peer-urls=http://127.0.0.1:1",
    ...more,
  ];
}

/** Runs `body` in an empty folder; every process that it started is ended. */
export async function inFolder(
  body: (
    directory: string,
    start: (
      args: readonly string[],
      options?: { environment?: Record<string, string>; program?: string },
    ) => DaemonProcess,
  ) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "etcd-ts-daemon-"));
  const started: DaemonProcess[] = [];
  try {
    await body(directory, (args, options = {}) => {
      const daemon = new DaemonProcess(args, { cwd: directory, ...options });
      started.push(daemon);
      return daemon;
    });
  } finally {
    for (const daemon of started) await daemon.stop("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  }
}
