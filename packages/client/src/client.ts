// The client: services and the few calls that most programs need, over one set of connections.

import {
  ApiError,
  type CompactionResponse,
  type DeleteRangeResponse,
  decodeLeaseKeepAliveResponse,
  encodeLeaseKeepAliveRequest,
  type KeyValue,
  LeaseKeepAliveRequest,
  type LeaseKeepAliveResponse,
  type PutResponse,
  type RangeResponse,
  type TxnResponse,
} from "@etcd-ts/api";
import { nodeHost } from "@etcd-ts/node";
import { parseEndpoint } from "./endpoint.ts";
import type { BytesInput, KeySelection } from "./keys.ts";
import {
  type KeepAlive,
  type KeepAliveOptions,
  keepAlivePath,
  LeaseKeeper,
} from "./lease-keeper.ts";
import type { CallOptions, ClientOptions } from "./options.ts";
import { serverStream } from "./server-stream.ts";
import {
  AuthService,
  ClusterService,
  KvService,
  LeaseService,
  MaintenanceService,
} from "./services.ts";
import { Transport } from "./transport.ts";
import {
  type DeleteExtras,
  deleteRequest,
  type PutExtras,
  putRequest,
  type RangeExtras,
  rangeRequest,
  type TxnParts,
  txnRequest,
} from "./txn.ts";
import { Watch, type WatchOptions } from "./watch.ts";
import { WatchHub } from "./watch-hub.ts";

export interface TxnOptions extends CallOptions, TxnParts {}

/**
 * A client of one cluster. Connections are made by the first call. Every call rejects with `ApiError` (an
 * answer of etcd's catalogue), `RpcError` (anything else that went wrong on the way) or the reason of the
 * signal that was given.
 */
export class Client implements AsyncDisposable {
  readonly endpoints: readonly string[];
  readonly kv: KvService;
  readonly lease: LeaseService;
  readonly cluster: ClusterService;
  readonly maintenance: MaintenanceService;
  readonly auth: AuthService;
  readonly #options: ClientOptions;
  readonly #transport: Transport;
  readonly #watches: WatchHub;
  /** Watches that end when the member has no leader need a stream that does. */
  #leaderWatches: WatchHub | undefined;
  readonly #keeper: LeaseKeeper;

  /** Throws `EndpointError` for an endpoint that is none. */
  constructor(options: ClientOptions = {}) {
    const given = options.endpoints ?? ["127.0.0.1:2379"];
    if (given.length === 0) throw new Error("etcdclient: no available endpoints");
    const endpoints = given.map((it) => parseEndpoint(it, options.tls !== undefined));
    const host = options.host ?? nodeHost();
    this.#options = { ...options, host };
    this.endpoints = endpoints.map((it) => it.text);
    this.#transport = new Transport(endpoints, options, host);
    this.kv = new KvService(this.#transport);
    this.lease = new LeaseService(this.#transport);
    this.cluster = new ClusterService(this.#transport);
    this.maintenance = new MaintenanceService(this.#transport);
    this.auth = new AuthService(this.#transport);
    this.#watches = new WatchHub(this.#transport, false);
    this.#keeper = new LeaseKeeper(this.#transport);
  }

  /** The pair of one key; undefined when there is none. */
  async get(
    key: BytesInput,
    options: RangeExtras & CallOptions = {},
  ): Promise<KeyValue | undefined> {
    const { signal, timeoutMs, ...extras } = options;
    const response = await this.kv.range(rangeRequest({ key }, extras), calls(signal, timeoutMs));
    return response.kvs[0];
  }

  /** The pairs of a range of keys, in key order unless asked otherwise. */
  getRange(keys: KeySelection, options: RangeExtras & CallOptions = {}): Promise<RangeResponse> {
    const { signal, timeoutMs, ...extras } = options;
    return this.kv.range(rangeRequest(keys, extras), calls(signal, timeoutMs));
  }

  put(
    key: BytesInput,
    value: BytesInput,
    options: PutExtras & CallOptions = {},
  ): Promise<PutResponse> {
    const { signal, timeoutMs, ...extras } = options;
    return this.kv.put(putRequest(key, value, extras), calls(signal, timeoutMs));
  }

  delete(
    keys: BytesInput | KeySelection,
    options: DeleteExtras & CallOptions = {},
  ): Promise<DeleteRangeResponse> {
    const { signal, timeoutMs, ...extras } = options;
    const selection = typeof keys === "string" || keys instanceof Uint8Array ? { key: keys } : keys;
    return this.kv.deleteRange(deleteRequest(selection, extras), calls(signal, timeoutMs));
  }

  /** Runs `success` if all of `compare` hold, otherwise `failure`; all at once or not at all. */
  txn(options: TxnOptions): Promise<TxnResponse> {
    return this.kv.txn(txnRequest(options), calls(options.signal, options.timeoutMs));
  }

  /** Forgets the history up to and with a revision. */
  compact(
    revision: bigint | number,
    options: { readonly physical?: boolean } & CallOptions = {},
  ): Promise<CompactionResponse> {
    const { signal, timeoutMs, physical = false } = options;
    return this.kv.compact({ revision: BigInt(revision), physical }, calls(signal, timeoutMs));
  }

  /** Watches keys; see `Watch`. All watches of a client share a stream. */
  watch(options: WatchOptions): Watch {
    if (!options.requireLeader) return new Watch(this.#watches, options);
    this.#leaderWatches ??= new WatchHub(this.#transport, true);
    return new Watch(this.#leaderWatches, options);
  }

  /** Renews a lease until it is closed or the lease is lost; see `KeepAlive`. */
  keepAlive(id: bigint, options: KeepAliveOptions = {}): KeepAlive {
    return this.#keeper.keep(id, options);
  }

  /** Renews a lease once; throws `ApiError` "leaseNotFound" when it is gone. */
  async keepAliveOnce(id: bigint, options: CallOptions = {}): Promise<LeaseKeepAliveResponse> {
    const request = new LeaseKeepAliveRequest();
    request.id = id;
    const answers = serverStream(
      this.#transport,
      keepAlivePath,
      encodeLeaseKeepAliveRequest(request),
      decodeLeaseKeepAliveResponse,
      options,
    );
    for await (const response of answers) {
      if (response.ttl <= 0) throw new ApiError("leaseNotFound");
      return response;
    }
    throw new ApiError("stopped"); // The member ended the stream without an answer.
  }

  /**
   * Fetches a token now, when the client has credentials; otherwise the first call does. A cluster without
   * authentication is no error.
   */
  authenticate(options: CallOptions = {}): Promise<void> {
    return this.#transport.authenticate(options);
  }

  /** A client of the same kind for other endpoints, for questions to certain members. */
  at(...endpoints: string[]): Client {
    const { token } = this.#transport;
    return new Client({ ...this.#options, endpoints, ...(token === undefined ? {} : { token }) });
  }

  /** Ends all calls, watches and renewals, and the connections. Idempotent. */
  close(): void {
    this.#watches.close();
    this.#leaderWatches?.close();
    this.#keeper.close();
    this.#transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

function calls(signal: CallOptions["signal"], timeoutMs: number | undefined): CallOptions {
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}
