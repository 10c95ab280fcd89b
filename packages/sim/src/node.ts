// A machine of the virtual world with a member on it: what survives a crash of it (the disk, and what the
// backend had committed), and what does not (everything else).

import type { NetAddress } from "@etcd-ts/base";
import { Channel, RpcServer } from "@etcd-ts/rpc";
import { createLeasePart, createWatchPart, Member, type MemberOptions } from "@etcd-ts/server";
import { DurableCell, MemoryBackend } from "@etcd-ts/storage";
import { type CrashMode, type DiskFaults, SimDisk } from "./disk.ts";
import { SimHost } from "./host.ts";
import type { SimNet } from "./net.ts";
import type { World } from "./world.ts";

export interface SimNodeOptions {
  readonly world: World;
  readonly net: SimNet;
  readonly member: MemberOptions;
  readonly clientAddress: NetAddress;
  readonly diskFaults: DiskFaults;
  /** Virtual time until a commit of the backend is durable. */
  readonly commitDelayMs?: number;
  readonly trace?: (line: string) => void;
}

interface Life {
  readonly host: SimHost;
  member: Member | undefined;
  rpc: RpcServer | undefined;
}

export class SimNode {
  readonly name: string;
  readonly disk: SimDisk = new SimDisk();
  readonly #cell: DurableCell = new DurableCell();
  readonly #options: SimNodeOptions;
  #life: Life | undefined;
  /** Why the member of the present life stopped by itself. */
  failure: Error | undefined;

  constructor(options: SimNodeOptions) {
    this.name = options.member.name;
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#life !== undefined;
  }

  get member(): Member | undefined {
    return this.#life?.member;
  }

  /** Starts a life on what the disk holds; settles when clients are served. */
  async start(): Promise<void> {
    const { world, net, member, diskFaults, trace } = this.#options;
    const host = new SimHost({
      name: this.name,
      world,
      net,
      disk: this.disk,
      diskFaults,
      ...(trace === undefined ? {} : { trace }),
    });
    const life: Life = { host, member: undefined, rpc: undefined };
    this.#life = life;
    this.failure = undefined;
    life.member = await Member.open({
      host,
      options: member,
      openBackend: async () =>
        new MemoryBackend({
          timers: host.timers,
          cell: this.#cell,
          commitDelayMs: this.#options.commitDelayMs ?? 5,
        }),
      createParts: (context) => [createWatchPart(context), createLeasePart(context)],
      onFailed: (error) => {
        if (this.#life === life) this.failure = error;
      },
    });
    await life.member.ready();
    life.rpc = new RpcServer({ host, methods: life.member.methods });
    await life.rpc.serve(this.#options.clientAddress);
  }

  /** Pulls the plug: `surviving` decides how many commits of the backend in flight made it. */
  crash(mode: CrashMode): void {
    const { random } = this.#options.world;
    this.#life?.host.kill();
    this.#life = undefined;
    this.disk.crash(mode, random);
    this.#cell.crash(random.below(this.#cell.inFlightCount + 1));
  }

  /** Ends in good order. */
  async stop(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    await life.rpc?.close({ graceMs: 0 });
    await life.member?.stop();
    life.host.kill();
    this.#life = undefined;
  }

  /** A client's connection from a host of its own. */
  connect(client: SimHost): Channel {
    return new Channel({ host: client, address: this.#options.clientAddress });
  }
}
