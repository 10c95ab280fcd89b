// `--config-file`: YAML (and so JSON) with the names of the flags as keys, a few of them in sections of their
// own. Unknown keys are ignored, as etcd does, but not in silence. The YAML parser is loaded only here: it takes 50 ms.

import { readFileSync } from "node:fs";
import { systemCode, systemText } from "@etcd-ts/node";
import { finish } from "./command-line.ts";
import type { Draft, FlagName, ParsedConfig } from "./config.ts";
import { defaultDraft, type FlagRow, flagRows, flagsByName } from "./flag-table.ts";
import { type FlagValue, FlagValueError, uniqueSorted } from "./flag-values.ts";
import { parseUrls, UrlError } from "./url.ts";

/** The file cannot be used; the message is for the operator. */
export class ConfigFileError extends Error {
  override readonly name = "ConfigFileError";
  /** Printed bare on standard error; the others are log lines. */
  readonly bare: boolean;

  constructor(message: string, options?: ErrorOptions & { bare?: boolean }) {
    super(message, options);
    this.bare = options?.bare ?? false;
  }
}

/** Flags that no key of the top level stands for. */
const withoutKey: ReadonlySet<FlagName> = new Set<FlagName>([
  "config-file",
  "version",
  "raft-read-timeout",
  "raft-write-timeout",
  "discovery-fallback",
  "client-crl-file",
  "peer-crl-file",
  "discovery-endpoints",
  "discovery-token",
  "discovery-dial-timeout",
  "discovery-request-timeout",
  "discovery-keepalive-time",
  "discovery-keepalive-timeout",
  "discovery-insecure-transport",
  "discovery-insecure-skip-tls-verify",
  "discovery-cert",
  "discovery-key",
  "discovery-cacert",
  "discovery-user",
  "discovery-password",
  "socket-reuse-port",
  "socket-reuse-address",
  "cert-file",
  "key-file",
  "client-cert-file",
  "client-key-file",
  "client-cert-auth",
  "client-cert-allowed-hostname",
  "trusted-ca-file",
  "auto-tls",
  "peer-cert-file",
  "peer-key-file",
  "peer-client-cert-file",
  "peer-client-key-file",
  "peer-client-cert-auth",
  "peer-trusted-ca-file",
  "peer-auto-tls",
  "peer-cert-allowed-cn",
  "peer-cert-allowed-hostname",
  "peer-skip-client-san-verification",
]);

type Section = Readonly<Record<string, FlagName>>;

const topLevel: Section = Object.fromEntries(
  flagRows.filter((it) => !withoutKey.has(it.name)).map((it) => [it.name, it.name]),
);

const sections: readonly string[] = [
  "client-transport-security",
  "peer-transport-security",
  "socket-options",
  "discovery-config",
];

const clientSecurity: Section = {
  "cert-file": "cert-file",
  "key-file": "key-file",
  "client-cert-file": "client-cert-file",
  "client-key-file": "client-key-file",
  "client-cert-auth": "client-cert-auth",
  "trusted-ca-file": "trusted-ca-file",
  "auto-tls": "auto-tls",
  "allowed-hostname": "client-cert-allowed-hostname",
};

const peerSecurity: Section = {
  "cert-file": "peer-cert-file",
  "key-file": "peer-key-file",
  "client-cert-file": "peer-client-cert-file",
  "client-key-file": "peer-client-key-file",
  "client-cert-auth": "peer-client-cert-auth",
  "trusted-ca-file": "peer-trusted-ca-file",
  "auto-tls": "peer-auto-tls",
  "allowed-cn": "peer-cert-allowed-cn",
  "allowed-hostname": "peer-cert-allowed-hostname",
  "skip-client-san-verification": "peer-skip-client-san-verification",
};

const socketOptions: Section = {
  "reuse-port": "socket-reuse-port",
  "reuse-address": "socket-reuse-address",
};

const discoveryClient: Section = {
  endpoints: "discovery-endpoints",
  "dial-timeout": "discovery-dial-timeout",
  "request-timeout": "discovery-request-timeout",
  "keepalive-time": "discovery-keepalive-time",
  "keepalive-timeout": "discovery-keepalive-timeout",
};

const discoverySecure: Section = {
  cert: "discovery-cert",
  key: "discovery-key",
  cacert: "discovery-cacert",
  "insecure-transport": "discovery-insecure-transport",
  "insecure-skip-tls-verify": "discovery-insecure-skip-tls-verify",
};

const discoveryAuth: Section = { username: "discovery-user", password: "discovery-password" };

type Document = Readonly<Record<string, unknown>>;

