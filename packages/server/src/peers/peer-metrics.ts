// What the links count, under etcd's names.

import {
  doublingBounds,
  LabelledCounts,
  LabelledHistograms,
  type MetricFamily,
  type MetricType,
} from "../metric-types.ts";

export class PeerMetrics {
  readonly sentBytes: LabelledCounts = new LabelledCounts(1);
  readonly receivedBytes: LabelledCounts = new LabelledCounts(1);
  readonly sentFailures: LabelledCounts = new LabelledCounts(1);
  readonly receivedFailures: LabelledCounts = new LabelledCounts(1);
  readonly knownPeers: LabelledCounts = new LabelledCounts(2);
  readonly activePeers: LabelledCounts = new LabelledCounts(2);
  readonly disconnectedPeers: LabelledCounts = new LabelledCounts(2);
  readonly snapshotSendSuccess: LabelledCounts = new LabelledCounts(1);
  readonly snapshotSendFailures: LabelledCounts = new LabelledCounts(1);
  readonly snapshotSendInFlight: LabelledCounts = new LabelledCounts(1);
  readonly snapshotSendSeconds: LabelledHistograms = new LabelledHistograms(
    doublingBounds(0.1, 10),
  );
  readonly snapshotReceiveSuccess: LabelledCounts = new LabelledCounts(1);
  readonly snapshotReceiveFailures: LabelledCounts = new LabelledCounts(1);
  readonly snapshotReceiveInFlight: LabelledCounts = new LabelledCounts(1);
  readonly snapshotReceiveSeconds: LabelledHistograms = new LabelledHistograms(
    doublingBounds(0.1, 10),
  );
  readonly roundTripSeconds: LabelledHistograms = new LabelledHistograms(
    doublingBounds(0.0001, 16),
  );

  /** `refresh` brings gauges up to date before they are read. */
  families(refresh: () => void): readonly MetricFamily[] {
    const peers = ["Local", "Remote"];
    const rows: readonly (readonly [
      string,
      MetricType,
      readonly string[],
      LabelledCounts | LabelledHistograms,
      string,
    ])[] = [
      ["known_peers", "gauge", peers, this.knownPeers, "The current number of known peers."],
      ["active_peers", "gauge", peers, this.activePeers, "The current number of active peers."],
      [
        "disconnected_peers_total",
        "counter",
        peers,
        this.disconnectedPeers,
        "How often a peer became unreachable.",
      ],
      ["peer_sent_bytes_total", "counter", ["To"], this.sentBytes, "Raft bytes sent to a peer."],
      [
        "peer_received_bytes_total",
        "counter",
        ["From"],
        this.receivedBytes,
        "Raft bytes received from a peer.",
      ],
      [
        "peer_sent_failures_total",
        "counter",
        ["To"],
        this.sentFailures,
        "Raft messages that could not be sent to a peer.",
      ],
      [
        "peer_received_failures_total",
        "counter",
        ["From"],
        this.receivedFailures,
        "Failures while receiving from a peer.",
      ],
      [
        "peer_round_trip_time_seconds",
        "histogram",
        ["To"],
        this.roundTripSeconds,
        "Round trip of a probe to a peer.",
      ],
      ["snapshot_send_success", "counter", ["To"], this.snapshotSendSuccess, "Snapshots sent."],
      [
        "snapshot_send_failures",
        "counter",
        ["To"],
        this.snapshotSendFailures,
        "Snapshots that could not be sent.",
      ],
      [
        "snapshot_send_inflights_total",
        "gauge",
        ["To"],
        this.snapshotSendInFlight,
        "Snapshots being sent.",
      ],
      [
        "snapshot_send_total_duration_seconds",
        "histogram",
        ["To"],
        this.snapshotSendSeconds,
        "How long it took to send a snapshot.",
      ],
      [
        "snapshot_receive_success",
        "counter",
        ["From"],
        this.snapshotReceiveSuccess,
        "Snapshots received.",
      ],
      [
        "snapshot_receive_failures",
        "counter",
        ["From"],
        this.snapshotReceiveFailures,
        "Snapshots that could not be received.",
      ],
      [
        "snapshot_receive_inflights_total",
        "gauge",
        ["From"],
        this.snapshotReceiveInFlight,
        "Snapshots being received.",
      ],
      [
        "snapshot_receive_total_duration_seconds",
        "histogram",
        ["From"],
        this.snapshotReceiveSeconds,
        "How long it took to receive a snapshot.",
      ],
    ];
    return rows.map(([name, type, labelNames, source, help]) => ({
      name: `etcd_network_${name}`,
      help,
      type,
      labelNames,
      collect: (emit) => {
        refresh();
        source.collect(emit);
      },
    }));
  }
}
