// The log line "starting an etcd server": everything that this member was told, in etcd's field names.

import { availableParallelism } from "node:os";
import type { LogFields } from "@etcd-ts/base";
import { formatDuration, formatMilliseconds } from "../shared/go-duration.ts";
import { toolVersion } from "../shared/version.ts";
import type { Config } from "./config.ts";
import { featureGates, parseFeatureGates } from "./feature-gates.ts";
import { urlTexts } from "./url.ts";

/** Go's names for architectures. */
const goArchitectures: Readonly<Record<string, string>> = {
  x64: "amd64",
  arm64: "arm64",
  ppc64: "ppc64le",
  s390x: "s390x",
};

export function goArchitecture(): string {
  return goArchitectures[process.arch] ?? process.arch;
}

export function isSupportedArchitecture(): boolean {
  return process.arch in goArchitectures;
}

export function startFields(config: Config, ownVersion: string, hasData: boolean): LogFields {
  const gates = parseFeatureGates(config["feature-gates"]);
  const duration = (name: Parameters<typeof durationOf>[1]): string => durationOf(config, name);
  return {
    "etcd-version": toolVersion,
    "git-sha": `etcd-ts ${ownVersion}`,
    "go-version": `Node.js ${process.versions.node}`,
    "go-os": process.platform,
    "go-arch": goArchitecture(),
    "max-cpu-set": availableParallelism(),
    "max-cpu-available": availableParallelism(),
    "member-initialized": hasData,
    name: config.name,
    "data-dir": config["data-dir"],
    "wal-dir": config["wal-dir"],
    "wal-dir-dedicated": config["wal-dir"],
    "member-dir": `${config["data-dir"]}/member`,
    "force-new-cluster": config["force-new-cluster"],
    "heartbeat-interval": formatMilliseconds(config["heartbeat-interval"]),
    "election-timeout": formatMilliseconds(config["election-timeout"]),
    "initial-election-tick-advance": config["initial-election-tick-advance"],
    "snapshot-count": config["snapshot-count"],
    "max-wals": config["max-wals"],
    "max-snapshots": config["max-snapshots"],
    "snapshot-catchup-entries": config["snapshot-catchup-entries"],
    "initial-advertise-peer-urls": urlTexts(config["initial-advertise-peer-urls"]),
    "listen-peer-urls": urlTexts(config["listen-peer-urls"]),
    "advertise-client-urls": urlTexts(config["advertise-client-urls"]),
    "listen-client-urls": urlTexts(config["listen-client-urls"]),
    "listen-metrics-urls": urlTexts(config["listen-metrics-urls"]),
    "local-address": "",
    cors: config.cors,
    "host-whitelist": config["host-whitelist"],
    "initial-cluster": config["initial-cluster"],
    "initial-cluster-state": config["initial-cluster-state"],
    "initial-cluster-token": config["initial-cluster-token"],
    "quota-backend-bytes": config["quota-backend-bytes"],
    "max-request-bytes": config["max-request-bytes"],
    "max-concurrent-streams": config["max-concurrent-streams"],
    "pre-vote": config["pre-vote"],
    "feature-gates": featureGates.map((gate) => `${gate.name}=${gates.get(gate.name)}`).join(","),
    "initial-corrupt-check": gates.get("InitialCorruptCheck"),
    "corrupt-check-time-interval": duration("corrupt-check-time"),
    "compact-check-time-interval": duration("compact-hash-check-time"),
    "auto-compaction-mode": config["auto-compaction-mode"],
    "auto-compaction-retention": config["auto-compaction-retention"],
    "auto-compaction-interval": config["auto-compaction-retention"],
    "discovery-token": config["discovery-token"],
    "discovery-endpoints": config["discovery-endpoints"].join(","),
    "discovery-dial-timeout": duration("discovery-dial-timeout"),
    "discovery-request-timeout": duration("discovery-request-timeout"),
    "discovery-keepalive-time": duration("discovery-keepalive-time"),
    "discovery-keepalive-timeout": duration("discovery-keepalive-timeout"),
    "discovery-insecure-transport": config["discovery-insecure-transport"],
    "discovery-insecure-skip-tls-verify": config["discovery-insecure-skip-tls-verify"],
    "discovery-cert": config["discovery-cert"],
    "discovery-key": config["discovery-key"],
    "discovery-cacert": config["discovery-cacert"],
    "discovery-user": config["discovery-user"],
    "downgrade-check-interval": duration("downgrade-check-time"),
    "max-learners": config["max-learners"],
    "v2-deprecation": "write-only",
  };
}

function durationOf(
  config: Config,
  name:
    | "corrupt-check-time"
    | "compact-hash-check-time"
    | "discovery-dial-timeout"
    | "discovery-request-timeout"
    | "discovery-keepalive-time"
    | "discovery-keepalive-timeout"
    | "downgrade-check-time",
): string {
  return formatDuration(config[name]);
}
