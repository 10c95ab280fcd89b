// `lock`: holds a lock until it is interrupted, or while a command runs.

import { Mutex, Session, SessionLostError } from "@etcd-ts/client";
import { bytesToText, textToBytes } from "../../shared/byte-text.ts";
import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import type { Output } from "../../shared/output.ts";
import { catchInterrupt, type Interrupt, Interrupted } from "../interrupt.ts";
import { runCommand } from "../run-command.ts";
import { type Session as Connection, withClient } from "../session.ts";

const ttlSecondsDefault = 60;

export async function run(line: CommandLine, output: Output): Promise<number> {
  const [name, ...command] = line.words;
  if (name === undefined) {
    throw Failure.badArguments(
      "lock takes a lock name argument and an optional command to execute",
    );
  }
  using interrupt = catchInterrupt();
  return await withClient(line, output, async (connection) => {
    const session = await openSession(connection, interrupt);
    try {
      const mutex = new Mutex(session, textToBytes(name));
      await claimed(mutex.lock({ signal: interrupt.signal }));
      if (command.length > 0) return await runLocked(mutex, command);
      await hold(connection, session, mutex, interrupt);
      return ExitCode.success;
    } finally {
      // The lease stays until its time is over, as does the key of who did not give it back.
      session.abandon();
    }
  });
}

function openSession(connection: Connection, interrupt: Interrupt): Promise<Session> {
  let ttlSeconds = Number(connection.flags.int("ttl"));
  if (ttlSeconds <= 0) {
    connection.log.warn("TTL should be greater than zero; defaulting to 60", { ttl: ttlSeconds });
    ttlSeconds = ttlSecondsDefault;
  }
  return claimed(Session.open(connection.client, { ttlSeconds, signal: interrupt.signal }));
}

/** Translates what can happen while a claim waits. */
export async function claimed<T>(task: Promise<T>): Promise<T> {
  try {
    return await task;
  } catch (error) {
    if (error instanceof Interrupted || error instanceof SessionLostError) {
      throw new Failure(ExitCode.error, error.message, { cause: error });
    }
    throw error;
  }
}

async function runLocked(mutex: Mutex, command: readonly string[]): Promise<number> {
  const end = await runCommand(command, {
    ETCD_LOCK_KEY: bytesToText(mutex.key),
    ETCD_LOCK_REV: String(mutex.header?.revision ?? 0),
    ...presentVariables(["ETCD_LOCK_KEY", "ETCD_LOCK_REV"]),
  });
  await mutex.unlock();
  if (end.problem !== undefined) throw new Failure(end.status ?? ExitCode.error, end.problem);
  return ExitCode.success;
}

/** Variables that were there before win. */
function presentVariables(names: readonly string[]): Record<string, string> {
  const present: Record<string, string> = {};
  for (const name of names) {
    const value = process.env[name];
    if (value !== undefined) present[name] = value;
  }
  return present;
}

async function hold(
  connection: Connection,
  session: Session,
  mutex: Mutex,
  interrupt: Interrupt,
): Promise<void> {
  const response = await connection.client.kv.range({ key: mutex.key });
  if (response.kvs.length === 0) throw new Failure(ExitCode.error, "lock lost on init");
  connection.printer.get(response, false);
  await Promise.race([interrupt.received, session.ended]);
  if (interrupt.signal.aborted) await mutex.unlock();
  else throw new Failure(ExitCode.error, "session expired");
}
