// What etcd can be told, as a record whose keys are the names of the flags. The flag table holds types,
// defaults and help; the command line, the environment and the config file each fill one of these.

import type { FlagValue } from "./flag-values.ts";
import type { EtcdUrl } from "./url.ts";

export type TextFlag =
  | "name"
  | "data-dir"
  | "wal-dir"
  | "backend-bbolt-freelist-type"
  | "config-file"
  | "feature-gates"
  | "initial-cluster"
  | "initial-cluster-state"
  | "initial-cluster-token"
  | "discovery-token"
  | "discovery-cert"
  | "discovery-key"
  | "discovery-cacert"
  | "discovery-user"
  | "discovery-password"
  | "discovery-fallback"
  | "discovery-srv"
  | "discovery-srv-name"
  | "auto-compaction-retention"
  | "auto-compaction-mode"
  | "v2-deprecation"
  | "cert-file"
  | "key-file"
  | "client-cert-file"
  | "client-key-file"
  | "client-crl-file"
  | "trusted-ca-file"
  | "peer-cert-file"
  | "peer-key-file"
  | "peer-client-cert-file"
  | "peer-client-key-file"
  | "peer-trusted-ca-file"
  | "peer-crl-file"
  | "tls-min-version"
  | "tls-max-version"
  | "auth-token"
  | "metrics"
  | "logger"
  | "log-level"
  | "log-format"
  | "log-rotation-config-json"
  | "distributed-tracing-address"
  | "distributed-tracing-service-name"
  | "distributed-tracing-instance-id";

export type BoolFlag =
  | "initial-election-tick-advance"
  | "socket-reuse-port"
  | "socket-reuse-address"
  | "enable-grpc-gateway"
  | "memory-mlock"
  | "version"
  | "discovery-insecure-transport"
  | "discovery-insecure-skip-tls-verify"
  | "strict-reconfig-check"
  | "pre-vote"
  | "client-cert-auth"
  | "auto-tls"
  | "peer-client-cert-auth"
  | "peer-auto-tls"
  | "peer-skip-client-san-verification"
  | "enable-pprof"
  | "enable-log-rotation"
  | "enable-distributed-tracing"
  | "unsafe-no-fsync"
  | "force-new-cluster"
  | "raise-cluster-version";

export type NumberFlag =
  | "snapshot-count"
  | "snapshot-catchup-entries"
  | "heartbeat-interval"
  | "election-timeout"
  | "max-snapshots"
  | "max-wals"
  | "quota-backend-bytes"
  | "backend-batch-limit"
  | "max-txn-ops"
  | "max-request-bytes"
  | "max-concurrent-streams"
  | "max-learners"
  | "self-signed-cert-validity"
  | "bcrypt-cost"
  | "auth-token-ttl"
  | "distributed-tracing-sampling-rate"
  | "compaction-batch-limit"
  | "bootstrap-defrag-threshold-megabytes";

/** Nanoseconds. */
export type DurationFlag =
  | "backend-batch-interval"
  | "grpc-keepalive-min-time"
  | "grpc-keepalive-interval"
  | "grpc-keepalive-timeout"
  | "raft-read-timeout"
  | "raft-write-timeout"
  | "discovery-dial-timeout"
  | "discovery-request-timeout"
  | "discovery-keepalive-time"
  | "discovery-keepalive-timeout"
  | "corrupt-check-time"
  | "compact-hash-check-time"
  | "compaction-sleep-interval"
  | "watch-progress-notify-interval"
  | "downgrade-check-time"
  | "warning-apply-duration"
  | "warning-unary-request-duration";

export type UrlsFlag =
  | "listen-peer-urls"
  | "listen-client-urls"
  | "listen-client-http-urls"
  | "initial-advertise-peer-urls"
  | "advertise-client-urls"
  | "listen-metrics-urls";

export type ListFlag =
  | "discovery-endpoints"
  | "client-cert-allowed-hostname"
  | "peer-cert-allowed-cn"
  | "peer-cert-allowed-hostname"
  | "cipher-suites"
  | "cors"
  | "host-whitelist"
  | "log-outputs";

export type FlagName = TextFlag | BoolFlag | NumberFlag | DurationFlag | UrlsFlag | ListFlag;

export type Config = { readonly [F in TextFlag]: string } & {
  readonly [F in BoolFlag]: boolean;
} & { readonly [F in NumberFlag]: number } & { readonly [F in DurationFlag]: bigint } & {
  readonly [F in UrlsFlag]: readonly EtcdUrl[];
} & { readonly [F in ListFlag]: readonly string[] };

/** A configuration under construction. */
export type Draft = Record<FlagName, FlagValue>;

export interface ParsedConfig {
  readonly config: Config;
  /** Options that were given, by whatever way. */
  readonly given: ReadonlySet<FlagName>;
  /** From a config file: the flags and the environment do not count. */
  readonly fromFile: boolean;
  /** Of the config file's `client-transport-security`; there is no flag for it. */
  readonly clientAllowedCommonNames: readonly string[];
  /** Keys of the config file that stand for nothing. */
  readonly ignoredKeys: readonly string[];
}

export function milliseconds(nanoseconds: bigint): number {
  return Number(nanoseconds) / 1e6;
}
