// The log: one line per event in the format of etcd's (zap's) loggers, so that what reads etcd's logs reads
// ours:
//
//   json     {"level":"info","ts":"2026-01-02T03:04:05.678901Z","logger":"raft","msg":"…","field":1}
//   console  2026-01-02T03:04:05.678901Z<TAB>info<TAB>raft<TAB>…<TAB>{"field":1}
//
// Lines are written at once and synchronously: the last line before a crash is the one that matters. pino
// was tried and left: 33 ms of start-up for what is a screenful here, and its fields and times would have
// had to be bent into zap's. There is no `caller`: finding it costs more than the rest of the line, and
// nobody greps for the file names of our compiled output. An error's stack goes into `stacktrace`, at
// level error and above.

import { closeSync, openSync, writeSync } from "node:fs";
import type { Log, LogFields } from "@etcd-ts/base";

export const logLevels = ["debug", "info", "warn", "error", "panic", "fatal"] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFormat = "json" | "console";

export interface LogOptions {
  readonly level?: LogLevel;
  readonly format?: LogFormat;
  /** "default" and "stderr", "stdout", paths of files, which are appended to, or outputs of another kind. */
  readonly outputs?: readonly (string | LogOutput)[];
}

/** Where lines go. */
export interface LogOutput {
  /** A whole line with its end. At once: it may be the last one. Never throws. */
  write(line: Uint8Array, level: LogLevel): void;
  close(): void;
}

export interface NodeLog extends Log {
  /** The last line of a process that gives up; the caller ends it. */
  fatal(message: string, fields?: LogFields): void;
  named(name: string): NodeLog;
  /** Takes effect for all loggers that share the outputs. */
  setLevel(level: LogLevel): void;
  readonly level: LogLevel;
  /** Closes files; later lines are dropped. */
  close(): void;
}

/** Throws a system error when a file cannot be opened. */
export function nodeLog(options: LogOptions = {}): NodeLog {
  return new LineLog(new Sink(options), "");
}

/** Drops everything; for tests and embedding. */
export const silentLog: NodeLog = {
  level: "fatal",
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
  named: () => silentLog,
  setLevel() {},
  close() {},
};

class Sink {
  level: number;
  readonly format: LogFormat;
  readonly #fds: number[] = [];
  readonly #files: number[] = [];
  readonly #others: LogOutput[] = [];

  constructor(options: LogOptions) {
    this.level = logLevels.indexOf(options.level ?? "info");
    this.format = options.format ?? "json";
    for (const output of new Set(options.outputs ?? ["default"])) {
      if (output === "default" || output === "stderr") this.#add(2);
      else if (output === "stdout") this.#add(1);
      else if (typeof output !== "string") this.#others.push(output);
      else {
        const fd = openSync(output, "a", 0o644);
        this.#files.push(fd);
        this.#add(fd);
      }
    }
  }

  #add(fd: number): void {
    if (!this.#fds.includes(fd)) this.#fds.push(fd);
  }

