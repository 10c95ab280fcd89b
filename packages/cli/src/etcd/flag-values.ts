// The kinds of flags and how each reads its text. Messages are those of Go's flag package and of etcd's own
// value types: they follow `invalid value "x" for flag -name: `.

import { type LogLevel, logLevels } from "@etcd-ts/node";
import { parseDuration } from "../shared/go-duration.ts";
import { NumberError, parseBool, parseInt64, parseUint64 } from "../shared/go-number.ts";
import { FeatureGateError, parseFeatureGates } from "./feature-gates.ts";
import { type EtcdUrl, parseUrls } from "./url.ts";

export class FlagValueError extends Error {
  override readonly name = "FlagValueError";
}

export type FlagValue = string | boolean | number | bigint | readonly string[] | readonly EtcdUrl[];

export interface FlagType {
  /** How a config file writes it: durations as nanoseconds, lists as lists. */
  readonly kind: "text" | "boolean" | "number" | "duration" | "urls" | "commaList" | "list";
  /** A boolean flag takes its value only behind `=`. */
  readonly isBoolean: boolean;
  /** Throws `FlagValueError` or `UrlError`; undefined keeps the default. */
  parse(text: string): FlagValue | undefined;
}

const text: FlagType = { kind: "text", isBoolean: false, parse: (given) => given };

/** In any case; no level at all leaves the default. What is none is told of when the log is opened. */
const logLevel: FlagType = {
  kind: "text",
  isBoolean: false,
  parse(given) {
    if (given === "") return undefined;
    const level = given.toLowerCase();
    return isLogLevel(level) ? level : given;
  },
};

const bool: FlagType = {
  kind: "boolean",
  isBoolean: true,
  parse: (given) => number(() => parseBool(given)),
};

/** A number beyond 2^53 is rounded; so large a limit is none. */
const uint: FlagType = {
  kind: "number",
  isBoolean: false,
  parse: (given) => Number(number(() => parseUint64(given, 0))),
};

const uint32: FlagType = { kind: "number", isBoolean: false, parse: strconvUint32 };

const int: FlagType = {
  kind: "number",
  isBoolean: false,
  parse: (given) => Number(number(() => parseInt64(given, 0))),
};

const duration: FlagType = {
  kind: "duration",
  isBoolean: false,
  parse(given) {
    try {
      return parseDuration(given);
    } catch (cause) {
      throw new FlagValueError("parse error", { cause });
    }
  },
};

/** An empty text leaves the default. */
const urls: FlagType = {
  kind: "urls",
  isBoolean: false,
  parse: (given) => (given === "" ? undefined : parseUrls(given)),
};

/** URLs or `*`, as texts. */
const urlsOrStar: FlagType = {
  kind: "commaList",
  isBoolean: false,
  parse: (given) => (given === "*" ? ["*"] : parseUrls(given).map((url) => url.text)),
};

/** Each once, sorted. */
const uniqueList: FlagType = {
  kind: "commaList",
  isBoolean: false,
  parse: (given) => uniqueSorted(given.split(",")),
};

const list: FlagType = {
  kind: "list",
  isBoolean: false,
  parse: (given) => (given === "" ? [] : given.split(",")),
};

function oneOf(...allowed: readonly string[]): FlagType {
  return {
    kind: "text",
    isBoolean: false,
    parse(given) {
      if (!allowed.includes(given)) throw new FlagValueError("invalid value");
      return given;
    },
  };
}

const v2Deprecation: FlagType = {
  kind: "text",
  isBoolean: false,
  parse(given) {
    const known = ["write-only", "write-only-skip-check", "write-only-drop-data", "gone"];
    if (!known.includes(given)) {
      throw new FlagValueError(`invalid value ${JSON.stringify(given)}`);
    }
    return given;
  },
};

const gates: FlagType = {
  kind: "text",
  isBoolean: false,
  parse(given) {
    try {
      parseFeatureGates(given);
      return given;
    } catch (cause) {
      if (!(cause instanceof FeatureGateError)) throw cause;
      throw new FlagValueError(cause.message, { cause });
    }
  },
};

const uniqueYamlList: FlagType = { ...uniqueList, kind: "list" };

export const flagTypes: {
  readonly text: FlagType;
  readonly logLevel: FlagType;
  readonly bool: FlagType;
  readonly uint: FlagType;
  readonly uint32: FlagType;
  readonly int: FlagType;
  readonly duration: FlagType;
  readonly urls: FlagType;
  readonly urlsOrStar: FlagType;
  readonly uniqueList: FlagType;
  readonly list: FlagType;
  readonly clusterState: FlagType;
  readonly discoveryFallback: FlagType;
  readonly v2Deprecation: FlagType;
  readonly gates: FlagType;
  /** As `uniqueList`, a list in a config file. */
  readonly uniqueYamlList: FlagType;
} = {
  text,
  logLevel,
  bool,
  uint,
  uint32,
  int,
  duration,
  urls,
  urlsOrStar,
  uniqueList,
  list,
  clusterState: oneOf("new", "existing"),
  discoveryFallback: oneOf("exit", "proxy"),
  v2Deprecation,
  gates,
  uniqueYamlList,
};

export function uniqueSorted(values: readonly string[]): string[] {
  return [...new Set(values.map((value) => value.trim()))].sort();
}

function strconvUint32(given: string): number {
  const fail = (what: string): never => {
    throw new FlagValueError(`strconv.ParseUint: parsing ${JSON.stringify(given)}: ${what}`);
  };
  let value = 0n;
  try {
    value = parseUint64(given, 0);
  } catch (error) {
    fail(isRange(error) ? "value out of range" : "invalid syntax");
  }
  if (value > 0xffff_ffffn) fail("value out of range");
  return Number(value);
}

function number<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new FlagValueError(isRange(cause) ? "value out of range" : "parse error", { cause });
  }
}

function isRange(error: unknown): boolean {
  return error instanceof NumberError && error.message.endsWith("value out of range");
}

export function isLogLevel(text: string): text is LogLevel {
  return (logLevels as readonly string[]).includes(text);
}
