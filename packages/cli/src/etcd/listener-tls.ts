// TLS from the flags: of the client and the peer listeners, and of the connections to other members.

import type { Log } from "@etcd-ts/base";
import { knownCipherSuite, type NodeHost } from "@etcd-ts/node";
import { quoteList } from "../shared/go-quote.ts";
import { readPair, TlsFileError } from "../shared/pem-files.ts";
import type { Config, ParsedConfig } from "./config.ts";
import { DialTls } from "./dial-tls.ts";
import { autoTlsFiles, type TlsFileOptions, TlsFiles } from "./tls-files.ts";
import { type EtcdUrl, hostnameOf, isSecure } from "./url.ts";

export interface ListenerTls {
  /** For gRPC and HTTP; undefined without certificates. */
  readonly client: TlsFiles | undefined;
  /** The same certificates for a listener that speaks HTTP/1.1 only. */
  readonly clientHttp1: TlsFiles | undefined;
  readonly peer: TlsFiles | undefined;
  /** For connections to other members; undefined where the flags say nothing of it. */
  readonly peerDial: DialTls | undefined;
}

const alpnBoth = ["h2", "http/1.1"] as const;
const alpnHttp1 = ["http/1.1"] as const;

/** Rejects with `TlsFileError`, `DiskError`. */
export async function listenerTls(parsed: ParsedConfig, host: NodeHost): Promise<ListenerTls> {
  const { config } = parsed;
  // Told of also where nothing is encrypted, as etcd does.
  const unknown = config["cipher-suites"].find((name) => !knownCipherSuite(name));
  if (unknown !== undefined) {
    throw new TlsFileError(`unexpected TLS cipher suite ${JSON.stringify(unknown)}`);
  }
  const clientUrls = [...config["listen-client-urls"], ...config["listen-client-http-urls"]];
  const metricsUrls = config["listen-metrics-urls"];
  const client = await clientOptions(parsed, [...clientUrls, ...metricsUrls], host);
  const peerAuto = await autoFiles(config, "peer", config["listen-peer-urls"], host);
  const peer = peerOptions(config, peerAuto);
  return {
    client: client && new TlsFiles({ ...client, alpn: alpnBoth }),
    clientHttp1: client && new TlsFiles({ ...client, alpn: alpnHttp1 }),
    peer: peer && new TlsFiles({ ...peer, alpn: alpnHttp1 }),
    peerDial: peerDial(config, peerAuto, host.log),
  };
}

type Options = Omit<TlsFileOptions, "alpn">;
type Pair = { readonly certFile: string; readonly keyFile: string };

async function clientOptions(
  parsed: ParsedConfig,
  urls: readonly EtcdUrl[],
  host: NodeHost,
): Promise<Options | undefined> {
  const { config } = parsed;
  const listening = [...config["listen-client-urls"], ...config["listen-client-http-urls"]];
  const made = await autoFiles(config, "client", listening, host);
  const files = made ?? { certFile: config["cert-file"], keyFile: config["key-file"] };
  if (!urls.some(isSecure) || !isGiven(files)) return undefined;
  // Shown where the member is a client of its own port; it is none yet, but wrong files are told of now.
  checkPair(config["client-cert-file"], config["client-key-file"]);
  const common = { ...files, ...versions(config), matchesClientAddress: false };
  if (made !== undefined) return { ...common, ...anybody };
  return {
    ...common,
    trustedCaFile: config["trusted-ca-file"],
    crlFile: config["client-crl-file"],
    requireClientCertificate: config["client-cert-auth"],
    allowedHostnames: nonEmpty(config["client-cert-allowed-hostname"]),
    allowedCommonNames: parsed.clientAllowedCommonNames,
  };
}