export async function readConfigFile(path: string): Promise<ParsedConfig> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    // As Go says it: a folder can be opened and not read.
    const tried = systemCode(cause) === "EISDIR" ? "read" : "open";
    throw new ConfigFileError(`${tried} ${path}: ${systemText(cause)}`, { cause });
  }
  const { parse } = await import("yaml");
  let document: unknown;
  try {
    document = parse(text, { intAsBigInt: true, uniqueKeys: false });
  } catch (cause) {
    throw new ConfigFileError(`error converting YAML to JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  return configOf(document ?? {});
}

/** Integers as `bigint`, so that durations in nanoseconds are exact. */
export function configOf(document: unknown): ParsedConfig {
  if (!isMap(document)) throw new ConfigFileError("error unmarshaling JSON: the file is no map");
  const top = folded(document);
  const draft = defaultDraft();
  const given = new Set<FlagName>();
  const ignoredKeys: string[] = [];
  const takeAll = (
    from: Document,
    keys: Section,
    others: readonly string[],
    where: string,
  ): void => {
    for (const [key, name] of Object.entries(keys)) {
      const row = flagsByName.get(name);
      if (row !== undefined) take(draft, given, row, key, from[key]);
    }
    const isKnown = (key: string): boolean => Object.hasOwn(keys, key) || others.includes(key);
    for (const key of Object.keys(from)) if (!isKnown(key)) ignoredKeys.push(where + key);
  };
  takeAll(top, topLevel, sections, "");
  const [client, peer, sockets, discovery] = sections.map((it) => section(top, it)) as [
    Document,
    Document,
    Document,
    Document,
  ];
  takeAll(client, clientSecurity, ["allowed-cn"], "client-transport-security.");
  takeAll(peer, peerSecurity, [], "peer-transport-security.");
  takeAll(sockets, socketOptions, [], "socket-options.");
  takeAll(discovery, { token: "discovery-token" }, ["client"], "discovery-config.");
  const discoveryEndpoints = section(discovery, "client");
  const inside = "discovery-config.client.";
  takeAll(discoveryEndpoints, discoveryClient, ["secure", "auth"], inside);
  takeAll(section(discoveryEndpoints, "secure"), discoverySecure, [], `${inside}secure.`);
  takeAll(section(discoveryEndpoints, "auth"), discoveryAuth, [], `${inside}auth.`);
  if (draft["self-signed-cert-validity"] === 0) draft["self-signed-cert-validity"] = 1;
  const clientCns = client["allowed-cn"];
  return {
    ...finish(draft, given, true),
    ignoredKeys,
    clientAllowedCommonNames:
      clientCns === undefined || clientCns === null ? [] : texts("allowed-cn", clientCns),
  };
}

function take(draft: Draft, given: Set<FlagName>, row: FlagRow, key: string, value: unknown): void {
  if (value === undefined || value === null) return;
  // No URLs at all are not given.
  if (row.type.kind === "urls" && value === "") return;
  draft[row.name] = convert(row, key, value);
  given.add(row.name);
}

function convert(row: FlagRow, key: string, value: unknown): FlagValue {
  switch (row.type.kind) {
    case "boolean":
      if (typeof value !== "boolean") throw mistyped(key, "a boolean");
      return value;
    case "number": {
      const integer = typeof value === "bigint";
      const negative = integer && value < 0n && row.name !== "quota-backend-bytes";
      if (!integer || negative) throw mistyped(key, "an integer");
      return Number(value);
    }
    case "duration":
      if (typeof value !== "bigint") throw mistyped(key, "a duration in nanoseconds");
      return value;
    case "list":
      return uniqueOr(row, texts(key, value));
    case "urls":
      return urlsOf(key, textOf(key, value));
    default: {
      const text = textOf(key, value);
      try {
        return row.type.parse(text) ?? row.fallback;
      } catch (cause) {
        if (!(cause instanceof FlagValueError || cause instanceof UrlError)) throw cause;
        if (row.name === "initial-cluster-state") return text;
        throw setUpError(key, cause);
      }
    }
  }
}

function urlsOf(key: string, text: string): FlagValue {
  try {
    return parseUrls(text);
  } catch (cause) {
    if (!(cause instanceof UrlError)) throw cause;
    // etcd reports this one under another name.
    throw setUpError(key === "advertise-client-urls" ? "advertise-peer-urls" : key, cause);
  }
}

function setUpError(key: string, cause: Error): ConfigFileError {
  return new ConfigFileError(`unexpected error setting up ${key}: ${cause.message}`, {
    cause,
    bare: true,
  });
}

function uniqueOr(row: FlagRow, values: string[]): string[] {
  return row.name === "cipher-suites" || row.name === "discovery-endpoints"
    ? values
    : uniqueSorted(values);
}

function texts(key: string, value: unknown): string[] {
  if (!Array.isArray(value)) throw mistyped(key, "a list");
  return value.map((item) => textOf(key, item));
}

function textOf(key: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "bigint" || typeof value === "number") return String(value);
  throw mistyped(key, "a text");
}

function mistyped(key: string, wanted: string): ConfigFileError {
  return new ConfigFileError(`error unmarshaling JSON: ${key} must be ${wanted}`);
}

function section(document: Document, key: string): Document {
  const found = document[key];
  if (found === undefined || found === null) return {};
  if (!isMap(found)) throw new ConfigFileError(`invalid ${key}`);
  return folded(found);
}

/** The case of keys does not matter, as for Go where it reads JSON; one in lower case counts before others. */
function folded(document: Document): Document {
  const entries = Object.entries(document).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, value]) => [key.toLowerCase(), value]));
}

function isMap(value: unknown): value is Document {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
