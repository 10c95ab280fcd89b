// A scenario names what must hold, sets a cluster up with clients at work, hurts it, and lets it recover. All checks
// run all the while; at the end every member holds the same and every client saw a history that makes sense.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
} from "@etcd-ts/api";
import {
  Caller,
  type ClusterNode,
  KvClient,
  SimCluster,
  type SimClusterOptions,
  Surgery,
  usualWorkload,
  Workload,
  type WorkloadOptions,
} from "../src/index.ts";

export interface ScenarioOptions extends Partial<SimClusterOptions> {
  readonly members?: number;
  readonly load?: Partial<WorkloadOptions>;
}

export interface Scene {
  readonly cluster: SimCluster;
  readonly workload: Workload;
  readonly surgery: Surgery;
  /** Writes succeed again within so much virtual time. */
  writesSucceed(withinMs: number): Promise<void>;
  /** Runs until a promise of an operation is settled. */
  completes<T>(operation: Promise<T>, withinMs: number): Promise<T>;
}

const recoverMs = 30_000;

export function scenario(
  name: string,
  options: ScenarioOptions,
  body: (scene: Scene) => Promise<void>,
): void {
  test(name, async () => {
    const { members, load, ...rest } = options;
    const cluster = new SimCluster({ seed: 1, memberCount: members ?? 3, ...rest });
    const workload = new Workload(cluster, { ...usualWorkload, pauseMs: 100, ...load });
    try {
      await cluster.start();
      workload.start();
      await cluster.run(3000);
      await body(sceneOf(cluster, workload));
      cluster.heal();
      await cluster.run(3000);
      await (async () => {
        const before = workload.doneCount;
        await cluster.run(5000);
        assert.ok(workload.doneCount > before, "calls succeed after everything is healed");
      })();
      workload.quiet();
      await cluster.converge(recoverMs, () => workload.unfinished());
      workload.checkRegisters();
      assert.ok(cluster.history.revision > 50, `only ${cluster.history.revision} revisions`);
      assert.ok(cluster.equality.comparedCount > 5, "members were compared");
    } finally {
      workload.stop();
      cluster.stop();
    }
  });
}

function sceneOf(cluster: SimCluster, workload: Workload): Scene {
  return {
    cluster,
    workload,
    surgery: new Surgery(cluster, new Caller(cluster)),
    writesSucceed: async (withinMs) => {
      const caller = new Caller(cluster);
      const { registers } = workload;
      const load = { ...usualWorkload, registers, timeoutMs: 300 };
      const client = new KvClient(caller, load);
      let succeeded = false;
      const keepTrying = async (): Promise<void> => {
        while (!succeeded && !caller.isStopped) {
          caller.turnAway(); // a member that does not answer is no reason to wait for it
          succeeded = await client.put("probe");
          await caller.sleep(20);
        }
      };
      keepTrying().catch((error: unknown) => cluster.world.fail(error));
      await cluster.world.runUntil(() => succeeded, withinMs);
      caller.stop();
      assert.ok(succeeded, `a write succeeds within ${withinMs} ms`);
    },
    completes: (operation, withinMs) => cluster.world.complete(operation, withinMs),
  };
}

export function others(cluster: SimCluster, node: ClusterNode): ClusterNode[] {
  return cluster.nodes.filter((it) => it !== node);
}

/** One lease in the hands of a scenario; what it is promised goes to the lease check. */
export class LeaseHolder {
  readonly #caller: Caller;
  readonly #id: bigint;
  isPromised = false;

  constructor(caller: Caller, id: bigint) {
    this.#caller = caller;
    this.#id = id;
  }

  async grant(node: ClusterNode, ttlSeconds: number): Promise<void> {
    const request = new LeaseGrantRequest();
    request.id = this.#id;
    request.ttl = BigInt(ttlSeconds);
    const sentMs = this.#caller.nowMs;
    const path = "/etcdserverpb.Lease/LeaseGrant";
    const answer = await this.#caller.call(node, path, encodeLeaseGrantRequest(request));
    const { ttl } = decodeLeaseGrantResponse(answer);
    this.#caller.cluster.leases.granted(this.#id, Number(ttl), sentMs);
  }

  async renew(node: ClusterNode): Promise<void> {
    const request = new LeaseKeepAliveRequest();
    request.id = this.#id;
    const sentMs = this.#caller.nowMs;
    const ttl = await new Promise<number>((resolve) => {
      const path = "/etcdserverpb.Lease/LeaseKeepAlive";
      const stream = this.#caller.channel(node).stream(
        path,
        { timeoutMs: 4000 },
        {
          onMessage: (bytes) => {
            resolve(Number(decodeLeaseKeepAliveResponse(bytes).ttl));
            stream.closeSend();
          },
          onEnd: () => resolve(0),
        },
      );
      stream.send(encodeLeaseKeepAliveRequest(request));
    });
    if (ttl === 0) return;
    this.isPromised = true;
    this.#caller.cluster.leases.renewed(this.#id, sentMs);
  }
}
