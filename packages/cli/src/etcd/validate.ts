// The checks that etcd makes before it starts, in its order, with its texts. The first failure counts. Two
// groups lie outside: TLS files and retention are looked at when they are used.

import { formatDuration } from "../shared/go-duration.ts";
import { quoteList } from "../shared/go-quote.ts";
import type { Config, FlagName, ParsedConfig } from "./config.ts";
import { parseFeatureGates } from "./feature-gates.ts";
import { parseRotation, RotationError } from "./rotation-config.ts";
import { type EtcdUrl, hostnameOf, isIpText, isUnix } from "./url.ts";

export class ValidationError extends Error {
  override readonly name = "ValidationError";
}

type Check = (config: Config, given: ReadonlySet<FlagName>) => string | undefined;

/** Checks of the logger's flags, which come first: everything else is said through the logger. */
const logChecks: readonly Check[] = [
  (config) =>
    config["discovery-fallback"] === "proxy"
      ? 'v2 proxy is deprecated, and --discovery-fallback can\'t be configured as "proxy"'
      : undefined,
  (config) => {
    if (config.logger === "capnslog") return "--logger=capnslog is removed in v3.5";
    if (config.logger !== "zap") return `unknown logger option ${JSON.stringify(config.logger)}`;
    return undefined;
  },
  (config) => {
    const outputs = config["log-outputs"];
    if (outputs.length === 0) return "invalid (empty) LogOutputs";
    if (outputs.length === 1) return undefined;
    if (outputs.includes("systemd/journal")) {
      return `running with systemd/journal but other '--log-outputs' values (${quoteList(outputs)}) are configured with 'default'; override 'default' value with something else`;
    }
    return outputs.includes("default")
      ? 'multi logoutput for "default" is not supported yet'
      : undefined;
  },
  (config) =>
    config["log-format"] === "json" || config["log-format"] === "console"
      ? undefined
      : `unknown log format: ${config["log-format"]}, supported values json, console`,
  (config) => {
    if (!config["enable-log-rotation"]) return undefined;
    const outputs = config["log-outputs"];
    const files = outputs.filter((output) => !["default", "stderr", "stdout"].includes(output));
    if (outputs.length !== 1 || files.length !== 1) {
      return "--log-outputs requires a single file path when --log-rotate-config-json is defined";
    }
    try {
      parseRotation(config["log-rotation-config-json"]);
      return undefined;
    } catch (error) {
      if (!(error instanceof RotationError)) throw error;
      return `invalid log rotation config: ${error.message}`;
    }
  },
];

