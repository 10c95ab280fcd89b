// Of `--metrics extensive`: how long calls take, by method.

import type { Clock } from "@etcd-ts/base";
import type { MethodStats, RpcServerObserver, ServerCall } from "@etcd-ts/rpc";
import { Histogram, type MetricFamily } from "@etcd-ts/server";

const handlingBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const labelNames = ["grpc_type", "grpc_service", "grpc_method"] as const;

export class HandlingTimes {
  readonly #clock: Clock;
  readonly #times = new Map<MethodStats, Histogram>();
  readonly observer: RpcServerObserver = {
    callEnded: (stats: MethodStats | undefined, call: ServerCall) => {
      if (stats === undefined) return;
      let histogram = this.#times.get(stats);
      if (histogram === undefined) {
        histogram = new Histogram(handlingBounds);
        this.#times.set(stats, histogram);
      }
      histogram.observe((this.#clock.monotonicMs() - call.startedMs) / 1000);
    },
  };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly family: MetricFamily = {
    name: "grpc_server_handling_seconds",
    help: "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
    type: "histogram",
    labelNames,
    collect: (emit) => {
      for (const [stats, histogram] of this.#times) emit(labelsOf(stats), histogram);
    },
  };
}

function labelsOf(stats: MethodStats): readonly string[] {
  return [stats.type, stats.service, stats.method];
}
