// The json format: one line per answer, the fields named as in the protocol, in the order of their numbers,
// zero values left out. A few answers are no messages in etcdctl and have key sets of their own, which
// scripts know: leases (header fields at top level), watches (capital letters), endpoints, txn wrappers.

import type {
  AlarmResponse,
  AuthRoleGetResponse,
  AuthRoleListResponse,
  AuthStatusResponse,
  AuthUserGetResponse,
  AuthUserListResponse,
  DeleteRangeResponse,
  DowngradeResponse,
  Event,
  HashKVResponse,
  KeyValue,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseTimeToLiveResponse,
  Member,
  MemberAddResponse,
  MemberListResponse,
  MoveLeaderResponse,
  PutResponse,
  RangeResponse,
  ResponseHeader,
  ResponseOp,
  StatusResponse,
  TxnResponse,
  WatchResponse,
} from "@etcd-ts/api";
import {
  always,
  array,
  base64,
  bool,
  bytes,
  int,
  type JsonMember,
  list,
  message,
  object,
  string,
  text,
} from "../../shared/go-json.ts";
import {
  type Done,
  type EndpointHash,
  type EndpointHealth,
  type EndpointStatus,
  type HeaderOnly,
  Printer,
  type PrinterOptions,
} from "./printer.ts";

export class JsonPrinter extends Printer {
  constructor(options: PrinterOptions) {
    super("json", options);
  }

  override get(response: RangeResponse): void {
    this.#line(rangeJson(response));
  }
  override put(response: PutResponse): void {
    this.#line(putJson(response));
  }
  override del(response: DeleteRangeResponse): void {
    this.#line(deleteJson(response));
  }
  override txn(response: TxnResponse): void {
    this.#line(txnJson(response));
  }

