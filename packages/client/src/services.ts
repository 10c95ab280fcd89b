// The services of etcd, method by method: a request as an object with the fields that matter, the answer as
// it came. Everything else in this package is built on these.

import {
  AlarmAction,
  type AlarmRequest,
  type AlarmResponse,
  type AuthDisableResponse,
  type AuthEnableResponse,
  type AuthenticateRequest,
  type AuthenticateResponse,
  type AuthRoleAddRequest,
  type AuthRoleAddResponse,
  type AuthRoleDeleteRequest,
  type AuthRoleDeleteResponse,
  type AuthRoleGetRequest,
  type AuthRoleGetResponse,
  type AuthRoleGrantPermissionRequest,
  type AuthRoleGrantPermissionResponse,
  type AuthRoleListResponse,
  type AuthRoleRevokePermissionRequest,
  type AuthRoleRevokePermissionResponse,
  type AuthStatusResponse,
  type AuthUserAddRequest,
  type AuthUserAddResponse,
  type AuthUserChangePasswordRequest,
  type AuthUserChangePasswordResponse,
  type AuthUserDeleteRequest,
  type AuthUserDeleteResponse,
  type AuthUserGetRequest,
  type AuthUserGetResponse,
  type AuthUserGrantRoleRequest,
  type AuthUserGrantRoleResponse,
  type AuthUserListResponse,
  type AuthUserRevokeRoleRequest,
  type AuthUserRevokeRoleResponse,
  type CompactionRequest,
  type CompactionResponse,
  type DefragmentResponse,
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  type DowngradeRequest,
  type DowngradeResponse,
  decodeRangeStreamResponse,
  decodeSnapshotResponse,
  encodeRangeRequest,
  encodeSnapshotRequest,
  type HashKVRequest,
  type HashKVResponse,
  type HashResponse,
  type LeaseGrantRequest,
  type LeaseGrantResponse,
  type LeaseLeasesResponse,
  type LeaseRevokeRequest,
  type LeaseRevokeResponse,
  type LeaseTimeToLiveRequest,
  type LeaseTimeToLiveResponse,
  type MemberAddRequest,
  type MemberAddResponse,
  type MemberListRequest,
  type MemberListResponse,
  type MemberPromoteRequest,
  type MemberPromoteResponse,
  type MemberRemoveRequest,
  type MemberRemoveResponse,
  type MemberUpdateRequest,
  type MemberUpdateResponse,
  type MoveLeaderRequest,
  type MoveLeaderResponse,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  RangeResponse,
  SnapshotRequest,
  type SnapshotResponse,
  type StatusResponse,
  type TxnRequest,
  type TxnResponse,
} from "@etcd-ts/api";
import { type Method, methods } from "./methods.ts";
import type { CallOptions } from "./options.ts";
import { serverStream } from "./server-stream.ts";
import type { Transport } from "./transport.ts";

class Service {
  protected readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  protected call<Request, Response>(
    method: Method<Request, Response>,
    fields: Partial<Request>,
    options: CallOptions | undefined,
  ): Promise<Response> {
    return this.transport.unary(method, method.create(fields), options);
  }
}

/** Keys and values. */
export class KvService extends Service {
  range(request: Partial<RangeRequest>, options?: CallOptions): Promise<RangeResponse> {
    // A read that names no consistency is linearizable, and may be repeated.
    return this.call(methods.range, request, options);
  }

  put(request: Partial<PutRequest>, options?: CallOptions): Promise<PutResponse> {
    return this.call(methods.put, request, options);
  }

  deleteRange(
    request: Partial<DeleteRangeRequest>,
    options?: CallOptions,
  ): Promise<DeleteRangeResponse> {
    return this.call(methods.deleteRange, request, options);
  }

  /** A transaction of reads only may be repeated like a read; any other counts as a write. */
  txn(request: Partial<TxnRequest>, options?: CallOptions): Promise<TxnResponse> {
    const method: Method<TxnRequest, TxnResponse> = isReadOnly(request)
      ? { ...methods.txn, retry: "read" }
      : methods.txn;
    return this.call(method, request, options);
  }

  compact(request: Partial<CompactionRequest>, options?: CallOptions): Promise<CompactionResponse> {
    return this.call(methods.compact, request, options);
  }

