// `snapshot save`: the database of one member into a file. It is written beside the file and renamed when it
// is whole and durable, so that a file of that name is always a good snapshot, the old one or the new.

import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import type { SnapshotResponse } from "@etcd-ts/api";
import { systemText } from "@etcd-ts/node";
import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import { formatMilliseconds } from "../../shared/go-duration.ts";
import { humanBytes } from "../../shared/humanize.ts";
import type { Output } from "../../shared/output.ts";
import { isCallError, isNotConnected, messageOf } from "../failures.ts";
import { type Session, withClient } from "../session.ts";

/** Length of the digest behind the database, whose pages are multiples of 512. */
const digestBytes = 32;

export async function run(line: CommandLine, output: Output): Promise<number> {
  const [path, ...more] = line.words;
  if (path === undefined || more.length > 0) {
    throw Failure.badArguments("snapshot save expects one argument <filename>");
  }
  const body = async (session: Session): Promise<number> => {
    const { client, flags } = session;
    if (client.endpoints.length !== 1) {
      throw interrupted(
        `snapshot must be requested to one selected node, not multiple [${client.endpoints.join(" ")}]`,
      );
    }
    const limited = flags.has("command-timeout")
      ? { timeoutMs: flags.milliseconds("command-timeout") }
      : {};
    const version = await save(session, path, limited);
    output.out(`Snapshot saved at ${path}\n`);
    if (version !== "") output.out(`Server version ${version}\n`);
    return ExitCode.success;
  };
  return withClient(line, output, body, { logger: "client" });
}

/** Saves the snapshot and gives the version that the member told. */
async function save(
  session: Session,
  path: string,
  limited: { readonly timeoutMs?: number },
): Promise<string> {
  const { client, host, log } = session;
  const part = `${path}.part`;
  const startedMs = host.clock.monotonicMs();
  const file = attempt(`could not open ${part}`, `open ${part}`, () => openSync(part, "w", 0o600));
  let isOpen = true;
  try {
    log.info("created temporary db file", { path: part });
    const chunks = client.maintenance.snapshot(limited);
    const { bytes, version } = await download(chunks, file, part, () => {
      log.named("client").info("opened snapshot stream; downloading");
      log.info("fetching snapshot", { endpoint: client.endpoints[0] });
    });
    log.named("client").info("completed snapshot read; closing");
    log.info("fetched snapshot", {
      endpoint: client.endpoints[0],
      size: humanBytes(bytes),
      took: formatMilliseconds(host.clock.monotonicMs() - startedMs),
      "etcd-version": version,
    });
    attempt("could not fsync snapshot:", `sync ${part}`, () => fsyncSync(file));
    isOpen = false;
    attempt("could not close file descriptor:", `close ${part}`, () => closeSync(file));
    attempt(`could not rename ${part} to ${path}`, `rename ${part} ${path}`, () =>
      renameSync(part, path),
    );
    log.info("saved", { path });
    return version;
  } catch (error) {
    if (isOpen) closeSync(file);
    rmSync(part, { force: true });
    throw error;
  }
}

async function download(
  chunks: AsyncIterable<SnapshotResponse>,
  file: number,
  path: string,
  opened: () => void,
): Promise<{ bytes: number; version: string }> {
  let isOpen = false;
  let bytes = 0;
  let version = "";
  // The digest at the end is over all before it; what may be its start is held back.
  const hash = createHash("sha256");
  let tail = new Uint8Array(0);
  try {
    for await (const { blob, version: told } of chunks) {
      if (!isOpen) opened();
      isOpen = true;
      if (told !== "") version = told;
      for (let at = 0; at < blob.length; ) at += writeSync(file, blob, at);
      bytes += blob.length;
      const pending = Buffer.concat([tail, blob]);
      const certain = Math.max(0, pending.length - digestBytes);
      hash.update(pending.subarray(0, certain));
      tail = Uint8Array.from(pending.subarray(certain));
    }
  } catch (error) {
    if (isNotConnected(error)) throw interrupted(messageOf(error));
    if (isCallError(error)) throw interrupted(`could not write snapshot: ${messageOf(error)}`);
    throw interrupted(`could not write snapshot: write ${path}: ${systemText(error)}`);
  }
  if (bytes % 512 !== digestBytes) throw interrupted(`sha256 checksum not found [bytes: ${bytes}]`);
  const expected = hash.digest();
  if (!expected.equals(tail)) {
    throw interrupted(
      `could not write snapshot: expected sha256 [${tail.join(" ")}], got [${expected.join(" ")}]`,
    );
  }
  return { bytes, version };
}

/** Does something with a file; `what` ends in a colon or takes the system's words in parentheses. */
function attempt<T>(what: string, operation: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const text = `${operation}: ${systemText(error)}`;
    throw interrupted(what.endsWith(":") ? `${what} ${text}` : `${what} (${text})`);
  }
}

function interrupted(message: string): Failure {
  return new Failure(ExitCode.interrupted, message);
}
