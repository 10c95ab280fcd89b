// The plug is pulled before every single disk operation of a scripted run, with what was not synced lost,
// kept, or torn. Each time the member must come back with every write that it had acknowledged, the one in
// doubt whole or not at all, revisions that go on, and leases that live; and then finish the script.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CompactionRequest,
  DeleteRangeRequest,
  decodeLeaseTimeToLiveResponse,
  decodeRangeResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  errorRows,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  LeaseTimeToLiveRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "@etcd-ts/api";
import { type Bytes, bytesToUtf8, utf8ToBytes } from "@etcd-ts/base";
import { type Channel, RpcError } from "@etcd-ts/rpc";
import {
  type CrashMode,
  changingOperations,
  type DiskOperation,
  SimDisk,
  SimHost,
  SimNet,
  SimNode,
  World,
} from "../src/index.ts";

const startMs = 60_000;
const stepMs = 60_000;

/** What a client can see of the store. */
interface State {
  revision: number;
  readonly keys: Map<string, string>;
  readonly leases: Map<bigint, Set<string>>;
}

interface Step {
  readonly path: string;
  readonly message: Bytes;
  readonly effect: (state: State) => void;
}

function put(key: string, value: string, lease = 0n): Step {
  const request = new PutRequest();
  request.key = utf8ToBytes(key);
  request.value = utf8ToBytes(value);
  request.lease = lease;
  return {
    path: "/etcdserverpb.KV/Put",
    message: encodePutRequest(request),
    effect: (state) => {
      state.revision += 1;
      state.keys.set(key, value);
      for (const keys of state.leases.values()) keys.delete(key);
      state.leases.get(lease)?.add(key);
    },
  };
}

function putBoth(value: string): Step {
  const request = new TxnRequest();
  for (const key of ["left", "right"]) {
    const op = new RequestOp();
    op.requestPut = new PutRequest();
    op.requestPut.key = utf8ToBytes(key);
    op.requestPut.value = utf8ToBytes(value);
    request.success.push(op);
  }
  return {
    path: "/etcdserverpb.KV/Txn",
    message: encodeTxnRequest(request),
    effect: (state) => {
      state.revision += 1;
      state.keys.set("left", value);
      state.keys.set("right", value);
    },
  };
}

function remove(key: string): Step {
  const request = new DeleteRangeRequest();
  request.key = utf8ToBytes(key);
  return {
    path: "/etcdserverpb.KV/DeleteRange",
    message: encodeDeleteRangeRequest(request),
    effect: (state) => {
      if (state.keys.delete(key)) state.revision += 1;
      for (const keys of state.leases.values()) keys.delete(key);
    },
  };
}

function grant(id: bigint): Step {
  const request = new LeaseGrantRequest();
  request.id = id;
  request.ttl = 100_000n;
  return {
    path: "/etcdserverpb.Lease/LeaseGrant",
    message: encodeLeaseGrantRequest(request),
    effect: (state) => {
      state.leases.set(id, new Set());
    },
  };
}

function revoke(id: bigint): Step {
  const request = new LeaseRevokeRequest();
  request.id = id;
  return {
    path: "/etcdserverpb.Lease/LeaseRevoke",
    message: encodeLeaseRevokeRequest(request),
    effect: (state) => {
      const keys = state.leases.get(id) ?? new Set();
      if (keys.size > 0) state.revision += 1;
      for (const key of keys) state.keys.delete(key);
      state.leases.delete(id);
    },
  };
}

function compact(revision: number): Step {
  const request = new CompactionRequest();
  request.revision = BigInt(revision);
  request.physical = true;
  return {
    path: "/etcdserverpb.KV/Compact",
    message: encodeCompactionRequest(request),
    effect: () => undefined,
  };
}

const script: readonly Step[] = [
  put("a", "1"),
  putBoth("1"),
  grant(7n),
  put("leased/1", "x", 7n),
  put("leased/2", "y", 7n),
  remove("a"),
  putBoth("2"),
  put("big", "b".repeat(5000)),
  compact(5),
  grant(8n),
  put("other", "z", 8n),
  put("leased/2", "free"),
  revoke(7n),
  putBoth("3"),
  put("last", "1"),
  compact(10),
  remove("big"),
  put("last", "2"),
];

