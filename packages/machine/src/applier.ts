// Carries log entries out: finds the operation of an entry, asks whether it may run, runs it and makes the
// outcome. Every operation goes the same way:
//
//     alarms (CORRUPT, NOSPACE) ──► auth ──► the operation's own checks ──► quota ──► carried out
//
// Whatever is refused has changed nothing. The quota is no check: an operation over it is carried out and
// answered with an error (semantics §14), as it is the same entry on members that have more space.

import {
  AlarmAction,
  type AlarmRequest,
  AlarmType,
  decodeAlarmRequest,
  decodeClusterMemberAttrSetRequest,
  decodeClusterVersionSetRequest,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodeDowngradeInfoSetRequest,
  decodeLeaseCheckpointRequest,
  decodeLeaseGrantRequest,
  decodeLeaseRevokeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  type ErrorCode,
  type LeaseCheckpointRequest,
  type LeaseGrantRequest,
  type RangeRequest,
  type TxnRequest,
} from "@etcd-ts/api";
import { WireError } from "@etcd-ts/base";
import type { Alarms } from "./alarms.ts";
import { type AppliedEntry, ApplyOutcome } from "./apply-outcome.ts";
import { type AuthModule, isAuthOperation, withoutAuth } from "./auth-module.ts";
import type { Backend } from "./backend.ts";
import type { Compaction } from "./compaction.ts";
import { Envelope, Operation, undecodable } from "./envelope.ts";
import { finish } from "./job.ts";
import { type Leases, leaseTtlMax } from "./leases.ts";
import type { Members } from "./members.ts";
import type { MachineObserver } from "./observer.ts";
import { checkPut, newRange, runDelete, runPut } from "./operations.ts";
import { leaseGrantCost, putCost, txnCost } from "./quota.ts";
import {
  type Alarm,
  AlarmResult,
  type ApplyResult,
  CompactResult,
  LeaseCheckpointResult,
  LeaseGrantResult,
  LeaseRevokeResult,
  NoResult,
} from "./results.ts";
import type { Store } from "./store.ts";
import { runTxn } from "./txn.ts";
import { readV2Request } from "./v2-request.ts";

export interface MachineOptions {
  readonly backend: Backend;
  readonly observer?: MachineObserver;
  /**
   * Whether an operation of this cost still fits this member's quota. Asked before the operation is carried
   * out; by default there is always space.
   */
  readonly hasSpace?: (costBytes: number) => boolean;
  /** Leases get at least this time to live: 2 unless the election timeout says otherwise. */
  readonly leaseTtlSecondsMin?: number;
  readonly learnersMax?: number;
  /** Store checkpoints of leases whatever the cluster version; by default from 3.6 on. */
  readonly persistLeaseCheckpoints?: boolean;
  readonly auth?: AuthModule;
}

export const leaseTtlSecondsMinDefault = 2;

/** What entries act on. */
export interface ApplyTargets {
  readonly store: Store;
  readonly leases: Leases;
  readonly alarms: Alarms;
  readonly members: Members;
  readonly compaction: Compaction;
}

export class Applier {
  readonly #targets: ApplyTargets;
  readonly #options: MachineOptions;
  readonly #observer: MachineObserver;
  readonly #hasSpace: (costBytes: number) => boolean;
  readonly #leaseTtlMin: number;
  readonly #envelope: Envelope = new Envelope();
  /** Of the entry that is being applied. */
  #index = 0;
  /** An alarm of that kind is on; looked at for every write. */
  #noSpace = false;
  #corrupt = false;

  constructor(targets: ApplyTargets, options: MachineOptions) {
    this.#targets = targets;
    this.#options = options;
    this.#observer = options.observer ?? {};
    this.#hasSpace = options.hasSpace ?? (() => true);
    this.#leaseTtlMin = options.leaseTtlSecondsMin ?? leaseTtlSecondsMinDefault;
    this.#noteAlarms();
  }