  /**
   * The answer of `range` in pieces, for results too large to hold; `mergeRange` puts them together.
   * Only the last piece has header, count and `more`.
   */
  async *rangeStream(
    request: Partial<RangeRequest>,
    options: CallOptions = {},
  ): AsyncGenerator<RangeResponse, void, void> {
    const chunks = serverStream(
      this.transport,
      "/etcdserverpb.KV/RangeStream",
      encodeRangeRequest(methods.range.create(request)),
      decodeRangeStreamResponse,
      options,
    );
    for await (const chunk of chunks) {
      if (chunk.rangeResponse !== undefined) yield chunk.rangeResponse;
    }
  }
}

/** One response out of the pieces of a `rangeStream`. */
export async function mergeRange(pieces: AsyncIterable<RangeResponse>): Promise<RangeResponse> {
  const whole = new RangeResponse();
  for await (const piece of pieces) {
    for (const kv of piece.kvs) whole.kvs.push(kv);
    if (piece.header !== undefined) whole.header = piece.header;
    whole.more ||= piece.more;
    whole.count += piece.count;
  }
  return whole;
}

/** Leases; to keep one alive see `Client.keepAlive`. */
export class LeaseService extends Service {
  grant(request: Partial<LeaseGrantRequest>, options?: CallOptions): Promise<LeaseGrantResponse> {
    return this.call(methods.leaseGrant, request, options);
  }

  revoke(
    request: Partial<LeaseRevokeRequest>,
    options?: CallOptions,
  ): Promise<LeaseRevokeResponse> {
    return this.call(methods.leaseRevoke, request, options);
  }

  timeToLive(
    request: Partial<LeaseTimeToLiveRequest>,
    options?: CallOptions,
  ): Promise<LeaseTimeToLiveResponse> {
    return this.call(methods.leaseTimeToLive, request, options);
  }

  leases(options?: CallOptions): Promise<LeaseLeasesResponse> {
    return this.call(methods.leaseLeases, {}, options);
  }
}

/** Members of the cluster. */
export class ClusterService extends Service {
  memberAdd(request: Partial<MemberAddRequest>, options?: CallOptions): Promise<MemberAddResponse> {
    return this.call(methods.memberAdd, request, options);
  }

  memberRemove(
    request: Partial<MemberRemoveRequest>,
    options?: CallOptions,
  ): Promise<MemberRemoveResponse> {
    return this.call(methods.memberRemove, request, options);
  }

  memberUpdate(
    request: Partial<MemberUpdateRequest>,
    options?: CallOptions,
  ): Promise<MemberUpdateResponse> {
    return this.call(methods.memberUpdate, request, options);
  }

  memberList(
    request: Partial<MemberListRequest> = { linearizable: true },
    options?: CallOptions,
  ): Promise<MemberListResponse> {
    return this.call(methods.memberList, request, options);
  }

  memberPromote(
    request: Partial<MemberPromoteRequest>,
    options?: CallOptions,
  ): Promise<MemberPromoteResponse> {
    return this.call(methods.memberPromote, request, options);
  }
}

/**
 * Upkeep. `status`, `hash`, `hashKv`, `defragment` and `snapshot` are about the member that answers: use a
 * client of one endpoint (`Client.at`) to ask a certain one.
 */
export class MaintenanceService extends Service {
  alarm(request: Partial<AlarmRequest> = {}, options?: CallOptions): Promise<AlarmResponse> {
    const method: Method<AlarmRequest, AlarmResponse> =
      (request.action ?? AlarmAction.GET) === AlarmAction.GET
        ? { ...methods.alarm, retry: "read" }
        : methods.alarm;
    return this.call(method, request, options);
  }

  status(options?: CallOptions): Promise<StatusResponse> {
    return this.call(methods.status, {}, options);
  }

  defragment(options?: CallOptions): Promise<DefragmentResponse> {
    return this.call(methods.defragment, {}, options);
  }

  hash(options?: CallOptions): Promise<HashResponse> {
    return this.call(methods.hash, {}, options);
  }

  hashKv(request: Partial<HashKVRequest> = {}, options?: CallOptions): Promise<HashKVResponse> {
    return this.call(methods.hashKv, request, options);
  }

  moveLeader(
    request: Partial<MoveLeaderRequest>,
    options?: CallOptions,
  ): Promise<MoveLeaderResponse> {
    return this.call(methods.moveLeader, request, options);
  }

