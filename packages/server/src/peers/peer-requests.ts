// What this member asks others, at their peer URLs: who belongs to the cluster (when joining it), their
// versions (to agree on the cluster's), and what only a leader can do (leases, promotion) or only each for
// itself (hashes). Every URL is tried in its order until one answers; what the answers mean is the caller's.

import {
  decodeLeaseInternalResponse,
  decodeLeaseKeepAliveResponse,
  encodeLeaseInternalRequest,
  encodeLeaseKeepAliveRequest,
  LeaseInternalRequest,
  LeaseKeepAliveRequest,
  type LeaseTimeToLiveRequest,
  type LeaseTimeToLiveResponse,
} from "@etcd-ts/api";
import {
  type Bytes,
  bytesToUtf8,
  type Host,
  type TlsClientOptions,
  utf8ToBytes,
  WireError,
} from "@etcd-ts/base";
import type { Member } from "@etcd-ts/machine";
import type { FieldList, WholeResponse } from "@etcd-ts/rpc/http1";
import { hexId } from "../ids.ts";
import { Agents } from "./link-context.ts";
import { parseId } from "./peer-headers.ts";
import { parsePeerUrl } from "./peer-url.ts";
import type { LeaseFailure } from "./seams.ts";
import { leaseTimeoutText } from "./side-endpoints.ts";
import { implementationName } from "./versions.ts";

const answerBytesMax = 16 * 1024 * 1024;

export interface PeerRequestOptions {
  readonly host: Host;
  readonly electionMs: number;
  readonly clientTls?: TlsClientOptions;
}

export interface RemoteCluster {
  readonly clusterId: bigint;
  readonly members: readonly Member[];
}

export interface RemoteVersions {
  readonly server: string;
  /** "" while undecided. */
  readonly cluster: string;
  /** It says that it is no stock member. */
  readonly isOurs: boolean;
}

export interface RemoteHash {
  readonly revision: bigint;
  readonly hash: number;
  readonly compactRevision: bigint;
  /** 0n: a release before 3.6, which does not say. */
  readonly hashRevision: bigint;
}

/** No URL answered, or with nothing that can be understood. `status` of the last answer, 0 without one. */
export class PeerRequestError extends Error {
  override readonly name = "PeerRequestError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export class PeerRequests {
  readonly #agents: Agents;
  /** For what must not arrive twice: a second promotion would be refused. */
  readonly #onceAgents: Agents;

  constructor(options: PeerRequestOptions) {
    const context = {
      host: options.host,
      dialTimeoutMs: 1000 + options.electionMs,
      clientTls: options.clientTls,
    };
    this.#agents = new Agents(context);
    this.#onceAgents = new Agents(context, 0);
  }

  /** Requests under way fail. */
  stop(): void {
    this.#agents.stop();
    this.#onceAgents.stop();
  }

  async cluster(urls: readonly string[], timeoutMs: number): Promise<RemoteCluster> {
    const response = await this.#get(urls, "/members", timeoutMs);
    const clusterId = parseId(response.fields.get("x-etcd-cluster-id"));
    if (clusterId === undefined) throw new PeerRequestError(200, "the answer names no cluster id");
    return { clusterId, members: parseMembers(response.body) };
  }

  async versions(urls: readonly string[], timeoutMs: number): Promise<RemoteVersions> {
    const json = jsonOf((await this.#get(urls, "/version", timeoutMs)).body) as JsonFields;
    const cluster = textOf(json["etcdcluster"]);
    return {
      server: textOf(json["etcdserver"]),
      cluster: cluster === "not_decided" ? "" : cluster,
      isOurs: textOf(json["implementation"]) === implementationName,
    };
  }

  async downgradeEnabled(urls: readonly string[], timeoutMs: number): Promise<boolean> {
    const response = await this.#get(urls, "/downgrade/enabled", timeoutMs);
    return bytesToUtf8(response.body).trim() === "true";
  }

  async hashKv(
    urls: readonly string[],
    clusterId: bigint,
    revision: bigint,
    timeoutMs: number,
  ): Promise<RemoteHash> {
    const response = await this.#send(urls, timeoutMs, {
      method: "GET",
      target: "/members/hashkv",
      fields: [
        ["Content-Type", "application/json"],
        ["X-Etcd-Cluster-ID", hexId(clusterId)],
      ],
      body: utf8ToBytes(`{"revision":${revision}}`),
    });
    const json = jsonOf(succeeded(response).body) as JsonFields;
    const header = (json["header"] ?? {}) as JsonFields;
    return {
      revision: bigintOf(header["revision"]),
      hash: Number(bigintOf(json["hash"])),
      compactRevision: bigintOf(json["compact_revision"]),
      hashRevision: bigintOf(json["hash_revision"]),
    };
  }

