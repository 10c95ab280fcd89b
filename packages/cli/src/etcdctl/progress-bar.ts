// A bar that grows with the seconds of a check, on standard error: redrawn in place on a terminal, said once
// at the end elsewhere.

import type { Output } from "../shared/output.ts";

const columns = 22;

export class ProgressBar {
  readonly #total: number;
  readonly #output: Output;
  readonly #isTerminal: boolean;
  #done = 0;

  constructor(total: number, output: Output) {
    this.#total = total;
    this.#output = output;
    this.#isTerminal = process.stderr.isTTY === true;
  }

  set(done: number): void {
    this.#done = Math.min(done, this.#total);
    if (this.#isTerminal) this.#output.err(`\r${this.#text()}`);
  }

  finish(): void {
    this.#output.err(this.#isTerminal ? `\r${this.#text()}\n` : `${this.#text()}\n`);
  }

  #text(): string {
    const share = this.#done / this.#total;
    const filled = Math.round(share * columns);
    const bar =
      filled >= columns
        ? "-".repeat(columns)
        : `${"-".repeat(filled)}>${"_".repeat(columns - filled - 1)}`;
    return `${this.#done} / ${this.#total} [${bar}] ${(share * 100).toFixed(2)}%`;
  }
}
