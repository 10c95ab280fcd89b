// One etcd process, ours or stock, with the settings that it is given and defaults for the rest, as an operator would run it.

import type { ChildProcess } from "node:child_process";
import type { Contender } from "../contenders.ts";
import { startChild } from "./children.ts";

const readyTimeoutMs = 30_000;
const stopTimeoutMs = 20_000;
/** What is kept of its log, for an error message. */
const logTail = 20_000;
const readyText = "ready to serve client requests";

export class EtcdProcess {
  readonly contender: Contender;
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;
  #log = "";

  constructor(contender: Contender, args: readonly string[]) {
    this.contender = contender;
    this.#child = startChild(contender.etcd, [...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env: cleanEnvironment(process.env),
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => resolve(signal ?? `status ${code}`));
      this.#child.once("error", (error) => resolve(error.message));
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#log = (this.#log + text).slice(-logTail);
    });
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${this.contender.etcd} did not start`);
    return pid;
  }

  get log(): string {
    return this.#log;
  }

  /** Resolves when it says that it serves; rejects when it ends before, or takes half a minute. */
  async untilReady(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`nothing after ${readyTimeoutMs / 1000} s`), readyTimeoutMs);
    });
    const ready = new Promise<undefined>((resolve) => {
      const look = (): void => {
        if (this.#log.includes(readyText)) resolve(undefined);
      };
      this.#child.stderr?.on("data", look);
      look();
    });
    const problem = await Promise.race([ready, this.#ended, late]);
    clearTimeout(timer);
    if (problem !== undefined) {
      throw new Error(
        `${this.contender.name} is not ready (${problem}); the end of its log:\n${this.#log.slice(-3000)}`,
      );
    }
  }

  /** SIGTERM, and SIGKILL for one that does not go. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), stopTimeoutMs);
    await this.#ended;
    clearTimeout(timer);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

/** Without what would configure a server or a client behind our back. */
export function cleanEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^ETCD(CTL)?_/.test(name)));
}
