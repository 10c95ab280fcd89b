// Drives a machine as a member does: requests become log entries, results become API messages.

import {
  CompactionRequest,
  DeleteRangeRequest,
  type DeleteRangeResponse,
  decodeDeleteRangeResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeInternalRaftRequest,
  InternalRaftRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  type PutResponse,
  RangeRequest,
  type RangeResponse,
  RequestHeader,
  type TxnRequest,
  type TxnResponse,
} from "@etcd-ts/api";
import { type Bytes, build, emptyBytes, keyToBytes } from "@etcd-ts/base";
import {
  type ApplyOutcome,
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeTxnResponse,
  finish,
  HeaderEncoder,
  type KvEvent,
  type Machine,
  MachineOpening,
  type MachineOptions,
  type RangeJob,
} from "@etcd-ts/machine";
import { TinyBackend } from "./tiny-backend.ts";

/** Without ids, a header holds the revision alone. */
const header = new HeaderEncoder(0n, 0n);

/** Text as bytes; `\xff` and the like mean bytes. */
export function bytes(text: string): Bytes {
  return keyToBytes(text);
}

export function text(value: Bytes | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value).toString("latin1");
}

/** An answer that is an error, as it is thrown here. */
export class Refusal extends Error {}

export class Driver {
  readonly backend: TinyBackend;
  readonly machine: Machine;
  readonly events: KvEvent[] = [];
  readonly notes: string[] = [];
  readonly log: { index: number; term: number; data: Bytes }[] = [];

  constructor(options: Partial<MachineOptions> = {}, backend: TinyBackend = new TinyBackend()) {
    this.backend = backend;
    const note = (what: string) => this.notes.push(what);
    const opening = new MachineOpening({
      backend,
      observer: {
        changed: (revision, events) => {
          note(`changed ${revision} ${events.length}`);
          this.events.push(...events);
        },
        compacted: (revision) => note(`compacted ${revision}`),
        leaseGranted: (id, ttl) => note(`granted ${id} ${ttl}`),
        leaseRevoked: (id) => note(`revoked ${id}`),
        leaseCheckpointed: (id, left) => note(`checkpointed ${id} ${left}`),
        alarmsChanged: () => note("alarms"),
        membersChanged: () => note("members"),
        clusterVersionChanged: (version) => note(`version ${version}`),
        downgradeChanged: () => note("downgrade"),
        stateReplaced: () => note("replaced"),
      },
      ...options,
    });
    finish(opening, 7);
    this.machine = opening.machine;
  }

  /** A new life on what was committed last. */
  crash(options: Partial<MachineOptions> = {}): Driver {
    return new Driver(options, this.backend.afterCrash());
  }

  commit(): void {
    this.machine.sealBatch();
    this.backend.commitNow();
  }

  apply(fields: Partial<InternalRaftRequest>, wanted = true): ApplyOutcome | undefined {
    const request = build(InternalRaftRequest, fields);
    request.header = build(RequestHeader, { id: 77n });
    return this.applyData(encodeInternalRaftRequest(request), wanted);
  }

  applyData(data: Bytes, wanted = true): ApplyOutcome | undefined {
    const entry = { index: this.machine.appliedIndex + 1, term: 2, data };
    this.log.push(entry);
    return this.machine.apply(entry, wanted);
  }

  put(key: string, value = "", fields: Partial<PutRequest> = {}): PutResponse {
    const put = Object.assign(this.putRequest(key, value), fields);
    const outcome = this.#checked(this.apply({ put }));
    if (outcome.result?.kind !== "put") throw new Error("no put result");
    return decodePutResponse(encodePutResponse(header, 0, outcome.result));
  }

  delete(key: string, end = "", fields: Partial<DeleteRangeRequest> = {}): DeleteRangeResponse {
    const deleteRange = Object.assign(this.deleteRequest(key, end), fields);
    const outcome = this.#checked(this.apply({ deleteRange }));
    if (outcome.result?.kind !== "deleteRange") throw new Error("no delete result");
    return decodeDeleteRangeResponse(encodeDeleteRangeResponse(header, 0, outcome.result));
  }

  putRequest(key: string, value = ""): PutRequest {
    return build(PutRequest, { key: bytes(key), value: bytes(value) });
  }

  deleteRequest(key: string, end = ""): DeleteRangeRequest {
    return build(DeleteRangeRequest, { key: bytes(key), rangeEnd: bytes(end) });
  }

  txn(request: TxnRequest): TxnResponse {
    return this.answer(this.#checked(this.apply({ txn: request })));
  }

  answer(outcome: ApplyOutcome): TxnResponse {
    if (outcome.result?.kind !== "txn") throw new Error("no txn result");
    if (outcome.pending !== undefined) finish(outcome.pending, 1);
    return decodeTxnResponse(encodeTxnResponse(header, 0, outcome.result));
  }

  range(key: string, end = "", fields: Partial<RangeRequest> = {}, items = 1): RangeResponse {
    return this.read(this.machine.range(this.rangeRequest(key, end, fields), items), items);
  }

  rangeRequest(key: string, end = "", fields: Partial<RangeRequest> = {}): RangeRequest {
    return build(RangeRequest, { key: bytes(key), rangeEnd: bytes(end), ...fields });
  }

  read(job: RangeJob, items = 1): RangeResponse {
    finish(job, items);
    if (job.error !== undefined) throw new Refusal(job.error);
    return decodeRangeResponse(encodeRangeResponse(header, 0, job.result));
  }

  /** Keys in the answer. */
  keys(key: string, end = "", fields: Partial<RangeRequest> = {}): string[] {
    return this.range(key, end, fields).kvs.map((kv) => text(kv.key)!);
  }

  value(key: string, revision = 0): string | undefined {
    return text(this.range(key, "", { revision: BigInt(revision) }).kvs[0]?.value);
  }

  compact(revision: number, physically = true): void {
    const compaction = build(CompactionRequest, { revision: BigInt(revision) });
    this.#checked(this.apply({ compaction }));
    if (physically) finish(this.machine.compaction, 1);
  }

  grant(id: number | bigint, ttl = 60): void {
    const leaseGrant = build(LeaseGrantRequest, { id: BigInt(id), ttl: BigInt(ttl) });
    this.#checked(this.apply({ leaseGrant }));
  }

  revoke(id: number | bigint): void {
    const leaseRevoke = build(LeaseRevokeRequest, { id: BigInt(id) });
    this.#checked(this.apply({ leaseRevoke }));
  }

  hashKv(revision = 0): { hash: number; compactRevision: number; hashRevision: number } {
    const job = finish(this.machine.hashKv(BigInt(revision)), 3);
    if (job.error !== undefined) throw new Refusal(job.error);
    const { hash, compactRevision, hashRevision } = job;
    return { hash, compactRevision, hashRevision };
  }

  /** Records of bucket `key`, as `main/sub`, with `t` behind a tombstone. */
  records(): string[] {
    const found: string[] = [];
    this.backend.scan("key", emptyBytes, undefined, Number.MAX_SAFE_INTEGER, (key) => {
      const view = Buffer.from(key);
      const mark = key.length === 18 ? "t" : "";
      found.push(`${view.readBigUInt64BE(0)}/${view.readBigUInt64BE(9)}${mark}`);
      return true;
    });
    return found;
  }

  #checked(outcome: ApplyOutcome | undefined): ApplyOutcome {
    if (outcome === undefined) throw new Error("no outcome");
    if (outcome.error !== undefined) throw new Refusal(outcome.error);
    return outcome;
  }
}