function statesOf(steps: readonly Step[]): State[] {
  const states: State[] = [{ revision: 1, keys: new Map(), leases: new Map() }];
  for (const step of steps) {
    const before = states.at(-1) as State;
    const state: State = {
      revision: before.revision,
      keys: new Map(before.keys),
      leases: new Map([...before.leases].map(([id, keys]) => [id, new Set(keys)])),
    };
    step.effect(state);
    states.push(state);
  }
  return states;
}

type CrashOutcome = "no crash" | "midway" | "at an end";
type PlantedBug = "none" | "no sync";

class Run {
  readonly world: World;
  readonly node: SimNode;
  readonly #client: SimHost;
  operationCount = 0;
  /** Disk operation before which the plug is pulled; 0: never. */
  crashBefore = 0;
  readonly #mode: CrashMode;

  constructor(seed: number, mode: CrashMode, planted: PlantedBug) {
    this.#mode = mode;
    this.world = new World(seed);
    const net = new SimNet(this.world, { latencyMs: () => 0.1 });
    const quiet = { latencyMs: () => 0.2 };
    this.node = new SimNode({
      world: this.world,
      net,
      member: {
        name: "m1",
        dataDir: "/data",
        initialCluster: [{ name: "m1", peerUrls: ["http://m1:2380"] }],
        initialAdvertisePeerUrls: ["http://m1:2380"],
        advertiseClientUrls: ["http://m1:2379"],
        // So small that snapshots of the log and their clean-up happen within the script.
        snapshotCount: 6,
        snapshotCatchupEntries: 2,
        backendBatchIntervalMs: 3,
        unsafeNoFsync: planted === "no sync",
      },
      clientAddress: { kind: "tcp", host: "m1", port: 2379 },
      diskFaults: { ...quiet, before: (operation) => this.#before(operation) },
    });
    this.#client = new SimHost({
      name: "client",
      world: this.world,
      net,
      disk: new SimDisk(),
      diskFaults: quiet,
    });
  }

  connect(): Channel {
    return this.node.connect(this.#client);
  }

  #before(operation: DiskOperation): void {
    if (!changingOperations.has(operation)) return;
    this.operationCount += 1;
    if (this.operationCount === this.crashBefore) this.node.crash(this.#mode);
  }

  /** Runs the script from `from` until its end or the crash; gives the number of acknowledged steps. */
  async play(channel: Channel, from: number): Promise<number> {
    for (let n = from; n < script.length; n++) {
      const step = script[n] as Step;
      let outcome: "acknowledged" | "lost" | undefined;
      let over = false;
      channel.unary(step.path, step.message).then(
        () => {
          outcome = "acknowledged";
        },
        (error: unknown) => {
          // It was in doubt before the crash, cannot be told from outside, and did happen.
          if (isCompacted(error) && step.path.endsWith("/Compact")) outcome = "acknowledged";
          else if (over || (error instanceof RpcError && !this.node.isRunning)) outcome = "lost";
          else this.world.fail(error);
        },
      );
      await this.world.runUntil(() => outcome !== undefined || !this.node.isRunning, stepMs);
      over = true;
      if (outcome !== "acknowledged") {
        assert.equal(this.node.isRunning, false, `step ${n} was neither done nor lost`);
        return n;
      }
    }
    return script.length;
  }

  async start(): Promise<boolean> {
    let failure: unknown;
    const started = this.node.start().catch((error: unknown) => {
      failure = error;
    });
    let done = false;
    void started.then(() => {
      done = true;
    });
    await this.world.runUntil(() => done || !this.node.isRunning, startMs);
    if (failure !== undefined && this.node.isRunning) throw failure;
    assert.ok(done || !this.node.isRunning, "the member neither started nor crashed");
    return this.node.isRunning;
  }

  async observe(channel: Channel, leaseIds: Iterable<bigint>): Promise<State> {
    const range = new RangeRequest();
    range.key = new Uint8Array([0]);
    range.rangeEnd = new Uint8Array([0]);
    const response = decodeRangeResponse(
      await this.world.complete(
        channel.unary("/etcdserverpb.KV/Range", encodeRangeRequest(range)),
        stepMs,
      ),
    );
    const state: State = {
      revision: response.header?.revision ?? 0,
      keys: new Map(response.kvs.map((kv) => [bytesToUtf8(kv.key), bytesToUtf8(kv.value)])),
      leases: new Map(),
    };
    for (const id of leaseIds) {
      const request = new LeaseTimeToLiveRequest();
      request.id = id;
      request.keys = true;
      const lease = decodeLeaseTimeToLiveResponse(
        await this.world.complete(
          channel.unary(
            "/etcdserverpb.Lease/LeaseTimeToLive",
            encodeLeaseTimeToLiveRequest(request),
          ),
          stepMs,
        ),
      );
      if (lease.ttl > 0) state.leases.set(id, new Set(lease.keys.map((key) => bytesToUtf8(key))));
    }
    return state;
  }
}

