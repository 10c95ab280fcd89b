// What members ask each other beside raft, as a table from path to answer. What they say comes from the
// member; here are the forms: verbs, statuses, texts, JSON with ids of 64 bits.

import {
  decodeLeaseInternalRequest,
  decodeLeaseKeepAliveRequest,
  encodeLeaseInternalResponse,
  encodeLeaseKeepAliveResponse,
  GrpcStatus,
  LeaseInternalResponse,
  LeaseKeepAliveResponse,
  ResponseHeader,
} from "@etcd-ts/api";
import { type Bytes, background, bytesToUtf8, type Clock, WireError } from "@etcd-ts/base";
import { encodeMemberContext, type Member } from "@etcd-ts/machine";
import type { ServerExchange, ServerExchangeHandler } from "@etcd-ts/rpc/http1";
import { catalogue } from "../errors.ts";
import { hexId } from "../ids.ts";
import type { Refusal } from "../refusals.ts";
import { noBody, type PeerAnswering, whenGathered, whenWhole } from "./peer-answers.ts";
import { clusterIdMismatch } from "./peer-headers.ts";
import type { HashFailure, LeaseFailure, PeerAnswers, PeerHash } from "./seams.ts";
import { implementationName } from "./versions.ts";

const bodyBytesMax = 64 * 1024;

export interface SideEndpointParts {
  readonly clock: Clock;
  readonly answering: PeerAnswering;
  readonly answers: PeerAnswers;
  readonly clusterId: bigint;
  readonly serverVersion: string;
}

type Endpoint = (exchange: ServerExchange) => ServerExchangeHandler;

export class SideEndpoints {
  readonly #parts: SideEndpointParts;
  readonly #table: ReadonlyMap<string, Endpoint>;

