// The simple format: what people read. Keys and values are printed as they are, byte for byte.

import type {
  AlarmResponse,
  AuthRoleGetResponse,
  AuthRoleListResponse,
  AuthStatusResponse,
  AuthUserGetResponse,
  AuthUserListResponse,
  DeleteRangeResponse,
  DowngradeResponse,
  KeyValue,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseTimeToLiveResponse,
  MemberAddResponse,
  MemberListResponse,
  MemberPromoteResponse,
  MemberRemoveResponse,
  MemberUpdateResponse,
  Permission,
  PutResponse,
  RangeResponse,
  TxnResponse,
  WatchResponse,
} from "@etcd-ts/api";
import { bytesToText, textToBytes } from "../../shared/byte-text.ts";
import { alarmName, leaseHex, prefixEnd } from "../values.ts";
import {
  type Done,
  type EndpointHash,
  type EndpointHealth,
  type EndpointStatus,
  type HeaderOnly,
  Printer,
  type PrinterOptions,
} from "./printer.ts";
import { hashRows, memberRows, type Rows, statusRows } from "./rows.ts";

const lineEnd: Uint8Array = Uint8Array.of(0x0a);

export class SimplePrinter extends Printer {
  constructor(options: PrinterOptions) {
    super("simple", options);
  }

  override get(response: RangeResponse, valueOnly: boolean): void {
    const parts: Uint8Array[] = [];
    for (const kv of response.kvs) {
      if (valueOnly) parts.push(this.#shown(kv.value), lineEnd);
      else this.#pair(parts, kv);
    }
    this.output.out(Buffer.concat(parts));
  }

  override put(response: PutResponse): void {
    const parts: Uint8Array[] = [Buffer.from("OK\n")];
    if (response.prevKv !== undefined) this.#pair(parts, response.prevKv);
    this.output.out(Buffer.concat(parts));
  }

  override del(response: DeleteRangeResponse): void {
    const parts: Uint8Array[] = [Buffer.from(`${response.deleted}\n`)];
    for (const kv of response.prevKvs) this.#pair(parts, kv);
    this.output.out(Buffer.concat(parts));
  }

  override txn(response: TxnResponse): void {
    this.output.out(response.succeeded ? "SUCCESS\n" : "FAILURE\n");
    for (const it of response.responses) {
      this.output.out("\n");
      if (it.responseRange !== undefined) this.get(it.responseRange, false);
      else if (it.responsePut !== undefined) this.put(it.responsePut);
      else if (it.responseDeleteRange !== undefined) this.del(it.responseDeleteRange);
      else if (it.responseTxn !== undefined) this.txn(it.responseTxn);
    }
  }

  override watch(response: WatchResponse): void {
    const parts: Uint8Array[] = [];
    for (const event of response.events) {
      parts.push(Buffer.from(event.type === 0 ? "PUT\n" : "DELETE\n"));
      if (event.prevKv !== undefined) this.#pair(parts, event.prevKv);
      if (event.kv !== undefined) this.#pair(parts, event.kv);
    }
    if (parts.length > 0) this.output.out(Buffer.concat(parts));
  }

  override leaseGrant(response: LeaseGrantResponse): void {
    this.#line(`lease ${leaseHex(response.id)} granted with TTL(${response.ttl}s)`);
  }

  override leaseRevoke(id: bigint): void {
    this.#line(`lease ${leaseHex(id)} revoked`);
  }

  override leaseKeepAlive(response: LeaseKeepAliveResponse): void {
    const id = leaseHex(response.id);
    if (response.ttl <= 0) this.#line(`lease ${id} expired or revoked.`);
    else this.#line(`lease ${id} keepalived with TTL(${response.ttl})`);
  }

  override leaseTimeToLive(response: LeaseTimeToLiveResponse, keys: boolean): void {
    const id = leaseHex(response.id);
    if (BigInt(response.grantedTtl) === 0n && BigInt(response.ttl) === -1n) {
      this.#line(`lease ${id} already expired`);
      return;
    }
    const lived = `granted with TTL(${response.grantedTtl}s), remaining(${response.ttl}s)`;
    const parts: Uint8Array[] = [Buffer.from(`lease ${id} ${lived}`)];
    if (keys) {
      parts.push(Buffer.from(", attached keys(["));
      response.keys.forEach((key, i) => {
        if (i > 0) parts.push(Buffer.from(" "));
        parts.push(key);
      });
      parts.push(Buffer.from("])"));
    }
    this.output.out(Buffer.concat([...parts, lineEnd]));
  }

  override leaseList(response: LeaseLeasesResponse): void {
    this.#line(`found ${response.leases.length} leases`);
    for (const lease of response.leases) this.#line(leaseHex(lease.id));
  }

  override memberAdd(response: MemberAddResponse): void {
    const member = response.member;
    const how = member?.isLearner ? "added as learner to" : "added to";
    this.#member(member?.id ?? 0n, how, response);
  }

  override memberRemove(id: bigint, response: MemberRemoveResponse): void {
    this.#member(id, "removed from", response);
  }

  override memberUpdate(id: bigint, response: MemberUpdateResponse): void {
    this.#member(id, "updated in", response);
  }

  override memberPromote(id: bigint, response: MemberPromoteResponse): void {
    this.#member(id, "promoted in", response);
  }

  override memberList(response: MemberListResponse): void {
    this.#rows(memberRows(response));
  }

  override endpointHealth(list: readonly EndpointHealth[]): void {
    for (const it of list) {
      if (it.error === "") {
        this.#line(`${it.endpoint} is healthy: successfully committed proposal: took = ${it.took}`);
      } else {
        this.output.err(`${it.endpoint} is unhealthy: failed to commit proposal: ${it.error}\n`);
      }
    }
  }

  override endpointStatus(list: readonly EndpointStatus[]): void {
    this.#rows(statusRows(list));
  }

  override endpointHashKv(list: readonly EndpointHash[]): void {
    this.#rows(hashRows(list));
  }

  override alarm(response: AlarmResponse): void {
    for (const it of response.alarms) {
      this.#line(`memberID:${it.memberId} alarm:${alarmName(it.alarm)}`);
    }
  }

  override moveLeader(leader: bigint, target: bigint): void {
    this.#line(`Leadership transferred from ${leader.toString(16)} to ${target.toString(16)}`);
  }

  override downgrade(action: string, response: DowngradeResponse): void {
    this.#line(`Downgrade ${action} success, cluster version ${response.version}`);
  }

  override roleGet(role: string, response: AuthRoleGetResponse): void {
    const root = role === "root" && response.perm.length === 0;
    const parts: Uint8Array[] = [textToBytes(`Role ${role}\n`)];
    for (const [title, only] of [
      ["KV Read:\n", PermissionType.write],
      ["KV Write:\n", PermissionType.read],
    ] as const) {
      parts.push(Buffer.from(title));
      if (root) parts.push(Buffer.from("\t[, <open ended>\n"));
      for (const it of response.perm) {
        if (it.permType !== only) parts.push(permissionLine(it));
      }
    }
    this.output.out(Buffer.concat(parts));
  }

  override roleList(response: AuthRoleListResponse): void {
    for (const role of response.roles) this.#line(role);
  }

  override userGet(user: string, response: AuthUserGetResponse): void {
    this.#line(`User: ${user}`);
    this.#line(`Roles:${response.roles.map((it) => ` ${it}`).join("")}`);
  }

  override userList(response: AuthUserListResponse): void {
    for (const user of response.users) this.#line(user);
  }

  override authStatus(response: AuthStatusResponse): void {
    this.#line(`Authentication Status: ${response.enabled}`);
    this.#line(`AuthRevision: ${response.authRevision}`);
  }

  override done(done: Done): void {
    this.#line(sentence(done));
  }

  #line(text: string): void {
    this.output.out(textToBytes(`${text}\n`));
  }

