// All flags of etcd 3.7.1, and those of ours: type, default, group and help. The order is that of the help text.

import type {
  BoolFlag,
  Draft,
  DurationFlag,
  FlagName,
  ListFlag,
  NumberFlag,
  TextFlag,
  UrlsFlag,
} from "./config.ts";
import { type FlagType, type FlagValue, flagTypes } from "./flag-values.ts";
import { parseUrls } from "./url.ts";

export interface FlagRow {
  readonly name: FlagName;
  readonly type: FlagType;
  readonly fallback: FlagValue;
  readonly group: string;
  /** The default as the help shows it. */
  readonly shown: string;
  readonly help: string;
}

const seconds = (count: number): bigint => BigInt(count) * 1_000_000_000n;

let group = "Member";
const rows: FlagRow[] = [];

function add(
  name: FlagName,
  type: FlagType,
  fallback: FlagValue,
  shown: string,
  help: string,
): void {
  rows.push({ name, type, fallback, group, shown, help });
}

function text(
  name: TextFlag,
  fallback: string,
  help: string,
  type: FlagType = flagTypes.text,
): void {
  add(name, type, fallback, fallback, help);
}
function bool(name: BoolFlag, fallback: boolean, help: string): void {
  add(name, flagTypes.bool, fallback, String(fallback), help);
}
function uint(
  name: NumberFlag,
  fallback: number,
  help: string,
  type: FlagType = flagTypes.uint,
): void {
  add(name, type, fallback, String(fallback), help);
}
function duration(name: DurationFlag, fallback: bigint, shown: string, help: string): void {
  add(name, flagTypes.duration, fallback, shown, help);
}
function urls(name: UrlsFlag, fallback: string, help: string): void {
  add(name, flagTypes.urls, fallback === "" ? [] : parseUrls(fallback), fallback, help);
}
function list(name: ListFlag, fallback: string, help: string, type: FlagType): void {
  add(name, type, fallback === "" ? [] : [fallback], fallback, help);
}

text("name", "default", "Name of this member, for people and for --initial-cluster.");
text("data-dir", "", "Folder of this member's data. Default: the name followed by '.etcd'.");
text("wal-dir", "", "Folder of the write-ahead log, when it shall not be inside the data folder.");
uint("snapshot-count", 10_000, "Applied entries after which the log is snapshotted.");
uint(
  "snapshot-catchup-entries",
  5000,
  "Entries kept after a snapshot for followers that lag behind.",
);
uint("heartbeat-interval", 100, "Milliseconds between two heartbeats of a leader.");
uint("election-timeout", 1000, "Milliseconds without a leader until an election begins.");
bool(
  "initial-election-tick-advance",
  true,
  "Let a starting member wait only one tick for a leader.",
);
urls("listen-peer-urls", "http://localhost:2380", "URLs to listen on for other members.");
urls(
  "listen-client-urls",
  "http://localhost:2379",
  "URLs to listen on for clients: gRPC, and HTTP unless --listen-client-http-urls is given.",
);
urls("listen-client-http-urls", "", "URLs to listen on for clients that speak HTTP only.");
uint("max-snapshots", 5, "Snapshot files to keep, 0 for all. Deprecated.");
uint("max-wals", 5, "Log files to keep, 0 for all.");
uint(
  "quota-backend-bytes",
  0,
  "Size of the database at which the NOSPACE alarm is raised; 0 means 2 GiB, a negative number none.",
  flagTypes.int,
);
text(
  "backend-bbolt-freelist-type",
  "",
  "Free list of a bbolt database: 'array' or 'map'. Without effect.",
);
duration(
  "backend-batch-interval",
  0n,
  "",
  "Longest time between two commits of the database; 0 means 100ms.",
);
uint(
  "backend-batch-limit",
  0,
  "Operations after which the database commits; 0 means 10000.",
  flagTypes.int,
);
uint("max-txn-ops", 128, "Operations that a transaction may have.");
uint("max-request-bytes", 1_572_864, "Size that a request may have.");
uint(
  "max-concurrent-streams",
  4_294_967_295,
  "Streams that a client may have open on one connection.",
  flagTypes.uint32,
);
duration("grpc-keepalive-min-time", seconds(5), "5s", "How often a client may ping.");
duration(
  "grpc-keepalive-interval",
  seconds(7200),
  "2h",
  "Silence after which the server pings a client.",
);
duration("grpc-keepalive-timeout", seconds(20), "20s", "How long the server waits for the answer.");
bool("socket-reuse-port", false, "Set SO_REUSEPORT on listeners.");
bool("socket-reuse-address", false, "Set SO_REUSEADDR on listeners.");
bool("enable-grpc-gateway", true, "Serve the JSON gateway.");
duration("raft-read-timeout", seconds(5), "5s", "Read timeout of connections to other members.");
duration("raft-write-timeout", seconds(5), "5s", "Write timeout of connections to other members.");
bool("memory-mlock", false, "Keep the database in memory (mlock).");