const checks: readonly Check[] = [
  (config) =>
    bindProblem([
      ...config["listen-peer-urls"],
      ...config["listen-client-urls"],
      ...config["listen-client-http-urls"],
      ...config["listen-metrics-urls"],
    ]),
  (config) => {
    const bad = config["initial-advertise-peer-urls"].find(lacksHost);
    if (bad === undefined) return undefined;
    const all = JSON.stringify(
      config["initial-advertise-peer-urls"].map((url) => url.text).join(","),
    );
    return `--initial-advertise-peer-urls ${all} must be "host:port" (unexpected empty host (${bad.text}))`;
  },
  (config) => {
    const bad = config["advertise-client-urls"].find(lacksHost);
    if (bad === undefined) return undefined;
    const all = JSON.stringify(config["advertise-client-urls"].map((url) => url.text).join(","));
    return `--advertise-client-urls ${all} must be in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket" (unexpected empty host (${bad.text}))`;
  },
  (config) =>
    config["initial-cluster-state"] === "new" || config["initial-cluster-state"] === "existing"
      ? undefined
      : `unexpected clusterState ${JSON.stringify(config["initial-cluster-state"])}`,
  (config, given) => {
    const ways = [
      given.has("initial-cluster") && config["initial-cluster"] !== "",
      config["discovery-srv"] !== "",
      config["discovery-endpoints"].length > 0,
    ];
    return ways.filter(Boolean).length > 1
      ? 'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"'
      : undefined;
  },
  (config) =>
    (config["discovery-token"] === "") !== (config["discovery-endpoints"].length === 0)
      ? "both --discovery-token and --discovery-endpoints must be set"
      : undefined,
  (config) =>
    config["discovery-endpoints"].includes("")
      ? "--discovery-endpoints must not contain empty endpoints"
      : undefined,
  (config) => positiveMs("--heartbeat-interval", config["heartbeat-interval"]),
  (config) => positiveMs("--election-timeout", config["election-timeout"]),
  (config) => {
    const [election, heartbeat] = [config["election-timeout"], config["heartbeat-interval"]];
    return 5 * heartbeat > election
      ? `--election-timeout[${election}ms] should be at least as 5 times as --heartbeat-interval[${heartbeat}ms]`
      : undefined;
  },
  (config) =>
    config["election-timeout"] > 50_000
      ? `--election-timeout[${config["election-timeout"]}ms] is too long, and should be set less than 50000ms`
      : undefined,
  (_config, given) =>
    given.has("listen-client-urls") && !given.has("advertise-client-urls")
      ? "--advertise-client-urls is required when --listen-client-urls is set explicitly"
      : undefined,
  (config) => {
    const mode = config["auto-compaction-mode"];
    if (mode === "") return "undefined auto-compaction-mode";
    return mode === "periodic" || mode === "revision"
      ? undefined
      : `unknown auto-compaction-mode ${JSON.stringify(mode)}`;
  },
  (config) => {
    const rate = config["distributed-tracing-sampling-rate"];
    if (!config["enable-distributed-tracing"] || (rate >= 0 && rate <= 1_000_000)) return undefined;
    return `distributed tracing configurition is not valid: (${rate < 0 ? "sampling rate must be positive" : "sampling rate should be less than 1000000"}, got ${rate})`;
  },
  (config) => {
    const gates = parseFeatureGates(config["feature-gates"]);
    return gates.get("LeaseCheckpointPersist") && !gates.get("LeaseCheckpoint")
      ? "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint"
      : undefined;
  },
  (config) => {
    const time = config["compact-hash-check-time"];
    return time <= 0n
      ? `--compact-hash-check-time must be >0 (set to ${formatDuration(time)})`
      : undefined;
  },
  (config) => tlsVersionProblem(config),
];

/** Throws `ValidationError`. */
export function validateLogFlags(config: Config): void {
  run(logChecks, config, new Set());
}

/** Throws `ValidationError`. */
export function validate({ config, given }: ParsedConfig): void {
  run(checks, config, given);
}

function run(list: readonly Check[], config: Config, given: ReadonlySet<FlagName>): void {
  for (const check of list) {
    const problem = check(config, given);
    if (problem !== undefined) throw new ValidationError(problem);
  }
}

function bindProblem(urls: readonly EtcdUrl[]): string | undefined {
  for (const url of urls) {
    if (isUnix(url)) continue;
    const host = hostnameOf(url);
    if (host !== "localhost" && !isIpText(host)) {
      return `expected IP in URL for binding (${url.text})`;
    }
  }
  return undefined;
}

function lacksHost(url: EtcdUrl): boolean {
  return !isUnix(url) && hostnameOf(url) === "";
}

function positiveMs(flag: string, value: number): string | undefined {
  return value > 0 ? undefined : `${flag} must be >0 (set to ${value}ms)`;
}

function tlsVersionProblem(config: Config): string | undefined {
  const [min, max] = [config["tls-min-version"], config["tls-max-version"]];
  for (const version of [min, max]) {
    if (!["", "TLS1.2", "TLS1.3"].includes(version)) {
      return `unexpected TLS version ${JSON.stringify(version)} (must be one of: TLS1.2, TLS1.3)`;
    }
  }
  if (max !== "" && min > max) return `min version (${min}) is greater than max version (${max})`;
  if (min === "TLS1.3" && config["cipher-suites"].length > 0) {
    return "cipher suites cannot be configured when only TLS1.3 is enabled";
  }
  return undefined;
}