function isCompacted(error: unknown): boolean {
  return error instanceof RpcError && error.message === errorRows.compacted.message;
}

function shown(state: State): string {
  const keys = [...state.keys].map(([key, value]) => `${key}=${value.slice(0, 3)}`).sort();
  const leases = [...state.leases].map(([id, on]) => `${id}:${[...on].sort()}`).sort();
  return `revision ${state.revision}, ${keys.join(" ")}, leases ${leases.join(" ")}`;
}

async function operationsOfWholeRun(): Promise<number> {
  const run = new Run(1, "drop", "none");
  assert.ok(await run.start());
  const channel = run.connect();
  assert.equal(await run.play(channel, 0), script.length);
  const states = statesOf(script);
  assert.equal(shown(await run.observe(channel, [7n, 8n])), shown(states.at(-1) as State));
  await run.world.run(1000);
  return run.operationCount;
}

/** Pulls the plug before the operation, restarts, compares; throws with what is wrong. */
async function crashAt(point: number, mode: CrashMode, planted: PlantedBug): Promise<CrashOutcome> {
  const states = statesOf(script);
  const run = new Run(point, mode, planted);
  run.crashBefore = point;
  let acknowledged = 0;
  if (await run.start()) {
    const channel = run.connect();
    acknowledged = await run.play(channel, 0);
    if (run.node.isRunning) await run.world.run(1000); // work in the background may still meet the point
    channel.close();
  }
  if (run.node.isRunning) return "no crash"; // this run had fewer operations
  assert.ok(await run.start());
  const channel = run.connect();
  const found = shown(await run.observe(channel, [7n, 8n]));
  const possible = states.slice(acknowledged, acknowledged + 2).map(shown);
  assert.ok(possible.includes(found), `found ${found}\n  expected ${possible.join("\n  or ")}`);
  // What was in doubt and did happen must not be tried again (the script is not idempotent).
  const next = found === possible[0] ? acknowledged : acknowledged + 1;
  assert.equal(await run.play(channel, next), script.length);
  assert.equal(shown(await run.observe(channel, [7n, 8n])), shown(states.at(-1) as State));
  channel.close();
  return acknowledged > 0 && acknowledged < script.length ? "midway" : "at an end";
}

test("a crash before any disk operation loses nothing that was acknowledged", async () => {
  const total = await operationsOfWholeRun();
  assert.ok(total > 60, `only ${total} disk operations`);
  const outcomes = new Map<CrashOutcome, number>();
  for (const mode of ["drop", "random", "keep"] as const) {
    for (let point = 1; point <= total; point++) {
      try {
        const outcome = await crashAt(point, mode, "none");
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      } catch (error) {
        throw new Error(`crash before operation ${point}, ${mode}`, { cause: error });
      }
    }
  }
  assert.ok((outcomes.get("midway") ?? 0) > 60, JSON.stringify([...outcomes]));
});

test("this check notices a member that acknowledges before its log is synced", async () => {
  const total = await operationsOfWholeRun();
  let noticed = 0;
  for (let point = 1; point <= total; point += 7) {
    await crashAt(point, "drop", "no sync").catch(() => {
      noticed += 1;
    });
  }
  assert.ok(noticed > 0);
});
