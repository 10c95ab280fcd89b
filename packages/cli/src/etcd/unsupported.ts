// Flags of etcd that mean something to it and nothing to us yet. Better no member than one that lacks what
// its operator relies on: each of them is refused, with its name, when its value asks for something. A
// default, given explicitly, asks for nothing.

import type { Config, FlagName, ParsedConfig } from "./config.ts";
import { parseFeatureGates } from "./feature-gates.ts";
import { flagsByName } from "./flag-table.ts";

/** Refused when given with another value than the default. */
const refused: readonly FlagName[] = [
  "memory-mlock",
  "socket-reuse-port",
  "discovery-endpoints",
  "discovery-token",
  "discovery-srv",
  "discovery-srv-name",
  "bcrypt-cost",
  "auth-token-ttl",
  "enable-pprof",
  "enable-log-rotation",
  "enable-distributed-tracing",
  "force-new-cluster",
];

const refusedGates: readonly string[] = ["PriorityRequest", "StopGRPCServiceOnDefrag"];

/** What is not supported, as a sentence; undefined when everything is. */
export function unsupported({ config, given }: ParsedConfig): string | undefined {
  for (const name of refused) {
    if (given.has(name) && !isDefault(config, name)) return sentence(`--${name}`);
  }
  if (config["auth-token"] !== "simple" && config["auth-token"] !== "") {
    return sentence(`--auth-token=${config["auth-token"]}`);
  }
  if (config["log-outputs"].includes("systemd/journal")) {
    return sentence("--log-outputs=systemd/journal");
  }
  const gates = parseFeatureGates(config["feature-gates"]);
  for (const gate of refusedGates) {
    if (gates.get(gate)) return sentence(`--feature-gates=${gate}=true`);
  }
  return undefined;
}

export function sentence(what: string): string {
  return `${what} is not supported by this version of etcd-ts`;
}

function isDefault(config: Config, name: FlagName): boolean {
  const fallback = flagsByName.get(name)?.fallback;
  const value = config[name];
  if (Array.isArray(value) && Array.isArray(fallback)) return value.length === fallback.length;
  return value === fallback;
}
