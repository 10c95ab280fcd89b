// The fields format: one `"Name" : value` a line, strings and bytes in Go's quoted form.

import type {
  AlarmResponse,
  AuthRoleGetResponse,
  AuthRoleListResponse,
  DeleteRangeResponse,
  KeyValue,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseTimeToLiveResponse,
  MemberListResponse,
  PutResponse,
  RangeResponse,
  ResponseHeader,
  TxnResponse,
  WatchResponse,
} from "@etcd-ts/api";
import { quote } from "../../shared/go-quote.ts";
import { alarmName, leaseHex } from "../values.ts";
import {
  type Done,
  type EndpointHash,
  type EndpointHealth,
  type EndpointStatus,
  type HeaderOnly,
  Printer,
  type PrinterOptions,
} from "./printer.ts";

export class FieldsPrinter extends Printer {
  constructor(options: PrinterOptions) {
    super("fields", options);
  }

  override get(response: RangeResponse): void {
    this.#header(response.header);
    for (const kv of response.kvs) this.#pair("", kv);
    this.#field("More", response.more);
    this.#field("Count", response.count);
  }

  override put(response: PutResponse): void {
    this.#header(response.header);
    if (response.prevKv !== undefined) this.#pair("Prev", response.prevKv);
  }

  override del(response: DeleteRangeResponse): void {
    this.#header(response.header);
    this.#field("Deleted", response.deleted);
    for (const kv of response.prevKvs) this.#pair("Prev", kv);
  }

  override txn(response: TxnResponse): void {
    this.#header(response.header);
    this.#field("Succeeded", response.succeeded);
    for (const it of response.responses) {
      if (it.responseRange !== undefined) this.get(it.responseRange);
      else if (it.responsePut !== undefined) this.put(it.responsePut);
      else if (it.responseDeleteRange !== undefined) this.del(it.responseDeleteRange);
      else if (it.responseTxn !== undefined) this.txn(it.responseTxn);
    }
  }

  override watch(response: WatchResponse): void {
    this.#header(response.header);
    for (const event of response.events) {
      this.#field("Type", event.type === 0 ? "PUT" : "DELETE");
      if (event.prevKv !== undefined) this.#pair("Prev", event.prevKv);
      if (event.kv !== undefined) this.#pair("", event.kv);
    }
  }

  override leaseGrant(response: LeaseGrantResponse): void {
    this.#header(response.header);
    this.#field("ID", this.#lease(response.id));
    this.#field("TTL", response.ttl);
  }

  override leaseRevoke(_id: bigint, response: LeaseRevokeResponse): void {
    this.#header(response.header);
  }

  override leaseKeepAlive(response: LeaseKeepAliveResponse): void {
    this.#header(response.header);
    this.#field("ID", this.#lease(response.id));
    this.#field("TTL", response.ttl);
  }

  override leaseTimeToLive(response: LeaseTimeToLiveResponse): void {
    this.#header(response.header);
    this.#field("ID", this.#lease(response.id));
    this.#field("TTL", response.ttl);
    this.#field("GrantedTTL", response.grantedTtl);
    for (const key of response.keys) this.#field("Key", quote(key));
  }

  override leaseList(response: LeaseLeasesResponse): void {
    this.#header(response.header);
    for (const lease of response.leases) this.#field("ID", this.#lease(lease.id));
  }

  override memberList(response: MemberListResponse): void {
    this.#header(response.header);
    for (const member of response.members) {
      this.#field("ID", this.#id(member.id));
      this.#field("Name", quote(member.name));
      for (const url of member.peerUrls) this.#field("PeerURL", quote(url));
      for (const url of member.clientUrls) this.#field("ClientURL", quote(url));
      this.#field("IsLearner", member.isLearner);
      this.output.out("\n");
    }
  }