  /** By the leader. Rejects with status 404 or 412 where it refuses. */
  async promote(
    urls: readonly string[],
    id: bigint,
    authorization: string | undefined,
    timeoutMs: number,
  ): Promise<readonly Member[]> {
    const response = await this.#send(urls, timeoutMs, {
      method: "POST",
      target: `/members/promote/${id}`,
      fields: authorization === undefined ? [] : [["Authorization", authorization]],
      once: true,
    });
    return parseMembers(succeeded(response).body);
  }

  /** By the leader: the new time to live in seconds. */
  async renewLease(
    urls: readonly string[],
    id: bigint,
    timeoutMs: number,
  ): Promise<bigint | LeaseFailure> {
    const request = new LeaseKeepAliveRequest();
    request.id = id;
    const body = encodeLeaseKeepAliveRequest(request);
    const response = await this.#send(urls, timeoutMs, lease("/leases", body));
    const failure = leaseFailure(response);
    return failure ?? BigInt(decoded(() => decodeLeaseKeepAliveResponse(response.body)).ttl);
  }

  /** By the leader. */
  async leaseTimeToLive(
    urls: readonly string[],
    inside: LeaseTimeToLiveRequest,
    timeoutMs: number,
  ): Promise<LeaseTimeToLiveResponse | LeaseFailure> {
    const request = new LeaseInternalRequest();
    request.leaseTimeToLiveRequest = inside;
    const body = encodeLeaseInternalRequest(request);
    const response = await this.#send(urls, timeoutMs, lease("/leases/internal", body));
    const failure = leaseFailure(response);
    if (failure !== undefined) return failure;
    const answer = decoded(() => decodeLeaseInternalResponse(response.body));
    if (answer.leaseTimeToLiveResponse === undefined) {
      throw new PeerRequestError(200, "an answer without content");
    }
    return answer.leaseTimeToLiveResponse;
  }

  async #get(urls: readonly string[], target: string, timeoutMs: number): Promise<WholeResponse> {
    return succeeded(await this.#send(urls, timeoutMs, { method: "GET", target, fields: [] }));
  }

  /** The first answer of any URL, whatever its status. */
  async #send(
    urls: readonly string[],
    timeoutMs: number,
    { once, ...request }: Ask,
  ): Promise<WholeResponse> {
    const agents = once === true ? this.#onceAgents : this.#agents;
    let failure = "no URL to ask";
    for (const text of urls) {
      const url = parsePeerUrl(text);
      if (url === undefined) {
        failure = `${text} is no peer URL`;
        continue;
      }
      try {
        return await agents
          .of(url)
          .send({ ...request, timeoutMs, responseBytesMax: answerBytesMax });
      } catch (error) {
        failure = `${text}: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
    throw new PeerRequestError(0, failure);
  }
}

function lease(target: string, body: Bytes): Ask {
  return { method: "POST", target, fields: [["Content-Type", "application/protobuf"]], body };
}

interface Ask {
  readonly method: string;
  readonly target: string;
  readonly fields: FieldList;
  readonly body?: Bytes;
  readonly once?: boolean;
}

function leaseFailure(response: WholeResponse): LeaseFailure | undefined {
  if (response.status === 200) return undefined;
  const message = bytesToUtf8(response.body).trim();
  if (response.status === 404) return { failure: "not-found" };
  if (response.status === 408 && message === leaseTimeoutText) return { failure: "timeout" };
  return { failure: "other", message };
}

function succeeded(response: WholeResponse): WholeResponse {
  if (response.status === 200) return response;
  throw new PeerRequestError(response.status, bytesToUtf8(response.body).trim());
}

function decoded<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new PeerRequestError(200, `undecodable answer: ${error.message}`);
  }
}

type JsonFields = Readonly<Record<string, unknown>>;

/**
 * Numbers beyond 2^53 must survive, so whole numbers that are values of a field become texts before they
 * are parsed. Inside a text the pattern cannot occur: its quotes would be escaped.
 */
function jsonOf(body: Bytes): JsonFields | readonly JsonFields[] {
  const text = bytesToUtf8(body).replace(/("[A-Za-z_]+"\s*:\s*)(-?[0-9]+)(?=\s*[,}])/g, '$1"$2"');
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) return parsed as JsonFields;
  } catch {
    // Said below.
  }
  throw new PeerRequestError(200, "the answer is not the JSON that was asked for");
}

function parseMembers(body: Bytes): readonly Member[] {
  const list = jsonOf(body);
  if (!Array.isArray(list)) throw new PeerRequestError(200, "the answer is no list of members");
  const members = (list as readonly JsonFields[]).map((json) => ({
    id: bigintOf(json["id"]),
    peerUrls: textsOf(json["peerURLs"]),
    isLearner: json["isLearner"] === true,
    name: textOf(json["name"]),
    clientUrls: textsOf(json["clientURLs"]),
  }));
  return members.sort((a, b) => (a.id < b.id ? -1 : 1));
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function bigintOf(value: unknown): bigint {
  return typeof value === "string" && /^-?[0-9]{1,20}$/.test(value) ? BigInt(value) : 0n;
}
