// What one member is told, with etcd's defaults filled in once. The daemon translates flags into this;
// tests write it by hand. Values are trusted from here on.

/** One line of `--initial-cluster`. */
export interface InitialMember {
  readonly name: string;
  readonly peerUrls: readonly string[];
}

export interface MemberOptions {
  readonly name: string;
  readonly dataDir: string;
  /** `<dataDir>/member/wal` when absent. */
  readonly walDir?: string;
  readonly initialCluster: readonly InitialMember[];
  readonly initialClusterToken?: string;
  /** "existing": this member was added to a running cluster, and asks it who belongs to it. */
  readonly initialClusterState?: "new" | "existing";
  /** Disaster recovery: this member becomes a cluster of its own, with the data that it has. */
  readonly forceNewCluster?: boolean;
  /** As the leader, raises the version of a cluster that has no stock member (any more) to ours. */
  readonly raiseClusterVersion?: boolean;
  /** Compares its hashes with those of the others before it takes part. */
  readonly initialCorruptCheck?: boolean;
  /** How often the leader compares the hashes of all members; 0: never. */
  readonly corruptCheckMs?: number;
  readonly initialAdvertisePeerUrls: readonly string[];
  readonly advertiseClientUrls: readonly string[];
  readonly heartbeatMs?: number;
  readonly electionMs?: number;
  readonly initialElectionTickAdvance?: boolean;
  readonly preVote?: boolean;
  readonly strictReconfigCheck?: boolean;
  readonly maxLearners?: number;
  readonly snapshotCount?: number;
  readonly snapshotCatchupEntries?: number;
  /** Bytes of log entries kept in memory at most, beyond what is not yet applied. */
  readonly logBytesMax?: number;
  readonly maxSnapshots?: number;
  readonly maxWals?: number;
  /** Size at which a log segment ends; 0 means etcd's, 64 MB. */
  readonly walSegmentBytes?: number;
  /** 0 means 2 GiB, negative none. */
  readonly quotaBackendBytes?: number;
  readonly backendBatchIntervalMs?: number;
  readonly backendBatchLimit?: number;
  readonly maxTxnOps?: number;
  readonly maxRequestBytes?: number;
  readonly compactionBatchLimit?: number;
  readonly compactionSleepMs?: number;
  readonly warningApplyDurationMs?: number;
  readonly warningUnaryRequestDurationMs?: number;
  readonly watchProgressNotifyMs?: number;
  readonly leaseCheckpoint?: boolean;
  readonly unsafeNoFsync?: boolean;
}

export type MemberConfig = Required<MemberOptions> & {
  readonly electionTicks: number;
  readonly requestTimeoutMs: number;
};

export {
  etcdClusterVersion as ownClusterVersion,
  etcdVersion as serverVersion,
  minClusterVersion,
} from "@etcd-ts/api";
export const defaultQuotaBytes: number = 2 * 1024 * 1024 * 1024;
export const warnQuotaBytes: number = 8 * 1024 * 1024 * 1024;

export function normalizeConfig(options: MemberOptions): MemberConfig {
  const heartbeatMs = options.heartbeatMs ?? 100;
  const electionMs = options.electionMs ?? 1000;
  return {
    name: options.name,
    dataDir: options.dataDir,
    walDir: options.walDir || `${options.dataDir}/member/wal`,
    initialCluster: options.initialCluster,
    initialClusterToken: options.initialClusterToken ?? "etcd-cluster",
    initialClusterState: options.initialClusterState ?? "new",
    forceNewCluster: options.forceNewCluster ?? false,
    raiseClusterVersion: options.raiseClusterVersion ?? false,
    initialCorruptCheck: options.initialCorruptCheck ?? false,
    corruptCheckMs: options.corruptCheckMs ?? 0,
    initialAdvertisePeerUrls: options.initialAdvertisePeerUrls,
    advertiseClientUrls: options.advertiseClientUrls,
    heartbeatMs,
    electionMs,
    electionTicks: Math.floor(electionMs / heartbeatMs),
    requestTimeoutMs: 5000 + 2 * electionMs,
    initialElectionTickAdvance: options.initialElectionTickAdvance ?? true,
    preVote: options.preVote ?? true,
    strictReconfigCheck: options.strictReconfigCheck ?? true,
    maxLearners: options.maxLearners ?? 1,
    snapshotCount: options.snapshotCount || 10_000,
    snapshotCatchupEntries: options.snapshotCatchupEntries || 5000,
    logBytesMax: options.logBytesMax ?? 64 * 1024 * 1024,
    maxSnapshots: options.maxSnapshots ?? 5,
    maxWals: options.maxWals ?? 5,
    walSegmentBytes: options.walSegmentBytes ?? 0,
    quotaBackendBytes: options.quotaBackendBytes || defaultQuotaBytes,
    backendBatchIntervalMs: options.backendBatchIntervalMs || 100,
    backendBatchLimit: options.backendBatchLimit || 10_000,
    maxTxnOps: options.maxTxnOps ?? 128,
    maxRequestBytes: options.maxRequestBytes ?? 1_572_864,
    compactionBatchLimit: options.compactionBatchLimit || 1000,
    compactionSleepMs: options.compactionSleepMs || 10,
    warningApplyDurationMs: options.warningApplyDurationMs ?? 100,
    warningUnaryRequestDurationMs: options.warningUnaryRequestDurationMs || 300,
    watchProgressNotifyMs: options.watchProgressNotifyMs || 600_000,
    leaseCheckpoint: options.leaseCheckpoint ?? false,
    unsafeNoFsync: options.unsafeNoFsync ?? false,
  };
}