  #rows(rows: Rows): void {
    for (const row of rows.rows) this.#line(row.join(", "));
  }

  #member(id: bigint, what: string, response: HeaderOnly): void {
    const cluster = (response.header?.clusterId ?? 0n).toString(16).padStart(16);
    this.#line(`Member ${id.toString(16).padStart(16)} ${what} cluster ${cluster}`);
  }

  #pair(parts: Uint8Array[], kv: KeyValue): void {
    parts.push(this.#shown(kv.key), lineEnd, this.#shown(kv.value), lineEnd);
  }

  /** With `--hex` every byte as `\xNN`. */
  #shown(bytes: Uint8Array): Uint8Array {
    if (!this.hex) return bytes;
    return Buffer.from(Buffer.from(bytes).toString("hex").replace(/../g, "\\x$&"));
  }
}

const PermissionType = { read: 0, write: 1, readWrite: 2 } as const;

function permissionLine(permission: Permission): Uint8Array {
  const { key, rangeEnd } = permission;
  const parts: Uint8Array[] = [Buffer.from("\t")];
  if (rangeEnd.length === 0) {
    parts.push(key);
  } else if (isOpenEnd(rangeEnd)) {
    parts.push(Buffer.from("["), key, Buffer.from(", <open ended>"));
  } else {
    parts.push(Buffer.from("["), key, Buffer.from(", "), rangeEnd, Buffer.from(")"));
    if (key.length > 0 && Buffer.compare(rangeEnd, prefixEnd(key)) === 0) {
      parts.push(Buffer.from(" (prefix "), key, Buffer.from(")"));
    }
  }
  return Buffer.concat([...parts, lineEnd]);
}

function sentence(done: Done): string {
  switch (done.kind) {
    case "role-add":
      return `Role ${done.role} created`;
    case "role-delete":
      return `Role ${done.role} deleted`;
    case "role-grant":
      return `Role ${done.role} updated`;
    case "role-revoke": {
      const { key, rangeEnd } = done;
      if (rangeEnd.length === 0) {
        return `Permission of key ${key} is revoked from role ${done.role}`;
      }
      const range = isOpenEnd(rangeEnd)
        ? `[${key}, <open ended>`
        : `[${key}, ${bytesToText(rangeEnd)})`;
      return `Permission of range ${range} is revoked from role ${done.role}`;
    }
    case "user-add":
      return `User ${done.user} created`;
    case "user-delete":
      return `User ${done.user} deleted`;
    case "user-password":
      return "Password updated";
    case "user-grant":
      return `Role ${done.role} is granted to user ${done.user}`;
    case "user-revoke":
      return `Role ${done.role} is revoked from user ${done.user}`;
    default:
      return done satisfies never;
  }
}

function isOpenEnd(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}
