// One etcd process of either kind, with its own data directory and ports of its own on loopback.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { takePorts } from "@etcd-ts/node/testing";
import type { Programs } from "./programs.ts";

const readyTimeoutMs = 60_000;
const stopTimeoutMs = 60_000;
const startAttempts = 3;

export interface ServerOptions {
  /** Kept after `stop`; without it a temporary one is made and removed. */
  readonly dataDir?: string;
  readonly scheme?: "http" | "https";
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The same client port as before, for a restart that clients should find. */
  readonly clientPort?: number;
  readonly peerPort?: number;
}

export class ServerProcess {
  readonly programs: Programs;
  readonly dataDir: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly #child: ChildProcess;
  readonly #ownsDataDir: boolean;
  readonly #exited: Promise<number | NodeJS.Signals>;
  #log = "";

  private constructor(
    programs: Programs,
    options: ServerOptions,
    ports: { client: number; peer: number },
  ) {
    this.programs = programs;
    this.#ownsDataDir = options.dataDir === undefined;
    this.dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "etcd-conformance-"));
    this.clientPort = ports.client;
    this.peerPort = ports.peer;
    const clientUrl = `${options.scheme ?? "http"}://127.0.0.1:${ports.client}`;
    const peerUrl = `http://127.0.0.1:${ports.peer}`;
    const args = [
      ...["--name", "m1", "--data-dir", this.dataDir],
      ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
      ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
      ...["--initial-cluster", `m1=${peerUrl}`],
      ...(options.args ?? []),
    ];
    this.#child = spawn(programs.etcd, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...withoutEtcdVariables(process.env), ...options.env },
    });
    this.#exited = new Promise((resolve, reject) => {
      this.#child.once("exit", (code, signal) => resolve(signal ?? code ?? -1));
      this.#child.once("error", reject);
    });
    this.#child.stderr?.setEncoding("utf8");
    this.#child.stderr?.on("data", (text: string) => {
      this.#log = (this.#log + text).slice(-200_000);
    });
  }

  /** Starts a server and waits until it says that it serves clients. */
  static async start(programs: Programs, options: ServerOptions = {}): Promise<ServerProcess> {
    for (let attempt = 1; ; attempt++) {
      const [client, peer] = (await takePorts(2)) as [number, number];
      const ports = { client: options.clientPort ?? client, peer: options.peerPort ?? peer };
      const server = new ServerProcess(programs, options, ports);
      try {
        await server.#untilReady();
        return server;
      } catch (error) {
        await server.kill();
        // Another process may have taken a port between our look at it and the server's binding.
        const portLost = /address already in use/i.test(server.#log);
        if (!portLost || attempt === startAttempts) throw error;
      }
    }
  }

  get pid(): number {
    const pid = this.#child.pid;
    if (pid === undefined) throw new Error(`${this.programs.etcd} did not start`);
    return pid;
  }

  /** `127.0.0.1:PORT`. */
  get endpoint(): string {
    return `127.0.0.1:${this.clientPort}`;
  }

  /** The last part of what it wrote to stderr. */
  get log(): string {
    return this.#log;
  }

  /** SIGTERM; gives the exit status or the signal that ended it. */
  async stop(): Promise<number | NodeJS.Signals> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), stopTimeoutMs);
    const status = await this.#exited;
    clearTimeout(timer);
    this.#cleanUp();
    return status;
  }

  /** SIGKILL; the data directory stays when it was given. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
    this.#cleanUp();
  }

  #cleanUp(): void {
    if (this.#ownsDataDir) rmSync(this.dataDir, { recursive: true, force: true });
  }

  async #untilReady(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.#child.stderr?.on("data", () => {
        if (this.#log.includes("ready to serve client requests")) resolve();
      });
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), readyTimeoutMs);
    });
    const first = await Promise.race([ready, this.#exited, late]);
    clearTimeout(timer);
    if (first !== undefined) {
      throw new Error(`${this.programs.name}: not ready (${first}):\n${this.#log.slice(-3_000)}`);
    }
  }
}

/** The environment without what would configure a server or a client behind our back. */
export function withoutEtcdVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^ETCD(CTL)?_/.test(name)));
}
