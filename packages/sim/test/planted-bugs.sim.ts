// Each checker must find the bug that is its own. The bugs are planted between the members and their world (the
// wire, the disk, the clock, the services' edge), never in the members: what runs is what runs in production.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodePutResponse,
  decodeRangeRequest,
  decodeRangeResponse,
  decodeWatchResponse,
  encodePutResponse,
  encodeRangeRequest,
  encodeRangeResponse,
  encodeWatchResponse,
  PutResponse,
  ResponseHeader,
} from "@etcd-ts/api";
import { type Bytes, copyBytes, type Disk, type DiskFile } from "@etcd-ts/base";
import type { Backend } from "@etcd-ts/machine";
import { Entry, Message, MessageType } from "@etcd-ts/raft";
import type { Method, MethodTable, ServerCall } from "@etcd-ts/rpc";
import type { MemberOptions, PeerTransport } from "@etcd-ts/server";
import {
  type FaultKind,
  type NodeSeams,
  type Plan,
  runSeed,
  type SimNode,
  TransportRelay,
} from "../src/index.ts";

interface Planted {
  readonly bug: string;
  /** Who must notice. */
  readonly checkers: readonly string[];
  readonly faults: readonly FaultKind[];
  /** Fresh for each run. */
  readonly seams: () => NodeSeams;
  readonly seconds?: number;
  readonly member?: Partial<MemberOptions>;
  readonly memberCount?: number;
  readonly change?: Partial<Plan>;
  /** A seed that is known to show it, so that none is tried in vain. */
  readonly firstSeed?: number;
}

/** Each must be found within so many seeds. */
const seedCountMax = 12;

// --- on the wire ----------------------------------------------------------------------------------------

class Tampering extends TransportRelay {
  readonly #tamper: (message: Message) => readonly Message[];

  constructor(inner: PeerTransport, tamper: (message: Message) => readonly Message[]) {
    super(inner);
    this.#tamper = tamper;
  }

