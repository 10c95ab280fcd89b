// Every process that the bench starts. Whatever ends the bench — an error, Ctrl-C, a bug — ends them too, each by its own id: a server
// that was left behind would spoil the next measurement, and it may be one of many on the machine.

import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { rmSync } from "node:fs";

const alive = new Set<ChildProcess>();
const folders = new Set<string>();
let watching = false;

export function startChild(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  watchOwnEnd();
  const child = spawn(program, args, options);
  alive.add(child);
  child.once("exit", () => alive.delete(child));
  child.once("error", () => alive.delete(child));
  return child;
}

/** A folder that is not left behind either. */
export function rememberFolder(folder: string): void {
  watchOwnEnd();
  folders.add(folder);
}

export function removeFolder(folder: string): void {
  // A server that was killed a moment ago may still be at work on its last system call.
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  folders.delete(folder);
}

/** How many are running: for tests. */
export function childCount(): number {
  return alive.size;
}

export function killChildren(): void {
  for (const child of alive) child.kill("SIGKILL");
}

function watchOwnEnd(): void {
  if (watching) return;
  watching = true;
  process.once("exit", () => {
    killChildren();
    for (const folder of folders) removeFolder(folder);
  });
}

/** Ctrl-C and SIGTERM end the program, and with it its children. For the program itself; tests have signals of their own. */
export function endOnSignals(): void {
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.once(signal, () => {
      process.stderr.write(`${signal}: ending the servers\n`);
      process.exit(status);
    });
  }
}
