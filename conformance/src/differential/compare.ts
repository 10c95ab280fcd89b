// Two releases side by side on fresh directories, with the differences between their versions that the
// comparison must leave out.

import type { Programs } from "../programs.ts";
import { RawClient } from "../raw-client.ts";
import { ServerProcess } from "../server-process.ts";
import { type DifferentialCounts, runDifferential } from "./run.ts";

export interface CompareOptions {
  readonly seed: number;
  readonly operationCount: number;
  readonly progress?: (done: number) => void;
}

const syncEvery = 250;
const hugeBytes = 300_000;

/** Throws at the first difference. */
export async function compareReleases(
  left: Programs,
  right: Programs,
  options: CompareOptions,
): Promise<DifferentialCounts> {
  const both = [left.version, right.version];
  // What is compared are answers: neither server need wait for its disk before each of them.
  const server = { args: ["--unsafe-no-fsync"] };
  const servers = await Promise.all([left, right].map((it) => ServerProcess.start(it, server)));
  const clients = servers.map((it) => new RawClient(it.endpoint));
  try {
    return await runDifferential(clients[0] as RawClient, clients[1] as RawClient, {
      ...options,
      syncEvery,
      hugeBytes,
      compactOnlyAtPuts: both.some((it) => isBefore(it, "3.5.16")),
      unknownSorts: both.every((it) => !isBefore(it, "3.6.0")),
      quirks: {
        keysOnlyDropsLease: both.some((it) => isBefore(it, "3.7.0")),
        preflightInOrder: both.every((it) => !isBefore(it, "3.6.0")),
        hashRevisionKnown: both.every((it) => !isBefore(it, "3.6.0")),
      },
    });
  } finally {
    for (const client of clients) client.close();
    await Promise.all(servers.map((it) => it.stop()));
  }
}

function isBefore(version: string, other: string): boolean {
  return version.localeCompare(other, "en", { numeric: true }) < 0;
}
