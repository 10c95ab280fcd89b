// A shell that is given one command after the other, as a person would type them into one window.

import { type ChildProcess, spawn } from "node:child_process";

export interface Answer {
  /** Standard output and standard error, without log lines. */
  readonly lines: readonly string[];
  readonly status: number;
}

const mark = "=====end=of=command=====";

export class Shell {
  readonly #child: ChildProcess;
  #output = "";
  #changed: () => void = () => undefined;
  #ended: string | undefined;

  /** In a process group of its own, so that what it starts can be ended with it. */
  constructor(folder: string, env: Readonly<Record<string, string>>) {
    this.#child = spawn("bash", ["--noprofile", "--norc"], {
      cwd: folder,
      env,
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
        this.#changed();
      });
    }
    this.#child.on("error", (error) => this.#end(error.message));
    this.#child.on("exit", (status, signal) => this.#end(`the shell ended (${signal ?? status})`));
    this.#child.stdin?.on("error", () => undefined);
    this.#child.stdin?.write("exec 2>&1\n");
  }

  /** Throws when the command does not end in time. */
  async run(command: string, timeoutMs: number): Promise<Answer> {
    this.#child.stdin?.write(`${command}\nprintf '\\n%s %s\\n' '${mark}' "$?"\n`);
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const found = new RegExp(`^([\\s\\S]*?)\\n${mark} (\\d+)\\n`).exec(this.#output);
      if (found !== null) {
        this.#output = this.#output.slice(found[0].length);
        return { lines: cleanLines(found[1] as string), status: Number(found[2]) };
      }
      const leftMs = endMs - performance.now();
      if (this.#ended !== undefined) throw new Error(`${this.#ended}\n${this.#output}`);
      if (leftMs <= 0) throw new Error(`does not end within ${timeoutMs} ms\n${this.#output}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Ends the shell and everything that it started. */
  async close(): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined) return;
    const exited = new Promise<void>((resolve) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) resolve();
      else this.#child.once("exit", () => resolve());
    });
    try {
      process.kill(-pid, "SIGKILL");
    } catch (error) {
      // The group is gone when the shell and all that it started are.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    await exited;
  }

  #end(why: string): void {
    this.#ended = why;
    this.#changed();
  }
}

/** Without log lines in JSON and without what a shell says of background processes that were killed. */
function cleanLines(output: string): string[] {
  const text = output.replace(/^\n+|\s+$/g, "");
  if (text === "") return [];
  return text
    .split("\n")
    .filter((it) => !/^\{"level":.*\}$/.test(it))
    .filter((it) => !/^\w+: line \d+: +\d+ (Killed|Terminated)\b/.test(it));
}
