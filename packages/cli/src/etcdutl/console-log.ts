// Log lines of etcdutl on standard error, as etcd's own writes them: columns with tabs in between, and an object whose
// colons and commas are followed by a blank.
//
//      2026-09-04T22:10:46Z ⇥ info ⇥ etcdutl/restore ⇥ restored snapshot ⇥ {"path": "x.db", "data-dir": "d"}

import type { Clock, Log, LogFields } from "@etcd-ts/base";
import type { Output } from "../shared/output.ts";

export class ConsoleLog implements Log {
  readonly #output: Output;
  readonly #clock: Clock;
  /** Stands where stock has the line of its source. */
  readonly #caller: string;

  constructor(output: Output, clock: Clock, caller: string) {
    this.#output = output;
    this.#clock = clock;
    this.#caller = caller;
  }

  debug(): void {
    // Below what a tool says.
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

  named(): ConsoleLog {
    return this;
  }

  #write(level: string, message: string, fields: LogFields = {}): void {
    const columns = [timeText(this.#clock.wallMs()), level, this.#caller, message];
    if (Object.keys(fields).length > 0) columns.push(spaced(fields));
    this.#output.err(`${columns.join("\t")}\n`);
  }
}

/** RFC 3339, in seconds, local. */
function timeText(wallMs: number): string {
  const date = new Date(wallMs);
  const east = -date.getTimezoneOffset();
  const local = new Date(wallMs + east * 60_000).toISOString().slice(0, 19);
  if (east === 0) return `${local}Z`;
  const pad = (n: number): string => String(n).padStart(2, "0");
  const minutes = Math.abs(east);
  return `${local}${east < 0 ? "-" : "+"}${pad(Math.floor(minutes / 60))}:${pad(minutes % 60)}`;
}

function spaced(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([name, it]) => `${JSON.stringify(name)}: ${spaced(it)}`,
  );
  return `{${members.join(", ")}}`;
}
