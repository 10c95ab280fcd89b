// From arguments, environment and config file to a configuration that passed all checks, or to what to say
// and how to exit. What is said before the logger is set up goes through one with the defaults.

import { type NodeLog, nodeLog } from "@etcd-ts/node";
import { applyEnvironment, finish, parseCommandLine } from "./command-line.ts";
import type { ParsedConfig } from "./config.ts";
import { isLogLevel } from "./flag-values.ts";
import { LogOutputError, openLog } from "./open-log.ts";
import { unsupported } from "./unsupported.ts";
import { ValidationError, validate, validateLogFlags } from "./validate.ts";

export type StartDecision =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  /** Message and usage on standard error, exit 2. */
  | { readonly kind: "usage"; readonly message: string }
  /** Message on standard error, exit status as given. */
  | { readonly kind: "bare"; readonly message: string; readonly exitCode: number }
  /** Everything has been logged; exit 1. */
  | { readonly kind: "refused" }
  | { readonly kind: "start"; readonly parsed: ParsedConfig; readonly log: NodeLog };

type Environment = Readonly<Record<string, string | undefined>>;

export async function decideStart(
  args: readonly string[],
  environment: Environment,
): Promise<StartDecision> {
  const early = nodeLog();
  const line = parseCommandLine(args.slice(1));
  if (line.kind === "help" || line.kind === "version") return line;
  if (line.kind === "bad-flag") return { kind: "usage", message: line.message };
  if (line.kind === "bad-argument") return refuse(early, args, line.message);

  const path = String(line.draft["config-file"]) || (environment["ETCD_CONFIG_FILE"] ?? "");
  let parsed: ParsedConfig;
  if (path !== "") {
    const { ConfigFileError, readConfigFile } = await import("./config-file.ts");
    try {
      parsed = await readConfigFile(path);
    } catch (error) {
      if (!(error instanceof ConfigFileError)) throw error;
      if (error.bare) return { kind: "bare", message: error.message, exitCode: 1 };
      return refuse(early, args, error.message);
    }
    early.info(
      "loaded server configuration, other configuration command line flags and environment variables will be ignored if provided",
      { path },
    );
  } else {
    const outcome = applyEnvironment(environment, line.draft, line.given, {
      used: (name, value) =>
        early.info("recognized and used environment variable", {
          "variable-name": name,
          "variable-value": value,
        }),
      unrecognized: (variable) =>
        early.warn("unrecognized environment variable", { "environment-variable": variable }),
    });
    if (outcome.kind === "shadowed") {
      early.fatal(
        "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag))",
        { "environment-variable": outcome.variable },
      );
      return { kind: "refused" };
    }
    if (outcome.kind === "bad-value") return refuse(early, args, outcome.message);
    parsed = finish(line.draft, line.given, false);
  }
  return await check(parsed, args, early);
}

async function check(
  parsed: ParsedConfig,
  args: readonly string[],
  early: NodeLog,
): Promise<StartDecision> {
  const { config, given } = parsed;
  try {
    validateLogFlags(config);
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error;
    return refuse(early, args, error.message);
  }
  // etcd panics, with this exit status.
  if (!isLogLevel(config["log-level"])) {
    const message = `unrecognized level: ${JSON.stringify(config["log-level"])}`;
    return { kind: "bare", message, exitCode: 2 };
  }
  // Before the outputs are opened: one of them may be what is not supported.
  const missing = unsupported(parsed);
  if (missing !== undefined) return refuse(early, args, missing);
  let log: NodeLog;
  try {
    log = await openLog(config);
  } catch (error) {
    if (!(error instanceof LogOutputError)) throw error;
    return refuse(early, args, error.message);
  }
  try {
    validate(parsed);
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error;
    return refuse(log, args, error.message);
  }
  warn(parsed, log);
  if (given.has("max-snapshots")) {
    log.warn("--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8.");
  }
  if (given.has("v2-deprecation")) {
    log.warn(
      "--v2-deprecation is deprecated and scheduled for removal in v3.8. The default value is enforced, ignoring user input.",
    );
  }
  log.info("Running: ", { args });
  return { kind: "start", parsed, log };
}

function warn({ config, ignoredKeys }: ParsedConfig, log: NodeLog): void {
  for (const key of ignoredKeys) {
    log.warn("the configuration file has a key that stands for nothing; it is ignored", { key });
  }
  if (config["listen-client-http-urls"].length === 0) {
    log.warn(
      "Running http and grpc server on single port. This is not recommended for production.",
    );
  }
  if (config.name === "default") {
    log.warn("the member has the default name; set --name where there is more than one member", {
      name: config.name,
    });
  }
}

function refuse(log: NodeLog, args: readonly string[], error: string): StartDecision {
  log.info("Running: ", { args });
  log.warn("failed to verify flags", { error });
  if (error.startsWith("--advertise-client-urls is required")) {
    log.warn("advertise client URLs are not set", { error });
  }
  return { kind: "refused" };
}
