// A cluster for tests of the client: one store in memory, any number of members that serve it over real
// connections, and switches for what a network and a member can do to a client.

import {
  AuthenticateResponse,
  decodeAuthenticateRequest,
  decodeLeaseKeepAliveRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeWatchRequest,
  type Event,
  Event as EventMessage,
  EventType,
  encodeAuthenticateResponse,
  encodeLeaseKeepAliveResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeRangeStreamResponse,
  encodeWatchResponse,
  KeyValue,
  LeaseKeepAliveResponse,
  PutResponse,
  RangeResponse,
  RangeStreamResponse,
  ResponseHeader,
  type WatchCreateRequest,
  WatchResponse,
} from "@etcd-ts/api";
import { type Bytes, bytesToKey, type Connection } from "@etcd-ts/base";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { type MethodTable, RpcServer, type ServerCall, type StreamHandler } from "@etcd-ts/rpc";

/** What a member does with the next call of a method instead of serving it. */
export type Fault =
  | { readonly kind: "fail"; readonly code: number; readonly message: string }
  /** Acts, then cuts the connection instead of answering. */
  | { readonly kind: "act-and-cut" };

export class FakeStore {
  revision = 1;
  compactRevision = 0;
  /** All events ever, one per revision, from revision 2 on. */
  readonly events: Event[] = [];
  readonly members: FakeMember[] = [];
  /** Tokens that are good; undefined: nobody is asked for one. */
  tokens: Set<string> | undefined;
  authenticateCount = 0;
  leaseTtl = 60;
  keepAliveCount = 0;

  put(key: Bytes, value: Bytes): KeyValue | undefined {
    const previous = this.latest(key);
    this.revision += 1;
    const kv = new KeyValue();
    kv.key = Uint8Array.from(key);
    kv.value = Uint8Array.from(value);
    kv.modRevision = this.revision;
    kv.createRevision = previous?.createRevision ?? this.revision;
    kv.version = (previous?.version ?? 0) + 1;
    const event = new EventMessage();
    event.type = EventType.PUT;
    event.kv = kv;
    this.events.push(event);
    for (const member of this.members) member.storeChanged();
    return previous;
  }

  latest(key: Bytes): KeyValue | undefined {
    const wanted = bytesToKey(key);
    return this.events.findLast((it) => bytesToKey(it.kv!.key) === wanted)?.kv;
  }

  header(): ResponseHeader {
    return Object.assign(new ResponseHeader(), {
      clusterId: 7n,
      memberId: 1n,
      revision: this.revision,
      raftTerm: 2,
    });
  }
}

interface FakeWatch {
  readonly id: bigint;
  readonly create: WatchCreateRequest;
  next: number;
}

class WatchCall implements StreamHandler {
  readonly watches: Map<bigint, FakeWatch> = new Map();
  readonly call: ServerCall;
  readonly #member: FakeMember;
  #nextId = 0n;

  constructor(call: ServerCall, member: FakeMember) {
    this.call = call;
    this.#member = member;
  }

  onMessage(message: Bytes): void {
    const request = decodeWatchRequest(message);
    const member = this.#member;
    if (request.createRequest !== undefined) {
      member.watchCreates.push(request.createRequest);
      this.#create(request.createRequest);
    } else if (request.cancelRequest !== undefined) {
      member.watchCancels += 1;
      if (this.watches.delete(request.cancelRequest.watchId)) {
        this.#send({ watchId: request.cancelRequest.watchId, canceled: true });
      }
    } else if (request.progressRequest !== undefined) {
      this.#send({ watchId: -1n });
    }
  }

