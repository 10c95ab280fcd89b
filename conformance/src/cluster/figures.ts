// Memory of processes, as Linux tells it.
//
// `anonymous` is what a process holds for itself; pages of mapped files (a store that is read through a
// mapping) are the kernel's cache, which it takes back when somebody needs the memory, and are counted apart.

import { readFileSync } from "node:fs";

export interface Memory {
  readonly anonymousBytes: number;
  readonly fileBytes: number;
}

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024;
  return { anonymousBytes: bytes("RssAnon") + bytes("RssShmem"), fileBytes: bytes("RssFile") };
}

/** Looks at the memory of a process again and again. */
export class MemoryWatch {
  readonly #timer: NodeJS.Timeout;
  peak: Memory = { anonymousBytes: 0, fileBytes: 0 };
  sampleCount = 0;

  constructor(pid: number, everyMs = 25) {
    this.#timer = setInterval(() => {
      try {
        const now = memoryOf(pid);
        this.sampleCount += 1;
        this.peak = {
          anonymousBytes: Math.max(this.peak.anonymousBytes, now.anonymousBytes),
          fileBytes: Math.max(this.peak.fileBytes, now.fileBytes),
        };
      } catch {
        clearInterval(this.#timer); // the process is gone
      }
    }, everyMs);
  }

  stop(): Memory {
    clearInterval(this.#timer);
    return this.peak;
  }
}

export function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
