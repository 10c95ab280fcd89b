// A client with one lease after the other: grants it, puts keys under it, keeps it alive for a while through a
// stream, and then gives it up or revokes it. What it is promised goes to the lease check.

import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  decodeLeaseTimeToLiveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
  LeaseRevokeRequest,
  LeaseTimeToLiveRequest,
} from "@etcd-ts/api";
import { RpcError } from "@etcd-ts/rpc";
import { type Caller, isRefusal } from "./caller.ts";
import type { KvClient } from "./kv-client.ts";

export interface LeaseWorkload {
  readonly ttlSecondsMin: number;
  readonly ttlSecondsMax: number;
  readonly pauseMs: number;
}

export class LeaseClient {
  readonly #caller: Caller;
  readonly #kv: KvClient;
  readonly #load: LeaseWorkload;
  #nextId: bigint;
  grantedCount = 0;
  renewedCount = 0;

  /** `kv` writes the keys, through the same caller. Ids begin at `firstId`. */
  constructor(kv: KvClient, load: LeaseWorkload, firstId: bigint) {
    this.#caller = kv.caller;
    this.#kv = kv;
    this.#load = load;
    this.#nextId = firstId;
  }

  async run(): Promise<void> {
    const caller = this.#caller;
    while (!caller.isStopped) {
      await caller.pause(this.#load.pauseMs);
      if (caller.isStopped) return;
      try {
        await this.#oneLife();
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        // Whatever the lease was, it is left to its time.
      }
    }
  }

  async #oneLife(): Promise<void> {
    const caller = this.#caller;
    const { random } = caller;
    const { ttlSecondsMin, ttlSecondsMax } = this.#load;
    const ttlSeconds = ttlSecondsMin + random.below(ttlSecondsMax - ttlSecondsMin + 1);
    const id = this.#nextId++;
    const granted = await this.#grant(id, ttlSeconds);
    const keyCount = random.below(3);
    for (let i = 0; i < keyCount; i++) {
      await this.#kv.put(`l${id.toString(16)}/${i}`, { lease: id });
    }
    const rounds = random.below(6);
    for (let i = 0; i < rounds && !caller.isStopped; i++) {
      await caller.sleep((granted * 1000) / (1 + random.below(4)));
      if (!(await this.#keepAlive(id))) return;
    }
    const dice = random.below(4);
    if (dice === 0) await this.#revoke(id);
    else if (dice === 1) await this.#timeToLive(id);
  }

  async #grant(id: bigint, ttlSeconds: number): Promise<number> {
    const caller = this.#caller;
    const { leases } = caller.cluster;
    const request = new LeaseGrantRequest();
    request.id = id;
    request.ttl = BigInt(ttlSeconds);
    const sentMs = caller.nowMs;
    const answer = decodeLeaseGrantResponse(
      await caller.call(
        caller.someNode(),
        "/etcdserverpb.Lease/LeaseGrant",
        encodeLeaseGrantRequest(request),
      ),
    );
    leases.granted(id, Number(answer.ttl), sentMs);
    this.grantedCount++;
    return Number(answer.ttl);
  }

  /** False: it is gone, or nobody answers. */
  #keepAlive(id: bigint): Promise<boolean> {
    const caller = this.#caller;
    const { leases, world } = caller.cluster;
    const request = new LeaseKeepAliveRequest();
    request.id = id;
    const sentMs = caller.nowMs;
    return new Promise((resolve) => {
      const stream = caller.channel(caller.someNode()).stream(
        "/etcdserverpb.Lease/LeaseKeepAlive",
        { timeoutMs: 4000 },
        {
          onMessage: (bytes) => {
            const { ttl } = decodeLeaseKeepAliveResponse(bytes);
            world.mix(Number(ttl));
            try {
              if (ttl > 0) leases.renewed(id, sentMs);
            } catch (error) {
              world.fail(error);
            }
            this.renewedCount++;
            resolve(ttl > 0);
            stream.closeSend();
          },
          onEnd: (error) => {
            if (error !== undefined && !isRefusal(error)) caller.turnAway();
            resolve(false);
          },
        },
      );
      stream.send(encodeLeaseKeepAliveRequest(request));
    });
  }

  async #revoke(id: bigint): Promise<void> {
    const caller = this.#caller;
    const request = new LeaseRevokeRequest();
    request.id = id;
    caller.cluster.leases.endAsked(id, caller.nowMs);
    await caller.call(
      caller.someNode(),
      "/etcdserverpb.Lease/LeaseRevoke",
      encodeLeaseRevokeRequest(request),
    );
  }

  async #timeToLive(id: bigint): Promise<void> {
    const caller = this.#caller;
    const request = new LeaseTimeToLiveRequest();
    request.id = id;
    request.keys = true;
    decodeLeaseTimeToLiveResponse(
      await caller.call(
        caller.someNode(),
        "/etcdserverpb.Lease/LeaseTimeToLive",
        encodeLeaseTimeToLiveRequest(request),
      ),
    );
  }
}