  downgrade(request: Partial<DowngradeRequest>, options?: CallOptions): Promise<DowngradeResponse> {
    return this.call(methods.downgrade, request, options);
  }

  /** The whole database, piece by piece; the last piece is the SHA-256 of all others. */
  snapshot(options: CallOptions = {}): AsyncGenerator<SnapshotResponse, void, void> {
    return serverStream(
      this.transport,
      "/etcdserverpb.Maintenance/Snapshot",
      encodeSnapshotRequest(new SnapshotRequest()),
      decodeSnapshotResponse,
      options,
    );
  }
}

/** Users, roles and permissions. */
export class AuthService extends Service {
  enable(options?: CallOptions): Promise<AuthEnableResponse> {
    return this.call(methods.authEnable, {}, options);
  }
  disable(options?: CallOptions): Promise<AuthDisableResponse> {
    return this.call(methods.authDisable, {}, options);
  }
  status(options?: CallOptions): Promise<AuthStatusResponse> {
    return this.call(methods.authStatus, {}, options);
  }
  authenticate(
    request: Partial<AuthenticateRequest>,
    options?: CallOptions,
  ): Promise<AuthenticateResponse> {
    return this.call(methods.authenticate, request, options);
  }

  userAdd(
    request: Partial<AuthUserAddRequest>,
    options?: CallOptions,
  ): Promise<AuthUserAddResponse> {
    return this.call(methods.userAdd, request, options);
  }
  userGet(
    request: Partial<AuthUserGetRequest>,
    options?: CallOptions,
  ): Promise<AuthUserGetResponse> {
    return this.call(methods.userGet, request, options);
  }
  userList(options?: CallOptions): Promise<AuthUserListResponse> {
    return this.call(methods.userList, {}, options);
  }
  userDelete(
    request: Partial<AuthUserDeleteRequest>,
    options?: CallOptions,
  ): Promise<AuthUserDeleteResponse> {
    return this.call(methods.userDelete, request, options);
  }
  userChangePassword(
    request: Partial<AuthUserChangePasswordRequest>,
    options?: CallOptions,
  ): Promise<AuthUserChangePasswordResponse> {
    return this.call(methods.userChangePassword, request, options);
  }
  userGrantRole(
    request: Partial<AuthUserGrantRoleRequest>,
    options?: CallOptions,
  ): Promise<AuthUserGrantRoleResponse> {
    return this.call(methods.userGrantRole, request, options);
  }
  userRevokeRole(
    request: Partial<AuthUserRevokeRoleRequest>,
    options?: CallOptions,
  ): Promise<AuthUserRevokeRoleResponse> {
    return this.call(methods.userRevokeRole, request, options);
  }

  roleAdd(
    request: Partial<AuthRoleAddRequest>,
    options?: CallOptions,
  ): Promise<AuthRoleAddResponse> {
    return this.call(methods.roleAdd, request, options);
  }
  roleGet(
    request: Partial<AuthRoleGetRequest>,
    options?: CallOptions,
  ): Promise<AuthRoleGetResponse> {
    return this.call(methods.roleGet, request, options);
  }
  roleList(options?: CallOptions): Promise<AuthRoleListResponse> {
    return this.call(methods.roleList, {}, options);
  }
  roleDelete(
    request: Partial<AuthRoleDeleteRequest>,
    options?: CallOptions,
  ): Promise<AuthRoleDeleteResponse> {
    return this.call(methods.roleDelete, request, options);
  }
  roleGrantPermission(
    request: Partial<AuthRoleGrantPermissionRequest>,
    options?: CallOptions,
  ): Promise<AuthRoleGrantPermissionResponse> {
    return this.call(methods.roleGrantPermission, request, options);
  }
  roleRevokePermission(
    request: Partial<AuthRoleRevokePermissionRequest>,
    options?: CallOptions,
  ): Promise<AuthRoleRevokePermissionResponse> {
    return this.call(methods.roleRevokePermission, request, options);
  }
}

function isReadOnly(request: Partial<TxnRequest>): boolean {
  const operations = [...(request.success ?? []), ...(request.failure ?? [])];
  return operations.every(
    (it) =>
      it.requestRange !== undefined || (it.requestTxn !== undefined && isReadOnly(it.requestTxn)),
  );
}
