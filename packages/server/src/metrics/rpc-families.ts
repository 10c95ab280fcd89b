// What an rpc server counts.

import { type MethodStats, statusNames, type TransportCounters } from "@etcd-ts/rpc";
import type { EmitMetric, MetricFamily } from "../metric-types.ts";
import { counter, labelled } from "./families.ts";

/** The counters of an rpc server, as grpc-prometheus names them. */
export function rpcMetrics(
  methods: () => Iterable<MethodStats>,
  transports: () => Iterable<TransportCounters>,
): readonly MetricFamily[] {
  const labels = ["grpc_type", "grpc_service", "grpc_method"] as const;
  const of = (stats: MethodStats): string[] => [stats.type, stats.service, stats.method];
  const sum = (read: (counters: TransportCounters) => number): number => {
    let total = 0;
    for (const counters of transports()) total += read(counters);
    return total;
  };
  const each = (read: (stats: MethodStats) => number) => (emit: EmitMetric) => {
    for (const stats of methods()) emit(of(stats), read(stats));
  };
  return [
    labelled(
      "grpc_server_started_total",
      "counter",
      "Calls that began.",
      labels,
      each((s) => s.started),
    ),
    labelled(
      "grpc_server_handled_total",
      "counter",
      "Calls that ended, by status.",
      [...labels, "grpc_code"],
      (emit) => {
        for (const stats of methods()) {
          for (const [code, count] of stats.handled.entries()) {
            emit([...of(stats), statusNames[code]!], count);
          }
        }
      },
    ),
    labelled(
      "grpc_server_msg_received_total",
      "counter",
      "Messages received.",
      labels,
      each((s) => s.messagesReceived),
    ),
    labelled(
      "grpc_server_msg_sent_total",
      "counter",
      "Messages sent.",
      labels,
      each((s) => s.messagesSent),
    ),
    counter(
      "etcd_network_client_grpc_received_bytes_total",
      "Bytes of messages from clients.",
      () => sum((c) => c.messageBytesReceived),
    ),
    counter("etcd_network_client_grpc_sent_bytes_total", "Bytes of messages to clients.", () =>
      sum((c) => c.messageBytesSent),
    ),
  ];
}
