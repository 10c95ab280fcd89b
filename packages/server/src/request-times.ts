// How long requests and their application take, by kind, and the warnings about slow ones.

import type { Host } from "@etcd-ts/base";
import type { Entry } from "@etcd-ts/raft";
import { Operation, operationOf } from "./envelope.ts";
import { doublingBounds, Histogram } from "./metric-types.ts";
import type { Proposal } from "./proposals.ts";

/** Names of the kinds of requests in etcd's metrics. */
const requestNames: ReadonlyMap<number, string> = new Map([
  [Operation.put, "Put"],
  [Operation.deleteRange, "DeleteRange"],
  [Operation.txn, "Txn"],
  [Operation.compaction, "Compaction"],
  [Operation.leaseGrant, "LeaseGrant"],
  [Operation.leaseRevoke, "LeaseRevoke"],
  [Operation.leaseCheckpoint, "LeaseCheckpoint"],
  [Operation.alarm, "Alarm"],
  [Operation.clusterVersionSet, "ClusterVersionSet"],
  [Operation.clusterMemberAttrSet, "ClusterMemberAttrSet"],
  [Operation.downgradeInfoSet, "DowngradeInfoSet"],
]);

/** Not the member's own, which may have to wait for a leader. */
function isClients(operation: number): boolean {
  return operation < Operation.clusterVersionSet;
}

export interface TimeLimits {
  readonly warningApplyDurationMs: number;
  readonly warningUnaryRequestDurationMs: number;
}

export class RequestTimes {
  readonly #host: Host;
  readonly #limits: TimeLimits;
  readonly #requests: Map<string, Histogram> = new Map();
  /** By operation, for requests that a raft entry carried. */
  readonly #byOperation: Map<number, Histogram> = new Map();
  readonly rangeSeconds: Histogram = new Histogram(doublingBounds(0.0001, 20));
  /** By operation. */
  readonly #applies: Map<number, Histogram> = new Map();
  slowApplyCount = 0;

  constructor(host: Host, limits: TimeLimits) {
    this.#host = host;
    this.#limits = limits;
  }

  /** A request that went through the log was answered. */
  finished(proposal: Proposal, nowMs: number): void {
    const tookMs = nowMs - proposal.startMs;
    let histogram = this.#byOperation.get(proposal.operation);
    if (histogram === undefined) {
      histogram = this.#of(requestNames.get(proposal.operation) ?? "Unknown");
      this.#byOperation.set(proposal.operation, histogram);
    }
    histogram.observe(tookMs / 1000);
    if (tookMs > this.#limits.warningUnaryRequestDurationMs && isClients(proposal.operation)) {
      this.#host.log.warn("request stats", {
        "time spent": `${tookMs.toFixed(3)}ms`,
        "request type": requestNames.get(proposal.operation) ?? "Unknown",
        "request size": proposal.data?.length ?? 0,
      });
    }
  }

  /** A read was answered; `kind` as etcd names it. */
  read(kind: "Range" | "ReadonlyTxn", startedMs: number): void {
    const seconds = (this.#host.clock.monotonicMs() - startedMs) / 1000;
    this.#of(kind).observe(seconds);
    if (kind === "Range") this.rangeSeconds.observe(seconds);
  }

  applied(entry: Entry, tookMs: number): void {
    const operation = operationOf(entry.data);
    let histogram = this.#applies.get(operation);
    if (histogram === undefined) {
      histogram = new Histogram(doublingBounds(0.0001, 20));
      this.#applies.set(operation, histogram);
    }
    histogram.observe(tookMs / 1000);
    if (tookMs <= this.#limits.warningApplyDurationMs) return;
    this.slowApplyCount++;
    this.#host.log.warn("apply request took too long", {
      took: `${tookMs.toFixed(3)}ms`,
      "expected-duration": `${this.#limits.warningApplyDurationMs}ms`,
      prefix: "",
      index: entry.index,
      "request size": entry.data.length,
    });
  }

  *applies(): Iterable<[operation: string, Histogram]> {
    for (const [operation, histogram] of this.#applies) {
      yield [requestNames.get(operation) ?? "unknown", histogram];
    }
  }

  requests(): Iterable<[kind: string, Histogram]> {
    return this.#requests;
  }

  #of(kind: string): Histogram {
    let histogram = this.#requests.get(kind);
    if (histogram === undefined) {
      histogram = new Histogram(doublingBounds(0.001, 14));
      this.#requests.set(kind, histogram);
    }
    return histogram;
  }
}
