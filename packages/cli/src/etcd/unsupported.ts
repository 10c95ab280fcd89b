// Flags of etcd that mean something to it and nothing to us, yet or for ever. Better no member than one that
// lacks what its operator relies on: each of them is refused, with its name, when its value asks for something.
// A default, given explicitly, asks for nothing; but who asks for the gateway by name relies on it.

import { canReusePort } from "@etcd-ts/node";
import type { Config, FlagName, ParsedConfig } from "./config.ts";
import { parseFeatureGates } from "./feature-gates.ts";
import { flagsByName } from "./flag-table.ts";

/** Refused when given with another value than the default. */
const refused: readonly FlagName[] = [
  "discovery-endpoints",
  "discovery-token",
  "discovery-srv",
  "discovery-srv-name",
  "bcrypt-cost",
  "auth-token-ttl",
  "enable-distributed-tracing",
];

const refusedGates: readonly string[] = [
  "CompactHashCheck",
  "PriorityRequest",
  "StopGRPCServiceOnDefrag",
];

/** What is not supported, as a sentence; undefined when everything is. */
export function unsupported({ config, given }: ParsedConfig): string | undefined {
  for (const name of refused) {
    if (given.has(name) && !isDefault(config, name)) return sentence(`--${name}`);
  }
  if (config["memory-mlock"]) {
    return `${sentence("--memory-mlock")}: Node.js cannot lock memory; switch swap off for this process instead (MemorySwapMax=0 of systemd, memory.swap.max of cgroups)`;
  }
  if (config["socket-reuse-port"] && !canReusePort()) {
    return `--socket-reuse-port needs Node.js 22.12, 23.1 or later, and this is ${process.versions.node}`;
  }
  if (given.has("enable-grpc-gateway") && config["enable-grpc-gateway"]) {
    return `${sentence("--enable-grpc-gateway")}: the JSON gateway is not served yet; leave the flag away to run without it`;
  }
  if (config["auth-token"] !== "simple" && config["auth-token"] !== "") {
    return sentence(`--auth-token=${config["auth-token"]}`);
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
