// Log lines of a tool on standard error: one JSON object a line, as etcd's own tools write them.

import type { Clock, Log, LogFields } from "@etcd-ts/base";
import { logTime } from "@etcd-ts/node";
import type { Output } from "./output.ts";

export const lineLevels = ["debug", "info", "warn", "error", "fatal"] as const;
export type LineLevel = (typeof lineLevels)[number];

export class LogLines implements Log {
  readonly #output: Output;
  readonly #clock: Clock;
  readonly #lowest: LineLevel;
  readonly #name: string;

  constructor(output: Output, clock: Clock, lowest: LineLevel, name = "") {
    this.#output = output;
    this.#clock = clock;
    this.#lowest = lowest;
    this.#name = name;
  }

  debug(message: string, fields?: LogFields): void {
    this.#write("debug", message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#write("info", message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.#write("warn", message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.#write("error", message, fields);
  }
  fatal(message: string, fields?: LogFields): void {
    this.#write("fatal", message, fields);
  }

  named(name: string): LogLines {
    return new LogLines(this.#output, this.#clock, this.#lowest, name);
  }

  #write(level: LineLevel, message: string, fields: LogFields = {}): void {
    if (lineLevels.indexOf(level) < lineLevels.indexOf(this.#lowest)) return;
    const ts = logTime(Math.floor(this.#clock.wallMs() * 1000));
    const line = {
      level,
      ts,
      ...(this.#name === "" ? {} : { logger: this.#name }),
      msg: message,
      ...fields,
    };
    this.#output.err(`${JSON.stringify(line, fieldValue)}\n`);
  }
}

function fieldValue(_key: string, value: unknown): unknown {
  if (value instanceof Error) return value.message;
  return typeof value === "bigint" ? value.toString(16) : value;
}