function peerOptions(config: Config, made: Pair | undefined): Options | undefined {
  const files = made ?? { certFile: config["peer-cert-file"], keyFile: config["peer-key-file"] };
  if (!isGiven(files) || !config["listen-peer-urls"].some(isSecure)) return undefined;
  const common = { ...files, ...versions(config) };
  const names = nonEmpty(config["peer-cert-allowed-cn"]);
  const hosts = nonEmpty(config["peer-cert-allowed-hostname"]);
  if (names.length > 0 && hosts.length > 0) {
    throw new TlsFileError(
      `AllowedCNs and AllowedHostnames are mutually exclusive (cns=${quoteList(names)}, hostnames=${quoteList(hosts)})`,
    );
  }
  if (made !== undefined) return { ...common, ...anybody, matchesClientAddress: false };
  return {
    ...common,
    trustedCaFile: config["peer-trusted-ca-file"],
    crlFile: config["peer-crl-file"],
    requireClientCertificate: config["peer-client-cert-auth"],
    allowedHostnames: hosts,
    allowedCommonNames: names,
    matchesClientAddress: !config["peer-skip-client-san-verification"],
  };
}

/** A certificate that a member made itself goes with no demands on who connects, whatever else is given. */
const anybody = {
  trustedCaFile: "",
  crlFile: "",
  requireClientCertificate: false,
  allowedHostnames: [],
  allowedCommonNames: [],
} as const;

function peerDial(config: Config, made: Pair | undefined, log: Log): DialTls | undefined {
  if (made !== undefined) {
    return new DialTls({ ...made, trustedCaFile: "", skipsVerification: true }, log);
  }
  const own = {
    certFile: config["peer-client-cert-file"],
    keyFile: config["peer-client-key-file"],
  };
  const shown = checkPair(own.certFile, own.keyFile)
    ? own
    : { certFile: config["peer-cert-file"], keyFile: config["peer-key-file"] };
  const trustedCaFile = config["peer-trusted-ca-file"];
  if (!isGiven(shown) && trustedCaFile === "") return undefined;
  return new DialTls({ ...shown, trustedCaFile, skipsVerification: false }, log);
}

/** The files of `--auto-tls` or `--peer-auto-tls`; undefined without it, and where other files win. */
async function autoFiles(
  config: Config,
  kind: "client" | "peer",
  urls: readonly EtcdUrl[],
  host: NodeHost,
): Promise<Pair | undefined> {
  const prefix = kind === "client" ? "" : "peer-";
  if (!config[`${prefix}auto-tls`]) return undefined;
  if (config[`${prefix}cert-file`] !== "" || config[`${prefix}key-file`] !== "") {
    host.log.warn(`ignoring ${kind} auto TLS since certs given`);
    return undefined;
  }
  return await autoTlsFiles({
    kind,
    dataDir: config["data-dir"],
    hosts: urls.map(hostnameOf),
    validYears: config["self-signed-cert-validity"],
    host,
  });
}

/** Half a pair is an error. */
function isGiven({ certFile, keyFile }: Pair): boolean {
  if (certFile === "" && keyFile === "") return false;
  if (certFile === "" || keyFile === "") {
    throw new TlsFileError(
      `KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`,
    );
  }
  return true;
}

/** Of the certificate that this member shows as a client: whether there is one; it must be whole and readable. */
function checkPair(certFile: string, keyFile: string): boolean {
  if ((certFile === "") !== (keyFile === "")) {
    throw new TlsFileError(
      `ClientKeyFile and ClientCertFile must both be present or both absent: key: ${keyFile}, cert: ${certFile}]`,
    );
  }
  if (certFile === "") return false;
  readPair(certFile, keyFile);
  return true;
}

function versions(config: Config): Pick<Options, "cipherSuites" | "minVersion" | "maxVersion"> {
  return {
    cipherSuites: config["cipher-suites"],
    minVersion: config["tls-min-version"],
    maxVersion: config["tls-max-version"],
  };
}

function nonEmpty(list: readonly string[]): string[] {
  return list.filter((item) => item !== "");
}