group = "Clustering";
urls(
  "initial-advertise-peer-urls",
  "http://localhost:2380",
  "URLs under which other members reach this one.",
);
text(
  "initial-cluster",
  "default=http://localhost:2380",
  "Members that found the cluster: 'name=url,name=url'. A name may come more than once.",
);
text(
  "initial-cluster-state",
  "new",
  "'new' to found a cluster, 'existing' to join one. Without effect once the member has data.",
  flagTypes.clusterState,
);
text(
  "initial-cluster-token",
  "etcd-cluster",
  "Tells clusters with equal URLs apart while they are founded.",
);
urls(
  "advertise-client-urls",
  "http://localhost:2379",
  "URLs under which clients reach this member.",
);
list("discovery-endpoints", "", "Endpoints of the discovery cluster.", flagTypes.list);
text("discovery-token", "", "Token of the cluster in the discovery cluster.");
duration(
  "discovery-dial-timeout",
  seconds(2),
  "2s",
  "Timeout of connecting to the discovery cluster.",
);
duration(
  "discovery-request-timeout",
  seconds(5),
  "5s",
  "Timeout of a request to the discovery cluster.",
);
duration("discovery-keepalive-time", seconds(2), "2s", "Silence after which it is pinged.");
duration("discovery-keepalive-timeout", seconds(6), "6s", "How long to wait for the answer.");
bool("discovery-insecure-transport", true, "Reach the discovery cluster without TLS.");
bool("discovery-insecure-skip-tls-verify", false, "Do not verify its certificates.");
text("discovery-cert", "", "Certificate file for the discovery cluster.");
text("discovery-key", "", "Key file for the discovery cluster.");
text("discovery-cacert", "", "File of the authorities trusted for the discovery cluster.");
text("discovery-user", "", "'user' or 'user:password' for the discovery cluster.");
text("discovery-password", "", "Password, when --discovery-user has none.");
text(
  "discovery-fallback",
  "exit",
  "What to do when discovery fails; only 'exit'.",
  flagTypes.discoveryFallback,
);
text("discovery-srv", "", "DNS domain whose SRV records name the members.");
text("discovery-srv-name", "", "Suffix of the SRV service names.");
bool("strict-reconfig-check", true, "Refuse membership changes that would lose the quorum.");
bool("pre-vote", true, "Ask for votes in advance, so that a returning member does not disturb.");
text(
  "auto-compaction-retention",
  "0",
  "History to keep: a time span or a number of revisions; 0: all.",
);
text(
  "auto-compaction-mode",
  "periodic",
  "'periodic' for a time span (hours without a unit), 'revision' for a number.",
);
text("v2-deprecation", "write-only", "Deprecated, the default counts.", flagTypes.v2Deprecation);
uint("max-learners", 1, "Learners that the cluster may have.", flagTypes.int);

group = "Security";
text("cert-file", "", "Certificate for clients' connections.");
text("key-file", "", "Its key.");
bool("client-cert-auth", false, "Require certificates of clients.");
text(
  "client-cert-file",
  "",
  "Certificate to show when this member is a client; --cert-file when empty.",
);
text("client-key-file", "", "Its key.");
text("client-crl-file", "", "Revocation list for clients' certificates.");
list(
  "client-cert-allowed-hostname",
  "",
  "Names for one of which a client's certificate must be valid.",
  flagTypes.uniqueYamlList,
);
text("trusted-ca-file", "", "Authorities trusted for clients' certificates.");
bool("auto-tls", false, "Make a certificate for clients' connections.");
text("peer-cert-file", "", "Certificate for members' connections.");
text("peer-key-file", "", "Its key.");
bool("peer-client-cert-auth", false, "Require certificates of members.");
text(
  "peer-client-cert-file",
  "",
  "Certificate to show to other members; --peer-cert-file when empty.",
);
text("peer-client-key-file", "", "Its key.");
text("peer-trusted-ca-file", "", "Authorities trusted for members' certificates.");
list(
  "peer-cert-allowed-cn",
  "",
  "Common names that a member's certificate may have.",
  flagTypes.uniqueYamlList,
);
list(
  "peer-cert-allowed-hostname",
  "",
  "Names for one of which a member's certificate must be valid.",
  flagTypes.uniqueYamlList,
);
bool("peer-auto-tls", false, "Make a certificate for members' connections.");
uint("self-signed-cert-validity", 1, "Years for which certificates made by this member are valid.");
text("peer-crl-file", "", "Revocation list for members' certificates.");
bool(
  "peer-skip-client-san-verification",
  false,
  "Do not compare a member's address with its certificate.",
);
list(
  "cipher-suites",
  "",
  "TLS 1.2 cipher suites to offer; all good ones when empty.",
  flagTypes.list,
);
list("cors", "*", "Origins that browsers may call from; '*' for all.", flagTypes.urlsOrStar);
list(
  "host-whitelist",
  "*",
  "Host names that plain HTTP requests may use; '*' for all.",
  flagTypes.uniqueList,
);
text("tls-min-version", "TLS1.2", "Lowest TLS version: 'TLS1.2' or 'TLS1.3'.");
text("tls-max-version", "", "Highest TLS version: 'TLS1.2' or 'TLS1.3'.");

