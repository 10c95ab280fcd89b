// One member or several, each a process with ports of its own on loopback and a data directory below one folder.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { takePorts } from "@etcd-ts/node/testing";
import type { Contender } from "../contenders.ts";
import { EtcdProcess } from "./etcd-process.ts";

const startAttempts = 3;

export interface ClusterOptions {
  /** Holds the data directories; a second start on the same folder and ports is a restart. */
  readonly folder: string;
  readonly members?: number;
  /** Flags for each member beside those that make it one. */
  readonly args?: readonly string[];
  /** Clients come over TLS, with this certificate. */
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
  readonly ports?: readonly Ports[];
}

export interface Ports {
  readonly client: number;
  readonly peer: number;
}

export class Cluster {
  readonly contender: Contender;
  readonly folder: string;
  readonly ports: readonly Ports[];
  readonly #options: ClusterOptions;
  readonly #members: EtcdProcess[];
  #isEnded = false;

  private constructor(contender: Contender, options: ClusterOptions, ports: readonly Ports[]) {
    this.contender = contender;
    this.folder = options.folder;
    this.ports = ports;
    this.#options = options;
    this.#members = ports.map((_, index) => this.#spawn(index));
  }

  /** Starts all members and waits until each serves. When one does not, none is left running. */
  static async start(contender: Contender, options: ClusterOptions): Promise<Cluster> {
    for (let attempt = 1; ; attempt++) {
      const ports = options.ports ?? (await portsFor(options.members ?? 1));
      const cluster = new Cluster(contender, options, ports);
      try {
        await Promise.all(cluster.#members.map((member) => member.untilReady()));
        return cluster;
      } catch (error) {
        // Another process may have taken a port between our asking and the server's binding.
        const portLost = cluster.#members.some((it) => /address already in use/i.test(it.log));
        await cluster.kill();
        if (!portLost || options.ports !== undefined || attempt === startAttempts) throw error;
      }
    }
  }

  get size(): number {
    return this.#members.length;
  }

  get pids(): number[] {
    return this.#members.map((member) => member.pid);
  }

  /** `127.0.0.1:PORT` of each. */
  get endpoints(): string[] {
    return this.ports.map((it) => `127.0.0.1:${it.client}`);
  }

  get endpoint(): string {
    return this.endpoints[0] as string;
  }

  dataDir(index: number): string {
    return join(this.folder, memberName(index));
  }

  /** `kill -9` of one member. */
  async killMember(index: number): Promise<void> {
    await (this.#members[index] as EtcdProcess).kill();
  }

  async restartMember(index: number): Promise<void> {
    if (this.#isEnded) throw new Error("the cluster has been ended");
    const member = this.#spawn(index);
    this.#members[index] = member;
    await member.untilReady();
  }

  /** SIGTERM for all at once: a leader that hands over to one that is ending would only lose time. */
  async stop(): Promise<void> {
    this.#isEnded = true;
    await Promise.all(this.#members.map((member) => member.stop()));
  }

  async kill(): Promise<void> {
    this.#isEnded = true;
    await Promise.all(this.#members.map((member) => member.kill()));
  }

  #spawn(index: number): EtcdProcess {
    const { client, peer } = this.ports[index] as Ports;
    const { tls, args = [] } = this.#options;
    const clientUrl = `${tls === undefined ? "http" : "https"}://127.0.0.1:${client}`;
    const peerUrl = (port: number): string => `http://127.0.0.1:${port}`;
    const initial = this.ports.map((it, member) => `${memberName(member)}=${peerUrl(it.peer)}`);
    mkdirSync(this.folder, { recursive: true });
    return new EtcdProcess(this.contender, [
      ...["--name", memberName(index), "--data-dir", this.dataDir(index)],
      ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
      ...["--listen-peer-urls", peerUrl(peer), "--initial-advertise-peer-urls", peerUrl(peer)],
      ...["--initial-cluster", initial.join(","), "--initial-cluster-token", "bench"],
      ...(tls === undefined ? [] : ["--cert-file", tls.certificateFile, "--key-file", tls.keyFile]),
      ...args,
    ]);
  }
}

function memberName(index: number): string {
  return `m${index + 1}`;
}

/** A client's and a peer's port for each member. */
async function portsFor(members: number): Promise<Ports[]> {
  const ports = await takePorts(2 * members);
  return Array.from({ length: members }, (_, n) => ({
    client: ports[2 * n] as number,
    peer: ports[2 * n + 1] as number,
  }));
}
