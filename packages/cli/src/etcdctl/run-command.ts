// Commands that `watch` and `lock` run: no shell, no standard input, our output and environment.

import { spawn } from "node:child_process";
import { quote } from "../shared/go-quote.ts";

export interface CommandEnd {
  /** Exit status; undefined when the command did not start or a signal ended it. */
  readonly status: number | undefined;
  /** What went wrong, in Go's words; undefined when nothing did. */
  readonly problem: string | undefined;
}

const signalTexts: Readonly<Record<string, string>> = {
  SIGABRT: "aborted",
  SIGALRM: "alarm clock",
  SIGBUS: "bus error",
  SIGFPE: "floating point exception",
  SIGHUP: "hangup",
  SIGILL: "illegal instruction",
  SIGINT: "interrupt",
  SIGKILL: "killed",
  SIGPIPE: "broken pipe",
  SIGQUIT: "quit",
  SIGSEGV: "segmentation fault",
  SIGTERM: "terminated",
  SIGTRAP: "trace/breakpoint trap",
  SIGUSR1: "user defined signal 1",
  SIGUSR2: "user defined signal 2",
};

/** Runs a command to its end. */
export function runCommand(
  words: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<CommandEnd> {
  const [program, ...args] = words as [string, ...string[]];
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, ...variables },
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      resolve({ status: undefined, problem: startProblem(program, error) });
    });
    child.on("exit", (status, signal) => {
      if (status === 0) resolve({ status, problem: undefined });
      else if (status !== null) resolve({ status, problem: `exit status ${status}` });
      else {
        const text = signalTexts[signal as string] ?? String(signal);
        resolve({ status: undefined, problem: `signal: ${text}` });
      }
    });
  });
}

function startProblem(program: string, error: NodeJS.ErrnoException): string {
  if (!program.includes("/") && error.code === "ENOENT") {
    return `exec: ${quote(program)}: executable file not found in $PATH`;
  }
  const text =
    error.code === "ENOENT"
      ? "no such file or directory"
      : error.code === "EACCES"
        ? "permission denied"
        : error.message;
  return `fork/exec ${program}: ${text}`;
}
