// A program that goes on: what it has said so far, and how it ends.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

const untilMs = 60_000;

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Running implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  #stdout = "";
  #stderr = "";
  #isOver = false;
  #changed: (() => void)[] = [];

  constructor(program: string, args: readonly string[]) {
    this.child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "" },
    });
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.#stdout += chunk.toString();
      this.#wake();
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
      this.#wake();
    });
    this.ended = once(this.child, "close").then(([status, signal]): Ended => {
      this.#isOver = true;
      this.#wake();
      return { status, signal, stdout: this.#stdout, stderr: this.#stderr };
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** Waits until standard output has what is asked for; what it is then. Throws when that never comes. */
  async until(pattern: RegExp): Promise<string> {
    const endMs = performance.now() + untilMs;
    const timer = setTimeout(() => this.#wake(), untilMs);
    try {
      while (!pattern.test(this.#stdout)) {
        const isLate = performance.now() >= endMs;
        if (this.#isOver || isLate) {
          throw new Error(
            `${isLate ? "late" : "ended"}, no ${pattern}:\n${this.#stdout}\n${this.#stderr}`,
          );
        }
        await new Promise<void>((resolve) => this.#changed.push(resolve));
      }
      return this.#stdout;
    } finally {
      clearTimeout(timer);
    }
  }

  stop(signal: NodeJS.Signals = "SIGINT"): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  #wake(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }
}
