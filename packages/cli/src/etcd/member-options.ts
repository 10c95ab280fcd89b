import type { MemberOptions } from "@etcd-ts/server";
import { type Config, milliseconds } from "./config.ts";
import { parseFeatureGates } from "./feature-gates.ts";
import { parseInitialCluster, type SettledCluster } from "./settle.ts";
import { UrlError, urlTexts } from "./url.ts";

/** What the member is told of the flags. */
export function memberOptions(config: Config): MemberOptions {
  const gates = parseFeatureGates(config["feature-gates"]);
  return {
    name: config.name,
    dataDir: config["data-dir"],
    ...(config["wal-dir"] === "" ? {} : { walDir: config["wal-dir"] }),
    initialCluster: initialCluster(config),
    initialClusterToken: config["initial-cluster-token"],
    initialClusterState: config["initial-cluster-state"] === "existing" ? "existing" : "new",
    forceNewCluster: config["force-new-cluster"],
    raiseClusterVersion: config["raise-cluster-version"],
    initialCorruptCheck: gates.get("InitialCorruptCheck") ?? false,
    corruptCheckMs: milliseconds(config["corrupt-check-time"]),
    initialAdvertisePeerUrls: urlTexts(config["initial-advertise-peer-urls"]),
    advertiseClientUrls: urlTexts(config["advertise-client-urls"]),
    heartbeatMs: config["heartbeat-interval"],
    electionMs: config["election-timeout"],
    initialElectionTickAdvance: config["initial-election-tick-advance"],
    preVote: config["pre-vote"],
    strictReconfigCheck: config["strict-reconfig-check"],
    maxLearners: config["max-learners"],
    snapshotCount: config["snapshot-count"],
    snapshotCatchupEntries: config["snapshot-catchup-entries"],
    maxSnapshots: config["max-snapshots"],
    maxWals: config["max-wals"],
    quotaBackendBytes: config["quota-backend-bytes"],
    backendBatchIntervalMs: milliseconds(config["backend-batch-interval"]),
    backendBatchLimit: config["backend-batch-limit"],
    maxTxnOps: config["max-txn-ops"],
    maxRequestBytes: config["max-request-bytes"],
    compactionBatchLimit: config["compaction-batch-limit"],
    compactionSleepMs: milliseconds(config["compaction-sleep-interval"]),
    warningApplyDurationMs: milliseconds(config["warning-apply-duration"]),
    // In a log of level debug the daemon tells of every request, the slow ones among them.
    warningUnaryRequestDurationMs:
      config["log-level"] === "debug"
        ? Number.POSITIVE_INFINITY
        : milliseconds(config["warning-unary-request-duration"]),
    watchProgressNotifyMs: milliseconds(config["watch-progress-notify-interval"]),
    leaseCheckpoint: gates.get("LeaseCheckpoint") ?? false,
    unsafeNoFsync: config["unsafe-no-fsync"],
  };
}

function initialCluster(config: Config): readonly SettledCluster[] {
  try {
    return parseInitialCluster(config["initial-cluster"]);
  } catch (cause) {
    if (!(cause instanceof UrlError)) throw cause;
    throw new UrlError(`error setting up initial cluster: ${cause.message}`, { cause });
  }
}
