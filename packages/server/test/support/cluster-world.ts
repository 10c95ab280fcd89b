// A cluster of production members in the virtual world, with real peer links between them, and the calls
// that tests make of them.

import {
  CompactionRequest,
  decodePutResponse,
  decodeRangeResponse,
  encodeCompactionRequest,
  encodePutRequest,
  encodeRangeRequest,
  PutRequest,
  RangeRequest,
} from "@etcd-ts/api";
import { utf8ToBytes } from "@etcd-ts/base";
import { type DiskOperation, SimNet, SimNode, type SimNodeOptions, World } from "@etcd-ts/sim";
import type { Member, MemberOptions } from "../../src/index.ts";
import { type FakeCall, startUnary } from "./calls.ts";
import { CallError } from "./member-world.ts";

export interface ClusterSetup {
  readonly seed?: number;
  readonly member?: Partial<MemberOptions>;
  readonly seams?: NonNullable<SimNodeOptions["seams"]>;
  /** Virtual ms that a disk operation takes. */
  readonly diskMs?: number;
}

export class ClusterWorld {
  readonly world: World;
  readonly net: SimNet;
  readonly nodes: SimNode[] = [];
  readonly trace: string[] = [];
  /** `from>to` of directions in which nothing arrives. */
  readonly #cuts: Set<string> = new Set();
  readonly #setup: ClusterSetup;
  /** Called before a disk operation takes effect; may crash its node. */
  beforeDisk: (name: string, operation: DiskOperation) => void = () => {};
  /** Disks, by the names of their nodes, that answer nothing. */
  readonly hungDisks: Set<string> = new Set();

  constructor(setup: ClusterSetup = {}) {
    this.#setup = setup;
    this.world = new World(setup.seed ?? 1);
    this.net = new SimNet(this.world, {
      latencyMs: () => 0.5,
      isCut: (from, to) => this.#cuts.has(`${from}>${to}`),
    });
  }

  /** Members m1, m2, … that found a cluster together. */
  static async founded(count: number, setup: ClusterSetup = {}): Promise<ClusterWorld> {
    const cluster = new ClusterWorld(setup);
    const names = Array.from({ length: count }, (_, i) => `m${i + 1}`);
    for (const name of names) cluster.add(name, names);
    await cluster.complete(Promise.all(cluster.nodes.map((node) => node.start())), 20_000);
    return cluster;
  }