group = "Auth";
text("auth-token", "simple", "'simple', or 'jwt' with its options.");
uint("bcrypt-cost", 10, "Cost of hashing passwords, between 4 and 31.");
uint("auth-token-ttl", 300, "Seconds for which a simple token is valid.");

group = "Profiling and Monitoring";
bool("enable-pprof", false, "Serve profiles under /debug/pprof/.");
text("metrics", "basic", "'extensive' adds histograms of gRPC calls.");
urls("listen-metrics-urls", "", "Further URLs to serve /metrics, /health, /livez and /readyz on.");

group = "Logging";
text("logger", "zap", "Only 'zap': structured logging.");
list(
  "log-outputs",
  "default",
  "'default', 'stderr', 'stdout', 'systemd/journal' or file names.",
  flagTypes.uniqueYamlList,
);
text(
  "log-level",
  "info",
  "'debug', 'info', 'warn', 'error', 'panic' or 'fatal'.",
  flagTypes.logLevel,
);
text("log-format", "json", "'json' or 'console'.");
bool("enable-log-rotation", false, "Rotate the log file.");
text(
  "log-rotation-config-json",
  '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}',
  "How to rotate: megabytes, days, number of files, names in local time, gzip.",
);

group = "Distributed tracing";
bool("enable-distributed-tracing", false, "Send traces to an OpenTelemetry collector.");
text("distributed-tracing-address", "localhost:4317", "Where the collector is.");
text("distributed-tracing-service-name", "etcd", "Name of the service in traces.");
text("distributed-tracing-instance-id", "", "Name of this member in traces.");
uint(
  "distributed-tracing-sampling-rate",
  0,
  "Requests of a million that are traced.",
  flagTypes.int,
);

group = "Features";
duration(
  "corrupt-check-time",
  0n,
  "0s",
  "Time between two comparisons of the members' data; 0: never.",
);
duration(
  "compact-hash-check-time",
  seconds(60),
  "1m",
  "Time between two comparisons of compaction hashes.",
);
uint(
  "compaction-batch-limit",
  0,
  "Revisions that a step of a compaction removes; 0 means 1000.",
  flagTypes.int,
);
duration(
  "compaction-sleep-interval",
  0n,
  "",
  "Pause between two steps of a compaction; 0 means 10ms.",
);
duration(
  "watch-progress-notify-interval",
  0n,
  "",
  "Time between progress notices of quiet watches; 0 means 10m.",
);
duration(
  "downgrade-check-time",
  seconds(5),
  "5s",
  "Time between two looks at a downgrade; 0: never.",
);
duration("warning-apply-duration", 100_000_000n, "100ms", "An apply that takes longer is logged.");
duration(
  "warning-unary-request-duration",
  300_000_000n,
  "300ms",
  "A call that takes longer is logged.",
);
uint(
  "bootstrap-defrag-threshold-megabytes",
  0,
  "Defragment at start when that frees so much; 0: never.",
);
text("feature-gates", "", "Switches of features: 'A=true,B=false'.", flagTypes.gates);

group = "Unsafe feature";
bool("unsafe-no-fsync", false, "Do not wait for the disk. A crash loses acknowledged writes.");
bool("force-new-cluster", false, "Found a cluster of this member alone with the data it has.");

group = "Of etcd-ts alone";
bool(
  "raise-cluster-version",
  false,
  "When all members are of etcd-ts, raise the cluster version to theirs; older stock members cannot join any more.",
);

group = "";
text("config-file", "", "YAML file; flags and environment variables do not count beside it.");
bool("version", false, "Show the version.");

/** Flags of the past that scripts may still pass: accepted, without effect. */
export const ignoredFlags: readonly string[] = [
  "cluster-active-size",
  "cluster-remove-delay",
  "cluster-sync-interval",
  "config",
  "force",
  "max-result-buffer",
  "max-retry-attempts",
  "peer-heartbeat-interval",
  "peer-election-timeout",
  "retry-interval",
  "snapshot",
  "v",
  "vv",
  "test.coverprofile",
  "test.outputdir",
];

export const flagRows: readonly FlagRow[] = rows;

export const flagsByName: ReadonlyMap<string, FlagRow> = new Map(
  rows.map((row): [string, FlagRow] => [row.name, row]),
);

export function defaultDraft(): Draft {
  return Object.fromEntries(rows.map((row) => [row.name, row.fallback])) as Draft;
}
