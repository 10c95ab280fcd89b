// The unary methods of etcd's services: path, codecs, and whether a repeated call does harm.

import {
  AlarmRequest,
  type AlarmResponse,
  AuthDisableRequest,
  type AuthDisableResponse,
  AuthEnableRequest,
  type AuthEnableResponse,
  AuthenticateRequest,
  type AuthenticateResponse,
  AuthRoleAddRequest,
  type AuthRoleAddResponse,
  AuthRoleDeleteRequest,
  type AuthRoleDeleteResponse,
  AuthRoleGetRequest,
  type AuthRoleGetResponse,
  AuthRoleGrantPermissionRequest,
  type AuthRoleGrantPermissionResponse,
  AuthRoleListRequest,
  type AuthRoleListResponse,
  AuthRoleRevokePermissionRequest,
  type AuthRoleRevokePermissionResponse,
  AuthStatusRequest,
  type AuthStatusResponse,
  AuthUserAddRequest,
  type AuthUserAddResponse,
  AuthUserChangePasswordRequest,
  type AuthUserChangePasswordResponse,
  AuthUserDeleteRequest,
  type AuthUserDeleteResponse,
  AuthUserGetRequest,
  type AuthUserGetResponse,
  AuthUserGrantRoleRequest,
  type AuthUserGrantRoleResponse,
  AuthUserListRequest,
  type AuthUserListResponse,
  AuthUserRevokeRoleRequest,
  type AuthUserRevokeRoleResponse,
  CompactionRequest,
  type CompactionResponse,
  DefragmentRequest,
  type DefragmentResponse,
  DeleteRangeRequest,
  type DeleteRangeResponse,
  DowngradeRequest,
  type DowngradeResponse,
  decodeAlarmResponse,
  decodeAuthDisableResponse,
  decodeAuthEnableResponse,
  decodeAuthenticateResponse,
  decodeAuthRoleAddResponse,
  decodeAuthRoleDeleteResponse,
  decodeAuthRoleGetResponse,
  decodeAuthRoleGrantPermissionResponse,
  decodeAuthRoleListResponse,
  decodeAuthRoleRevokePermissionResponse,
  decodeAuthStatusResponse,
  decodeAuthUserAddResponse,
  decodeAuthUserChangePasswordResponse,
  decodeAuthUserDeleteResponse,
  decodeAuthUserGetResponse,
  decodeAuthUserGrantRoleResponse,
  decodeAuthUserListResponse,
  decodeAuthUserRevokeRoleResponse,
  decodeCompactionResponse,
  decodeDefragmentResponse,
  decodeDeleteRangeResponse,
  decodeDowngradeResponse,
  decodeHashKVResponse,
  decodeHashResponse,
  decodeLeaseGrantResponse,
  decodeLeaseLeasesResponse,
  decodeLeaseRevokeResponse,
  decodeLeaseTimeToLiveResponse,
  decodeMemberAddResponse,
  decodeMemberListResponse,
  decodeMemberPromoteResponse,
  decodeMemberRemoveResponse,
  decodeMemberUpdateResponse,
  decodeMoveLeaderResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeStatusResponse,
  decodeTxnResponse,
  encodeAlarmRequest,
  encodeAuthDisableRequest,
  encodeAuthEnableRequest,
  encodeAuthenticateRequest,
  encodeAuthRoleAddRequest,
  encodeAuthRoleDeleteRequest,
  encodeAuthRoleGetRequest,
  encodeAuthRoleGrantPermissionRequest,
  encodeAuthRoleListRequest,
  encodeAuthRoleRevokePermissionRequest,
  encodeAuthStatusRequest,
  encodeAuthUserAddRequest,
  encodeAuthUserChangePasswordRequest,
  encodeAuthUserDeleteRequest,
  encodeAuthUserGetRequest,
  encodeAuthUserGrantRoleRequest,
  encodeAuthUserListRequest,
  encodeAuthUserRevokeRoleRequest,
  encodeCompactionRequest,
  encodeDefragmentRequest,
  encodeDeleteRangeRequest,
  encodeDowngradeRequest,
  encodeHashKVRequest,
  encodeHashRequest,
  encodeLeaseGrantRequest,
  encodeLeaseLeasesRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
  encodeMemberAddRequest,
  encodeMemberListRequest,
  encodeMemberPromoteRequest,
  encodeMemberRemoveRequest,
  encodeMemberUpdateRequest,
  encodeMoveLeaderRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeStatusRequest,
  encodeTxnRequest,
  HashKVRequest,
  type HashKVResponse,
  HashRequest,
  type HashResponse,
  LeaseGrantRequest,
  type LeaseGrantResponse,
  LeaseLeasesRequest,
  type LeaseLeasesResponse,
  LeaseRevokeRequest,
  type LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  type LeaseTimeToLiveResponse,
  MemberAddRequest,
  type MemberAddResponse,
  MemberListRequest,
  type MemberListResponse,
  MemberPromoteRequest,
  type MemberPromoteResponse,
  MemberRemoveRequest,
  type MemberRemoveResponse,
  MemberUpdateRequest,
  type MemberUpdateResponse,
  MoveLeaderRequest,
  type MoveLeaderResponse,
  PutRequest,
  type PutResponse,
  RangeRequest,
  type RangeResponse,
  StatusRequest,
  type StatusResponse,
  TxnRequest,
  type TxnResponse,
} from "@etcd-ts/api";
import type { Bytes } from "@etcd-ts/base";
import type { RetryKind } from "./retry.ts";

