// Limits of this process, as Linux tells them.

import { readFileSync } from "node:fs";

/** Descriptors that are kept back from the connections of clients: for the data, and for other members. */
export const reservedFileCount = 150;

/** How many files and connections may be open; Infinity without a limit or where the system does not say. */
export function openFileLimit(): number {
  return processLimit("Max open files");
}

/** The soft limit of a name in `/proc/self/limits`. */
export function processLimit(name: string): number {
  const line = readProc("limits")
    .split("\n")
    .find((candidate) => candidate.startsWith(name));
  const soft = /\s(\d+|unlimited)\s/.exec(line?.slice(name.length) ?? "")?.[1];
  return soft === undefined || soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
}

/** A file of `/proc/self`; "" where there is no such thing. */
export function readProc(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, "utf8");
  } catch {
    return "";
  }
}
