// Which sockets to open for the URLs of the flags, and what each of them serves. Two URLs may share an
// address, http and https: one socket then serves both.

import type { NetAddress } from "@etcd-ts/base";
import type { NodeLog } from "@etcd-ts/node";
import { splitHostPort } from "../shared/go-url.ts";
import type { Config } from "./config.ts";
import { type EtcdUrl, isSecure, isUnix } from "./url.ts";

export interface PlannedListener {
  readonly address: NetAddress;
  readonly plain: boolean;
  readonly secure: boolean;
  readonly grpc: boolean;
  readonly http: boolean;
}

/** The flags ask for something that cannot be; the message is etcd's. */
export class ListenPlanError extends Error {
  override readonly name = "ListenPlanError";
}

export function planClientListeners(
  config: Config,
  hasTls: boolean,
  log: NodeLog,
): PlannedListener[] {
  const grpcUrls = config["listen-client-urls"];
  const httpUrls = config["listen-client-http-urls"];
  for (const url of [...grpcUrls, ...httpUrls]) {
    if (isSecure(url) && !hasTls) {
      throw new ListenPlanError(
        `TLS key/cert (--cert-file, --key-file) must be provided for client url ${url.text} with HTTPS scheme`,
      );
    }
    if (!isSecure(url)) warnUnusedTls(config, url, log);
  }
  const split = httpUrls.length > 0;
  for (const url of httpUrls) {
    if (grpcUrls.some((other) => other.text === url.text)) {
      throw new ListenPlanError(
        `cannot bind both --listen-client-urls and --listen-client-http-urls on the same url ${url.text}`,
      );
    }
  }
  return merge([
    ...grpcUrls.map((url) => plan(url, true, !split)),
    ...httpUrls.map((url) => plan(url, false, true)),
  ]);
}

export function planMetricsListeners(config: Config, hasTls: boolean): PlannedListener[] {
  for (const url of config["listen-metrics-urls"]) {
    if (isSecure(url) && !hasTls) {
      throw new ListenPlanError(
        `client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url ${url.text}`,
      );
    }
  }
  return merge(config["listen-metrics-urls"].map((url) => plan(url, false, true)));
}

export function planPeerListeners(
  config: Config,
  hasTls: boolean,
  log: NodeLog,
): PlannedListener[] {
  for (const url of config["listen-peer-urls"]) {
    if (isSecure(url) && !hasTls) {
      throw new ListenPlanError(
        `TLS key/cert (--peer-cert-file, --peer-key-file) must be provided for peer url ${url.text} with HTTPS scheme`,
      );
    }
    if (isSecure(url)) continue;
    if (config["peer-cert-file"] !== "" && config["peer-key-file"] !== "") {
      log.warn("scheme is HTTP while key and cert files are present; ignoring key and cert files", {
        "peer-url": url.text,
      });
    }
    if (config["peer-client-cert-auth"]) {
      log.warn(
        "scheme is HTTP while --peer-client-cert-auth is enabled; ignoring client cert auth for this URL",
        {
          "peer-url": url.text,
        },
      );
    }
  }
  return merge(config["listen-peer-urls"].map((url) => plan(url, false, true)));
}

export function addressText(address: NetAddress): string {
  if (address.kind === "unix") return address.path;
  return address.host.includes(":")
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

function warnUnusedTls(config: Config, url: EtcdUrl, log: NodeLog): void {
  if (config["cert-file"] !== "" || config["key-file"] !== "") {
    log.warn("scheme is HTTP while key and cert files are present; ignoring key and cert files", {
      "client-url": url.text,
    });
  }
  if (config["client-cert-auth"]) {
    log.warn(
      "scheme is HTTP while --client-cert-auth is enabled; ignoring client cert auth for this URL",
      {
        "client-url": url.text,
      },
    );
  }
}

function plan(url: EtcdUrl, grpc: boolean, http: boolean): PlannedListener {
  const secure = isSecure(url);
  return { address: addressOf(url), plain: !secure, secure, grpc, http };
}

function addressOf(url: EtcdUrl): NetAddress {
  if (isUnix(url)) return { kind: "unix", path: `${url.host}${url.path}` };
  const { host, port } = splitHostPort(url.host) ?? { host: "", port: "" };
  if (Number(port) > 65_535) throw new ListenPlanError(`listen tcp: address ${port}: invalid port`);
  return { kind: "tcp", host, port: Number(port) };
}

function merge(planned: readonly PlannedListener[]): PlannedListener[] {
  const byAddress = new Map<string, PlannedListener>();
  for (const [i, listener] of planned.entries()) {
    const { address } = listener;
    // Port 0 is another port each time.
    const chosen = address.kind === "tcp" && address.port === 0;
    const key = chosen ? String(i) : `${address.kind} ${addressText(address)}`;
    const present = byAddress.get(key);
    byAddress.set(key, {
      address,
      plain: listener.plain || (present?.plain ?? false),
      secure: listener.secure || (present?.secure ?? false),
      grpc: listener.grpc || (present?.grpc ?? false),
      http: listener.http || (present?.http ?? false),
    });
  }
  return [...byAddress.values()];
}