  override watch(response: WatchResponse): void {
    const events = response.events.map(eventJson);
    this.#line(
      object(
        always("Header", headerObject(response.header)),
        always("Events", events.length === 0 ? "null" : array(events)),
        always("CompactRevision", String(response.compactRevision)),
        always("Canceled", String(response.canceled)),
        always("Created", String(response.created)),
        always("CancelReason", text(response.cancelReason)),
      ),
    );
  }

  override leaseGrant(response: LeaseGrantResponse): void {
    this.#line(
      object(
        ...headerMembers(response.header),
        always("ID", String(response.id)),
        always("TTL", String(response.ttl)),
        always("Error", text(response.error)),
      ),
    );
  }

  override leaseRevoke(_id: bigint, response: LeaseRevokeResponse): void {
    this.#line(headerOnlyJson(response));
  }

  override leaseKeepAlive(response: LeaseKeepAliveResponse): void {
    this.#line(
      object(
        ...headerMembers(response.header),
        always("ID", String(response.id)),
        always("TTL", String(response.ttl)),
      ),
    );
  }

  override leaseTimeToLive(response: LeaseTimeToLiveResponse): void {
    const keys = response.keys.map(base64);
    this.#line(
      object(
        ...headerMembers(response.header),
        always("id", String(response.id)),
        always("ttl", String(response.ttl)),
        always("granted-ttl", String(response.grantedTtl)),
        always("keys", keys.length === 0 ? "null" : array(keys)),
      ),
    );
  }

  override leaseList(response: LeaseLeasesResponse): void {
    const leases = response.leases.map((lease) => object(always("id", String(lease.id))));
    this.#line(object(...headerMembers(response.header), always("leases", array(leases))));
  }

  override memberAdd(response: MemberAddResponse): void {
    const member = response.member === undefined ? undefined : this.#member(response.member);
    this.#line(
      object(
        this.#header(response.header),
        this.hex ? always("member", member ?? "{}") : message("member", member),
        this.#members(response.members),
      ),
    );
  }
  override memberRemove(_id: bigint, response: MemberListResponse): void {
    this.memberList(response);
  }
  override memberUpdate(_id: bigint, response: MemberListResponse): void {
    this.memberList(response);
  }
  override memberPromote(_id: bigint, response: MemberListResponse): void {
    this.memberList(response);
  }
  override memberList(response: Pick<MemberListResponse, "header" | "members">): void {
    this.#line(object(this.#header(response.header), this.#members(response.members)));
  }

  override endpointHealth(endpoints: readonly EndpointHealth[]): void {
    const values = endpoints.map((it) =>
      object(
        always("endpoint", text(it.endpoint)),
        always("health", String(it.health)),
        always("took", text(it.took)),
        string("error", it.error),
      ),
    );
    this.#line(array(values));
  }

  override endpointStatus(endpoints: readonly EndpointStatus[]): void {
    const values = endpoints.map(({ endpoint, status }) =>
      object(always("Endpoint", text(endpoint)), always("Status", statusJson(status))),
    );
    this.#line(values.length === 0 ? "null" : array(values));
  }

  override endpointHashKv(endpoints: readonly EndpointHash[]): void {
    const values = endpoints.map(({ endpoint, hash }) =>
      object(always("Endpoint", text(endpoint)), always("HashKV", hashKvJson(hash))),
    );
    this.#line(array(values));
  }

  override alarm(response: AlarmResponse): void {
    const alarms = response.alarms.map((it) =>
      object(int("memberID", it.memberId), int("alarm", it.alarm)),
    );
    this.#line(object(headerMember(response.header), list("alarms", alarms)));
  }

  override moveLeader(_leader: bigint, _target: bigint, response: MoveLeaderResponse): void {
    this.#line(headerOnlyJson(response));
  }

  override downgrade(_action: string, response: DowngradeResponse): void {
    this.#line(object(headerMember(response.header), string("version", response.version)));
  }

  override roleGet(_role: string, response: AuthRoleGetResponse): void {
    const permissions = response.perm.map((it) =>
      object(int("permType", it.permType), bytes("key", it.key), bytes("range_end", it.rangeEnd)),
    );
    this.#line(object(headerMember(response.header), list("perm", permissions)));
  }

  override roleList(response: AuthRoleListResponse): void {
    this.#line(object(headerMember(response.header), list("roles", response.roles.map(text))));
  }

  override userGet(_user: string, response: AuthUserGetResponse): void {
    this.#line(object(headerMember(response.header), list("roles", response.roles.map(text))));
  }

  override userList(response: AuthUserListResponse): void {
    this.#line(object(headerMember(response.header), list("users", response.users.map(text))));
  }

  override authStatus(response: AuthStatusResponse): void {
    this.#line(
      object(
        headerMember(response.header),
        bool("enabled", response.enabled),
        int("authRevision", response.authRevision),
      ),
    );
  }

  override done(_done: Done, response: HeaderOnly): void {
    this.#line(headerOnlyJson(response));
  }

  #line(json: string): void {
    this.output.out(`${json}\n`);
  }

  /** The header of a member answer: with `--hex` always there, its ids as hex texts. */
  #header(header: ResponseHeader | undefined): JsonMember {
    if (!this.hex) return headerMember(header);
    if (header === undefined) return always("header", "{}");
    return always(
      "header",
      object(
        hexId("cluster_id", header.clusterId),
        hexId("member_id", header.memberId),
        int("revision", header.revision),
        int("raft_term", header.raftTerm),
      ),
    );
  }

  #members(members: readonly Member[]): JsonMember {
    const values = members.map((it) => this.#member(it));
    return this.hex ? always("members", array(values)) : list("members", values);
  }

  #member(member: Member): string {
    return object(
      this.hex ? hexId("ID", member.id) : int("ID", member.id),
      string("name", member.name),
      list("peerURLs", member.peerUrls.map(text)),
      list("clientURLs", member.clientUrls.map(text)),
      bool("isLearner", member.isLearner),
    );
  }
}