  #create(create: WatchCreateRequest): void {
    const { store } = this.#member;
    const refusal = this.#member.refuseWatch?.(create);
    if (refusal !== undefined) {
      this.#send({ watchId: -1n, created: true, canceled: true, cancelReason: refusal });
      return;
    }
    const id = this.#nextId++;
    this.#send({ watchId: id, created: true });
    const next = create.startRevision === 0n ? store.revision + 1 : Number(create.startRevision);
    if (next <= store.compactRevision) {
      this.#send({ watchId: id, canceled: true, compactRevision: store.compactRevision });
      return;
    }
    this.watches.set(id, { id, create, next });
    this.pump();
  }

  /** Sends what watches have not seen: in pieces where they may be. */
  pump(): void {
    const { store, piecesOf } = this.#member;
    for (const watch of this.watches.values()) {
      const events = store.events.filter(
        (it) => it.kv!.modRevision >= watch.next && matches(watch.create, it.kv!.key),
      );
      watch.next = store.revision + 1;
      if (events.length === 0) continue;
      if (!watch.create.fragment) {
        this.#send({ watchId: watch.id, events });
        continue;
      }
      for (let at = 0; at < events.length; at += piecesOf) {
        const fragment = at + piecesOf < events.length;
        this.#send({ watchId: watch.id, events: events.slice(at, at + piecesOf), fragment });
        // A cut between two pieces must lose nothing.
        if (fragment && this.#member.cutBetweenPieces) {
          this.#member.cutBetweenPieces = false;
          this.call.fail(14, "cut between two pieces");
          return;
        }
      }
    }
  }

  #send(fields: Partial<WatchResponse>): void {
    const header = this.#member.store.header();
    this.call.send(encodeWatchResponse(Object.assign(new WatchResponse(), { header }, fields)));
  }

  onHalfClose(): void {
    this.call.finish();
  }
  onCancel(): void {
    this.#member.watchCalls.delete(this);
  }
  onDrain(): void {
    // The tests send little.
  }
}

function matches(create: WatchCreateRequest, key: Bytes): boolean {
  const start = bytesToKey(create.key);
  const end = bytesToKey(create.rangeEnd);
  const it = bytesToKey(key);
  if (end === "") return it === start;
  return it >= start && (end === "\0" || it < end);
}

export class FakeMember {
  readonly store: FakeStore;
  readonly watchCalls: Set<WatchCall> = new Set();
  readonly watchCreates: WatchCreateRequest[] = [];
  watchCancels = 0;
  watchStreams = 0;
  /** Calls by path, as they came. */
  readonly seen: string[] = [];
  readonly faults: Map<string, Fault[]> = new Map();
  refuseWatch: ((create: WatchCreateRequest) => string | undefined) | undefined;
  /** Events in one piece of a response that may be split. */
  piecesOf = 3;
  cutBetweenPieces = false;
  lastMetadata: ReadonlyMap<string, string> = new Map();
  readonly #connections = new Set<Connection>();
  #server: RpcServer | undefined;
  #port = 0;

  constructor(store: FakeStore) {
    this.store = store;
    store.members.push(this);
  }

