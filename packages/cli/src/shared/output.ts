// Standard output and error, written synchronously: an exit right after loses nothing, and the streams of
// Node (some milliseconds to load) are not needed. A pipe that a parent made non-blocking answers EAGAIN
// when it is full; then we wait a moment and go on.

import { writeSync } from "node:fs";
import { ExitCode } from "./exit.ts";

/** What a program prints, as functions, so that tests can catch it. */
export interface Output {
  /** Text, or raw bytes, to standard output. */
  out(data: string | Uint8Array): void;
  /** Text to standard error. */
  err(text: string): void;
}

export const processOutput: Output = {
  out: (data) => writeAll(1, data),
  err: (text) => writeAll(2, text),
};

/** Status of a program whose reader went away: what a shell shows for death by SIGPIPE. */
const brokenPipeStatus = 141;

function writeAll(descriptor: number, data: string | Uint8Array): void {
  const bytes = typeof data === "string" ? Buffer.from(data, "utf8") : data;
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(descriptor, bytes, at, bytes.length - at);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EPIPE") process.exit(brokenPipeStatus);
      if (code !== "EAGAIN") {
        // A full disk, for one. It is said where that is still possible.
        if (descriptor === 1) writeAll(2, `Error: standard output: ${(error as Error).message}\n`);
        process.exit(ExitCode.error);
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
