// One client machine: channels to the members, as production clients have them, through the real rpc code. No
// retries and no choices are hidden here: every call has one outcome, and the caller decides what it means.

import type { Bytes, SeededRandom } from "@etcd-ts/base";
import { Channel, RpcError, Status } from "@etcd-ts/rpc";
import type { ClusterNode, SimCluster } from "../cluster.ts";
import type { SimHost } from "../host.ts";

/** The request certainly did nothing and never will. */
const refusals: ReadonlySet<number> = new Set<number>([
  Status.invalidArgument,
  Status.notFound,
  Status.failedPrecondition,
  Status.outOfRange,
  Status.unimplemented,
  Status.resourceExhausted,
]);

export function isRefusal(error: unknown): boolean {
  return error instanceof RpcError && refusals.has(error.code);
}

interface Link {
  readonly channel: Channel;
  readonly life: number;
}

export class Caller {
  readonly host: SimHost;
  readonly random: SeededRandom;
  readonly cluster: SimCluster;
  readonly #links = new Map<string, Link>();
  #stopped = false;
  /** Who is asked first. */
  #favourite: ClusterNode | undefined;

  constructor(cluster: SimCluster) {
    this.cluster = cluster;
    this.host = cluster.clientHost();
    this.random = cluster.world.random.fork(this.host.name);
  }

  get name(): string {
    return this.host.name;
  }

  get nowMs(): number {
    return this.cluster.world.nowMs;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.host.timers.after(ms, resolve);
    });
  }

  /** A pause of so many ms on average. */
  pause(meanMs: number): Promise<void> {
    return this.sleep(-Math.log((this.random.next32() + 1) / 0x1_0000_0001) * meanMs);
  }

  /** The member that this client talks to, until something goes wrong there. */
  someNode(): ClusterNode {
    if (this.#favourite === undefined || !this.cluster.nodes.includes(this.#favourite)) {
      this.#favourite = this.random.pick(this.cluster.nodes);
    }
    return this.#favourite;
  }

  /** Talks to another member from now on, perhaps. */
  turnAway(): void {
    this.#favourite = undefined;
  }

  channel(node: ClusterNode): Channel {
    const known = this.#links.get(node.name);
    // A client that dials an address does not see lives; it sees connections that break.
    if (known !== undefined && known.channel.state !== "closed") return known.channel;
    const channel = new Channel({
      host: this.host,
      address: node.clientAddress,
      connectTimeoutMs: 2000,
      backoff: { baseMs: 100, maxMs: 1000 },
      keepalive: { timeMs: 10_000, timeoutMs: 3000 },
    });
    this.#links.set(node.name, { channel, life: node.lifeCount });
    return channel;
  }

  /** Rejects with `RpcError`. */
  async call(node: ClusterNode, path: string, message: Bytes, timeoutMs = 4000): Promise<Bytes> {
    try {
      const answer = await this.channel(node).unary(path, message, { timeoutMs });
      this.cluster.world.mix(answer.length);
      return answer;
    } catch (error) {
      if (error instanceof RpcError) {
        this.cluster.world.mix(error.code);
        if (error.code === Status.deadlineExceeded) this.hangUp(node);
        if (!isRefusal(error)) this.turnAway();
      }
      throw error;
    }
  }

  /** The next call dials again. */
  hangUp(node: ClusterNode): void {
    const link = this.#links.get(node.name);
    this.#links.delete(node.name);
    link?.channel.close();
  }

  stop(): void {
    this.#stopped = true;
    for (const { channel } of this.#links.values()) channel.close();
    this.#links.clear();
  }
}
