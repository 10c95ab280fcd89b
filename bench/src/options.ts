// The command line of the bench.

import { parseArgs } from "node:util";

export const usage = `usage: npm run bench -- [options] [scenario ...]

  --scenario NAME    measure only this one; may be repeated (or name scenarios without the flag)
  --list             print the scenarios with their goals, and the micro-benchmarks
  --quick            one short round each, small sizes: under two minutes
  --rounds N         rounds of each scenario for each server (default 3)
  --seconds N        measured seconds of a round (default 5)
  --keys N           keys of the large store (default 1000000)
  --only ours|stock  measure one of the two
  --dir FOLDER       where the data directories go (default: the system's folder for temporary files)
  --out FOLDER       where results.json, results.md and latency.svg go (default bench/results)
  --keep             keep the scenarios of an earlier results.json that this run does not measure
  --docs             measure nothing: write the results of --out into docs/performance.md
  --micro            micro-benchmarks instead; names after it choose some
  --help

The stock etcd is $ETCD_BIN, else the newest of PATH and $ETCD_TS_STOCK_DIRS.
`;

export interface Options {
  readonly mode: "run" | "list" | "docs" | "micro" | "help";
  /** Empty: all. */
  readonly names: readonly string[];
  readonly quick: boolean;
  readonly rounds: number;
  readonly measureMs: number;
  readonly largeKeyCount: number;
  readonly only: "ours" | "stock" | undefined;
  readonly dir: string | undefined;
  readonly out: string;
  readonly keep: boolean;
}

/** A command line that cannot be carried out; the message says why. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  const modes = (["help", "list", "docs", "micro"] as const).filter((it) => values[it] === true);
  if (modes.length > 1 && !modes.includes("help")) {
    throw new UsageError(`--${modes.join(" and --")} exclude each other`);
  }
  const only = values.only;
  if (only !== undefined && only !== "ours" && only !== "stock") {
    throw new UsageError(`--only takes ours or stock, not "${only}"`);
  }
  const quick = values.quick === true;
  const mode = modes[0] ?? "run";
  if (values.scenario !== undefined && mode !== "run") {
    throw new UsageError(`--scenario has no meaning with --${mode}`);
  }
  return {
    mode,
    names: [...(values.scenario ?? []).flatMap((it) => it.split(",")), ...positionals],
    quick,
    rounds: numberOf("rounds", values.rounds, quick ? 1 : 3, 1, true),
    measureMs: numberOf("seconds", values.seconds, quick ? 0.6 : 5, 0.1, false) * 1000,
    largeKeyCount: numberOf("keys", values.keys, quick ? 100_000 : 1_000_000, 1000, true),
    only,
    dir: values.dir,
    out: values.out ?? "bench/results",
    keep: values.keep === true,
  };
}

function parse(args: readonly string[]): ReturnType<typeof rawParse> {
  try {
    return rawParse(args);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function rawParse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      scenario: { type: "string", multiple: true },
      list: { type: "boolean" },
      quick: { type: "boolean" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      keys: { type: "string" },
      only: { type: "string" },
      dir: { type: "string" },
      out: { type: "string" },
      keep: { type: "boolean" },
      docs: { type: "boolean" },
      micro: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
}

function numberOf(
  flag: string,
  text: string | undefined,
  otherwise: number,
  min: number,
  whole: boolean,
): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < min || (whole && value % 1 !== 0)) {
    throw new UsageError(
      `--${flag} takes a ${whole ? "whole " : ""}number from ${min} on, not "${text}"`,
    );
  }
  return value;
}

/** The chosen of `all` by name; every one when none is chosen. */
export function choose<T extends { readonly name: string }>(
  all: readonly T[],
  names: readonly string[],
  what: string,
): T[] {
  const unknown = names.filter((name) => !all.some((it) => it.name === name));
  if (unknown.length > 0) {
    const known = all.map((it) => it.name).join(", ");
    throw new UsageError(`no ${what} is called ${unknown.join(" or ")}; there are: ${known}`);
  }
  return names.length === 0 ? [...all] : all.filter((it) => names.includes(it.name));
}
