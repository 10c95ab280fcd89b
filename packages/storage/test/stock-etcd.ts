// Stock etcd programs found on PATH or in the folders that ETCD_TS_STOCK_DIRS lists, or beside $ETCD_BIN.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { takePort } from "@etcd-ts/node/testing";

export interface StockRelease {
  readonly version: string;
  readonly folder: string;
}

export const noStockReason =
  "no stock etcd on PATH, in ETCD_TS_STOCK_DIRS or at ETCD_BIN (Debian: etcd-server, etcd-client)";

/** One entry per release at hand. */
export function stockReleases(): StockRelease[] {
  const own = process.env["ETCD_BIN"];
  const folders = [
    ...(own === undefined ? [] : [dirname(own)]),
    ...(process.env["ETCD_TS_STOCK_DIRS"] ?? "").split(delimiter),
    ...(process.env["PATH"] ?? "").split(delimiter),
  ];
  const found = new Map<string, StockRelease>();
  for (const folder of folders) {
    if (folder === "" || !isExecutable(join(folder, "etcd"))) continue;
    const text = execFileSync(join(folder, "etcd"), ["--version"], { encoding: "utf8" });
    const version = /etcd Version: (\S+)/.exec(text)?.[1];
    // Ours has no Go in it.
    if (version === undefined || !text.includes("Go Version: go") || found.has(version)) continue;
    found.set(version, { version, folder });
  }
  return [...found.values()];
}

/** What `snapshot status` of a release says of a file, or how it refuses it. */
export function snapshotStatus(release: StockRelease, path: string): Record<string, number> {
  const etcdutl = join(release.folder, "etcdutl");
  const program = isExecutable(etcdutl) ? etcdutl : join(release.folder, "etcdctl");
  const text = execFileSync(program, ["snapshot", "status", path, "--write-out", "json"], {
    encoding: "utf8",
    env: { ...process.env, ETCDCTL_API: "3" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  return JSON.parse(text);
}

/** A member of its own on 127.0.0.1, spoken to through the JSON gateway. */
export class StockMember {
  readonly #child: ChildProcess;
  readonly #url: string;
  readonly #exited: Promise<unknown>;
  #output = "";

  static async start(
    release: StockRelease,
    dataDir: string,
    args: string[] = [],
  ): Promise<StockMember> {
    const [client, peer] = [await takePort(), await takePort()];
    const member = new StockMember(release, dataDir, client, peer, args);
    await member.#ready();
    return member;
  }

  private constructor(
    release: StockRelease,
    dataDir: string,
    client: number,
    peer: number,
    args: string[],
  ) {
    this.#url = `http://127.0.0.1:${client}`;
    const peerUrl = `http://127.0.0.1:${peer}`;
    this.#child = spawn(
      join(release.folder, "etcd"),
      [
        ...["--name", "m1", "--data-dir", dataDir],
        ...["--listen-client-urls", this.#url, "--advertise-client-urls", this.#url],
        ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
        ...["--initial-cluster", `m1=${peerUrl}`],
        ...args,
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    this.#child.stderr?.on("data", (text) => {
      this.#output += text;
    });
    this.#exited = new Promise((resolve) => this.#child.once("exit", resolve));
  }

  async post(path: string, body: unknown): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.#url}${path}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  }

  async put(key: string, value: string): Promise<void> {
    await this.post("/v3/kv/put", { key: base64(key), value: base64(value) });
  }

  async get(key: string): Promise<string | undefined> {
    const answer = await this.post("/v3/kv/range", { key: base64(key) });
    const [pair] = (answer["kvs"] ?? []) as { value?: string }[];
    return pair === undefined ? undefined : Buffer.from(pair.value ?? "", "base64").toString();
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#exited;
  }

  async #ready(): Promise<void> {
    const endMs = performance.now() + 60_000;
    while (performance.now() < endMs && this.#child.exitCode === null) {
      try {
        await this.get("health");
        return;
      } catch {
        // Not yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await this.stop();
    throw new Error(`stock etcd does not come up: ${this.#output.slice(-3000)}`);
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
