// Stock programs for comparison: etcd and etcdctl, when this machine has them.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { takePort } from "@etcd-ts/node/testing";

/** Path of a program: what the variable says, else the first on PATH; undefined when there is none. */
export function findProgram(name: string, variable: string): string | undefined {
  const given = process.env[variable];
  if (given !== undefined && given !== "") return given;
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, name);
    if (folder !== "" && existsSync(path)) return path;
  }
  return undefined;
}

export const stockEtcd: string | undefined = findProgram("etcd", "ETCD_BIN");
export const stockEtcdctl: string | undefined = findProgram("etcdctl", "ETCDCTL_BIN");

/** For `test(name, { skip })`: why it cannot run here; false when it can. */
export const skipWithoutServer: string | false =
  stockEtcd === undefined ? "no stock etcd on PATH or in $ETCD_BIN" : false;
export const skipWithoutBoth: string | false =
  skipWithoutServer === false && stockEtcdctl === undefined
    ? "no stock etcdctl on PATH or in $ETCDCTL_BIN"
    : skipWithoutServer;

export interface StockServer {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** Starts a member with an empty store on free ports. */
export async function startStockServer(extra: readonly string[] = []): Promise<StockServer> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-ts-stock-"));
  const [clientPort, peerPort] = await Promise.all([takePort(), takePort()]);
  const endpoint = `127.0.0.1:${clientPort}`;
  const child = spawn(
    stockEtcd as string,
    [
      `--data-dir=${folder}/data`,
      `--listen-client-urls=http://${endpoint}`,
      `--advertise-client-urls=http://${endpoint}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
      "--unsafe-no-fsync",
      ...extra,
    ],
    { stdio: ["ignore", "ignore", "pipe"], env: { PATH: process.env["PATH"] ?? "" } },
  );
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await exited;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilReady(child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, stop };
}

/** Waits for the log line with which a member says that it serves. */
function untilReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      if (said === undefined) return;
      said += chunk.toString();
      if (/serving (insecure )?client (requests|traffic)/.test(said)) {
        said = "";
        resolve();
      }
    });
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`the stock member ended:\n${said}`)));
  });
}

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Output is taken as latin1, byte for byte. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: { readonly stdin?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      {
        encoding: "latin1",
        timeout: 60_000,
        env: { PATH: process.env["PATH"] ?? "", ...options.env },
      },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : error.code;
        if (typeof status === "number") resolve({ status, stdout, stderr });
        else reject(error);
      },
    );
    // A program that ends without reading its input breaks the pipe; its output tells what happened.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.stdin ?? "", "latin1");
  });
}
