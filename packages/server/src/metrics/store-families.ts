// The store, the disk, and the event loop.

import { hexId } from "../ids.ts";
import type { Member } from "../member.ts";
import type { MetricFamily } from "../metric-types.ts";
import { counter, gauge, histogram, labelled } from "./families.ts";

export function storeFamilies(member: Member): MetricFamily[] {
  const { machine, quota, compactions, counts } = member;
  return [
    gauge(
      "etcd_debugging_mvcc_compact_revision",
      "The compact revision.",
      () => machine.compactRevision,
    ),
    gauge("etcd_debugging_mvcc_current_revision", "The store revision.", () => machine.revision),
    counter(
      "etcd_debugging_mvcc_db_compaction_keys_total",
      "Records removed by compaction.",
      () => machine.compaction.removedCount,
    ),
    gauge(
      "etcd_debugging_mvcc_db_compaction_last",
      "Unix time of the last compaction.",
      () => compactions.lastFinishedSeconds,
    ),
    histogram(
      "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds",
      "Time of a batch of a compaction.",
      () => compactions.batchMs,
    ),
    histogram(
      "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
      "Time of whole compactions.",
      () => compactions.totalMs,
    ),
    gauge("etcd_debugging_mvcc_keys_total", "Keys that exist.", () => machine.keyCount),
    gauge(
      "etcd_debugging_mvcc_total_put_size_in_bytes",
      "Bytes of keys and values put.",
      () => machine.putBytes,
    ),
    gauge(
      "etcd_mvcc_db_open_read_transactions",
      "Open views of the backend.",
      () => member.openViewCount,
    ),
    gauge(
      "etcd_mvcc_db_total_size_in_bytes",
      "Allocated size of the backend.",
      () => quota.allocatedBytes,
    ),
    gauge(
      "etcd_mvcc_db_total_size_in_use_in_bytes",
      "Used size of the backend.",
      () => quota.inUseBytes,
    ),
    counter("etcd_mvcc_delete_total", "Keys deleted.", () => counts.deletes),
    counter("etcd_mvcc_put_total", "Keys put.", () => counts.puts),
    counter("etcd_mvcc_range_total", "Ranges read.", () => machine.rangeCount),
    counter("etcd_mvcc_txn_total", "Revisions with more than one change.", () => counts.txns),
    gauge(
      "etcd_debugging_auth_revision",
      "Revision of the auth store.",
      () => machine.authRevision,
    ),
    counter("etcd_debugging_lease_granted_total", "Leases granted.", () => counts.leasesGranted),
    counter("etcd_debugging_lease_revoked_total", "Leases revoked.", () => counts.leasesRevoked),
    histogram(
      "etcd_debugging_lease_ttl_total",
      "Granted times to live, in seconds.",
      () => counts.leaseTtlSeconds,
    ),
    histogram("etcd_mvcc_hash_duration_seconds", "Time of Hash.", () => counts.hashSeconds),
    histogram("etcd_mvcc_hash_rev_duration_seconds", "Time of HashKV.", () => counts.hashKvSeconds),
    labelled(
      "etcd_debugging_server_alarms",
      "gauge",
      "Active alarms.",
      ["server_id", "alarm_type"],
      (emit) => {
        for (const { memberId, kind } of machine.alarms.list()) {
          emit(
            [hexId(memberId), kind === 1 ? "NOSPACE" : kind === 2 ? "CORRUPT" : String(kind)],
            1,
          );
        }
      },
    ),
  ];
}

export function diskFamilies(member: Member): MetricFamily[] {
  const { wal } = member.opened;
  return [
    histogram(
      "etcd_disk_backend_commit_duration_seconds",
      "Time of a backend commit.",
      () => member.commits.durationSeconds,
    ),
    histogram(
      "etcd_disk_backend_snapshot_duration_seconds",
      "Time to send a snapshot.",
      () => member.maintenance.snapshots.seconds,
    ),
    histogram(
      "etcd_disk_backend_defrag_duration_seconds",
      "Time of defragmentation.",
      () => member.counts.defragSeconds,
    ),
    gauge("etcd_disk_defrag_inflight", "Defragmentation is going on.", () =>
      member.counts.isDefragmenting ? 1 : 0,
    ),
    histogram(
      "etcd_disk_wal_fsync_duration_seconds",
      "Time of a sync of the log.",
      () => member.opened.walTimes.syncSeconds,
    ),
    histogram(
      "etcd_debugging_snap_save_total_duration_seconds",
      "Time to save a snapshot.",
      () => member.keeping.saveSeconds,
    ),
    gauge("etcd_disk_wal_write_bytes_total", "Bytes written to the log.", () => wal.writtenBytes),
  ];
}

/** What etcd does not have: how the event loop is doing. */
export function ownFamilies(member: Member): MetricFamily[] {
  const { monitor, replica } = member;
  return [
    histogram(
      "etcd_ts_event_loop_stall_seconds",
      "How late a probe of the event loop came.",
      () => monitor.stallSeconds,
    ),
    gauge(
      "etcd_ts_event_loop_stall_max_seconds",
      "Longest stall since the start.",
      () => monitor.longestStallMs / 1000,
    ),
    histogram(
      "etcd_ts_tick_lateness_seconds",
      "How late raft's ticks came.",
      () => replica.ticker.latenessSeconds,
    ),
    gauge(
      "etcd_ts_tick_lateness_max_seconds",
      "Latest tick since the start.",
      () => replica.ticker.longestLatenessMs / 1000,
    ),
    histogram(
      "etcd_ts_replica_turn_seconds",
      "Time of a turn of the replica loop.",
      () => replica.turnSeconds,
    ),
  ];
}
