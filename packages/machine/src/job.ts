// Long work, cut into slices so that nothing holds the event loop.

import type { ErrorCode } from "@etcd-ts/api";
import type { RangeResult } from "./results.ts";

/** Of reads that were under way, or came, while the machine's state was replaced: clients try again. */
export const replacedError: ErrorCode = "leaderChanged";

/** Work that is done in steps by whoever owns the loop. Belongs to one owner; not re-entrant. */
export interface Job {
  /**
   * Does up to about `itemCount` items of work (a key looked at, a record read or removed is an item) and
   * returns true once everything is done. Calling it afterwards is harmless and returns true.
   */
  step(itemCount: number): boolean;
}

/** A job whose reads hold back the physical part of compaction until it is done or cancelled. */
export interface ReadJob extends Job {
  readonly done: boolean;
  /**
   * Why there is no result. Known at once when the request was refused; later only when the machine's state was
   * replaced under the job (`replacedError`), which ends it.
   */
  readonly error: ErrorCode | undefined;
  /** Lets go of what the job holds. Idempotent; the job must not be stepped afterwards. */
  cancel(): void;
}

/** A range; its error may be `futureRev` or `compacted`, or see `ReadJob`. */
export interface RangeJob extends ReadJob {
  /** Valid once done without an error. */
  readonly result: RangeResult;
}

/** Runs a job to its end without a pause: for tests, tools and work that is known to be small. */
export function finish<T extends Job>(job: T, itemCount = 1024): T {
  while (!job.step(itemCount));
  return job;
}
