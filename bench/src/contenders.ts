// Who is measured: this checkout, and a stock etcd beside it.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { noStockReason, ours as oursPrograms, stockReleases } from "@etcd-ts/conformance";

export interface Contender {
  readonly side: "ours" | "stock";
  /** "etcd-ts", "stock 3.5.30". */
  readonly name: string;
  readonly version: string;
  readonly etcd: string;
  readonly etcdctl: string;
}

export const ours: Contender = { ...oursPrograms, side: "ours", name: "etcd-ts" };

export interface Chosen {
  readonly contenders: readonly Contender[];
  /** Why there is nothing to compare with. */
  readonly missing: string | undefined;
}

export function chooseContenders(
  only: "ours" | "stock" | undefined,
  env: NodeJS.ProcessEnv,
): Chosen {
  if (only === "ours") return { contenders: [ours], missing: undefined };
  const stock = chooseStock(env);
  if (stock !== undefined) {
    return { contenders: only === "stock" ? [stock] : [ours, stock], missing: undefined };
  }
  if (only === "stock") throw new Error(noStockReason);
  return { contenders: [ours], missing: noStockReason };
}

/** `$ETCD_BIN` (any program with etcd's flags: another release, or another build of ours), else the newest stock release at hand. */
function chooseStock(env: NodeJS.ProcessEnv): Contender | undefined {
  const named = env["ETCD_BIN"];
  if (named === undefined || named === "") {
    const newest = stockReleases().at(-1);
    return newest === undefined ? undefined : { ...newest, side: "stock" };
  }
  if (!existsSync(named)) throw new Error(`$ETCD_BIN names ${named}, which does not exist`);
  const text = execFileSync(named, ["--version"], { encoding: "utf8" });
  const version = /etcd Version: (\S+)/.exec(text)?.[1];
  if (version === undefined) throw new Error(`$ETCD_BIN: ${named} --version names no etcd version`);
  const isStock = /Go Version: go/.test(text);
  return {
    side: "stock",
    name: isStock ? `stock ${version}` : `${named} ${version}`,
    version,
    etcd: named,
    etcdctl: etcdctlBeside(named, env),
  };
}

function etcdctlBeside(etcd: string, env: NodeJS.ProcessEnv): string {
  const folders = [dirname(etcd), ...(env["PATH"] ?? "").split(delimiter)];
  const found = folders.map((it) => join(it, "etcdctl")).find((it) => existsSync(it));
  // Only the scenario of etcdctl needs it, and says so when it does not start.
  return found ?? "etcdctl";
}
