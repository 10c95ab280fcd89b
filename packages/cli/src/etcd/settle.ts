// From the flags to what the member really uses: defaults that depend on each other, the addresses to
// advertise, the initial cluster.

import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { NodeLog } from "@etcd-ts/node";
import { formatDuration } from "../shared/go-duration.ts";
import { splitHostPort } from "../shared/go-url.ts";
import type { Config, ParsedConfig } from "./config.ts";
import { flagsByName } from "./flag-table.ts";
import { type EtcdUrl, hostnameOf, parseUrl, parseUrlList } from "./url.ts";

/** Nanoseconds: streams between members are kept alive by something every 1.7 seconds. */
const raftTimeoutMin = 5_000_000_000n;
const watchProgressMin = 100_000_000n;

export interface SettledCluster {
  readonly name: string;
  readonly peerUrls: readonly string[];
}

/** The configuration with the addresses and the cluster that follow from it. */
export function settleDefaults(parsed: ParsedConfig, log: NodeLog): ParsedConfig {
  const { config, given } = parsed;
  const changes: { -readonly [K in keyof Config]?: Config[K] } = {};
  const host = defaultHost();
  if (host !== undefined) {
    const peers = advertised(config, "initial-advertise-peer-urls", "listen-peer-urls", host);
    const clients = advertised(config, "advertise-client-urls", "listen-client-urls", host);
    if (peers !== undefined) changes["initial-advertise-peer-urls"] = peers;
    if (clients !== undefined) changes["advertise-client-urls"] = clients;
    if (peers !== undefined || clients !== undefined) {
      log.info("detected default host for advertise", { host });
    }
  }
  const discovery = config["discovery-srv"] !== "" || config["discovery-endpoints"].length > 0;
  if (discovery && !given.has("initial-cluster")) {
    changes["initial-cluster"] = "";
  } else if (config.name !== "default" && isDefaultCluster(config)) {
    // Only the name was given: the cluster is this member.
    const urls = changes["initial-advertise-peer-urls"] ?? config["initial-advertise-peer-urls"];
    changes["initial-cluster"] = urls.map((url) => `${config.name}=${url.text}`).join(",");
  }
  if (config["data-dir"] === "") {
    const dataDir = `${config.name}.etcd`;
    log.warn("'data-dir' was empty; using default", { "data-dir": dataDir });
    changes["data-dir"] = dataDir;
  }
  for (const name of ["raft-read-timeout", "raft-write-timeout"] as const) {
    if (config[name] >= raftTimeoutMin) continue;
    log.info(`${name} increased to minimum value: ${formatDuration(raftTimeoutMin)}`);
    changes[name] = raftTimeoutMin;
  }
  const progress = config["watch-progress-notify-interval"];
  if (progress !== 0n && progress < watchProgressMin) {
    log.warn("watch progress notify interval is too short; using the minimum", {
      given: formatDuration(progress),
      minimum: formatDuration(watchProgressMin),
    });
    changes["watch-progress-notify-interval"] = watchProgressMin;
  }
  if (config["quota-backend-bytes"] === 0) changes["quota-backend-bytes"] = 2 ** 31;
  return { ...parsed, config: { ...config, ...changes } };
}

/** The members that `--initial-cluster` names, in its order. Throws `UrlError`. */
export function parseInitialCluster(text: string): readonly SettledCluster[] {
  const members = new Map<string, string[]>();
  for (const part of text.split(",")) {
    const word = part.trim();
    if (word === "") continue;
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const url = equals < 0 ? "" : word.slice(equals + 1);
    members.set(name, [...(members.get(name) ?? []), url]);
  }
  return [...members].map(([member, urls]) => ({
    name: member,
    peerUrls: parseUrlList(urls).map((url) => url.text),
  }));
}

function isDefaultCluster(config: Config): boolean {
  return config["initial-cluster"] === flagsByName.get("initial-cluster")?.fallback;
}

/** URLs to advertise in place of the default ones, when this member listens on all addresses. */
function advertised(
  config: Config,
  advertise: "initial-advertise-peer-urls" | "advertise-client-urls",
  listen: "listen-peer-urls" | "listen-client-urls",
  host: string,
): readonly EtcdUrl[] | undefined {
  const fallback = flagsByName.get(advertise)?.fallback as readonly EtcdUrl[];
  const present = config[advertise];
  const first = config[listen][0];
  if (first === undefined || hostnameOf(first) !== "0.0.0.0") return undefined;
  if (present.length !== 1 || present[0]?.text !== fallback[0]?.text) return undefined;
  const port = splitHostPort(first.host)?.port ?? "";
  return [parseUrl(`${present[0]?.scheme}://${host}:${port}`)];
}

/** The IPv4 address of the interface that the default route goes through. */
function defaultHost(): string | undefined {
  let routes: string;
  try {
    routes = readFileSync("/proc/net/route", "utf8");
  } catch {
    // Not Linux, or no such view of it: the defaults stay.
    return undefined;
  }
  for (const line of routes.split("\n").slice(1)) {
    const [name = "", destination] = line.split("\t");
    if (destination !== "00000000") continue;
    return networkInterfaces()[name]?.find((address) => address.family === "IPv4")?.address;
  }
  return undefined;
}
