// What `--auto-compaction-mode` and `--auto-compaction-retention` ask for.

import type { Retention } from "@etcd-ts/server";
import { parseDuration } from "../shared/go-duration.ts";
import { NumberError } from "../shared/go-number.ts";

export class RetentionError extends Error {
  override readonly name = "RetentionError";
}

/** Throws `RetentionError`. A bare number is hours, or revisions. */
export function parseRetention(mode: string, text: string): Retention {
  if (/^\+?\d+$/.test(text)) {
    const count = Number(text);
    if (count === 0) return { mode: "off" };
    if (mode === "revision") return { mode, revisions: count };
    return { mode: "periodic", periodMs: count * 3_600_000 };
  }
  let periodMs: number;
  try {
    periodMs = Number(parseDuration(text)) / 1e6;
  } catch (cause) {
    if (!(cause instanceof NumberError)) throw cause;
    throw new RetentionError(`error parsing CompactionRetention: ${cause.message}`, { cause });
  }
  if (mode === "revision") {
    throw new RetentionError(
      `error parsing CompactionRetention: ${JSON.stringify(text)} is no number of revisions`,
    );
  }
  return periodMs > 0 ? { mode: "periodic", periodMs } : { mode: "off" };
}
