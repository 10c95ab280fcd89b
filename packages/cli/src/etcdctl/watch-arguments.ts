// The words of `watch`, on the command line and in its interactive mode: key, end of range, command to run.

import { Failure } from "../shared/exit.ts";
import type { FlagSet } from "../shared/flags.ts";
import { quote } from "../shared/go-quote.ts";

export interface WatchArguments {
  /** Key and perhaps end of range. */
  readonly keys: readonly string[];
  /** Command to run for each event; empty for none. */
  readonly command: readonly string[];
}

/** Key and range that the environment gives in the place of words. */
export interface WatchVariables {
  readonly key: string;
  readonly rangeEnd: string;
}

export const watchVariableNames: readonly string[] = [
  "ETCDCTL_WATCH_KEY",
  "ETCDCTL_WATCH_RANGE_END",
];

export function watchVariables(): WatchVariables {
  return {
    key: process.env["ETCDCTL_WATCH_KEY"] ?? "",
    rangeEnd: process.env["ETCDCTL_WATCH_RANGE_END"] ?? "",
  };
}

/**
 * Splits the words; `wordsBeforeDash` is their number before `--`. Throws `Failure` (128). Anything but one
 * or two words before `--` is the first of them alone, as etcdctl has always read it.
 */
export function watchArguments(
  words: readonly string[],
  wordsBeforeDash: number | undefined,
  variables: WatchVariables,
): WatchArguments {
  if (variables.key === "" && variables.rangeEnd !== "") {
    throw Failure.badArguments(
      `ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=${quote(variables.rangeEnd)}`,
    );
  }
  const given = words.slice(0, wordsBeforeDash ?? words.length);
  const command = wordsBeforeDash === undefined ? [] : words.slice(wordsBeforeDash);
  if (wordsBeforeDash !== undefined && command.length === 0) {
    throw Failure.badArguments("bad number of arguments (found separator --, but no commands)");
  }
  if (variables.key !== "") {
    if (given.length > 0) {
      throw Failure.badArguments("bad number of arguments (found conflicting environment key)");
    }
    const keys = variables.rangeEnd === "" ? [variables.key] : [variables.key, variables.rangeEnd];
    return { keys, command };
  }
  if (given.length === 0) throw Failure.badArguments("bad number of arguments");
  return { keys: given.length > 2 ? given.slice(0, 1) : given, command };
}

/** What is wrong with the range; the message of a `Failure` or of an interactive line. */
export function watchRangeProblem(flags: FlagSet, keys: readonly string[]): string | undefined {
  return keys.length > 1 && flags.bool("prefix")
    ? "`range_end` and `--prefix` are mutually exclusive"
    : undefined;
}
