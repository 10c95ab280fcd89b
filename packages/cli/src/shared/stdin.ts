// Standard input line by line, or all of it, without blocking the event loop: a watch goes on and a
// connection answers pings while a person types.

import type { Readable } from "node:stream";
import { bytesToText } from "./byte-text.ts";

export interface Lines {
  /** The next line without its line end; undefined when there is none that is complete. */
  next(): Promise<string | undefined>;
}

let given: Readable | undefined;
let lines: InputLines | undefined;

/** Has commands read from another stream (tests do); undefined: standard input again. */
export function replaceInput(input: Readable | undefined): void {
  given = input;
  lines = undefined;
}

/** The one reader of lines of the input. */
export function inputLines(): Lines {
  lines ??= new InputLines(given ?? process.stdin);
  return lines;
}

/** All of the input, byte for byte. */
export async function readInput(): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of given ?? process.stdin) parts.push(chunk as Uint8Array);
  return Buffer.concat(parts);
}

/** The input when it is a terminal, of which the echo can be switched off. */
export function terminalInput(): typeof process.stdin | undefined {
  return given === undefined && process.stdin.isTTY ? process.stdin : undefined;
}

class InputLines implements Lines {
  readonly #input: Readable;
  #rest: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(input: Readable) {
    this.#input = input;
    input.on("data", (chunk: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      input.pause();
      this.#notify();
    });
    const onEnd = (): void => {
      this.#ended = true;
      this.#notify();
    };
    input.on("end", onEnd);
    // A terminal that went away reads as an error; for us it is the end.
    input.on("error", onEnd);
    input.pause();
  }

  async next(): Promise<string | undefined> {
    for (;;) {
      const end = this.#rest.indexOf(0x0a);
      if (end >= 0) {
        const line = this.#rest.subarray(0, end);
        this.#rest = this.#rest.subarray(end + 1);
        return bytesToText(line);
      }
      if (this.#ended) return undefined; // What is left has no line end: it does not count.
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#input.resume();
      });
    }
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
