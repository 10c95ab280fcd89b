// TLS for the client and the peer listeners, from the flags.

import type { NodeLog } from "@etcd-ts/node";
import type { Config, ParsedConfig } from "./config.ts";
import { autoTlsFiles, TlsFileError, type TlsFileOptions, TlsFiles } from "./tls-files.ts";
import { type EtcdUrl, hostnameOf } from "./url.ts";

export interface ListenerTls {
  /** For gRPC and HTTP; undefined without certificates. */
  readonly client: TlsFiles | undefined;
  /** The same certificates for a listener that speaks HTTP/1.1 only. */
  readonly clientHttp1: TlsFiles | undefined;
  readonly peer: TlsFiles | undefined;
}

const alpnBoth = ["h2", "http/1.1"] as const;
const alpnHttp1 = ["http/1.1"] as const;

/** Throws `TlsFileError`, `DataDirError`. */
export function listenerTls(parsed: ParsedConfig, nowMs: number, log: NodeLog): ListenerTls {
  const { config } = parsed;
  const clientUrls = [...config["listen-client-urls"], ...config["listen-client-http-urls"]];
  const metricsUrls = config["listen-metrics-urls"];
  const client = clientOptions(parsed, [...clientUrls, ...metricsUrls], nowMs, log);
  const peer = peerOptions(config, nowMs, log);
  return {
    client: client && new TlsFiles({ ...client, alpn: alpnBoth }),
    clientHttp1: client && new TlsFiles({ ...client, alpn: alpnHttp1 }),
    peer: peer && new TlsFiles({ ...peer, alpn: alpnHttp1 }),
  };
}

type Options = Omit<TlsFileOptions, "alpn">;

function clientOptions(
  parsed: ParsedConfig,
  urls: readonly EtcdUrl[],
  nowMs: number,
  log: NodeLog,
): Options | undefined {
  const { config } = parsed;
  let files = { certFile: config["cert-file"], keyFile: config["key-file"] };
  if (config["auto-tls"]) {
    if (files.certFile !== "" || files.keyFile !== "") {
      log.warn("ignoring client auto TLS since certs given");
    } else {
      files = autoTlsFiles({
        kind: "client",
        dataDir: config["data-dir"],
        hosts: [...config["listen-client-urls"], ...config["listen-client-http-urls"]].map(
          hostnameOf,
        ),
        validYears: config["self-signed-cert-validity"],
        nowMs,
      });
    }
  }
  if (!isWanted(files, urls)) return undefined;
  return {
    ...files,
    ...common(config),
    trustedCaFile: config["trusted-ca-file"],
    crlFile: config["client-crl-file"],
    requireClientCertificate: config["client-cert-auth"],
    allowedHostnames: nonEmpty(config["client-cert-allowed-hostname"]),
    allowedCommonNames: parsed.clientAllowedCommonNames,
  };
}

function peerOptions(config: Config, nowMs: number, log: NodeLog): Options | undefined {
  let files = { certFile: config["peer-cert-file"], keyFile: config["peer-key-file"] };
  if (config["peer-auto-tls"]) {
    if (files.certFile !== "" || files.keyFile !== "") {
      log.warn("ignoring peer auto TLS since certs given");
    } else {
      files = autoTlsFiles({
        kind: "peer",
        dataDir: config["data-dir"],
        hosts: config["listen-peer-urls"].map(hostnameOf),
        validYears: config["self-signed-cert-validity"],
        nowMs,
      });
    }
  }
  if (!isWanted(files, config["listen-peer-urls"])) return undefined;
  return {
    ...files,
    ...common(config),
    trustedCaFile: config["peer-trusted-ca-file"],
    crlFile: config["peer-crl-file"],
    requireClientCertificate: config["peer-client-cert-auth"],
    allowedHostnames: nonEmpty(config["peer-cert-allowed-hostname"]),
    allowedCommonNames: nonEmpty(config["peer-cert-allowed-cn"]),
  };
}

/** Certificates count where a URL asks for TLS; half a pair is an error there. */
function isWanted(files: { certFile: string; keyFile: string }, urls: readonly EtcdUrl[]): boolean {
  const { certFile, keyFile } = files;
  if (!urls.some((url) => url.scheme === "https" || url.scheme === "unixs")) return false;
  if (certFile === "" && keyFile === "") return false;
  if (certFile === "" || keyFile === "") {
    throw new TlsFileError(
      `KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`,
    );
  }
  return true;
}

function common(config: Config): Pick<Options, "cipherSuites" | "minVersion" | "maxVersion"> {
  return {
    cipherSuites: config["cipher-suites"],
    minVersion: config["tls-min-version"],
    maxVersion: config["tls-max-version"],
  };
}

function nonEmpty(list: readonly string[]): string[] {
  return list.filter((item) => item !== "");
}
