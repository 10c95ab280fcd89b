// One member of a cluster as a process: ours or stock, started, stopped, killed and frozen at will. What it
// writes goes to a file beside its data folder, which is searched for panics afterwards.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { StatusResponse } from "@etcd-ts/api";
import { Client } from "@etcd-ts/client";
import type { Programs } from "../programs.ts";
import { withoutEtcdVariables } from "../server-process.ts";
import { eventually, pause } from "./waiting.ts";

const stopTimeoutMs = 60_000;
const bindAttempts = 50;
const bindPauseMs = 200;

/** What a process that ran into a bug of its own leaves on stderr. */
const panics =
  /^panic: .*|^fatal error: .*|.*"level":"(?:panic|fatal|dpanic)".*|^\S+ \S+ C \| .*|^.*InvariantError.*|^.*"msg":"member failed".*|^Uncaught .*|^.*[Uu]nhandled .*rejection.*/m;
const addressInUse = /address already in use|EADDRINUSE/;

export interface MemberSpec {
  readonly name: string;
  readonly programs: Programs;
  /** Holds the data directory and the log. */
  readonly folder: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** What the other members dial: the listener itself, or a proxy before it. */
  readonly peerUrl: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How a member comes to its cluster. */
export interface StartAs {
  readonly initialCluster: string;
  readonly state: "new" | "existing";
}

export class ClusterMember {
  readonly spec: MemberSpec;
  readonly dataDir: string;
  readonly logFile: string;
  /** Its programs may be replaced between two starts. */
  programs: Programs;
  /** Whether it may end by itself: a member that was removed does. */
  mayEnd = false;
  #as: StartAs | undefined;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #ending = false;
  #client: Client | undefined;

  constructor(spec: MemberSpec) {
    this.spec = spec;
    this.programs = spec.programs;
    this.dataDir = join(spec.folder, spec.name);
    this.logFile = join(spec.folder, `${spec.name}.log`);
  }

  get name(): string {
    return this.spec.name;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  get endpoint(): string {
    return `127.0.0.1:${this.spec.clientPort}`;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.name} is not running`);
    return pid;
  }

  /** A client of this member alone. */
  get client(): Client {
    this.#client ??= new Client({ endpoints: [this.endpoint] });
    return this.#client;
  }

  /** Starts the process; `as` says how the first time. It need not serve yet when this resolves. */
  async start(as?: StartAs): Promise<void> {
    this.#as = as ?? this.#as;
    if (this.#as === undefined) throw new Error(`${this.name} was never started`);
    for (let attempt = 1; ; attempt++) {
      const before = this.log().length;
      this.#spawn(this.#as);
      await pause(attempt === 1 ? 0 : bindPauseMs);
      const lost = await this.#lostItsPort(before);
      if (!lost) return;
      if (attempt === bindAttempts) throw new Error(`${this.name}: its port stays taken`);
    }
  }

  /** SIGTERM, and waits for the end. Throws when it does not end in time. */
  async stop(): Promise<void> {
    const child = this.#take();
    if (child === undefined) return;
    child.kill("SIGTERM");
    const inTime = await Promise.race([
      this.#exited.then(() => true),
      pause(stopTimeoutMs).then(() => false),
    ]);
    if (inTime) return;
    child.kill("SIGKILL");
    await this.#exited;
    throw new Error(`${this.name} did not end within ${stopTimeoutMs / 1000} s of SIGTERM`);
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    const child = this.#take();
    if (child === undefined) return;
    child.kill("SIGCONT"); // a frozen process is killed as well, but would be reaped late
    child.kill("SIGKILL");
    await this.#exited;
  }

  freeze(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  thaw(): void {
    process.kill(this.pid, "SIGCONT");
  }

  /** Waits until the process ends by itself, as one that was removed does. */
  async ended(timeoutMs: number): Promise<void> {
    await eventually(`${this.name} ends by itself`, timeoutMs, () =>
      Promise.resolve(this.running ? undefined : true),
    );
  }

  status(timeoutMs = 1_000): Promise<StatusResponse> {
    return this.client.maintenance.status({ timeoutMs });
  }

  /** Everything that the process wrote to stderr since the beginning. */
  log(): string {
    try {
      return readFileSync(this.logFile, "utf8");
    } catch {
      return ""; // it was never started
    }
  }

  /** The first line that tells of a panic. */
  panic(): string | undefined {
    return panics.exec(this.log())?.[0];
  }

  /** The values of a metric, by its labels as they are written. */
  async metric(name: string): Promise<Map<string, number>> {
    const response = await fetch(`http://${this.endpoint}/metrics`);
    const values = new Map<string, number>();
    for (const line of (await response.text()).split("\n")) {
      const found = /^(\w+)(\{.*\})? (\S+)$/.exec(line);
      if (found?.[1] === name) values.set(found[2] ?? "", Number(found[3]));
    }
    return values;
  }

  /** Sum of a metric over its labels; 0 when it is not there. */
  async metricSum(name: string): Promise<number> {
    let sum = 0;
    for (const value of (await this.metric(name)).values()) sum += value;
    return sum;
  }

  /** Forgets the data: the next start is that of a fresh member. */
  wipe(): void {
    if (this.running) throw new Error(`${this.name} is running`);
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  /** Ends everything of this member. */
  async close(): Promise<void> {
    this.#client?.close();
    this.#client = undefined;
    await this.kill();
  }

  #take(): ChildProcess | undefined {
    this.#ending = true;
    return this.#child;
  }

  #spawn(as: StartAs): void {
    if (this.#child !== undefined) throw new Error(`${this.name} is running already`);
    this.#ending = false;
    const { clientPort, peerPort, peerUrl, name } = this.spec;
    const clientUrl = `http://127.0.0.1:${clientPort}`;
    const args = [
      ...["--name", name, "--data-dir", this.dataDir],
      ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
      ...["--listen-peer-urls", `http://127.0.0.1:${peerPort}`],
      ...["--initial-advertise-peer-urls", peerUrl, "--initial-cluster", as.initialCluster],
      ...["--initial-cluster-state", as.state],
      ...this.spec.args,
      // What the oldest release calls its structured log is the only one of the newer ones.
      ...(this.programs.version.startsWith("3.4.") ? ["--logger", "zap"] : []),
    ];
    const log = openSync(this.logFile, "a");
    const child = spawn(this.programs.etcd, args, {
      stdio: ["ignore", "ignore", log],
      env: { ...withoutEtcdVariables(process.env), ...this.spec.env },
    });
    closeSync(log);
    live.add(child);
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      const gone = (): void => {
        live.delete(child);
        if (this.#child === child) this.#child = undefined;
        resolve();
      };
      child.once("exit", gone);
      child.once("error", gone);
    });
  }

  /** Whether it ended at once since another process has its port. */
  async #lostItsPort(logStart: number): Promise<boolean> {
    // Binding is among the first things that a member does; a cluster of processes takes longer than this
    // to be of use anyway.
    for (let n = 0; n < 10 && this.#child !== undefined; n++) await pause(10);
    return this.#child === undefined && addressInUse.test(this.log().slice(logStart));
  }

  /** Why it is not running although nobody ended it; undefined when all is well. */
  unexpectedEnd(): string | undefined {
    if (this.running || this.#ending || this.mayEnd || this.#as === undefined) return undefined;
    return `${this.name} (${this.programs.name}) ended by itself:\n${this.log().slice(-2_000)}`;
  }
}

/** Processes that must not outlive this one. */
const live = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of live) child.kill("SIGKILL");
});
