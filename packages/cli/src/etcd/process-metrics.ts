// What the process says about itself: the names that Prometheus' client libraries use for every process, and
// Node's own.

import { readdirSync } from "node:fs";
import type { Host } from "@etcd-ts/base";
import { counter, gauge, type MetricFamily } from "@etcd-ts/server";
import { featureGates, type GateStates } from "./feature-gates.ts";
import { openFileLimit, processLimit, readProc } from "./open-files.ts";

export function processFamilies(host: Host): MetricFamily[] {
  const startSeconds = (host.clock.wallMs() - process.uptime() * 1000) / 1000;
  const fileLimit = openFileLimit();
  return [
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    }),
    gauge("process_max_fds", "Maximum number of open file descriptors.", () => fileLimit),
    counter(
      "process_network_receive_bytes_total",
      "Number of bytes received by the process over the network.",
      () => networkOctets("InOctets"),
    ),
    counter(
      "process_network_transmit_bytes_total",
      "Number of bytes sent by the process over the network.",
      () => networkOctets("OutOctets"),
    ),
    gauge("process_open_fds", "Number of open file descriptors.", openFileCount),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", () =>
      process.memoryUsage.rss(),
    ),
    gauge(
      "process_start_time_seconds",
      "Start time of the process since unix epoch in seconds.",
      () => startSeconds,
    ),
    gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", virtualMemoryBytes),
    gauge(
      "process_virtual_memory_max_bytes",
      "Maximum amount of virtual memory available in bytes.",
      () => addressSpaceLimit(),
    ),
    gauge("os_fd_limit", "The file descriptor limit.", () => fileLimit),
    gauge("os_fd_used", "The number of used file descriptors.", openFileCount),
    gauge(
      "nodejs_heap_size_total_bytes",
      "Size of the JavaScript heap.",
      () => process.memoryUsage().heapTotal,
    ),
    gauge(
      "nodejs_heap_size_used_bytes",
      "Used part of the JavaScript heap.",
      () => process.memoryUsage().heapUsed,
    ),
    gauge(
      "nodejs_external_memory_bytes",
      "Memory of buffers outside the heap.",
      () => process.memoryUsage().external,
    ),
    {
      name: "nodejs_version_info",
      help: "Version of Node.js.",
      type: "gauge",
      labelNames: ["version"],
      collect: (emit) => emit([process.version], 1),
    },
  ];
}

/** What this server was built on and which of its features are on. */
export function buildFamilies(gates: GateStates): MetricFamily[] {
  return [
    {
      name: "etcd_server_go_version",
      help: "The runtime that this server runs on, labelled with its version.",
      type: "gauge",
      labelNames: ["server_go_version"],
      collect: (emit) => emit([`Node.js ${process.versions.node}`], 1),
    },
    {
      name: "etcd_server_feature_enabled",
      help: "Whether a feature gate is on.",
      type: "gauge",
      labelNames: ["name", "stage"],
      collect(emit) {
        for (const gate of featureGates) {
          emit([gate.name, gate.stage], gates.get(gate.name) ? 1 : 0);
        }
      },
    },
  ];
}

/** How often `/metrics` was asked for, under the names of the Go client library. */
export function scrapeFamilies(scrapes: { ok: number; inFlight: number }): MetricFamily[] {
  return [
    gauge(
      "promhttp_metric_handler_requests_in_flight",
      "Current number of scrapes being served.",
      () => scrapes.inFlight,
    ),
    {
      name: "promhttp_metric_handler_requests_total",
      help: "Total number of scrapes by HTTP status code.",
      type: "counter",
      labelNames: ["code"],
      collect(emit) {
        emit(["200"], scrapes.ok);
        emit(["500"], 0);
        emit(["503"], 0);
      },
    },
  ];
}

function addressSpaceLimit(): number {
  const limit = processLimit("Max address space");
  return Number.isFinite(limit) ? limit : 2 ** 64;
}

function openFileCount(): number {
  try {
    // The listing itself has one open.
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return Number.NaN;
  }
}

function virtualMemoryBytes(): number {
  const kib = /VmSize:\s*(\d+) kB/.exec(readProc("status"))?.[1];
  return kib === undefined ? Number.NaN : Number(kib) * 1024;
}

/** Of the network namespace that the process is in, which is what the Go client library gives, too. */
function networkOctets(name: "InOctets" | "OutOctets"): number {
  const lines = readProc("net/netstat")
    .split("\n")
    .filter((line) => line.startsWith("IpExt:"));
  const column = lines[0]?.split(" ").indexOf(name) ?? -1;
  return column < 0 ? Number.NaN : Number(lines[1]?.split(" ")[column]);
}
