// The Cluster service: the list of members, and changes to it, which go through raft one at a time.

import {
  decodeMemberAddRequest,
  decodeMemberListRequest,
  decodeMemberPromoteRequest,
  decodeMemberRemoveRequest,
  decodeMemberUpdateRequest,
  encodeMemberAddResponse,
  encodeMemberListResponse,
  encodeMemberPromoteResponse,
  encodeMemberRemoveResponse,
  encodeMemberUpdateResponse,
  Member,
  MemberAddResponse,
  MemberListResponse,
  MemberPromoteResponse,
  MemberRemoveResponse,
  MemberUpdateResponse,
} from "@etcd-ts/api";
import type { Member as MachineMember } from "@etcd-ts/machine";
import type { MethodTable, ServerCall } from "@etcd-ts/rpc";
import { catalogue } from "../errors.ts";
import { responseHeader } from "../header.ts";
import { memberIdOf } from "../ids.ts";
import { checkedUrls } from "../member-urls.ts";
import type { MembershipChanges } from "../membership-changes.ts";
import type { MemberContext } from "../seams.ts";
import { decodeRequest, refuse, UnaryReader } from "./unary.ts";

export class ClusterService {
  readonly methods: MethodTable;
  readonly #context: MemberContext;
  readonly #changes: MembershipChanges;

  constructor(context: MemberContext, changes: MembershipChanges) {
    this.#context = context;
    this.#changes = changes;
    const { gate } = context;
    this.methods = {
      "/etcdserverpb.Cluster/MemberList": gate.unary((call, m) => this.#list(call, m)),
      "/etcdserverpb.Cluster/MemberAdd": gate.unary((call, m) => this.#add(call, m)),
      "/etcdserverpb.Cluster/MemberRemove": gate.unary((call, m) => this.#remove(call, m)),
      "/etcdserverpb.Cluster/MemberUpdate": gate.unary((call, m) => this.#update(call, m)),
      "/etcdserverpb.Cluster/MemberPromote": gate.unary((call, m) => this.#promote(call, m)),
    };
  }

  #list(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeMemberListRequest);
    if (request === undefined) return;
    const reader = new ListReader(this.#context, call, this.#changes);
    if (request.linearizable) this.#context.linearize(reader);
    else reader.ready();
  }

  #add(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeMemberAddRequest);
    if (request === undefined) return;
    const peerUrls = checkedUrls(request.peerUrls);
    if (peerUrls === undefined) {
      refuse(call, catalogue.memberBadUrls);
      return;
    }
    const { host } = this.#context;
    const id = memberIdOf(host.digests, peerUrls, "", Math.floor(host.clock.wallMs() / 1000));
    const member: MachineMember = {
      id,
      peerUrls,
      isLearner: request.isLearner,
      name: "",
      clientUrls: [],
    };
    this.#changes.add(call, member, (members) => {
      const response = new MemberAddResponse();
      response.header = responseHeader(this.#context.header, 0);
      response.member = memberMessage(member);
      response.members = members.map(memberMessage);
      return encodeMemberAddResponse(response);
    });
  }

  #remove(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeMemberRemoveRequest);
    if (request === undefined) return;
    this.#changes.remove(call, request.id, (members) => {
      const response = new MemberRemoveResponse();
      response.header = responseHeader(this.#context.header, 0);
      response.members = members.map(memberMessage);
      return encodeMemberRemoveResponse(response);
    });
  }

  #update(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeMemberUpdateRequest);
    if (request === undefined) return;
    // Stock takes anything here, and then all other members end when they apply it.
    if (checkedUrls(request.peerUrls) === undefined) {
      refuse(call, catalogue.memberBadUrls);
      return;
    }
    this.#changes.update(call, request.id, request.peerUrls, (members) => {
      const response = new MemberUpdateResponse();
      response.header = responseHeader(this.#context.header, 0);
      response.members = members.map(memberMessage);
      return encodeMemberUpdateResponse(response);
    });
  }

  #promote(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeMemberPromoteRequest);
    if (request === undefined) return;
    this.#changes.promote(call, request.id, (members) => {
      const response = new MemberPromoteResponse();
      response.header = responseHeader(this.#context.header, 0);
      response.members = members.map(memberMessage);
      return encodeMemberPromoteResponse(response);
    });
  }
}

class ListReader extends UnaryReader {
  readonly #changes: MembershipChanges;

  constructor(context: MemberContext, call: ServerCall, changes: MembershipChanges) {
    super(context, call);
    this.#changes = changes;
  }

  override ready(): void {
    const response = new MemberListResponse();
    response.header = responseHeader(this.context.header, 0);
    response.members = this.#changes.list().map(memberMessage);
    this.call.respond(encodeMemberListResponse(response));
  }
}

function memberMessage(member: MachineMember): Member {
  const message = new Member();
  message.id = member.id;
  message.name = member.name;
  message.peerUrls = [...member.peerUrls];
  message.clientUrls = [...member.clientUrls];
  message.isLearner = member.isLearner;
  return message;
}
