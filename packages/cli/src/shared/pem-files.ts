// Certificate files: reading them, and what is said when one is not what it should be.

import type { KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { systemText } from "@etcd-ts/node";

export class TlsFileError extends Error {
  override readonly name = "TlsFileError";
}

export interface CertificatePair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** A certificate and its key. Throws `TlsFileError`. */
export function readPair(certFile: string, keyFile: string): CertificatePair {
  const certificatePem = readText(certFile);
  const keyPem = readText(keyFile);
  const key = parsedKey(keyFile, keyPem);
  if (!parsedCertificate(certFile, certificatePem).checkPrivateKey(key)) {
    throw new TlsFileError(
      `${keyFile} is not the key of ${certFile}: tls: private key does not match public key`,
    );
  }
  return { certificatePem, keyPem };
}

/** The authorities of a file. Throws `TlsFileError`. */
export function readAuthorities(path: string): string {
  const pem = readText(path);
  parsedCertificate(path, pem);
  return pem;
}

export function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new TlsFileError(`open ${path}: ${systemText(cause)}`, { cause });
  }
}

/** Changes when one of the files was written or replaced; "" names no file. */
export function fileStamps(paths: readonly string[]): string {
  return paths.map(fileStamp).join();
}

/** Throws `TlsFileError`. */
export function readText(path: string): string {
  return Buffer.from(readBytes(path)).toString("utf8");
}

/** Loaded when there is a certificate: a command of `etcdctl` in the clear does without. */
const crypto = (): typeof import("node:crypto") => process.getBuiltinModule("node:crypto");

/** The first certificate of a file. */
function parsedCertificate(path: string, pem: string): X509Certificate {
  try {
    return new (crypto().X509Certificate)(pem);
  } catch (cause) {
    const text = "tls: failed to find any PEM data in certificate input";
    throw new TlsFileError(`${path}: ${text}`, { cause });
  }
}

function parsedKey(path: string, pem: string): KeyObject {
  try {
    return crypto().createPrivateKey(pem);
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