  get endpoint(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Serves, after a stop on the same port as before. */
  async start(): Promise<void> {
    const host = nodeHost({ log: silentLog });
    this.#server = new RpcServer({
      host,
      methods: this.#methods(),
      observer: {
        connectionOpened: (connection) => this.#connections.add(connection),
        connectionClosed: (connection) => this.#connections.delete(connection),
      },
    });
    const served = await this.#server.serve({ kind: "tcp", host: "127.0.0.1", port: this.#port });
    if (served.address.kind === "tcp") this.#port = served.address.port;
  }

  /** Cuts all connections and stops listening. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.watchCalls.clear();
    for (const connection of this.#connections) connection.destroy();
    await server?.close({ graceMs: 0 });
  }

  /** Ends every watch stream with a status. */
  cutWatchStreams(code = 14, message = "the stream was cut"): void {
    for (const it of this.watchCalls) it.call.fail(code, message);
    this.watchCalls.clear();
  }

  storeChanged(): void {
    for (const it of [...this.watchCalls]) it.pump();
  }

  fault(path: string, ...faults: Fault[]): void {
    this.faults.set(path, [...(this.faults.get(path) ?? []), ...faults]);
  }

  count(path: string): number {
    return this.seen.filter((it) => it === path).length;
  }

  /** Whether the call was dealt with; otherwise it is to be served, which `act` does early on demand. */
  #refused(call: ServerCall, act: () => void): boolean {
    this.seen.push(call.path);
    this.lastMetadata = new Map(call.metadataList());
    const fault = this.faults.get(call.path)?.shift();
    if (fault?.kind === "fail") {
      call.fail(fault.code, fault.message);
      return true;
    }
    if (fault?.kind === "act-and-cut") {
      act();
      void this.stop();
      return true;
    }
    const { tokens } = this.store;
    if (tokens !== undefined && !call.path.endsWith("/Authenticate")) {
      const token = call.metadata("token");
      if (token === undefined) call.fail(3, "etcdserver: user name is empty");
      else if (!tokens.has(token)) call.fail(16, "etcdserver: invalid auth token");
      else return false;
      return true;
    }
    return false;
  }

  #methods(): MethodTable {
    const { store } = this;
    return {
      "/etcdserverpb.KV/Range": {
        kind: "unary",
        handle: (call, message) => {
          if (this.#refused(call, () => undefined)) return;
          const response = new RangeResponse();
          response.header = store.header();
          const kv = store.latest(decodeRangeRequest(message).key);
          if (kv !== undefined) response.kvs.push(kv);
          response.count = response.kvs.length;
          call.respond(encodeRangeResponse(response));
        },
      },
      "/etcdserverpb.KV/Put": {
        kind: "unary",
        handle: (call, message) => {
          const request = decodePutRequest(message);
          if (this.#refused(call, () => store.put(request.key, request.value))) return;
          const response = new PutResponse();
          const previous = store.put(request.key, request.value);
          response.header = store.header();
          if (request.prevKv) response.prevKv = previous;
          call.respond(encodePutResponse(response));
        },
      },
      "/etcdserverpb.KV/RangeStream": {
        kind: "stream",
        type: "server_stream",
        open: (call) => ({
          ...idle,
          onMessage: () => {
            for (const event of store.events) {
              const piece = new RangeStreamResponse();
              piece.rangeResponse = new RangeResponse();
              piece.rangeResponse.kvs.push(event.kv!);
              call.send(encodeRangeStreamResponse(piece));
            }
            const last = new RangeStreamResponse();
            last.rangeResponse = new RangeResponse();
            last.rangeResponse.header = store.header();
            last.rangeResponse.count = store.events.length;
            call.send(encodeRangeStreamResponse(last));
            call.finish();
          },
        }),
      },
      "/etcdserverpb.Watch/Watch": {
        kind: "stream",
        type: "bidi_stream",
        open: (call) => {
          if (this.#refused(call, () => undefined)) return idle;
          this.watchStreams += 1;
          const watch = new WatchCall(call, this);
          this.watchCalls.add(watch);
          return watch;
        },
      },
      "/etcdserverpb.Lease/LeaseKeepAlive": {
        kind: "stream",
        type: "bidi_stream",
        open: (call) => ({
          ...idle,
          onMessage: (message) => {
            store.keepAliveCount += 1;
            const response = new LeaseKeepAliveResponse();
            response.header = store.header();
            response.id = decodeLeaseKeepAliveRequest(message).id;
            response.ttl = store.leaseTtl;
            call.send(encodeLeaseKeepAliveResponse(response));
          },
          onHalfClose: () => call.finish(),
        }),
      },
      "/etcdserverpb.Auth/Authenticate": {
        kind: "unary",
        handle: (call, message) => {
          if (this.#refused(call, () => undefined)) return;
          if (store.tokens === undefined) {
            call.fail(9, "etcdserver: authentication is not enabled");
            return;
          }
          const response = new AuthenticateResponse();
          store.authenticateCount += 1;
          response.token = `${decodeAuthenticateRequest(message).name}.${store.authenticateCount}`;
          store.tokens.add(response.token);
          call.respond(encodeAuthenticateResponse(response));
        },
      },
    };
  }
}

const nothing = (): void => undefined;
const idle: StreamHandler = {
  onMessage: nothing,
  onHalfClose: nothing,
  onCancel: nothing,
  onDrain: nothing,
};
