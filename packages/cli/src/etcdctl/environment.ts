// ETCDCTL_* variables: one for every flag that a command inherits. A variable gives the value of a flag that
// is not on the command line; one that is on both is an error; one that means nothing is warned about.

import type { FlagSpec } from "../shared/command.ts";
import type { FlagSet } from "../shared/flags.ts";
import { UsageError } from "../shared/flags.ts";

const prefix = "ETCDCTL_";

export interface EnvironmentLog {
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
  fatal(message: string, fields: Readonly<Record<string, unknown>>): void;
}

/**
 * Sets flags from variables. False when a variable and a word of the command line collide, which has been
 * logged then. `ownVariables` are those that the command reads itself.
 */
export function applyEnvironment(
  flags: FlagSet,
  inherited: readonly FlagSpec[],
  environment: Readonly<Record<string, string | undefined>>,
  ownVariables: readonly string[],
  log: EnvironmentLog,
): boolean {
  const onCommandLine = new Set<string>();
  const used = new Set<string>(ownVariables);
  for (const spec of inherited) {
    const name = variableOf(spec);
    if (flags.has(spec.name)) {
      onCommandLine.add(name);
      continue;
    }
    const value = environment[name];
    if (value === undefined || value === "") continue;
    used.add(name);
    try {
      flags.set(spec, value);
    } catch (error) {
      // A variable that cannot be read leaves the default, without a word; scripts have relied on it.
      if (!(error instanceof UsageError)) throw error;
    }
  }
  for (const [name, value] of Object.entries(environment)) {
    if (used.has(name)) continue;
    if (onCommandLine.has(name)) {
      log.fatal(
        "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag))",
        { "environment-variable": name },
      );
      return false;
    }
    if (name.startsWith(prefix)) {
      log.warn("unrecognized environment variable", {
        "environment-variable": `${name}=${value}`,
      });
    }
  }
  return true;
}

/** `--write-out` → `ETCDCTL_WRITE_OUT` */
export function variableOf(spec: FlagSpec): string {
  return prefix + spec.name.toUpperCase().replaceAll("-", "_");
}
