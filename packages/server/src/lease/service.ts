// The unary calls of the Lease service.

import {
  decodeLeaseGrantRequest,
  decodeLeaseRevokeRequest,
  decodeLeaseTimeToLiveRequest,
  encodeLeaseGrantRequest,
  encodeLeaseGrantResponse,
  encodeLeaseLeasesResponse,
  encodeLeaseRevokeRequest,
  encodeLeaseRevokeResponse,
  encodeLeaseTimeToLiveResponse,
  LeaseGrantResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseStatus,
} from "@etcd-ts/api";
import type { Bytes } from "@etcd-ts/base";
import type { ApplyResult } from "@etcd-ts/machine";
import type { ServerCall } from "@etcd-ts/rpc";
import { Operation } from "../envelope.ts";
import { catalogue } from "../errors.ts";
import { leaseGrantCostBytes } from "../quota.ts";
import type { MemberContext } from "../seams.ts";
import { decodeRequest, refuse, UnaryProposal } from "../services/unary.ts";
import type { LeaseAuthority } from "./authority.ts";
import type { LeaseKeeper } from "./keeper.ts";

export class LeaseService {
  readonly #context: MemberContext;
  readonly #keeper: LeaseKeeper;
  readonly #authority: LeaseAuthority;

  constructor(context: MemberContext, keeper: LeaseKeeper, authority: LeaseAuthority) {
    this.#context = context;
    this.#keeper = keeper;
    this.#authority = authority;
  }

  grant(call: ServerCall, message: Bytes): void {
    const context = this.#context;
    const request = decodeRequest(call, message, decodeLeaseGrantRequest);
    if (request === undefined) return;
    if (!context.admits(leaseGrantCostBytes)) {
      refuse(call, catalogue.noSpace);
      return;
    }
    if (request.id === 0n) request.id = context.requestIds.nextLeaseId();
    context.propose(
      Operation.leaseGrant,
      encodeLeaseGrantRequest(request),
      new Grant(context, this.#authority, call),
    );
  }

  revoke(call: ServerCall, message: Bytes): void {
    const request = decodeRequest(call, message, decodeLeaseRevokeRequest);
    if (request === undefined) return;
    this.#context.propose(
      Operation.leaseRevoke,
      encodeLeaseRevokeRequest(request),
      new Revoke(this.#context, this.#authority, call),
    );
  }

  timeToLive(call: ServerCall, message: Bytes): void {
    const request = decodeRequest(call, message, decodeLeaseTimeToLiveRequest);
    if (request === undefined) return;
    this.#authority.timeToLive(
      request,
      (result) => {
        if ("code" in result) refuse(call, result);
        else call.respond(encodeLeaseTimeToLiveResponse(result));
      },
      () => call.ended,
    );
  }

  /** Local, and not linearizable: what this member knows. */
  leases(call: ServerCall): void {
    const response = new LeaseLeasesResponse();
    const { machine } = this.#context;
    response.header = this.#authority.header(machine.revision);
    const found: { id: bigint; deadlineMs: number }[] = [];
    for (const { id } of machine.leases.all()) {
      found.push({
        id,
        deadlineMs: this.#keeper.timer(id)?.deadlineMs ?? Number.POSITIVE_INFINITY,
      });
    }
    found.sort((a, b) => (a.deadlineMs < b.deadlineMs ? -1 : a.deadlineMs > b.deadlineMs ? 1 : 0));
    response.leases = found.map(({ id }) => {
      const status = new LeaseStatus();
      status.id = id;
      return status;
    });
    call.respond(encodeLeaseLeasesResponse(response));
  }
}

class Grant extends UnaryProposal {
  readonly #authority: LeaseAuthority;

  constructor(context: MemberContext, authority: LeaseAuthority, call: ServerCall) {
    super(context, call);
    this.#authority = authority;
  }

  override answer(result: ApplyResult): void {
    const response = new LeaseGrantResponse();
    response.header = this.#authority.header(result.revision);
    if (result.kind === "leaseGrant") {
      response.id = result.id;
      response.ttl = result.ttl;
    }
    this.call.respond(encodeLeaseGrantResponse(response));
  }
}

class Revoke extends UnaryProposal {
  readonly #authority: LeaseAuthority;

  constructor(context: MemberContext, authority: LeaseAuthority, call: ServerCall) {
    super(context, call);
    this.#authority = authority;
  }

  override answer(result: ApplyResult): void {
    const response = new LeaseRevokeResponse();
    response.header = this.#authority.header(result.revision);
    this.call.respond(encodeLeaseRevokeResponse(response));
  }
}
