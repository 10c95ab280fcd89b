// What a lane of the tests and the runner say to each other.

import type { TestTally } from "./test-tally.ts";

/** A lane asks for its next file, and tells in the end what its tests came to. */
export type LaneMessage = "next" | TestTally;

export interface NextFile {
  /** Undefined: there is none. */
  readonly file?: string | undefined;
}
