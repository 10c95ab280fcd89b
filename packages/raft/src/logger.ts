// The log that the core writes. Texts are built only when somebody listens: every call site compares
// with `level` first, so that a silent logger costs one comparison.

export const LogLevel = { debug: 0, info: 1, warn: 2, error: 3, fatal: 4, none: 5 } as const;
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

export interface RaftLogger {
  /** The lowest level that is of interest. It may change at any time. */
  readonly level: LogLevel;
  write(level: LogLevel, text: string): void;
}

export const silentLogger: RaftLogger = { level: LogLevel.none, write() {} };
