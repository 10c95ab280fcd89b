// The protobuf format: the answer itself, encoded, with nothing around it.

import {
  type AlarmResponse,
  type AuthRoleGetResponse,
  type AuthRoleListResponse,
  type AuthStatusResponse,
  type AuthUserGetResponse,
  type AuthUserListResponse,
  type DeleteRangeResponse,
  type DowngradeResponse,
  encodeAlarmResponse,
  encodeAuthRoleGetResponse,
  encodeAuthRoleListResponse,
  encodeAuthStatusResponse,
  encodeAuthUserGetResponse,
  encodeAuthUserListResponse,
  encodeDeleteRangeResponse,
  encodeDowngradeResponse,
  encodeMemberAddResponse,
  encodeMemberListResponse,
  encodeMemberPromoteResponse,
  encodeMemberRemoveResponse,
  encodeMemberUpdateResponse,
  encodeMoveLeaderResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeResponseHeader,
  encodeTxnResponse,
  encodeWatchResponse,
  type MemberAddResponse,
  type MemberListResponse,
  type MemberPromoteResponse,
  type MemberRemoveResponse,
  type MemberUpdateResponse,
  type MoveLeaderResponse,
  PutResponse,
  type RangeResponse,
  ResponseHeader,
  type TxnResponse,
  WatchResponse,
} from "@etcd-ts/api";
import { ExitCode, Failure } from "../../shared/exit.ts";
import { type Done, type HeaderOnly, Printer, type PrinterOptions } from "./printer.ts";

export class ProtobufPrinter extends Printer {
  constructor(options: PrinterOptions) {
    super("protobuf", options);
  }

  override get(response: RangeResponse): void {
    this.output.out(encodeRangeResponse(response));
  }
  override put(response: PutResponse): void {
    this.output.out(encodePutResponse(response));
  }
  override del(response: DeleteRangeResponse): void {
    this.output.out(encodeDeleteRangeResponse(response));
  }
  override txn(response: TxnResponse): void {
    this.output.out(encodeTxnResponse(response));
  }

  override watch(response: WatchResponse): void {
    const shown = new WatchResponse();
    shown.header = response.header;
    shown.events = response.events;
    shown.compactRevision = response.compactRevision;
    shown.canceled = response.canceled;
    shown.created = response.created;
    this.output.out(encodeWatchResponse(shown));
  }

  override leaseGrant(response: HeaderOnly): void {
    this.#headerOnly(response);
  }
  override leaseRevoke(_id: bigint, { header }: HeaderOnly): void {
    const fields = `cluster_id:${header?.clusterId} member_id:${header?.memberId} revision:${header?.revision} raft_term:${header?.raftTerm}`;
    throw new Failure(
      ExitCode.badFeature,
      `marshal unsupported for type *clientv3.LeaseRevokeResponse (header:{${fields}})`,
    );
  }
  override leaseKeepAlive(response: HeaderOnly): void {
    this.#headerOnly(response);
  }
  override leaseTimeToLive(response: HeaderOnly): void {
    this.#headerOnly(response);
  }
  override leaseList(response: HeaderOnly): void {
    this.#headerOnly(response);
  }

  override memberAdd(response: MemberAddResponse): void {
    this.output.out(encodeMemberAddResponse(response));
  }
  override memberRemove(_id: bigint, response: MemberRemoveResponse): void {
    this.output.out(encodeMemberRemoveResponse(response));
  }
  override memberUpdate(_id: bigint, response: MemberUpdateResponse): void {
    this.output.out(encodeMemberUpdateResponse(response));
  }
  override memberPromote(_id: bigint, response: MemberPromoteResponse): void {
    this.output.out(encodeMemberPromoteResponse(response));
  }
  override memberList(response: MemberListResponse): void {
    this.output.out(encodeMemberListResponse(response));
  }

  override alarm(response: AlarmResponse): void {
    this.output.out(encodeAlarmResponse(response));
  }
  override moveLeader(_leader: bigint, _target: bigint, response: MoveLeaderResponse): void {
    this.output.out(encodeMoveLeaderResponse(response));
  }
  override downgrade(_action: string, response: DowngradeResponse): void {
    this.output.out(encodeDowngradeResponse(response));
  }

  override roleGet(_role: string, response: AuthRoleGetResponse): void {
    this.output.out(encodeAuthRoleGetResponse(response));
  }
  override roleList(response: AuthRoleListResponse): void {
    this.output.out(encodeAuthRoleListResponse(response));
  }
  override userGet(_user: string, response: AuthUserGetResponse): void {
    this.output.out(encodeAuthUserGetResponse(response));
  }
  override userList(response: AuthUserListResponse): void {
    this.output.out(encodeAuthUserListResponse(response));
  }
  override authStatus(response: AuthStatusResponse): void {
    this.output.out(encodeAuthStatusResponse(response));
  }

  override done(_done: Done, response: HeaderOnly): void {
    // All these answers are one message: a header in field 1, as a put without a previous pair.
    const message = new PutResponse();
    message.header = response.header;
    this.output.out(encodePutResponse(message));
  }

  /** The lease answers of etcdctl are no messages; what is written is their header. */
  #headerOnly(response: HeaderOnly): void {
    this.output.out(encodeResponseHeader(response.header ?? new ResponseHeader()));
  }
}
