// Members of one cluster as processes, for the tests, and `etcdctl` to ask them.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { takePorts } from "@etcd-ts/node/testing";
import type { DaemonProcess } from "./daemon-process.ts";

const etcdctl = fileURLToPath(new URL("../../../../../bin/etcdctl", import.meta.url));

export type Start = (args: readonly string[]) => DaemonProcess;

export interface PlannedMember {
  readonly name: string;
  readonly dataDir: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
}

/** `m1`, `m2`, …, with folders below `directory`. */
export async function planMembers(
  directory: string,
  count: number,
  peerScheme: "http" | "https" = "http",
): Promise<PlannedMember[]> {
  const ports = await takePorts(2 * count);
  return Array.from({ length: count }, (_, i) => ({
    name: `m${i + 1}`,
    dataDir: `${directory}/m${i + 1}`,
    peerUrl: `${peerScheme}://127.0.0.1:${ports[2 * i]}`,
    clientUrl: `http://127.0.0.1:${ports[2 * i + 1]}`,
  }));
}

export function clusterFlags(
  member: PlannedMember,
  founders: readonly PlannedMember[],
  ...more: string[]
): string[] {
  return [
    `--name=${member.name}`,
    `--data-dir=${member.dataDir}`,
    `--listen-peer-urls=${member.peerUrl}`,
    `--initial-advertise-peer-urls=${member.peerUrl}`,
    `--listen-client-urls=${member.clientUrl}`,
    `--advertise-client-urls=${member.clientUrl}`,
    `--initial-cluster=${founders.map((each) => `${each.name}=${each.peerUrl}`).join(",")}`,
    ...more,
  ];
}

/** What `etcdctl` prints; rejects with its standard error when it fails. */
export function ctl(endpoint: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const environment = { PATH: process.env["PATH"] ?? "" };
    const all = ["--endpoints", endpoint, "--dial-timeout=60s", "--command-timeout=60s", ...args];
    execFile(etcdctl, all, { env: environment, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout.trimEnd());
      else reject(new Error(`etcdctl ${all.join(" ")}: ${stderr || error.message}`));
    });
  });
}

/**
 * One after the other: a leader that stops hands its leadership on, and would wait for a successor that stops
 * as well.
 */
export async function stopAll(daemons: readonly DaemonProcess[]): Promise<void> {
  for (const daemon of daemons) {
    const { exitCode, stderr } = await daemon.stop();
    if (exitCode !== 0) throw new Error(`exit status ${exitCode}:\n${stderr}${daemon.text()}`);
  }
}

/** Waits for what must come true soon. */
export async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within 60 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Of a member's `/metrics`. */
export async function metric(member: PlannedMember, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${member.clientUrl}/metrics`)).text();
  const found = text.split("\n").find((line) => line.startsWith(`${name} `));
  return found === undefined ? undefined : Number(found.slice(name.length + 1));
}
