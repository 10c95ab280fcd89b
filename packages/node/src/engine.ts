// Settings of the JavaScript engine for a process that serves. For programs to choose, not for libraries:
// they hold for the whole process.

import { setFlagsFromString } from "node:v8";

/**
 * A function is optimised after so many bytes of its code have run (V8's own figure is 67,584). A server runs
 * few functions very often, so waiting longer teaches the compiler nothing: right after its start a single client's
 * put costs 0.27 to 0.31 ms of CPU with this, and 0.32 to 0.40 without; warm, there is no difference. Below
 * about 10,000 functions are optimised before they have seen enough, and again later.
 */
const optimiseAfterBytes = 25_000;

/** From this version on (Node 22) invocations are counted instead, and V8 complains of the flag on standard error. */
const v8WithoutBudget = 12;

/**
 * Small byte arrays are cut from pools of this size, of which V8 has to account for and free each: with Node's own 8 KiB there is
 * one for every five puts.
 */
const poolBytes = 64 << 10;

/** Call it first thing: what has run before keeps its old budget for a while. */
export function tuneEngine(): void {
  Buffer.poolSize = poolBytes;
  if (Number.parseInt(process.versions.v8, 10) >= v8WithoutBudget) return;
  setFlagsFromString(`--interrupt-budget=${optimiseAfterBytes}`);
}