  override send(message: Message): void {
    for (const it of this.#tamper(message)) this.inner.send(it);
  }
}

function onTheWire(tamper: (message: Message, node: SimNode) => readonly Message[]): NodeSeams {
  return {
    transport: (links, _host, node) => new Tampering(links, (message) => tamper(message, node)),
  };
}

function changed(message: Message, change: (copy: Message) => void): Message[] {
  const copy = Object.assign(new Message(), message);
  change(copy);
  return [copy];
}

// --- at the services' edge ------------------------------------------------------------------------------

function atTheEdge(path: string, wrap: (method: Method, node: SimNode) => Method): NodeSeams {
  return {
    methods: (methods, node): MethodTable => {
      const method = methods[path];
      assert.ok(method !== undefined, `${path} is served`);
      return { ...methods, [path]: wrap(method, node) };
    },
  };
}

/** A unary method whose request, or answer, is changed on its way. */
function unary(
  method: Method,
  request: (bytes: Bytes) => Bytes,
  answer: (bytes: Bytes, request: Bytes) => Bytes,
): Method {
  assert.ok(method.kind === "unary");
  return {
    kind: "unary",
    handle: (call, message) => {
      const relay = new Proxy(call, {
        get: (target, name) => {
          if (name === "respond") return (bytes: Bytes) => target.respond(answer(bytes, message));
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
        set: (target, name, value) => Reflect.set(target, name, value, target),
      });
      method.handle(relay, request(message));
    },
  };
}

/** A watch whose answers are changed on their way. */
function watch(method: Method, change: (bytes: Bytes) => readonly Bytes[]): Method {
  assert.ok(method.kind === "stream");
  const sendChanged = (target: ServerCall, bytes: Bytes): boolean => {
    let room = true;
    for (const it of change(bytes)) room = target.send(it);
    return room;
  };
  return {
    ...method,
    open: (call: ServerCall) =>
      method.open(
        new Proxy(call, {
          get: (target, name) => {
            if (name === "send") return (bytes: Bytes) => sendChanged(target, bytes);
            if (name === "sendPrefixed") {
              return (messages: Bytes) => {
                let room = true;
                for (const it of unprefixed(messages)) room = sendChanged(target, it);
                return room;
              };
            }
            const value: unknown = Reflect.get(target, name, target);
            return typeof value === "function" ? value.bind(target) : value;
          },
          set: (target, name, value) => Reflect.set(target, name, value, target),
        }),
      ),
  };
}

/** The messages of gRPC's framing: a flag, four bytes of length, the message. */
function unprefixed(bytes: Bytes): Bytes[] {
  const found: Bytes[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + view.getUint32(at + 1);
    found.push(copyBytes(bytes.subarray(at + 5, end)));
    at = end;
  }
  return found;
}

const same = (bytes: Bytes): Bytes => bytes;

/** Changes answers of a watch that carry events, now and then. */
function everyNthEvents(n: number, change: (bytes: Bytes) => readonly Bytes[]): NodeSeams {
  let count = 0;
  return atTheEdge("/etcdserverpb.Watch/Watch", (method) =>
    watch(method, (bytes) => {
      if (decodeWatchResponse(bytes).events.length === 0) return [bytes];
      count++;
      return count % n === 0 ? change(bytes) : [bytes];
    }),
  );
}

const planted: readonly Planted[] = [
  {
    bug: "linearizable reads are answered from what the member happens to have",
    checkers: ["linearizability"],
    firstSeed: 2,
    faults: ["isolate the leader", "partition", "message faults"],
    change: { faultPauseMs: 500, faultMs: 3000 },
    seams: () =>
      atTheEdge("/etcdserverpb.KV/Range", (method) =>
        unary(
          method,
          (bytes) => {
            const request = decodeRangeRequest(bytes);
            request.serializable = true;
            return encodeRangeRequest(request);
          },
          same,
        ),
      ),
  },
  {
    bug: "a put is acknowledged that never happened",
    checkers: ["acknowledged writes"],
    faults: [],
    seams: () => {
      let count = 0;
      return atTheEdge("/etcdserverpb.KV/Put", (method, node) => ({
        kind: "unary",
        handle: (call, message) => {
          assert.ok(method.kind === "unary");
          if (++count % 10 !== 0) {
            method.handle(call, message);
            return;
          }
          const response = new PutResponse();
          response.header = new ResponseHeader();
          response.header.revision = node.member!.machine.revision;
          call.respond(encodePutResponse(response));
        },
      }));
    },
  },
  {
    bug: "an answer to a put names another revision",
    checkers: ["acknowledged writes", "linearizability", "revisions never decrease"],
    faults: [],
    seams: () =>
      atTheEdge("/etcdserverpb.KV/Put", (method) =>
        unary(method, same, (bytes) => {
          const response = decodePutResponse(bytes);
          response.header!.revision -= 1;
          return encodePutResponse(response);
        }),
      ),
  },
  {
    bug: "a stale read shows an older state than the member showed before",
    checkers: ["revisions never decrease"],
    faults: [],
    seams: () => {
      const first = new Map<string, Bytes>();
      return atTheEdge("/etcdserverpb.KV/Range", (method) =>
        unary(method, same, (bytes, asked) => {
          const request = decodeRangeRequest(asked);
          if (!request.serializable) return bytes;
          const name = Buffer.from(asked).toString("hex");
          const known = first.get(name);
          if (known === undefined) first.set(name, Buffer.from(bytes));
          return known ?? bytes;
        }),
      );
    },
  },
  {
    bug: "a stale read leaves a key out",
    checkers: ["serializable prefix"],
    faults: [],
    seams: () =>
      atTheEdge("/etcdserverpb.KV/Range", (method) =>
        unary(method, same, (bytes, asked) => {
          const response = decodeRangeResponse(bytes);
          if (!decodeRangeRequest(asked).serializable || response.kvs.length < 2) return bytes;
          response.kvs.pop();
          response.count -= 1;
          return encodeRangeResponse(response);
        }),
      ),
  },
  {
    bug: "a watch loses events",
    checkers: ["watch", "liveness"],
    faults: [],
    seams: () => everyNthEvents(20, () => []),
  },
  {
    bug: "a watch sends events twice",
    checkers: ["watch"],
    faults: [],
    seams: () => everyNthEvents(20, (bytes) => [bytes, bytes]),
  },
  {
    bug: "a watch tears the changes of one revision apart",
    checkers: ["watch"],
    faults: [],
    seams: () =>
      everyNthEvents(1, (bytes) => {
        const response = decodeWatchResponse(bytes);
        return response.events.map((event) => {
          response.events = [event];
          return Buffer.from(encodeWatchResponse(response));
        });
      }),
  },
  {
    bug: "clocks that go three times too fast end leases early",
    checkers: ["leases never early"],
    faults: [],
    seams: () => ({
      host: (host) => ({
        ...pick(host),
        clock: {
          monotonicMs: () => 3 * host.clock.monotonicMs(),
          wallMs: () => host.clock.wallMs(),
        },
      }),
    }),
  },
  {
    bug: "a clock that creeps lets leases live on",
    checkers: ["liveness"],
    faults: [],
    seconds: 10,
    seams: () => ({
      host: (host) => ({
        ...pick(host),
        clock: {
          monotonicMs: () => host.clock.monotonicMs() / 100,
          wallMs: () => host.clock.wallMs(),
        },
      }),
    }),
  },
  {
    bug: "a member's store loses a write",
    checkers: ["equal members"],
    faults: [],
    seams: () => {
      let count = 0;
      return {
        backend: (backend: Backend, node: SimNode) => {
          if (node.name !== "m2") return backend;
          return new Proxy(backend, {
            get: (target, name) => {
              if (name === "put") {
                return (bucket: "key", key: Bytes, value: Bytes) => {
                  if (bucket !== "key" || ++count % 20 !== 0) target.put(bucket, key, value);
                };
              }
              const value: unknown = Reflect.get(target, name, target);
              return typeof value === "function" ? value.bind(target) : value;
            },
          });
        },
      };
    },
  },
  {
    bug: "a disk says that it has synced, and has not",
    checkers: ["durability", "acknowledged writes", "leader completeness"],
    faults: ["power loss", "power loss of all"],
    seams: () => ({ disk: (disk) => lying(disk) }),
    // A store that lags far behind does not see that the log lost something.
    member: { backendBatchIntervalMs: 600_000, snapshotCount: 100_000 },
  },
  {
    bug: "refused votes count as given",
    checkers: ["election safety"],
    faults: ["kill the leader", "isolate the leader", "freeze", "message faults"],
    change: { faultPauseMs: 300, faultMs: 1500 },
    seams: () =>
      onTheWire((message) => {
        const { type } = message;
        const isAnswer = type === MessageType.MsgVoteResp || type === MessageType.MsgPreVoteResp;
        if (!isAnswer || !message.reject) return [message];
        return changed(message, (copy) => {
          copy.reject = false;
        });
      }),
  },
  {
    bug: "candidates claim a log that they do not have",
    checkers: ["leader completeness", "state machine safety", "no member fails"],
    firstSeed: 2,
    faults: ["kill the leader", "isolate the leader", "partition", "one-way cut"],
    change: { faultPauseMs: 300, faultMs: 1500 },
    seams: () =>
      onTheWire((message) => {
        const { type } = message;
        if (type !== MessageType.MsgVote && type !== MessageType.MsgPreVote) return [message];
        return changed(message, (copy) => {
          copy.index += 1000;
          copy.logTerm += 1000;
        });
      }),
  },
  {
    bug: "an entry changes on the wire",
    checkers: ["log matching"],
    faults: [],
    seams: () => {
      let count = 0;
      return onTheWire((message) => {
        const last = message.entries[message.entries.length - 1];
        if (message.type !== MessageType.MsgApp || last === undefined || last.data.length < 40) {
          return [message];
        }
        if (++count % 50 !== 0) return [message];
        return changed(message, (copy) => {
          const entry = Object.assign(new Entry(), last);
          entry.data = Uint8Array.from(last.data);
          entry.data[entry.data.length - 1]! ^= 1;
          copy.entries = [...message.entries.slice(0, -1), entry];
        });
      });
    },
  },
  {
    bug: "followers are told that everything they have is committed",
    checkers: [
      "state machine safety",
      "equal members",
      "revisions",
      "leader completeness",
      "no member fails",
    ],
    firstSeed: 46,
    faults: ["isolate the leader", "kill the leader", "partition", "one-way cut"],
    memberCount: 5,
    change: { faultPauseMs: 500, faultMs: 6000, latencyMs: 2 },
    seams: () =>
      onTheWire((message) => {
        if (message.type !== MessageType.MsgApp || message.entries.length === 0) return [message];
        return changed(message, (copy) => {
          copy.commit = copy.entries[copy.entries.length - 1]!.index;
        });
      }),
  },
  {
    bug: "a forwarded proposal comes twice",
    checkers: ["exactly once"],
    faults: [],
    seams: () =>
      onTheWire((message) =>
        message.type === MessageType.MsgProp ? [message, message] : [message],
      ),
  },
  {
    bug: "one member never hears of anything",
    checkers: ["liveness"],
    faults: [],
    seconds: 10,
    seams: () => {
      let started = 0;
      return onTheWire((message, node) => {
        // It may found the cluster with the others.
        if (++started < 400 || message.type === MessageType.MsgHeartbeat) return [message];
        return message.type === MessageType.MsgApp && node.name === "m1" ? [] : [message];
      });
    },
  },
  {
    bug: "a member ends by itself for no reason",
    checkers: ["no member fails"],
    faults: [],
    seams: () => ({
      backend: (backend: Backend) => {
        let count = 0;
        return new Proxy(backend, {
          get: (target, name) => {
            if (name === "commit") {
              return (done: (error: Error | undefined) => void) => {
                target.commit(++count === 40 ? () => done(new Error("planted")) : done);
              };
            }
            const value: unknown = Reflect.get(target, name, target);
            return typeof value === "function" ? value.bind(target) : value;
          },
        });
      },
    }),
  },
  {
    bug: "a member believes that it was removed",
    checkers: ["membership"],
    faults: [],
    seams: () => ({
      transport: (links, host) => {
        const relay = new TransportRelay(links);
        host.timers.after(5000, () => relay.seams?.removedFromCluster());
        return relay;
      },
    }),
  },
];

function pick<T extends object>(host: T): T {
  return Object.assign(Object.create(null) as object, host);
}

/** Syncs of files do nothing, once the member has come up. */
function lying(disk: Disk): Disk {
  let syncCount = 0;
  const lies = (): boolean => ++syncCount > 60;
  return new Proxy(disk, {
    get: (target, name) => {
      if (name === "open") {
        return async (...args: Parameters<Disk["open"]>) =>
          lyingFile(await target.open(...args), lies);
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function lyingFile(file: DiskFile, lies: () => boolean): DiskFile {
  return new Proxy(file, {
    get: (target, name) => {
      if (name === "sync") {
        return (done: (error: Error | undefined) => void) => {
          if (!lies()) {
            target.sync(done);
            return;
          }
          target.size().then(
            () => done(undefined),
            (error: Error) => done(error),
          );
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

for (const it of planted) {
  const { bug, checkers, faults, seams, seconds, member } = it;
  test(`noticed by ${checkers[0]}: ${bug}`, async () => {
    const firstSeed = it.firstSeed ?? 1;
    const seen: string[] = [];
    for (let seed = firstSeed; seed < firstSeed + seedCountMax; seed++) {
      const result = await runSeed(seed, {
        memberCount: it.memberCount ?? 3,
        seconds: seconds ?? 25,
        faults,
        seams: seams(),
        ...(member === undefined ? {} : { member }),
        ...(it.change === undefined ? {} : { change: it.change }),
      });
      if (result.violation === undefined) continue;
      seen.push(`${seed}: ${result.violation}`);
      if (result.checker !== undefined && checkers.includes(result.checker)) {
        return;
      }
    }
    assert.fail(`not noticed in ${seedCountMax} seeds; what was: ${seen.join("\n") || "nothing"}`);
  });
}
