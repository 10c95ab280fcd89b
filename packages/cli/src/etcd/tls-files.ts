// TLS for listeners from files: certificate, key and revocation list are looked at before every handshake
// and read again when they changed, the authorities are read once, as etcd does. `--auto-tls` puts files
// into the data folder first and goes on from there.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import {
  knownCipherSuite,
  type NodeTlsServerOptions,
  selfSignedCertificate,
  systemText,
} from "@etcd-ts/node";
import { makePrivateFolder } from "./data-dir.ts";

export class TlsFileError extends Error {
  override readonly name = "TlsFileError";
}

export interface TlsFileOptions {
  readonly certFile: string;
  readonly keyFile: string;
  readonly trustedCaFile: string;
  readonly crlFile: string;
  readonly requireClientCertificate: boolean;
  readonly allowedHostnames: readonly string[];
  readonly allowedCommonNames: readonly string[];
  readonly cipherSuites: readonly string[];
  readonly minVersion: string;
  readonly maxVersion: string;
  readonly alpn: readonly string[];
}

export class TlsFiles {
  readonly #options: TlsFileOptions;
  readonly #trustedCaPem: string | undefined = undefined;
  #stamp: string;
  #loaded: NodeTlsServerOptions;

  /** Throws `TlsFileError`. */
  constructor(options: TlsFileOptions) {
    this.#options = options;
    const unknown = options.cipherSuites.find((name) => !knownCipherSuite(name));
    if (unknown !== undefined) {
      throw new TlsFileError(`unexpected TLS cipher suite ${JSON.stringify(unknown)}`);
    }
    if (options.trustedCaFile !== "") {
      this.#trustedCaPem = readText(options.trustedCaFile);
      parsedCertificate(options.trustedCaFile, this.#trustedCaPem);
    }
    this.#stamp = this.#look();
    this.#loaded = this.#load();
  }

  /** The options as the files are now; the same object as long as they did not change. */
  readonly current = (): NodeTlsServerOptions => {
    const stamp = this.#look();
    if (stamp !== this.#stamp) {
      this.#loaded = this.#load();
      this.#stamp = stamp;
    }
    return this.#loaded;
  };

  #load(): NodeTlsServerOptions {
    const options = this.#options;
    const certificatePem = readText(options.certFile);
    const keyPem = readText(options.keyFile);
    const key = parsedKey(options.keyFile, keyPem);
    if (!parsedCertificate(options.certFile, certificatePem).checkPrivateKey(key)) {
      throw new TlsFileError(
        `${options.keyFile} is not the key of ${options.certFile}: tls: private key does not match public key`,
      );
    }
    return {
      certificatePem,
      keyPem,
      alpn: options.alpn,
      ...(this.#trustedCaPem === undefined ? {} : { trustedCaPem: this.#trustedCaPem }),
      requireClientCertificate: options.requireClientCertificate || options.trustedCaFile !== "",
      ...(options.crlFile === "" ? {} : { crlDer: readBytes(options.crlFile) }),
      allowedHostnames: options.allowedHostnames,
      allowedCommonNames: options.allowedCommonNames,
      cipherSuites: options.cipherSuites,
      minVersion: options.minVersion === "TLS1.3" ? "TLSv1.3" : "TLSv1.2",
      ...(options.maxVersion === ""
        ? {}
        : { maxVersion: options.maxVersion === "TLS1.3" ? "TLSv1.3" : "TLSv1.2" }),
    };
  }

  /** Changes when a file was written or replaced. */
  #look(): string {
    const { certFile, keyFile, crlFile } = this.#options;
    return [certFile, keyFile, crlFile].map(fileStamp).join();
  }
}

export interface AutoTlsRequest {
  /** `client` or `peer`: the folder under `fixtures`. */
  readonly kind: "client" | "peer";
  readonly dataDir: string;
  readonly hosts: readonly string[];
  readonly validYears: number;
  readonly nowMs: number;
}

/** The files of a certificate made by this member; those of an earlier start stay. */
export function autoTlsFiles(request: AutoTlsRequest): { certFile: string; keyFile: string } {
  const folder = `${request.dataDir}/fixtures/${request.kind}`;
  const certFile = `${folder}/cert.pem`;
  const keyFile = `${folder}/key.pem`;
  const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;
  if (exists(certFile) && exists(keyFile)) return { certFile, keyFile };
  if (request.validYears === 0) {
    throw new TlsFileError("selfSignedCertValidity is invalid,it should be greater than 0");
  }
  makePrivateFolder(folder);
  const made = selfSignedCertificate(
    [...new Set(request.hosts)],
    request.validYears * 365,
    request.nowMs,
  );
  writePrivate(keyFile, made.keyPem);
  writePrivate(certFile, made.certificatePem);
  return { certFile, keyFile };
}

function writePrivate(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600 });
  } catch (cause) {
    throw new TlsFileError(`open ${path}: ${systemText(cause)}`, { cause });
  }
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new TlsFileError(`open ${path}: ${systemText(cause)}`, { cause });
  }
}

function readText(path: string): string {
  return Buffer.from(readBytes(path)).toString("utf8");
}

/** The first certificate of a file. */
function parsedCertificate(path: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    const text = "tls: failed to find any PEM data in certificate input";
    throw new TlsFileError(`${path}: ${text}`, { cause });
  }
}

function parsedKey(path: string, pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    const text = "tls: failed to find any PEM data in key input";
    throw new TlsFileError(`${path}: ${text}`, { cause });
  }
}

function fileStamp(path: string): string {
  if (path === "") return "";
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? "none" : `${found.ino}.${found.mtimeNs}.${found.size}`;
}
