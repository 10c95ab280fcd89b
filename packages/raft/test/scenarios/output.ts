// Where a scenario writes: output of commands and log lines of the nodes, interleaved as they come.

import { LogLevel, type RaftLogger } from "../../src/index.ts";

const levelNames = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"];

export class Output implements RaftLogger {
  level: LogLevel = LogLevel.debug;
  #text = "";

  /** Nothing is written; only the text of an error is shown. */
  get quiet(): boolean {
    return this.level === LogLevel.none;
  }

  get text(): string {
    return this.#text;
  }

  clear(): void {
    this.#text = "";
  }

  write(level: LogLevel, text: string): void {
    if (this.level <= level) this.print(`${levelNames[level]} ${text}\n`);
  }

  print(text: string): void {
    if (!this.quiet) this.#text += text;
  }

  /** Everything that `run` writes, indented. */
  indented(run: () => void): void {
    const before = this.#text;
    this.#text = "";
    try {
      run();
    } finally {
      const inner = this.#text;
      this.#text = before;
      const lines = inner.split("\n");
      if (lines.at(-1) === "") lines.pop();
      for (const line of lines) this.#text += `  ${line}\n`;
    }
  }

  /** False when there is no such level. */
  setLevel(name: string): boolean {
    const level = levelNames.indexOf(name.toUpperCase());
    if (level < 0) return false;
    this.level = level as LogLevel;
    return true;
  }

  static readonly levelError: string = `log levels must be either of [${levelNames.join(" ")}]`;
}