function hexId(name: string, id: bigint): JsonMember {
  return id === 0n ? "" : always(name, `"${id.toString(16)}"`);
}

function headerMembers(header: ResponseHeader | undefined): JsonMember[] {
  if (header === undefined) return [];
  return [
    int("cluster_id", header.clusterId),
    int("member_id", header.memberId),
    int("revision", header.revision),
    int("raft_term", header.raftTerm),
  ];
}

function headerObject(header: ResponseHeader | undefined): string {
  return object(...headerMembers(header));
}

function headerMember(header: ResponseHeader | undefined): JsonMember {
  return message("header", header === undefined ? undefined : headerObject(header));
}

function headerOnlyJson(response: HeaderOnly): string {
  return object(headerMember(response.header));
}

function keyValueJson(kv: KeyValue): string {
  return object(
    bytes("key", kv.key),
    int("create_revision", kv.createRevision),
    int("mod_revision", kv.modRevision),
    int("version", kv.version),
    bytes("value", kv.value),
    int("lease", kv.lease),
  );
}

function eventJson(event: Event): string {
  return object(
    int("type", event.type),
    message("kv", event.kv === undefined ? undefined : keyValueJson(event.kv)),
    message("prev_kv", event.prevKv === undefined ? undefined : keyValueJson(event.prevKv)),
  );
}

function rangeJson(response: RangeResponse): string {
  return object(
    headerMember(response.header),
    list("kvs", response.kvs.map(keyValueJson)),
    bool("more", response.more),
    int("count", response.count),
  );
}

function putJson(response: PutResponse): string {
  const { prevKv } = response;
  return object(
    headerMember(response.header),
    message("prev_kv", prevKv === undefined ? undefined : keyValueJson(prevKv)),
  );
}

function deleteJson(response: DeleteRangeResponse): string {
  return object(
    headerMember(response.header),
    int("deleted", response.deleted),
    list("prev_kvs", response.prevKvs.map(keyValueJson)),
  );
}

function txnJson(response: TxnResponse): string {
  return object(
    headerMember(response.header),
    bool("succeeded", response.succeeded),
    list("responses", response.responses.map(responseOpJson)),
  );
}

function responseOpJson(op: ResponseOp): string {
  const { responseRange, responsePut, responseDeleteRange, responseTxn } = op;
  let json = "null";
  if (responseRange !== undefined) {
    json = object(always("response_range", rangeJson(responseRange)));
  } else if (responsePut !== undefined) {
    json = object(always("response_put", putJson(responsePut)));
  } else if (responseDeleteRange !== undefined) {
    json = object(always("response_delete_range", deleteJson(responseDeleteRange)));
  } else if (responseTxn !== undefined) {
    json = object(always("response_txn", txnJson(responseTxn)));
  }
  return object(always("Response", json));
}

function statusJson(status: StatusResponse): string {
  const downgrade = status.downgradeInfo;
  return object(
    headerMember(status.header),
    string("version", status.version),
    int("dbSize", status.dbSize),
    int("leader", status.leader),
    int("raftIndex", status.raftIndex),
    int("raftTerm", status.raftTerm),
    int("raftAppliedIndex", status.raftAppliedIndex),
    list("errors", status.errors.map(text)),
    int("dbSizeInUse", status.dbSizeInUse),
    bool("isLearner", status.isLearner),
    string("storageVersion", status.storageVersion),
    int("dbSizeQuota", status.dbSizeQuota),
    message(
      "downgradeInfo",
      downgrade === undefined
        ? undefined
        : object(
            bool("enabled", downgrade.enabled),
            string("targetVersion", downgrade.targetVersion),
          ),
    ),
  );
}

function hashKvJson(response: HashKVResponse): string {
  return object(
    headerMember(response.header),
    int("hash", response.hash),
    int("compact_revision", response.compactRevision),
    int("hash_revision", response.hashRevision),
  );
}