  override endpointHealth(list: readonly EndpointHealth[]): void {
    for (const it of list) {
      this.#field("Endpoint", quote(it.endpoint));
      this.#field("Health", it.health);
      this.#field("Took", it.took);
      this.#field("Error", it.error);
      this.output.out("\n");
    }
  }

  override endpointStatus(list: readonly EndpointStatus[]): void {
    for (const { endpoint, status } of list) {
      this.#header(status.header);
      this.#field("Version", quote(status.version));
      this.#field("StorageVersion", quote(status.storageVersion));
      this.#field("DBSize", status.dbSize);
      this.#field("DBSizeInUse", status.dbSizeInUse);
      this.#field("DBSizeQuota", status.dbSizeQuota);
      this.#field("Leader", status.leader);
      this.#field("IsLearner", status.isLearner);
      this.#field("RaftIndex", status.raftIndex);
      this.#field("RaftTerm", status.raftTerm);
      this.#field("RaftAppliedIndex", status.raftAppliedIndex);
      this.#field("Errors", `[${status.errors.join(" ")}]`);
      this.#field("Endpoint", quote(endpoint));
      this.#field("DowngradeTargetVersion", quote(status.downgradeInfo?.targetVersion ?? ""));
      this.#field("DowngradeEnabled", status.downgradeInfo?.enabled ?? false);
      this.output.out("\n");
    }
  }

  override endpointHashKv(list: readonly EndpointHash[]): void {
    for (const { endpoint, hash } of list) {
      this.#header(hash.header);
      this.#field("Endpoint", quote(endpoint));
      this.#field("Hash", hash.hash);
      this.#field("HashRevision", hash.hashRevision);
      this.output.out("\n");
    }
  }

  override alarm(response: AlarmResponse): void {
    this.#header(response.header);
    for (const it of response.alarms) {
      this.#field("MemberID", this.#id(it.memberId));
      this.#field("AlarmType", alarmName(it.alarm));
      this.output.out("\n");
    }
  }

  override roleGet(_role: string, response: AuthRoleGetResponse): void {
    this.#header(response.header);
    for (const it of response.perm) {
      this.#field("PermType", ` ${permissionNames[it.permType] ?? String(it.permType)}`);
      this.#field("Key", quote(it.key));
      this.#field("RangeEnd", quote(it.rangeEnd));
    }
  }

  override roleList(response: AuthRoleListResponse): void {
    this.#header(response.header);
    this.output.out(`"Roles" :${response.roles.map((it) => ` ${quote(it)}`).join("")}\n`);
  }

  override done(_done: Done, response: HeaderOnly): void {
    this.#header(response.header);
  }

  /** An answer without a header prints one of zeros, as Go's getters give it. */
  #header(header: ResponseHeader | undefined): void {
    this.#field("ClusterID", this.#id(header?.clusterId ?? 0n));
    this.#field("MemberID", this.#id(header?.memberId ?? 0n));
    const revision = header?.revision ?? 0;
    if (revision > 0) this.#field("Revision", revision);
    this.#field("RaftTerm", header?.raftTerm ?? 0);
  }

  #pair(prefix: string, kv: KeyValue): void {
    this.#field(`${prefix}Key`, quote(kv.key));
    this.#field(`${prefix}CreateRevision`, kv.createRevision);
    this.#field(`${prefix}ModRevision`, kv.modRevision);
    this.#field(`${prefix}Version`, kv.version);
    this.#field(`${prefix}Value`, quote(kv.value));
    this.#field(`${prefix}Lease`, this.#lease(kv.lease));
  }

  #field(name: string, value: string | number | bigint | boolean): void {
    this.output.out(`"${name}" : ${value}\n`);
  }

  #id(id: bigint): string {
    return this.hex ? id.toString(16) : String(id);
  }

  #lease(id: bigint): string {
    return this.hex ? leaseHex(id) : String(id);
  }
}

const permissionNames: readonly string[] = ["READ", "WRITE", "READWRITE"];