  constructor(parts: SideEndpointParts) {
    this.#parts = parts;
    this.#table = new Map<string, Endpoint>([
      ["/raft/probing", (exchange) => this.#probing(exchange)],
      ["/members", (exchange) => this.#members(exchange)],
      ["/members/hashkv", (exchange) => this.#hashKv(exchange)],
      ["/leases", (exchange) => this.#renewLease(exchange)],
      ["/leases/internal", (exchange) => this.#timeToLive(exchange)],
      ["/version", (exchange) => this.#version(exchange)],
      ["/downgrade/enabled", (exchange) => this.#downgradeEnabled(exchange)],
    ]);
  }

  /** Undefined: the path is none of ours. */
  handle(exchange: ServerExchange): ServerExchangeHandler | undefined {
    const { path } = exchange;
    const endpoint = this.#table.get(path);
    if (endpoint !== undefined) return endpoint(exchange);
    if (path.startsWith("/members/promote/")) return this.#promote(exchange, path);
    if (path.startsWith("/members/")) {
      this.#parts.answering.refuse(exchange, 400, "bad path");
      return noBody;
    }
    return undefined;
  }

  #probing(exchange: ServerExchange): ServerExchangeHandler {
    const now = new Date(this.#parts.clock.wallMs()).toISOString();
    return whenWhole(() => {
      this.#parts.answering.json(exchange, 200, `{"OK":true,"Now":"${now}"}\n`);
    });
  }

  #version(exchange: ServerExchange): ServerExchangeHandler {
    const { answers, answering, serverVersion } = this.#parts;
    return this.#get(exchange, () => {
      const body = {
        etcdserver: serverVersion,
        etcdcluster: answers.clusterVersion || "not_decided",
        storage: answers.storageVersion || "unknown",
        implementation: implementationName,
      };
      answering.json(exchange, 200, JSON.stringify(body));
    });
  }

  #members(exchange: ServerExchange): ServerExchangeHandler {
    const { answers, answering } = this.#parts;
    return this.#get(exchange, () => {
      const members = answers.members();
      if (members === undefined) answering.refuse(exchange, 503, "not caught up yet");
      else answering.json(exchange, 200, `${membersJson(members)}\n`);
    });
  }

  #promote(exchange: ServerExchange, path: string): ServerExchangeHandler {
    const { answers, answering } = this.#parts;
    const text = path.slice("/members/promote/".length);
    const authorization = exchange.head.fields.get("authorization");
    return this.#post(exchange, () => {
      const id = /^[0-9]{1,20}$/.test(text) ? BigInt(text) : -1n;
      if (id < 0n || id >= 1n << 64n) {
        answering.refuse(exchange, 404, `member ${text} not found in cluster`);
        return;
      }
      this.#answer(exchange, answers.promote(id, authorization), (outcome) => {
        if (isMembers(outcome)) {
          answering.json(exchange, 200, `${membersJson(outcome)}\n`);
        } else {
          answering.refuse(exchange, promoteStatus(outcome), promoteText(outcome));
        }
      });
    });
  }

  #hashKv(exchange: ServerExchange): ServerExchangeHandler {
    const { answering, answers, clusterId } = this.#parts;
    if (exchange.head.method !== "GET") return this.#wrongMethod(exchange, "GET");
    const announced = exchange.head.fields.get("x-etcd-cluster-id") ?? "";
    if (announced !== "" && announced !== hexId(clusterId)) {
      answering.refuse(exchange, 412, clusterIdMismatch);
      return noBody;
    }
    return this.#gathered(exchange, (body) => {
      const revision = revisionOf(bytesToUtf8(body));
      if (revision === undefined) {
        answering.refuse(exchange, 400, "error unmarshalling request");
        return;
      }
      this.#answer(exchange, answers.hashKv(revision), (hash) => {
        if (!("failure" in hash)) answering.json(exchange, 200, hashJson(hash));
        else answering.refuse(exchange, hash.failure === "other" ? 500 : 400, hashText(hash));
      });
    });
  }

  #renewLease(exchange: ServerExchange): ServerExchangeHandler {
    const { answering, answers } = this.#parts;
    if (exchange.head.method !== "POST") return this.#wrongMethod(exchange, "POST");
    return this.#gathered(exchange, (body) => {
      const request = this.#decoded(exchange, () => decodeLeaseKeepAliveRequest(body));
      if (request === undefined) return;
      this.#answer(exchange, answers.renewLease(request.id), (outcome) => {
        if (typeof outcome !== "bigint") {
          this.#leaseFailed(exchange, outcome);
          return;
        }
        const response = new LeaseKeepAliveResponse();
        response.id = request.id;
        response.ttl = Number(outcome);
        answering.protobuf(exchange, encodeLeaseKeepAliveResponse(response));
      });
    });
  }

  #timeToLive(exchange: ServerExchange): ServerExchangeHandler {
    const { answering, answers } = this.#parts;
    if (exchange.head.method !== "POST") return this.#wrongMethod(exchange, "POST");
    return this.#gathered(exchange, (body) => {
      const request = this.#decoded(exchange, () => {
        const inside = decodeLeaseInternalRequest(body).leaseTimeToLiveRequest;
        if (inside === undefined) throw new WireError("no request inside");
        return inside;
      });
      if (request === undefined) return;
      this.#answer(exchange, answers.leaseTimeToLive(request), (outcome) => {
        if ("failure" in outcome) {
          this.#leaseFailed(exchange, outcome);
          return;
        }
        const response = new LeaseInternalResponse();
        response.leaseTimeToLiveResponse = outcome;
        // A stock member fills in the header that it finds, and panics when it finds none.
        outcome.header ??= new ResponseHeader();
        answering.protobuf(exchange, encodeLeaseInternalResponse(response));
      });
    });
  }

  #downgradeEnabled(exchange: ServerExchange): ServerExchangeHandler {
    const { answering, answers } = this.#parts;
    return this.#get(exchange, () => {
      this.#answer(exchange, answers.downgradeEnabled(), (outcome) => {
        if (typeof outcome === "boolean") answering.text(exchange, String(outcome));
        else answering.refuse(exchange, 500, `failed linearized read: ${outcome.message}`);
      });
    });
  }

  #leaseFailed(exchange: ServerExchange, failure: LeaseFailure): void {
    const { answering } = this.#parts;
    if (failure.failure === "not-found") answering.refuse(exchange, 404, "lease not found");
    else if (failure.failure === "timeout") answering.refuse(exchange, 408, leaseTimeoutText);
    else answering.refuse(exchange, 400, failure.message);
  }

  /** The member's answer when it comes; a failure of its is a 500. */
  #answer<T>(exchange: ServerExchange, task: Promise<T>, give: (outcome: T) => void): void {
    background(task.then(give), (error) => {
      this.#parts.answering.refuse(exchange, 500, error.message);
    });
  }

  #get(exchange: ServerExchange, run: () => void): ServerExchangeHandler {
    return exchange.head.method === "GET" ? whenWhole(run) : this.#wrongMethod(exchange, "GET");
  }

  #post(exchange: ServerExchange, run: () => void): ServerExchangeHandler {
    return exchange.head.method === "POST" ? whenWhole(run) : this.#wrongMethod(exchange, "POST");
  }

  #wrongMethod(exchange: ServerExchange, allowed: string): ServerExchangeHandler {
    this.#parts.answering.refuseMethod(exchange, allowed);
    return noBody;
  }

  #gathered(exchange: ServerExchange, whole: (body: Bytes) => void): ServerExchangeHandler {
    return whenGathered(bodyBytesMax, whole, () => {
      this.#parts.answering.refuse(exchange, 413, "request body too large");
    });
  }

  #decoded<T>(exchange: ServerExchange, decode: () => T): T | undefined {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#parts.answering.refuse(exchange, 400, "error unmarshalling request");
      return undefined;
    }
  }
}

