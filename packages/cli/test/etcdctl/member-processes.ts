// Members as processes: a cluster of a stock release, or of this checkout.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { takePort } from "@etcd-ts/node/testing";

/** Our server, found from the compiled test. */
export const oursEtcd: string = fileURLToPath(new URL("../../../../../bin/etcd", import.meta.url));

export interface StockRelease {
  readonly etcd: string;
  readonly etcdctl: string;
}

/**
 * A stock release of 3.5, whose words are nearly those of the release that we follow: the first in the folders of
 * ETCD_TS_STOCK_DIRS and of PATH. Undefined when there is none.
 */
export function findStock35(): StockRelease | undefined {
  const folders = [
    ...(process.env["ETCD_TS_STOCK_DIRS"] ?? "").split(delimiter),
    ...(process.env["PATH"] ?? "").split(delimiter),
  ];
  for (const folder of folders) {
    if (folder === "") continue;
    const release = { etcd: join(folder, "etcd"), etcdctl: join(folder, "etcdctl") };
    if (!existsSync(release.etcd) || !existsSync(release.etcdctl)) continue;
    if (/^etcd Version: 3\.5\./.test(execFileSync(release.etcd, ["--version"]).toString())) {
      return release;
    }
  }
  return undefined;
}

export const stock35: StockRelease | undefined = findStock35();

/** For `test(name, { skip })`. */
export const skipWithoutStock35: string | false =
  stock35 === undefined
    ? "no stock etcd 3.5 (with its etcdctl) in $ETCD_TS_STOCK_DIRS or on PATH"
    : false;

export interface MemberPlan {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
}

export class MemberProcess {
  readonly plan: MemberPlan;
  readonly #program: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  constructor(program: string, plan: MemberPlan, folder: string, more: readonly string[]) {
    this.plan = plan;
    this.#program = program;
    this.#args = [
      `--name=${plan.name}`,
      `--data-dir=${join(folder, plan.name)}`,
      `--listen-client-urls=http://${this.endpoint}`,
      `--advertise-client-urls=http://${this.endpoint}`,
      `--listen-peer-urls=http://127.0.0.1:${plan.peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${plan.peerPort}`,
      "--unsafe-no-fsync",
      ...more,
    ];
  }

  get endpoint(): string {
    return `127.0.0.1:${this.plan.clientPort}`;
  }

  /** Starts it and waits until it serves clients, which a member of several does once there is a leader. */
  async start(): Promise<void> {
    const child = spawn(this.#program, this.#args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env["PATH"] ?? "" },
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      let said: string | undefined = "";
      child.stderr?.on("data", (chunk: Buffer) => {
        if (said === undefined) return;
        said += chunk.toString();
        if (!/serving (insecure )?client (requests|traffic)/.test(said)) return;
        said = undefined;
        resolve();
      });
      child.once("error", reject);
      child.once("exit", () => reject(new Error(`${this.plan.name} ended:\n${said ?? ""}`)));
    });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exited;
  }
}

export class MemberProcesses {
  readonly members: MemberProcess[];
  readonly folder: string;
  readonly #program: string;
  readonly #flags: readonly string[];

  private constructor(
    program: string,
    flags: readonly string[],
    members: MemberProcess[],
    folder: string,
  ) {
    this.#program = program;
    this.#flags = flags;
    this.members = members;
    this.folder = folder;
  }

  static async start(
    program: string,
    size: number,
    flags: readonly string[] = [],
  ): Promise<MemberProcesses> {
    const folder = mkdtempSync(join(tmpdir(), "etcd-ts-members-"));
    const plans: MemberPlan[] = [];
    for (let i = 0; i < size; i++) {
      plans.push({ name: `m${i}`, clientPort: await takePort(), peerPort: await takePort() });
    }
    const initial = plans.map((it) => `${it.name}=http://127.0.0.1:${it.peerPort}`).join(",");
    const members = plans.map(
      (it) => new MemberProcess(program, it, folder, [`--initial-cluster=${initial}`, ...flags]),
    );
    const cluster = new MemberProcesses(program, flags, members, folder);
    try {
      await Promise.all(members.map((it) => it.start()));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** Starts another member; `add` makes it known and gives the value of `--initial-cluster`. */
  async join(add: (name: string, peerUrl: string) => Promise<string>): Promise<MemberProcess> {
    const name = `m${this.members.length}`;
    const plan = { name, clientPort: await takePort(), peerPort: await takePort() };
    const initial = await add(name, `http://127.0.0.1:${plan.peerPort}`);
    const member = new MemberProcess(this.#program, plan, this.folder, [
      ...[`--initial-cluster=${initial}`, "--initial-cluster-state=existing"],
      ...this.#flags,
    ]);
    this.members.push(member);
    await member.start();
    return member;
  }

  get endpoints(): string[] {
    return this.members.map((it) => it.endpoint);
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((it) => it.kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
