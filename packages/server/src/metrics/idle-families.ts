// Series that scrapers of etcd expect and that stay empty here.

import { doublingBounds, Histogram, type MetricFamily } from "../metric-types.ts";
import { counter, gauge, histogram } from "./families.ts";

/** Registered by every etcd server, and 0 in ours for now or for ever. */
export function idleFamilies(): MetricFamily[] {
  const zeroCounters: readonly (readonly [string, string])[] = [
    ["etcd_debugging_store_expires_total", "Keys of the old store that expired."],
    ["etcd_debugging_store_watch_requests_total", "Watches of the old store."],
    ["etcd_grpc_proxy_events_coalescing_total", "Events coalesced by a proxy."],
  ];
  const zeroGauges: readonly (readonly [string, string])[] = [
    // Events go into the buffer of a stream at once; none is queued as an event.
    ["etcd_debugging_mvcc_pending_events_total", "Events that wait to be sent."],
    ["etcd_debugging_store_watchers", "Watchers of the old store."],
    ["etcd_grpc_proxy_cache_hits_total", "Cache hits of a proxy."],
    ["etcd_grpc_proxy_cache_keys_total", "Cached keys of a proxy."],
    ["etcd_grpc_proxy_cache_misses_total", "Cache misses of a proxy."],
    ["etcd_grpc_proxy_watchers_coalescing_total", "Watchers coalesced by a proxy."],
  ];
  const idleHistograms: readonly (readonly [string, string, number, number])[] = [
    [
      "etcd_debugging_disk_backend_commit_rebalance_duration_seconds",
      "Commit, rebalancing.",
      0.001,
      14,
    ],
    ["etcd_debugging_disk_backend_commit_spill_duration_seconds", "Commit, spilling.", 0.001, 14],
    ["etcd_debugging_disk_backend_commit_write_duration_seconds", "Commit, writing.", 0.001, 14],
    ["etcd_disk_wal_write_duration_seconds", "Writes to the log.", 0.001, 14],
    ["etcd_snap_fsync_duration_seconds", "Sync of a snapshot file.", 0.001, 14],
    ["etcd_debugging_snap_save_marshalling_duration_seconds", "Encoding of a snapshot.", 0.001, 14],
    [
      "etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds",
      "Compaction of the index.",
      0.5,
      14,
    ],
    [
      "etcd_debugging_server_watch_send_loop_control_stream_duration_seconds",
      "Sending of the answers to creation and cancellation of watches.",
      0.001,
      14,
    ],
    [
      "etcd_debugging_server_watch_send_loop_progress_duration_seconds",
      "Sending of progress.",
      0.001,
      14,
    ],
    [
      "etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds",
      "Sending of events.",
      0.001,
      14,
    ],
    [
      "etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds",
      "Sending of events, divided by their number.",
      0.001,
      14,
    ],
    ["etcd_snap_db_fsync_duration_seconds", "Sync of a received database.", 0.001, 14],
    ["etcd_snap_db_save_total_duration_seconds", "Saving of a received database.", 0.1, 10],
  ];
  return [
    ...zeroCounters.map(([name, help]) => counter(name, help, () => 0)),
    ...zeroGauges.map(([name, help]) => gauge(name, help, () => 0)),
    ...idleHistograms.map(([name, help, start, count]) => {
      const empty = new Histogram(doublingBounds(start, count));
      return histogram(name, help, () => empty);
    }),
  ];
}