export interface Method<Request, Response> {
  readonly path: string;
  /** A request with these fields set. */
  create(fields: Partial<Request>): Request;
  encode(message: Request): Bytes;
  decode(bytes: Bytes): Response;
  readonly retry: RetryKind;
}

function method<Request extends object, Response>(
  service: string,
  name: string,
  retry: RetryKind,
  request: new () => Request,
  encode: (message: Request) => Bytes,
  decode: (bytes: Bytes) => Response,
): Method<Request, Response> {
  return {
    path: `/etcdserverpb.${service}/${name}`,
    create: (fields) => Object.assign(new request(), fields),
    encode,
    decode: (bytes) => decode(bytes),
    retry,
  };
}

export const methods: {
  readonly range: Method<RangeRequest, RangeResponse>;
  readonly put: Method<PutRequest, PutResponse>;
  readonly deleteRange: Method<DeleteRangeRequest, DeleteRangeResponse>;
  readonly txn: Method<TxnRequest, TxnResponse>;
  readonly compact: Method<CompactionRequest, CompactionResponse>;
  readonly leaseGrant: Method<LeaseGrantRequest, LeaseGrantResponse>;
  readonly leaseRevoke: Method<LeaseRevokeRequest, LeaseRevokeResponse>;
  readonly leaseTimeToLive: Method<LeaseTimeToLiveRequest, LeaseTimeToLiveResponse>;
  readonly leaseLeases: Method<LeaseLeasesRequest, LeaseLeasesResponse>;
  readonly memberAdd: Method<MemberAddRequest, MemberAddResponse>;
  readonly memberRemove: Method<MemberRemoveRequest, MemberRemoveResponse>;
  readonly memberUpdate: Method<MemberUpdateRequest, MemberUpdateResponse>;
  readonly memberList: Method<MemberListRequest, MemberListResponse>;
  readonly memberPromote: Method<MemberPromoteRequest, MemberPromoteResponse>;
  readonly alarm: Method<AlarmRequest, AlarmResponse>;
  readonly status: Method<StatusRequest, StatusResponse>;
  readonly defragment: Method<DefragmentRequest, DefragmentResponse>;
  readonly hash: Method<HashRequest, HashResponse>;
  readonly hashKv: Method<HashKVRequest, HashKVResponse>;
  readonly moveLeader: Method<MoveLeaderRequest, MoveLeaderResponse>;
  readonly downgrade: Method<DowngradeRequest, DowngradeResponse>;
  readonly authEnable: Method<AuthEnableRequest, AuthEnableResponse>;
  readonly authDisable: Method<AuthDisableRequest, AuthDisableResponse>;
  readonly authStatus: Method<AuthStatusRequest, AuthStatusResponse>;
  readonly authenticate: Method<AuthenticateRequest, AuthenticateResponse>;
  readonly userAdd: Method<AuthUserAddRequest, AuthUserAddResponse>;
  readonly userGet: Method<AuthUserGetRequest, AuthUserGetResponse>;
  readonly userList: Method<AuthUserListRequest, AuthUserListResponse>;
  readonly userDelete: Method<AuthUserDeleteRequest, AuthUserDeleteResponse>;
  readonly userChangePassword: Method<
    AuthUserChangePasswordRequest,
    AuthUserChangePasswordResponse
  >;
  readonly userGrantRole: Method<AuthUserGrantRoleRequest, AuthUserGrantRoleResponse>;
  readonly userRevokeRole: Method<AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse>;
  readonly roleAdd: Method<AuthRoleAddRequest, AuthRoleAddResponse>;
  readonly roleGet: Method<AuthRoleGetRequest, AuthRoleGetResponse>;
  readonly roleList: Method<AuthRoleListRequest, AuthRoleListResponse>;
  readonly roleDelete: Method<AuthRoleDeleteRequest, AuthRoleDeleteResponse>;
  readonly roleGrantPermission: Method<
    AuthRoleGrantPermissionRequest,
    AuthRoleGrantPermissionResponse
  >;
  readonly roleRevokePermission: Method<
    AuthRoleRevokePermissionRequest,
    AuthRoleRevokePermissionResponse
  >;
} = {
  range: method("KV", "Range", "read", RangeRequest, encodeRangeRequest, decodeRangeResponse),
  put: method("KV", "Put", "write", PutRequest, encodePutRequest, decodePutResponse),
  deleteRange: method(
    "KV",
    "DeleteRange",
    "write",
    DeleteRangeRequest,
    encodeDeleteRangeRequest,
    decodeDeleteRangeResponse,
  ),
  txn: method("KV", "Txn", "write", TxnRequest, encodeTxnRequest, decodeTxnResponse),
  compact: method(
    "KV",
    "Compact",
    "write",
    CompactionRequest,
    encodeCompactionRequest,
    decodeCompactionResponse,
  ),
  leaseGrant: method(
    "Lease",
    "LeaseGrant",
    "write",
    LeaseGrantRequest,
    encodeLeaseGrantRequest,
    decodeLeaseGrantResponse,
  ),
  leaseRevoke: method(
    "Lease",
    "LeaseRevoke",
    "write",
    LeaseRevokeRequest,
    encodeLeaseRevokeRequest,
    decodeLeaseRevokeResponse,
  ),
  leaseTimeToLive: method(
    "Lease",
    "LeaseTimeToLive",
    "read",
    LeaseTimeToLiveRequest,
    encodeLeaseTimeToLiveRequest,
    decodeLeaseTimeToLiveResponse,
  ),
  leaseLeases: method(
    "Lease",
    "LeaseLeases",
    "read",
    LeaseLeasesRequest,
    encodeLeaseLeasesRequest,
    decodeLeaseLeasesResponse,
  ),
  memberAdd: method(
    "Cluster",
    "MemberAdd",
    "write",
    MemberAddRequest,
    encodeMemberAddRequest,
    decodeMemberAddResponse,
  ),
  memberRemove: method(
    "Cluster",
    "MemberRemove",
    "write",
    MemberRemoveRequest,
    encodeMemberRemoveRequest,
    decodeMemberRemoveResponse,
  ),
  memberUpdate: method(
    "Cluster",
    "MemberUpdate",
    "write",
    MemberUpdateRequest,
    encodeMemberUpdateRequest,
    decodeMemberUpdateResponse,
  ),
  memberList: method(
    "Cluster",
    "MemberList",
    "read",
    MemberListRequest,
    encodeMemberListRequest,
    decodeMemberListResponse,
  ),
  memberPromote: method(
    "Cluster",
    "MemberPromote",
    "write",
    MemberPromoteRequest,
    encodeMemberPromoteRequest,
    decodeMemberPromoteResponse,
  ),
  alarm: method(
    "Maintenance",
    "Alarm",
    "write",
    AlarmRequest,
    encodeAlarmRequest,
    decodeAlarmResponse,
  ),
  status: method(
    "Maintenance",
    "Status",
    "read",
    StatusRequest,
    encodeStatusRequest,
    decodeStatusResponse,
  ),
  defragment: method(
    "Maintenance",
    "Defragment",
    "write",
    DefragmentRequest,
    encodeDefragmentRequest,
    decodeDefragmentResponse,
  ),
  hash: method("Maintenance", "Hash", "read", HashRequest, encodeHashRequest, decodeHashResponse),
  hashKv: method(
    "Maintenance",
    "HashKV",
    "read",
    HashKVRequest,
    encodeHashKVRequest,
    decodeHashKVResponse,
  ),
  moveLeader: method(
    "Maintenance",
    "MoveLeader",
    "write",
    MoveLeaderRequest,
    encodeMoveLeaderRequest,
    decodeMoveLeaderResponse,
  ),
  downgrade: method(
    "Maintenance",
    "Downgrade",
    "write",
    DowngradeRequest,
    encodeDowngradeRequest,
    decodeDowngradeResponse,
  ),
  authEnable: method(
    "Auth",
    "AuthEnable",
    "write",
    AuthEnableRequest,
    encodeAuthEnableRequest,
    decodeAuthEnableResponse,
  ),
  authDisable: method(
    "Auth",
    "AuthDisable",
    "write",
    AuthDisableRequest,
    encodeAuthDisableRequest,
    decodeAuthDisableResponse,
  ),
  authStatus: method(
    "Auth",
    "AuthStatus",
    "read",
    AuthStatusRequest,
    encodeAuthStatusRequest,
    decodeAuthStatusResponse,
  ),
  authenticate: method(
    "Auth",
    "Authenticate",
    "read",
    AuthenticateRequest,
    encodeAuthenticateRequest,
    decodeAuthenticateResponse,
  ),
  userAdd: method(
    "Auth",
    "UserAdd",
    "write",
    AuthUserAddRequest,
    encodeAuthUserAddRequest,
    decodeAuthUserAddResponse,
  ),
  userGet: method(
    "Auth",
    "UserGet",
    "read",
    AuthUserGetRequest,
    encodeAuthUserGetRequest,
    decodeAuthUserGetResponse,
  ),
  userList: method(
    "Auth",
    "UserList",
    "read",
    AuthUserListRequest,
    encodeAuthUserListRequest,
    decodeAuthUserListResponse,
  ),
  userDelete: method(
    "Auth",
    "UserDelete",
    "write",
    AuthUserDeleteRequest,
    encodeAuthUserDeleteRequest,
    decodeAuthUserDeleteResponse,
  ),
  userChangePassword: method(
    "Auth",
    "UserChangePassword",
    "write",
    AuthUserChangePasswordRequest,
    encodeAuthUserChangePasswordRequest,
    decodeAuthUserChangePasswordResponse,
  ),
  userGrantRole: method(
    "Auth",
    "UserGrantRole",
    "write",
    AuthUserGrantRoleRequest,
    encodeAuthUserGrantRoleRequest,
    decodeAuthUserGrantRoleResponse,
  ),
  userRevokeRole: method(
    "Auth",
    "UserRevokeRole",
    "write",
    AuthUserRevokeRoleRequest,
    encodeAuthUserRevokeRoleRequest,
    decodeAuthUserRevokeRoleResponse,
  ),
  roleAdd: method(
    "Auth",
    "RoleAdd",
    "write",
    AuthRoleAddRequest,
    encodeAuthRoleAddRequest,
    decodeAuthRoleAddResponse,
  ),
  roleGet: method(
    "Auth",
    "RoleGet",
    "read",
    AuthRoleGetRequest,
    encodeAuthRoleGetRequest,
    decodeAuthRoleGetResponse,
  ),
  roleList: method(
    "Auth",
    "RoleList",
    "read",
    AuthRoleListRequest,
    encodeAuthRoleListRequest,
    decodeAuthRoleListResponse,
  ),
  roleDelete: method(
    "Auth",
    "RoleDelete",
    "write",
    AuthRoleDeleteRequest,
    encodeAuthRoleDeleteRequest,
    decodeAuthRoleDeleteResponse,
  ),
  roleGrantPermission: method(
    "Auth",
    "RoleGrantPermission",
    "write",
    AuthRoleGrantPermissionRequest,
    encodeAuthRoleGrantPermissionRequest,
    decodeAuthRoleGrantPermissionResponse,
  ),
  roleRevokePermission: method(
    "Auth",
    "RoleRevokePermission",
    "write",
    AuthRoleRevokePermissionRequest,
    encodeAuthRoleRevokePermissionRequest,
    decodeAuthRoleRevokePermissionResponse,
  ),
};
