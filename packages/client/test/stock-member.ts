// A stock etcd for tests, when this machine has one.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { takePort } from "@etcd-ts/node/testing";
import { Client } from "../src/index.ts";

export interface StockMember {
  readonly endpoint: string;
  stop(): Promise<void>;
}

const program = ((): string | undefined => {
  const given = process.env["ETCD_BIN"];
  if (given !== undefined && given !== "") return given;
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((it) => it !== "");
  return folders.map((it) => join(it, "etcd")).find((it) => existsSync(it));
})();

export const stockMember: {
  /** For `test(name, { skip })`. */
  readonly skip: string | false;
  /** Starts one with an empty store; it serves when this resolves. */
  start(): Promise<StockMember>;
} = {
  skip: program === undefined ? "no stock etcd on PATH or in $ETCD_BIN" : false,
  async start() {
    const folder = mkdtempSync(join(tmpdir(), "etcd-ts-client-"));
    const [clientPort, peerPort] = await Promise.all([takePort(), takePort()]);
    const endpoint = `127.0.0.1:${clientPort}`;
    const child = spawn(
      program as string,
      [
        `--data-dir=${folder}/data`,
        `--listen-client-urls=http://${endpoint}`,
        `--advertise-client-urls=http://${endpoint}`,
        `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
        `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
        `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
        "--unsafe-no-fsync",
      ],
      { stdio: "ignore", env: { PATH: process.env["PATH"] ?? "" } },
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
      await using client = new Client({ endpoints: [endpoint] });
      await client.get("ready", { timeoutMs: 60_000 });
    } catch (error) {
      await stop();
      throw error;
    }
    return { endpoint, stop };
  },
};
