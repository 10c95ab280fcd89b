// The logger that the flags ask for. The kinds of outputs that few use are loaded when they are asked for.

import { type LogOutput, type NodeLog, nodeHost, nodeLog, systemText } from "@etcd-ts/node";
import type { Config } from "./config.ts";
import { isLogLevel } from "./flag-values.ts";
import { parseRotation } from "./rotation-config.ts";

/** An output cannot be used; the message is for the operator. */
export class LogOutputError extends Error {
  override readonly name = "LogOutputError";
}

/** Of flags that have been checked. Rejects with `LogOutputError`. */
export async function openLog(config: Config): Promise<NodeLog> {
  let log: NodeLog | undefined;
  const warn = (message: string, error: Error): void => log?.warn(message, { error });
  try {
    const level = config["log-level"];
    log = nodeLog({
      ...(isLogLevel(level) ? { level } : {}),
      format: config["log-format"] === "console" ? "console" : "json",
      outputs: await outputs(config, warn),
    });
    return log;
  } catch (cause) {
    const { path } = cause as NodeJS.ErrnoException;
    if (path === undefined) throw cause;
    const text = `open sink ${JSON.stringify(path)}: open ${path}: ${systemText(cause)}`;
    throw new LogOutputError(text, { cause });
  }
}

async function outputs(
  config: Config,
  warn: (message: string, error: Error) => void,
): Promise<(string | LogOutput)[]> {
  const [first = "default"] = config["log-outputs"];
  // These two are alone; that has been checked.
  if (first === "systemd/journal") return [await journal()];
  if (config["enable-log-rotation"]) return [await rotatingFile(first, config, warn)];
  return [...config["log-outputs"]];
}

async function journal(): Promise<LogOutput> {
  const { connectJournal, JournalError } = await import("./journal.ts");
  try {
    return await connectJournal();
  } catch (cause) {
    if (!(cause instanceof JournalError)) throw cause;
    throw new LogOutputError(cause.message, { cause });
  }
}

async function rotatingFile(
  path: string,
  config: Config,
  warn: (message: string, error: Error) => void,
): Promise<LogOutput> {
  const { RotatingFile } = await import("./log-rotation.ts");
  const { clock } = nodeHost();
  return new RotatingFile({
    path,
    rotation: parseRotation(config["log-rotation-config-json"]),
    now: () => clock.wallMs(),
    failed: (error) => warn("cannot rotate the log", error),
  });
}
