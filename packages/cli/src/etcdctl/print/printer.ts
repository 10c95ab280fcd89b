// What a format of `--write-out` can print. `Printer` itself prints nothing: a format overrides what it
// supports, and the rest says so, after the request was made, as etcdctl does.

import type {
  AlarmResponse,
  AuthRoleGetResponse,
  AuthRoleListResponse,
  AuthStatusResponse,
  AuthUserGetResponse,
  AuthUserListResponse,
  DeleteRangeResponse,
  DowngradeResponse,
  HashKVResponse,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseTimeToLiveResponse,
  MemberAddResponse,
  MemberListResponse,
  MemberPromoteResponse,
  MemberRemoveResponse,
  MemberUpdateResponse,
  MoveLeaderResponse,
  PutResponse,
  RangeResponse,
  ResponseHeader,
  StatusResponse,
  TxnResponse,
  WatchResponse,
} from "@etcd-ts/api";
import { ExitCode, Failure } from "../../shared/exit.ts";
import type { Output } from "../../shared/output.ts";

export interface PrinterOptions {
  readonly output: Output;
  /** `--hex` */
  readonly hex: boolean;
}

/** What every answer has, and all that some have. */
export interface HeaderOnly {
  readonly header: ResponseHeader | undefined;
}

export interface EndpointHealth {
  readonly endpoint: string;
  readonly health: boolean;
  /** A duration as Go writes it; "" when the endpoint was not asked. */
  readonly took: string;
  readonly error: string;
}

export interface EndpointStatus {
  readonly endpoint: string;
  readonly status: StatusResponse;
}

export interface EndpointHash {
  readonly endpoint: string;
  readonly hash: HashKVResponse;
}

/** The answers that are a header and one sentence, which only the simple format tells apart. */
export type Done =
  | { readonly kind: "role-add" | "role-delete" | "role-grant"; readonly role: string }
  | {
      readonly kind: "role-revoke";
      readonly role: string;
      readonly key: string;
      /** As sent; empty for a single key. */
      readonly rangeEnd: Uint8Array;
    }
  | { readonly kind: "user-add" | "user-delete"; readonly user: string }
  | { readonly kind: "user-password" }
  | {
      readonly kind: "user-grant" | "user-revoke";
      readonly user: string;
      readonly role: string;
    };

export abstract class Printer {
  protected readonly output: Output;
  protected readonly hex: boolean;
  readonly #format: string;

  constructor(format: string, options: PrinterOptions) {
    this.#format = format;
    this.output = options.output;
    this.hex = options.hex;
  }

  #unsupported(): never {
    throw new Failure(ExitCode.badFeature, `${this.#format} not supported as output format`);
  }

  get(_response: RangeResponse, _valueOnly: boolean): void {
    this.#unsupported();
  }
  put(_response: PutResponse): void {
    this.#unsupported();
  }
  del(_response: DeleteRangeResponse): void {
    this.#unsupported();
  }
  txn(_response: TxnResponse): void {
    this.#unsupported();
  }
  watch(_response: WatchResponse): void {
    this.#unsupported();
  }

  leaseGrant(_response: LeaseGrantResponse): void {
    this.#unsupported();
  }
  leaseRevoke(_id: bigint, _response: LeaseRevokeResponse): void {
    this.#unsupported();
  }
  leaseKeepAlive(_response: LeaseKeepAliveResponse): void {
    this.#unsupported();
  }
  leaseTimeToLive(_response: LeaseTimeToLiveResponse, _keys: boolean): void {
    this.#unsupported();
  }
  leaseList(_response: LeaseLeasesResponse): void {
    this.#unsupported();
  }

  memberAdd(_response: MemberAddResponse): void {
    this.#unsupported();
  }
  memberRemove(_id: bigint, _response: MemberRemoveResponse): void {
    this.#unsupported();
  }
  memberUpdate(_id: bigint, _response: MemberUpdateResponse): void {
    this.#unsupported();
  }
  memberPromote(_id: bigint, _response: MemberPromoteResponse): void {
    this.#unsupported();
  }
  memberList(_response: MemberListResponse): void {
    this.#unsupported();
  }

  endpointHealth(_list: readonly EndpointHealth[]): void {
    this.#unsupported();
  }
  endpointStatus(_list: readonly EndpointStatus[]): void {
    this.#unsupported();
  }
  endpointHashKv(_list: readonly EndpointHash[]): void {
    this.#unsupported();
  }

  alarm(_response: AlarmResponse): void {
    this.#unsupported();
  }
  moveLeader(_leader: bigint, _target: bigint, _response: MoveLeaderResponse): void {
    this.#unsupported();
  }
  downgrade(_action: "validate" | "enable" | "cancel", _response: DowngradeResponse): void {
    this.#unsupported();
  }

  roleGet(_role: string, _response: AuthRoleGetResponse): void {
    this.#unsupported();
  }
  roleList(_response: AuthRoleListResponse): void {
    this.#unsupported();
  }
  userGet(_user: string, _response: AuthUserGetResponse): void {
    this.#unsupported();
  }
  userList(_response: AuthUserListResponse): void {
    this.#unsupported();
  }
  authStatus(_response: AuthStatusResponse): void {
    this.#unsupported();
  }
  done(_done: Done, _response: HeaderOnly): void {
    this.#unsupported();
  }
}
