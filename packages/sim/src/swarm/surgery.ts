// Changes of who belongs to the cluster, as an operator makes them: by calls to any member that answers, repeated
// until it is known that they happened. One operation at a time.

import {
  decodeMemberAddResponse,
  decodeMemberListResponse,
  encodeMemberAddRequest,
  encodeMemberListRequest,
  encodeMemberPromoteRequest,
  encodeMemberRemoveRequest,
  type Member,
  MemberAddRequest,
  MemberListRequest,
  MemberPromoteRequest,
  MemberRemoveRequest,
} from "@etcd-ts/api";
import type { Bytes } from "@etcd-ts/base";
import { RpcError } from "@etcd-ts/rpc";
import { type ClusterNode, peerUrlOf, type SimCluster } from "../cluster.ts";
import type { Caller } from "../workload/caller.ts";

const service = "/etcdserverpb.Cluster";
const retryMs = 300;

export class Surgery {
  readonly #cluster: SimCluster;
  readonly #caller: Caller;
  #isBusy = false;
  doneCount = 0;
  /** Machines whose members were removed, with their disks. */
  readonly removed: ClusterNode[] = [];

  constructor(cluster: SimCluster, caller: Caller) {
    this.#cluster = cluster;
    this.#caller = caller;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** A new member; as a learner first, or as a voter at once. */
  async grow(asLearner: boolean): Promise<ClusterNode> {
    return this.#exclusively(() => this.#add(asLearner));
  }

  async shrink(node: ClusterNode): Promise<void> {
    await this.#exclusively(() => this.#remove(node));
  }

  /** What an operator does with a member whose disk is lost. */
  async replace(node: ClusterNode, asLearner: boolean): Promise<ClusterNode> {
    return this.#exclusively(async () => {
      await this.#remove(node);
      return await this.#add(asLearner);
    });
  }

  /** The membership as the cluster agrees on it; retries until somebody answers. */
  async members(): Promise<Member[]> {
    const request = new MemberListRequest();
    request.linearizable = true;
    const message = encodeMemberListRequest(request);
    for (;;) {
      const answer = await this.#once("MemberList", message);
      if (answer !== undefined) return decodeMemberListResponse(answer).members;
      await this.#caller.sleep(retryMs);
    }
  }

  async #exclusively<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#isBusy) throw new Error("one operation on the membership at a time");
    this.#isBusy = true;
    try {
      return await operation();
    } finally {
      this.#isBusy = false;
      this.doneCount++;
    }
  }

  async #add(asLearner: boolean): Promise<ClusterNode> {
    const node = this.#cluster.makeNode();
    this.#cluster.note(`add ${node.name}${asLearner ? " as a learner" : ""}`);
    node.downUntilMs = Number.POSITIVE_INFINITY; // it does not start before it belongs to the cluster
    node.isJoining = true;
    const url = peerUrlOf(node.name);
    const request = new MemberAddRequest();
    request.peerUrls = [url];
    request.isLearner = asLearner;
    let id = 0n;
    while (id === 0n) {
      const answer = await this.#once("MemberAdd", encodeMemberAddRequest(request));
      if (answer !== undefined) id = decodeMemberAddResponse(answer).member?.id ?? 0n;
      else id = (await this.members()).find((it) => it.peerUrls.includes(url))?.id ?? 0n;
      if (id === 0n) await this.#caller.sleep(retryMs);
    }
    node.memberOptions = { ...node.memberOptions, initialClusterState: "existing" };
    await this.#tellJoiners();
    node.downUntilMs = 0;
    node.isJoining = false;
    this.#cluster.launch(node);
    if (asLearner) await this.#promote(id);
    return node;
  }

  /** Whoever joins must name the present members; who has not managed to yet is told of every change. */
  async #tellJoiners(): Promise<void> {
    const members = await this.members();
    for (const node of this.#cluster.nodes) {
      const { memberOptions } = node;
      if (node.hasServed || memberOptions.initialClusterState !== "existing") continue;
      const url = peerUrlOf(node.name);
      const initialCluster = members.map(({ id, name, peerUrls }) => ({
        name: peerUrls.includes(url) ? node.name : name || `x${id.toString(16)}`,
        peerUrls,
      }));
      node.memberOptions = { ...memberOptions, initialCluster };
    }
  }

  async #promote(id: bigint): Promise<void> {
    const request = new MemberPromoteRequest();
    request.id = id;
    for (;;) {
      if ((await this.#once("MemberPromote", encodeMemberPromoteRequest(request))) !== undefined) {
        return;
      }
      const member = (await this.members()).find((it) => it.id === id);
      if (member === undefined || !member.isLearner) return;
      await this.#caller.sleep(retryMs);
    }
  }

  async #remove(node: ClusterNode): Promise<void> {
    this.#cluster.note(`remove ${node.name}`);
    node.isLeaving = true;
    const url = peerUrlOf(node.name);
    for (;;) {
      const member = (await this.members()).find((it) => it.peerUrls.includes(url));
      if (member === undefined) break;
      const request = new MemberRemoveRequest();
      request.id = member.id;
      await this.#once("MemberRemove", encodeMemberRemoveRequest(request));
      await this.#caller.sleep(retryMs);
    }
    this.removed.push(node);
    // It may still run, and must find out by itself; a later life of it must find out, too.
    this.#cluster.nodes.splice(this.#cluster.nodes.indexOf(node), 1);
    this.#cluster.leavers.push(node);
    await this.#tellJoiners();
  }

  /** One attempt; undefined when it failed in any way. */
  async #once(method: string, message: Bytes): Promise<Bytes | undefined> {
    const { nodes } = this.#cluster;
    const candidates = nodes.filter((it) => it.isServing && !it.isLeaving);
    const node = this.#caller.random.pick(candidates.length > 0 ? candidates : nodes);
    try {
      return await this.#caller.call(node, `${service}/${method}`, message, 3000);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.#cluster.note(`${method} at ${node.name}: ${error.message}`);
      return undefined;
    }
  }
}
