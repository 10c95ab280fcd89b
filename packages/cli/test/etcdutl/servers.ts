// Servers and tools as processes, of this checkout and of stock releases, for what goes from one to the other.

import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { takePort } from "@etcd-ts/node/testing";

/** The programs of one release. */
export interface Release {
  readonly version: string;
  readonly etcd: string;
  readonly etcdctl: string;
  /** Does `snapshot restore` and `snapshot status`: etcdutl, in 3.4 etcdctl. */
  readonly restorer: string;
}

function bin(name: string): string {
  return fileURLToPath(new URL(`../../../../../bin/${name}`, import.meta.url));
}

export const ours: Release = {
  version: "ours",
  etcd: bin("etcd"),
  etcdctl: bin("etcdctl"),
  restorer: bin("etcdutl"),
};

/** Each version once, from $ETCD_BIN, $ETCD_TS_STOCK_DIRS and PATH. */
export function stockReleases(): Release[] {
  const given = process.env["ETCD_BIN"] ?? "";
  const folders = [
    ...(given === "" ? [] : [dirname(given)]),
    ...(process.env["ETCD_TS_STOCK_DIRS"] ?? "").split(delimiter),
    ...(process.env["PATH"] ?? "").split(delimiter),
  ];
  const found = new Map<string, Release>();
  for (const folder of folders) {
    const [etcd, etcdctl] = [join(folder, "etcd"), join(folder, "etcdctl")];
    if (folder === "" || !existsSync(etcd) || !existsSync(etcdctl)) continue;
    const text = execFileSync(etcd, ["--version"], { encoding: "utf8" });
    const version = /^etcd Version: (\S+)/.exec(text)?.[1];
    // Ours has no Go in it.
    if (version === undefined || !text.includes("Go Version") || found.has(version)) continue;
    const etcdutl = join(folder, "etcdutl");
    const restorer = version.startsWith("3.4.") ? etcdctl : etcdutl;
    if (existsSync(restorer)) found.set(version, { version, etcd, etcdctl, restorer });
  }
  return [...found.values()];
}

export const noStock =
  "no stock etcd and etcdctl on PATH, in $ETCD_TS_STOCK_DIRS or beside $ETCD_BIN";

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function runTool(program: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const env = {
      PATH: process.env["PATH"] ?? "",
      TZ: "UTC",
      ETCDCTL_API: "3",
      // So that no pause of the machine is an error of a command.
      ETCDCTL_DIAL_TIMEOUT: "60s",
      ETCDCTL_COMMAND_TIMEOUT: "60s",
    };
    execFile(program, args, { env, timeout: 120_000 }, (error, stdout, stderr) => {
      const status = error === null ? 0 : error.code;
      if (typeof status === "number") resolve({ status, stdout, stderr });
      else reject(error);
    });
  });
}

/** Standard output of a run that must succeed. */
export async function output(program: string, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runTool(program, args);
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${status}\n${stdout}${stderr}`);
  return stdout;
}

export interface Addresses {
  readonly client: string;
  readonly peerUrl: string;
}

export async function freeAddresses(): Promise<Addresses> {
  const [client, peer] = [await takePort(), await takePort()];
  return { client: `127.0.0.1:${client}`, peerUrl: `http://127.0.0.1:${peer}` };
}

/** One member, alone in its cluster, named "m". */
export class Server {
  readonly addresses: Addresses;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #said = "";

  static async start(release: Release, dataDir: string, addresses: Addresses): Promise<Server> {
    const server = new Server(release, dataDir, addresses);
    await server.#healthy();
    return server;
  }

  private constructor(release: Release, dataDir: string, addresses: Addresses) {
    const { client, peerUrl } = addresses;
    this.addresses = addresses;
    this.#child = spawn(
      release.etcd,
      [
        ...["--name", "m", "--data-dir", dataDir],
        ...["--listen-client-urls", `http://${client}`],
        ...["--advertise-client-urls", `http://${client}`],
        ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
        ...["--initial-cluster", `m=${peerUrl}`],
      ],
      { stdio: ["ignore", "ignore", "pipe"], env: { PATH: process.env["PATH"] ?? "" } },
    );
    this.#child.stderr?.on("data", (chunk) => {
      this.#said = (this.#said + String(chunk)).slice(-4000);
    });
    this.#ended = new Promise((resolve) => this.#child.once("exit", resolve));
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGTERM");
    }
    await this.#ended;
  }

  async #healthy(): Promise<void> {
    const endMs = performance.now() + 60_000;
    while (performance.now() < endMs && this.#child.exitCode === null) {
      const text = await fetch(`http://${this.addresses.client}/health`).then(
        (answer) => answer.text(),
        () => "",
      );
      if (/"health":\s*"true"/.test(text)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await this.stop();
    throw new Error(`the member does not come up: ${this.#said}`);
  }
}