  /** A node that is not started yet. `names`: the initial cluster. */
  add(name: string, names: readonly string[], options: Partial<MemberOptions> = {}): SimNode {
    const node = new SimNode({
      world: this.world,
      net: this.net,
      member: {
        name,
        dataDir: "/data",
        initialCluster: names.map((it) => ({ name: it, peerUrls: [peerUrl(it)] })),
        initialAdvertisePeerUrls: [peerUrl(name)],
        advertiseClientUrls: [`http://${name}:2379`],
        ...this.#setup.member,
        ...options,
      },
      peerAddress: { kind: "tcp", host: name, port: 2380 },
      clientAddress: { kind: "tcp", host: name, port: 2379 },
      diskFaults: {
        latencyMs: () => this.#setup.diskMs ?? 0.2,
        hangs: () => this.hungDisks.has(name),
        before: (operation) => this.beforeDisk(name, operation),
      },
      ...(this.#setup.seams === undefined ? {} : { seams: this.#setup.seams }),
      trace: (line) => this.trace.push(line),
    });
    this.nodes.push(node);
    return node;
  }

  node(name: string): SimNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  run(ms: number): Promise<void> {
    return this.world.run(ms);
  }

  /** Fails unless `condition` comes true within so many virtual milliseconds. */
  async until(condition: () => boolean, ms: number, what: string): Promise<void> {
    if (await this.world.runUntil(condition, ms)) return;
    throw new Error(`not within ${ms} ms: ${what}\n${this.trace.slice(-60).join("\n")}`);
  }

  async complete<T>(promise: Promise<T>, ms: number): Promise<T> {
    try {
      return await this.world.complete(promise, ms);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.trace.slice(-60).join("\n")}`, {
        cause: error,
      });
    }
  }

  get running(): SimNode[] {
    return this.nodes.filter((node) => node.isRunning && node.member !== undefined);
  }

  /** The one that leads and is followed by a majority of those that run. */
  leader(): SimNode | undefined {
    return this.running.find(
      ({ member }) =>
        member!.isLeader &&
        this.running.filter((other) => other.member!.leaderId === member!.memberId).length * 2 >
          this.running.length,
    );
  }

  async elected(ms = 10_000): Promise<SimNode> {
    await this.until(() => this.leader() !== undefined, ms, "there is a leader");
    return this.leader()!;
  }

  followers(): SimNode[] {
    return this.running.filter((node) => !node.member!.isLeader);
  }

  /** Nothing gets from one to the other, both ways. */
  cut(a: SimNode, b: SimNode): void {
    this.#cuts.add(`${a.name}>${b.name}`);
    this.#cuts.add(`${b.name}>${a.name}`);
    this.net.cutsChanged();
  }

  isolate(node: SimNode): void {
    for (const other of this.nodes) if (other !== node) this.cut(node, other);
  }

  heal(): void {
    this.#cuts.clear();
    this.net.cutsChanged();
  }

  begin(
    node: SimNode,
    path: string,
    message: Uint8Array,
    headers: Record<string, string> = {},
  ): FakeCall {
    return startUnary(node.member!.methods, path, message, headers);
  }

  async answer(call: FakeCall, ms = 20_000): Promise<Uint8Array> {
    await this.until(() => call.ended, ms, `an answer to ${call.path}`);
    if (call.error !== undefined) throw new CallError(call.error.code, call.error.message);
    return call.response!;
  }

  call(node: SimNode, path: string, message: Uint8Array): Promise<Uint8Array> {
    return this.answer(this.begin(node, path, message));
  }

  beginPut(node: SimNode, key: string, value: string, lease = 0n): FakeCall {
    const request = new PutRequest();
    request.key = utf8ToBytes(key);
    request.value = utf8ToBytes(value);
    request.lease = lease;
    return this.begin(node, "/etcdserverpb.KV/Put", encodePutRequest(request));
  }

  /** The revision. */
  async put(node: SimNode, key: string, value: string, lease = 0n): Promise<number> {
    const bytes = await this.answer(this.beginPut(node, key, value, lease));
    return decodePutResponse(bytes).header!.revision;
  }

  beginGet(node: SimNode, key: string, serializable = false): FakeCall {
    const request = new RangeRequest();
    request.key = utf8ToBytes(key);
    request.serializable = serializable;
    return this.begin(node, "/etcdserverpb.KV/Range", encodeRangeRequest(request));
  }

  async get(node: SimNode, key: string, serializable = false): Promise<string | undefined> {
    const { kvs } = decodeRangeResponse(await this.answer(this.beginGet(node, key, serializable)));
    return kvs[0] === undefined ? undefined : Buffer.from(kvs[0].value).toString();
  }

  async compact(node: SimNode, revision: number): Promise<void> {
    const request = new CompactionRequest();
    request.revision = BigInt(revision);
    await this.call(node, "/etcdserverpb.KV/Compact", encodeCompactionRequest(request));
  }

  /** All that run have applied the same. */
  async settled(ms = 10_000): Promise<void> {
    await this.until(
      () => {
        const indexes = this.running.map(({ member }) => member!.appliedIndex);
        const commit = Math.max(...this.running.map(({ member }) => member!.commitIndex));
        return indexes.every((index) => index === commit);
      },
      ms,
      "all members have applied the same",
    );
  }

  /** The hash over the keys of a member at its revision. */
  hash(member: Member): string {
    const job = member.machine.hashKv(0n);
    while (!job.step(1000));
    return `${member.machine.revision}:${job.hash}`;
  }

  /** Stops all in good order. */
  async stop(): Promise<void> {
    this.heal();
    this.hungDisks.clear();
    await this.complete(Promise.all(this.nodes.map((node) => node.stop())), 60_000);
  }
}

export function peerUrl(name: string): string {
  return `http://${name}:2380`;
}
