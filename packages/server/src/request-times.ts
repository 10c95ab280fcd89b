// How long requests and their application take, by kind, and the warnings about slow ones.

import { type Host, WireReader } from "@etcd-ts/base";
import type { ApplyOutcome } from "@etcd-ts/machine";
import { type Entry, EntryType } from "@etcd-ts/raft";
import type { ServerCall } from "@etcd-ts/rpc";
import { durationText } from "./duration-text.ts";
import { Operation, operationOf } from "./envelope.ts";
import { doublingBounds, type EmitMetric, Histogram } from "./metric-types.ts";
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

const applyBounds = doublingBounds(0.0001, 20);

export interface TimeLimits {
  readonly warningApplyDurationMs: number;
  readonly warningUnaryRequestDurationMs: number;
}

/** Durations of one kind of request, by how it ended. */
class Outcomes {
  readonly succeeded: Histogram;
  readonly failed: Histogram;

  constructor(bounds: readonly number[]) {
    this.succeeded = new Histogram(bounds);
    this.failed = new Histogram(bounds);
  }

  observe(seconds: number, success: boolean): void {
    (success ? this.succeeded : this.failed).observe(seconds);
  }

  /** What was observed; the label of success is the last one. */
  collect(emit: EmitMetric, ...labels: readonly string[]): void {
    if (this.succeeded.count > 0) emit([...labels, "true"], this.succeeded);
    if (this.failed.count > 0) emit([...labels, "false"], this.failed);
  }
}

export class RequestTimes {
  readonly #host: Host;
  readonly #limits: TimeLimits;
  readonly #requests: Map<string, Outcomes> = new Map();
  /** By operation, for requests that a raft entry carried. */
  readonly #byOperation: Map<number, Histogram> = new Map();
  readonly #ranges: Outcomes = new Outcomes(applyBounds);
  /** By operation. */
  readonly #applies: Map<number, Outcomes> = new Map();
  slowApplyCount = 0;

  constructor(host: Host, limits: TimeLimits) {
    this.#host = host;
    this.#limits = limits;
  }

  /** A request that went through the log was answered, be it with a refusal: for etcd it succeeded either way. */
  finished(proposal: Proposal, nowMs: number): void {
    const tookMs = nowMs - proposal.startMs;
    let histogram = this.#byOperation.get(proposal.operation);
    if (histogram === undefined) {
      histogram = this.#of(requestNames.get(proposal.operation) ?? "Unknown").succeeded;
      this.#byOperation.set(proposal.operation, histogram);
    }
    histogram.observe(tookMs / 1000);
    if (tookMs > this.#limits.warningUnaryRequestDurationMs) this.#warnOfWrite(proposal, nowMs);
  }

  /** A read was answered; `kind` as etcd names it. */
  read(kind: "Range" | "ReadonlyTxn", startedMs: number, success: boolean): void {
    const nowMs = this.#host.clock.monotonicMs();
    const seconds = (nowMs - startedMs) / 1000;
    this.#of(kind).observe(seconds, success);
    if (kind === "Range") this.#ranges.observe(seconds, success);
    if (nowMs - startedMs > this.#limits.warningUnaryRequestDurationMs) {
      const path = `/etcdserverpb.KV/${kind === "Range" ? "Range" : "Txn"}`;
      const fields = requestTimesFields(this.#host, path, startedMs, nowMs);
      this.#host.log.warn("request stats", fields);
    }
  }

  /** `outcome`: known where somebody waited for it. */
  applied(entry: Entry, tookMs: number, outcome: ApplyOutcome | undefined): void {
    if (entry.type === EntryType.EntryNormal && entry.data.length > 0) {
      const operation = operationOf(entry.data);
      let outcomes = this.#applies.get(operation);
      if (outcomes === undefined) {
        outcomes = new Outcomes(applyBounds);
        this.#applies.set(operation, outcomes);
      }
      const error = outcome?.error;
      outcomes.observe(tookMs / 1000, error === undefined || error === "compacted");
    }
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

  /** By version of the API, operation and success. */
  collectApplies(emit: EmitMetric): void {
    for (const [operation, outcomes] of this.#applies) {
      outcomes.collect(emit, "v3", requestNames.get(operation) ?? "unknown");
    }
  }

  /** By kind and success. */
  collectRequests(emit: EmitMetric): void {
    for (const [kind, outcomes] of this.#requests) outcomes.collect(emit, kind);
  }

  /** By success. */
  collectRanges(emit: EmitMetric): void {
    this.#ranges.collect(emit);
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

  #of(kind: string): Outcomes {
    let outcomes = this.#requests.get(kind);
    if (outcomes === undefined) {
      outcomes = new Outcomes(doublingBounds(0.001, 14));
      this.#requests.set(kind, outcomes);
    }
    return outcomes;
  }
}
