// How long requests and their application take, by kind, and the warnings about slow ones.

import { type Host, WireReader } from "@etcd-ts/base";
import type { Entry } from "@etcd-ts/raft";
import type { ServerCall } from "@etcd-ts/rpc";
import { durationText } from "./duration-text.ts";
import { Operation, operationOf } from "./envelope.ts";
import { doublingBounds, Histogram } from "./metric-types.ts";
import type { Proposal } from "./proposals.ts";
import { requestContent } from "./request-content.ts";
import { requestTimesFields } from "./request-stats.ts";

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
    if (tookMs > this.#limits.warningUnaryRequestDurationMs) this.#warnOfWrite(proposal, nowMs);
  }

  /** A read was answered; `kind` as etcd names it. */
  read(kind: "Range" | "ReadonlyTxn", startedMs: number): void {
    const nowMs = this.#host.clock.monotonicMs();
    const seconds = (nowMs - startedMs) / 1000;
    this.#of(kind).observe(seconds);
    if (kind === "Range") this.rangeSeconds.observe(seconds);
    if (nowMs - startedMs > this.#limits.warningUnaryRequestDurationMs) {
      const path = `/etcdserverpb.KV/${kind === "Range" ? "Range" : "Txn"}`;
      const fields = requestTimesFields(this.#host, path, startedMs, nowMs);
      this.#host.log.warn("request stats", fields);
    }
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
      took: durationText(tookMs),
      "expected-duration": durationText(this.#limits.warningApplyDurationMs),
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

  /** The request stands in the log entry; of the answer nothing is known any more. */
  #warnOfWrite(proposal: Proposal, nowMs: number): void {
    // Proposals of clients keep their call. The member's own may have to wait for a leader, and nobody asked.
    const { call } = proposal as Proposal & { readonly call?: ServerCall };
    if (call === undefined || proposal.data === undefined) return;
    const reader = new WireReader(proposal.data, 0, proposal.data.length);
    reader.tag();
    const request = reader.blob();
    this.#host.log.warn("request stats", {
      ...requestTimesFields(this.#host, call.path, proposal.startMs, nowMs),
      remote: call.remoteAddress,
      "request size": request.length,
      "request content": requestContent(call.path, request),
    });
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