export const leaseTimeoutText = "waiting for node to catch up its applied index has timed out";

export function membersJson(members: readonly Member[]): string {
  return `[${members.map((member) => bytesToUtf8(encodeMemberContext(member))).join(",")}]`;
}

function isMembers(outcome: readonly Member[] | Refusal): outcome is readonly Member[] {
  return Array.isArray(outcome);
}

/** What a member that forwarded a promotion tells apart. */
function promoteStatus(refusal: Refusal): number {
  if (refusal.code === GrpcStatus.notFound) return 404;
  if (refusal.code === GrpcStatus.failedPrecondition) return 412;
  if (refusal.code === GrpcStatus.deadlineExceeded) return 408;
  return refusal.message.includes("timed out") ? 408 : 500;
}

/** In the words that stock members look for; what clients are told is worded differently in places. */
function promoteText({ message }: Refusal): string {
  if (message === catalogue.memberNotFound.message) return "membership: ID not found";
  if (message === catalogue.memberNotLearner.message) {
    return "membership: can only promote a learner member";
  }
  return message;
}

/** Zero members are left out, as the other side expects them. */
function hashJson(hash: PeerHash): string {
  const { clusterId, memberId, revision, raftTerm, compactRevision, hashRevision } = hash;
  const header = present([
    ["cluster_id", clusterId],
    ["member_id", memberId],
    ["revision", revision],
    ["raft_term", raftTerm],
  ]);
  const rest = present([
    ["hash", hash.hash],
    ["compact_revision", compactRevision],
    ["hash_revision", hashRevision],
  ]);
  return `{"header":{${header}}${rest === "" ? "" : `,${rest}`}}`;
}

function present(fields: readonly (readonly [string, number | bigint])[]): string {
  return fields
    .filter(([, value]) => value !== 0 && value !== 0n)
    .map(([name, value]) => `"${name}":${value}`)
    .join(",");
}

function hashText(failure: HashFailure): string {
  if (failure.failure === "compacted") return "mvcc: required revision has been compacted";
  if (failure.failure === "future") return "mvcc: required revision is a future revision";
  return failure.message;
}

/** Of `{"revision":N}`; N has up to 63 bits. */
function revisionOf(text: string): bigint | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
  const value: unknown = (parsed as Record<string, unknown>)["revision"];
  if (value === undefined || value === null) return 0n;
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0
    ? BigInt(value)
    : undefined;
}