  write(line: string, level: LogLevel): void {
    const bytes = Buffer.from(line, "utf8");
    for (const fd of this.#fds) writeLine(fd, bytes);
    for (const output of this.#others) output.write(bytes, level);
  }

  close(): void {
    for (const fd of this.#files) {
      this.#fds.splice(this.#fds.indexOf(fd), 1);
      closeSync(fd);
    }
    this.#files.length = 0;
    for (const output of this.#others.splice(0)) output.close();
  }
}

class LineLog implements NodeLog {
  readonly #sink: Sink;
  readonly #name: string;

  constructor(sink: Sink, name: string) {
    this.#sink = sink;
    this.#name = name;
  }

  get level(): LogLevel {
    return logLevels[this.#sink.level] as LogLevel;
  }

  setLevel(level: LogLevel): void {
    this.#sink.level = logLevels.indexOf(level);
  }

  debug(message: string, fields?: LogFields): void {
    if (this.#sink.level <= 0) this.#write(0, message, fields);
  }

  info(message: string, fields?: LogFields): void {
    if (this.#sink.level <= 1) this.#write(1, message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    if (this.#sink.level <= 2) this.#write(2, message, fields);
  }

  error(message: string, fields?: LogFields): void {
    if (this.#sink.level <= 3) this.#write(3, message, fields);
  }

  fatal(message: string, fields?: LogFields): void {
    this.#write(5, message, fields);
  }

  named(name: string): NodeLog {
    return new LineLog(this.#sink, this.#name === "" ? name : `${this.#name}.${name}`);
  }

  close(): void {
    this.#sink.close();
  }

  #write(level: number, message: string, fields: LogFields | undefined): void {
    const time = logTime(wallMicroseconds());
    const levelName = logLevels[level] as LogLevel;
    let extra = "";
    if (fields !== undefined) {
      for (const key in fields) {
        const text = fieldText(fields[key]);
        if (text !== undefined) extra += `,${JSON.stringify(key)}:${text}`;
      }
      if (level >= 3) extra += stackField(fields);
    }
    if (this.#sink.format === "json") {
      const logger = this.#name === "" ? "" : `"logger":${JSON.stringify(this.#name)},`;
      const head = `{"level":"${levelName}","ts":"${time}",${logger}"msg":`;
      this.#sink.write(`${head}${JSON.stringify(message)}${extra}}\n`, levelName);
    } else {
      const logger = this.#name === "" ? "" : `\t${this.#name}`;
      const tail = extra === "" ? "" : `\t{${extra.slice(1)}}`;
      // A message must not look like two lines.
      const text = message.replace(/\n/g, "\\n");
      this.#sink.write(`${time}\t${levelName}${logger}\t${text}${tail}\n`, levelName);
    }
  }
}

/** The JSON text of a field's value; undefined leaves the field out. Identifiers are hex, as in etcd. */
function fieldText(value: unknown): string | undefined {
  if (value instanceof Error) return JSON.stringify(value.message);
  if (typeof value === "bigint") return `"${value.toString(16)}"`;
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString("base64")}"`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  try {
    return JSON.stringify(value, (_key, inner: unknown) => {
      if (inner instanceof Error) return inner.message;
      return typeof inner === "bigint" ? inner.toString(16) : inner;
    });
  } catch (error) {
    // A cycle: better a line with a remark than no line.
    return JSON.stringify(`unprintable: ${String(error)}`);
  }
}

function stackField(fields: LogFields): string {
  for (const key in fields) {
    const value = fields[key];
    if (value instanceof Error && value.stack !== undefined) {
      return `,"stacktrace":${JSON.stringify(value.stack)}`;
    }
  }
  return "";
}

let clockOffsetMs = performance.timeOrigin;

/** Date.now() with the digits behind it, as long as the two clocks agree. */
function wallMicroseconds(): number {
  const coarse = Date.now();
  let fine = performance.now() + clockOffsetMs;
  if (fine < coarse || fine >= coarse + 1) {
    clockOffsetMs += fine < coarse ? coarse - fine : coarse + 0.999 - fine;
    fine = performance.now() + clockOffsetMs;
  }
  return Math.floor(fine * 1000);
}

/** The layout `2006-01-02T15:04:05.000000Z0700`, in local time. */
export function logTime(microseconds: number): string {
  const date = new Date(Math.floor(microseconds / 1000));
  const eastMinutes = -date.getTimezoneOffset();
  const digits = String(microseconds % 1000).padStart(3, "0");
  const local = new Date(date.getTime() + eastMinutes * 60_000).toISOString();
  return `${local.slice(0, -1)}${digits}${zoneText(eastMinutes)}`;
}

function zoneText(eastMinutes: number): string {
  if (eastMinutes === 0) return "Z";
  const minutes = Math.abs(eastMinutes);
  const pad = (n: number): string => String(n).padStart(2, "0");
  return `${eastMinutes < 0 ? "-" : "+"}${pad(Math.floor(minutes / 60))}${pad(minutes % 60)}`;
}

/** The whole line, even to a pipe that is full at the moment. */
export function writeLine(fd: number, line: Uint8Array): void {
  let written = 0;
  while (written < line.length) {
    try {
      written += writeSync(fd, line, written);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") Atomics.wait(pauseCell, 0, 0, 1);
      // The reader is gone or the disk is full. There is no other place to complain to, and the member
      // must not die of its log.
      else return;
    }
  }
}

const pauseCell = new Int32Array(new SharedArrayBuffer(4));