  /** See `Machine.apply`; the entry is not empty. */
  apply(entry: AppliedEntry, wanted: boolean, txn?: TxnRequest): ApplyOutcome | undefined {
    this.#index = entry.index;
    const envelope = this.#envelope.read(entry.data, entry.index);
    try {
      return this.#dispatch(entry, envelope, wanted, txn);
    } catch (cause) {
      if (!(cause instanceof WireError)) throw cause;
      throw undecodable(entry.index, cause.message, cause);
    }
  }

  get #revision(): number {
    return this.#targets.store.revision;
  }

  #dispatch(
    entry: AppliedEntry,
    envelope: Envelope,
    wanted: boolean,
    txn: TxnRequest | undefined,
  ): ApplyOutcome | undefined {
    const { data } = entry;
    const { operation, start, end } = envelope;
    if (operation >= Operation.clusterVersionSet || operation === Operation.v2) {
      this.#applyCluster(entry, operation, start, end);
      return wanted ? this.#outcome(new NoResult(this.#revision)) : undefined;
    }
    if (isAuthOperation(operation)) return this.#applyAuth(entry, envelope, wanted);
    const denied = this.#options.auth?.refusal({ ...pick(envelope), index: entry.index, data });
    switch (operation) {
      case Operation.put: {
        const request = decodePutRequest(data, start, end);
        const refused = this.#refusal(true) ?? denied ?? checkPut(this.#targets.store, request);
        if (refused !== undefined) return wanted ? this.#refused(refused) : undefined;
        const isOver = !this.#hasSpace(putCost(request));
        this.#targets.store.begin();
        const result = runPut(this.#targets.store, request, wanted);
        this.#endWrites();
        return wanted || isOver ? this.#written(result, isOver) : undefined;
      }
      case Operation.deleteRange: {
        const refused = this.#refusal(false) ?? denied;
        if (refused !== undefined) return wanted ? this.#refused(refused) : undefined;
        this.#targets.store.begin();
        const result = runDelete(
          this.#targets.store,
          decodeDeleteRangeRequest(data, start, end),
          wanted,
        );
        this.#endWrites();
        return wanted ? this.#written(result, false) : undefined;
      }
      case Operation.txn:
        return this.#applyTxn(txn ?? decodeTxnRequest(data, start, end), denied, wanted);
      case Operation.range: {
        // Decoded even when nobody wants it: all members must find the same damage.
        const request = decodeRangeRequest(data, start, end);
        return wanted ? this.#applyRange(request, denied) : undefined;
      }
      case Operation.compaction: {
        const { revision, physical } = decodeCompactionRequest(data, start, end);
        const refused = this.#refusal(false) ?? denied ?? this.#compact(Number(revision));
        if (!wanted) return undefined;
        if (refused !== undefined) return this.#refused(refused);
        return this.#outcome(new CompactResult(this.#revision, physical));
      }
      case Operation.leaseGrant: {
        const request = decodeLeaseGrantRequest(data, start, end);
        const refused = this.#refusal(true) ?? denied;
        if (refused !== undefined) return wanted ? this.#refused(refused) : undefined;
        const isOver = !this.#hasSpace(leaseGrantCost);
        const result = this.#grant(request);
        if (typeof result === "string") return wanted ? this.#refused(result) : undefined;
        return wanted || isOver ? this.#written(result, isOver) : undefined;
      }
      case Operation.leaseRevoke: {
        const refused = this.#refusal(false) ?? denied;
        const { id } = decodeLeaseRevokeRequest(data, start, end);
        const error = refused ?? this.#revoke(id);
        if (!wanted) return undefined;
        if (error !== undefined) return this.#refused(error);
        return this.#outcome(new LeaseRevokeResult(this.#revision));
      }
      case Operation.leaseCheckpoint: {
        const error = denied ?? this.#checkpoint(decodeLeaseCheckpointRequest(data, start, end));
        if (!wanted) return undefined;
        if (error !== undefined) return this.#refused(error);
        return this.#outcome(new LeaseCheckpointResult(this.#revision));
      }
      case Operation.alarm: {
        if (denied !== undefined) return wanted ? this.#refused(denied) : undefined;
        const alarms = this.#alarm(decodeAlarmRequest(data, start, end));
        return wanted ? this.#outcome(new AlarmResult(this.#revision, alarms)) : undefined;
      }
      default:
        throw undecodable(entry.index, `operation ${operation}`);
    }
  }

  #applyTxn(
    request: TxnRequest,
    denied: ErrorCode | undefined,
    wanted: boolean,
  ): ApplyOutcome | undefined {
    const cost = txnCost(request);
    const refused = this.#refusal(cost > 0) ?? denied;
    if (refused !== undefined) return wanted ? this.#refused(refused) : undefined;
    const isOver = cost > 0 && !this.#hasSpace(cost);
    this.#targets.store.begin();
    const { error, result, pending } = runTxn(this.#targets.store, request, wanted);
    this.#endWrites();
    if (error !== undefined) return wanted ? this.#refused(error) : undefined;
    if (isOver) {
      pending?.cancel();
      return this.#written(result!, true);
    }
    return wanted ? this.#outcome(result!, pending) : undefined;
  }

  #applyRange(request: RangeRequest, denied: ErrorCode | undefined): ApplyOutcome {
    if (denied !== undefined) return this.#refused(denied);
    // Only early releases of etcd's v3 put reads into the log, so this does not need to be sliced.
    const job = finish(newRange(this.#targets.store, request));
    return job.error === undefined ? this.#outcome(job.result) : this.#refused(job.error);
  }

  #applyAuth(entry: AppliedEntry, envelope: Envelope, wanted: boolean): ApplyOutcome | undefined {
    const result =
      this.#options.auth?.apply(
        { ...pick(envelope), index: entry.index, data: entry.data },
        this.#revision,
      ) ?? withoutAuth(envelope.operation);
    if (!wanted) return undefined;
    return typeof result === "string" ? this.#refused(result) : this.#outcome(result);
  }

  #applyCluster(entry: AppliedEntry, operation: number, start: number, end: number): void {
    const { data } = entry;
    switch (operation) {
      case Operation.clusterVersionSet:
        this.#setClusterVersion(decodeClusterVersionSetRequest(data, start, end).ver);
        break;
      case Operation.clusterMemberAttrSet: {
        const request = decodeClusterMemberAttrSetRequest(data, start, end);
        const { name, clientUrls } = request.memberAttributes ?? { name: "", clientUrls: [] };
        this.#setAttributes(request.memberId, name, clientUrls);
        break;
      }
      case Operation.downgradeInfoSet: {
        const { enabled, ver } = decodeDowngradeInfoSetRequest(data, start, end);
        this.#targets.members.setDowngrade({ enabled, targetVersion: enabled ? ver : "" });
        this.#observer.downgradeChanged?.();
        break;
      }
      case Operation.v2: {
        const effect = readV2Request(data, start, end, entry.index);
        if (effect.kind === "version") this.#setClusterVersion(effect.version);
        if (effect.kind === "attributes") {
          this.#setAttributes(effect.memberId, effect.name, effect.clientUrls);
        }
        break;
      }
      default:
      // A test entry of etcd's own (downgradeVersionTest): nothing to do.
    }
  }

  #setClusterVersion(version: string): void {
    this.#targets.members.setClusterVersion(version);
    this.#observer.clusterVersionChanged?.(version);
  }

  #setAttributes(id: bigint, name: string, clientUrls: readonly string[]): void {
    if (this.#targets.members.setAttributes(id, name, clientUrls))
      this.#observer.membersChanged?.();
  }

  #compact(revision: number): ErrorCode | undefined {
    if (revision <= this.#targets.store.compactRevision) return "compacted";
    if (revision > this.#targets.store.revision) return "futureRev";
    this.#targets.compaction.schedule(revision);
    this.#observer.compacted?.(revision);
    return undefined;
  }

  #grant(request: LeaseGrantRequest): LeaseGrantResult | ErrorCode {
    const { id } = request;
    if (id === 0n) return "leaseNotFound";
    if (request.ttl > BigInt(leaseTtlMax)) return "leaseTtlTooLarge";
    if (this.#targets.leases.get(id) !== undefined) return "leaseExist";
    const ttl = Math.max(Number(request.ttl), this.#leaseTtlMin);
    this.#targets.leases.grant(id, ttl);
    this.#observer.leaseGranted?.(id, ttl);
    return new LeaseGrantResult(this.#revision, id, ttl);
  }

  #revoke(id: bigint): ErrorCode | undefined {
    const lease = this.#targets.leases.get(id);
    if (lease === undefined) return "leaseNotFound";
    this.#targets.store.begin();
    for (const key of lease.keys()) this.#targets.store.deleteKey(key);
    this.#targets.leases.remove(lease);
    this.#endWrites();
    this.#observer.leaseRevoked?.(id);
    return undefined;
  }

  /** As etcd does, stops at the first lease that is gone. */
  #checkpoint(request: LeaseCheckpointRequest): ErrorCode | undefined {
    const persist =
      this.#options.persistLeaseCheckpoints === true ||
      isAtLeast36(this.#targets.members.clusterVersion);
    for (const { id, remainingTtl } of request.checkpoints) {
      const lease = this.#targets.leases.get(id);
      if (lease === undefined) return "leaseNotFound";
      this.#targets.leases.checkpoint(lease, remainingTtl, persist);
      this.#observer.leaseCheckpointed?.(id, lease.remainingTtl);
    }
    return undefined;
  }

  #alarm(request: AlarmRequest): readonly Alarm[] {
    const { memberId, alarm: kind } = request;
    if (request.action === AlarmAction.GET) return this.#targets.alarms.list(kind);
    const alarm =
      request.action === AlarmAction.ACTIVATE
        ? this.#targets.alarms.activate(memberId, kind)
        : request.action === AlarmAction.DEACTIVATE
          ? this.#targets.alarms.deactivate(memberId, kind)
          : undefined;
    if (alarm === undefined) return [];
    this.#noteAlarms();
    this.#observer.alarmsChanged?.();
    return [alarm];
  }

  /** What an alarm forbids: under CORRUPT every write, under NOSPACE those that take space. */
  #refusal(takesSpace: boolean): ErrorCode | undefined {
    if (this.#corrupt) return "corrupt";
    return this.#noSpace && takesSpace ? "noSpace" : undefined;
  }

  #noteAlarms(): void {
    this.#noSpace = this.#targets.alarms.has(AlarmType.NOSPACE);
    this.#corrupt = this.#targets.alarms.has(AlarmType.CORRUPT);
  }

  #endWrites(): void {
    const events = this.#targets.store.end();
    if (events.length > 0) this.#observer.changed?.(this.#targets.store.revision, events);
  }

  #outcome(result: ApplyResult, pending?: ApplyOutcome["pending"]): ApplyOutcome {
    return new ApplyOutcome(this.#index, undefined, result, this.#revision, pending);
  }

  #refused(error: ErrorCode): ApplyOutcome {
    return new ApplyOutcome(this.#index, error, undefined, this.#revision);
  }

  /** The operation was carried out; over the quota it is answered with an error all the same. */
  #written(result: ApplyResult, isOver: boolean): ApplyOutcome {
    if (!isOver) return this.#outcome(result);
    return new ApplyOutcome(this.#index, "noSpace", undefined, this.#revision, undefined, true);
  }
}

function pick(
  envelope: Envelope,
): Pick<Envelope, "start" | "end" | "headerStart" | "headerEnd"> & { operation: Operation } {
  const { operation, start, end, headerStart, headerEnd } = envelope;
  return { operation: operation as Operation, start, end, headerStart, headerEnd };
}

function isAtLeast36(version: string): boolean {
  const match = /^(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const major = Number(match[1]);
  return major > 3 || (major === 3 && Number(match[2]) >= 6);
}
