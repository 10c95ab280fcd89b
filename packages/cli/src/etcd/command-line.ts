// Arguments and environment variables, as Go's flag package and etcd read them.

import type { Config, Draft, FlagName, ParsedConfig } from "./config.ts";
import type { FlagRow } from "./flag-table.ts";
import { defaultDraft, flagRows, flagsByName, ignoredFlags } from "./flag-table.ts";
import { FlagValueError } from "./flag-values.ts";
import { UrlError } from "./url.ts";

export type CommandLine =
  | { readonly kind: "help" }
  /** Exit 2, after the message and the usage. */
  | { readonly kind: "bad-flag"; readonly message: string }
  /** Exit 1; `failed to verify flags`. */
  | { readonly kind: "bad-argument"; readonly message: string }
  | { readonly kind: "version" }
  | { readonly kind: "flags"; readonly draft: Draft; readonly given: Set<FlagName> };

export function parseCommandLine(args: readonly string[]): CommandLine {
  const draft = defaultDraft();
  const given = new Set<FlagName>();
  let next = 0;
  while (next < args.length) {
    const word = args[next] as string;
    if (!word.startsWith("-") || word === "-") break;
    next += 1;
    if (word === "--") break;
    const body = word.slice(word.startsWith("--") ? 2 : 1);
    if (body === "" || body.startsWith("-") || body.startsWith("=")) {
      return { kind: "bad-flag", message: `bad flag syntax: ${word}` };
    }
    const equals = body.indexOf("=");
    const name = equals < 0 ? body : body.slice(0, equals);
    let value = equals < 0 ? undefined : body.slice(equals + 1);
    if (ignoredFlags.includes(name)) continue;
    const row = flagsByName.get(name);
    if (row === undefined) {
      if (name === "help" || name === "h") return { kind: "help" };
      return { kind: "bad-flag", message: `flag provided but not defined: -${name}` };
    }
    if (value === undefined && row.type.isBoolean) value = "true";
    if (value === undefined) {
      if (next === args.length) {
        return { kind: "bad-flag", message: `flag needs an argument: -${name}` };
      }
      value = args[next] as string;
      next += 1;
    }
    const problem = set(draft, row, value);
    if (problem !== undefined) {
      const kind = row.type.isBoolean ? "boolean value" : "value";
      const of = row.type.isBoolean ? "" : "flag ";
      const message = `invalid ${kind} ${JSON.stringify(value)} for ${of}-${name}: ${problem}`;
      return { kind: "bad-flag", message };
    }
    given.add(row.name);
  }
  if (next < args.length) {
    return { kind: "bad-argument", message: `${JSON.stringify(args[next])} is not a valid flag` };
  }
  if (draft.version === true) return { kind: "version" };
  return { kind: "flags", draft, given };
}

export interface EnvironmentLog {
  used(variable: string, value: string): void;
  unrecognized(variable: string): void;
}

export type EnvironmentOutcome =
  | { readonly kind: "ok" }
  /** A variable is set whose flag is on the command line as well. */
  | { readonly kind: "shadowed"; readonly variable: string }
  | { readonly kind: "bad-value"; readonly message: string };

export function applyEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  draft: Draft,
  given: Set<FlagName>,
  log: EnvironmentLog,
): EnvironmentOutcome {
  const onCommandLine = new Set(given);
  const known = new Map(flagRows.map((row) => [variableOf(row.name), row]));
  const ignored = new Set(ignoredFlags.map(variableOf));
  const sorted = [...flagRows].sort((a, b) => (a.name < b.name ? -1 : 1));
  let problem: string | undefined;
  for (const row of sorted) {
    const variable = variableOf(row.name);
    const value = environment[variable];
    if (onCommandLine.has(row.name) || value === undefined || value === "") continue;
    const failure = set(draft, row, value);
    if (failure === undefined) {
      given.add(row.name);
      log.used(variable, value);
    } else {
      problem ??= `invalid value ${JSON.stringify(value)} for ${variable}: ${failure}`;
    }
  }
  for (const variable of Object.keys(environment)) {
    if (!variable.startsWith("ETCD_")) continue;
    const row = known.get(variable);
    if (ignored.has(variable)) continue;
    if (row === undefined) log.unrecognized(`${variable}=${environment[variable]}`);
    else if (onCommandLine.has(row.name)) return { kind: "shadowed", variable };
  }
  return problem === undefined ? { kind: "ok" } : { kind: "bad-value", message: problem };
}

/** `ETCD_` and the name of the flag in capitals. */
export function variableOf(flag: string): string {
  return `ETCD_${flag.toUpperCase().replaceAll("-", "_")}`;
}

export function finish(
  draft: Draft,
  given: ReadonlySet<FlagName>,
  fromFile: boolean,
): ParsedConfig {
  const fromFileOnly = { clientAllowedCommonNames: [], ignoredKeys: [] };
  return { config: draft as unknown as Config, given, fromFile, ...fromFileOnly };
}

function set(draft: Draft, row: FlagRow, text: string): string | undefined {
  try {
    const value = row.type.parse(text);
    if (value !== undefined) draft[row.name] = value;
    return undefined;
  } catch (error) {
    if (error instanceof FlagValueError || error instanceof UrlError) return error.message;
    throw error;
  }
}
