// TLS for listeners from files: certificate, key and revocation list are looked at before every handshake
// and read again when they changed, the authorities are read once, as etcd does. `--auto-tls` puts files
// into the data folder first and goes on from there.

import { statSync, writeFileSync } from "node:fs";
import type { Host } from "@etcd-ts/base";
import { type NodeTlsServerOptions, selfSignedCertificate, systemText } from "@etcd-ts/node";
import {
  fileStamps,
  readAuthorities,
  readBytes,
  readPair,
  TlsFileError,
} from "../shared/pem-files.ts";

export interface TlsFileOptions {
  readonly certFile: string;
  readonly keyFile: string;
  readonly trustedCaFile: string;
  readonly crlFile: string;
  readonly requireClientCertificate: boolean;
  readonly allowedHostnames: readonly string[];
  readonly allowedCommonNames: readonly string[];
  /** A client's certificate must be for the address that it comes from, if it names any. */
  readonly matchesClientAddress: boolean;
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
    if (options.trustedCaFile !== "") {
      this.#trustedCaPem = readAuthorities(options.trustedCaFile);
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
    return {
      ...readPair(options.certFile, options.keyFile),
      alpn: options.alpn,
      ...(this.#trustedCaPem === undefined ? {} : { trustedCaPem: this.#trustedCaPem }),
      requireClientCertificate: options.requireClientCertificate || options.trustedCaFile !== "",
      ...(options.crlFile === "" ? {} : { crlDer: readBytes(options.crlFile) }),
      allowedHostnames: options.allowedHostnames,
      allowedCommonNames: options.allowedCommonNames,
      matchesClientAddress: options.matchesClientAddress,
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
    return fileStamps([certFile, keyFile, crlFile]);
  }
}

export interface AutoTlsRequest {
  /** `client` or `peer`: the folder under `fixtures`. */
  readonly kind: "client" | "peer";
  readonly dataDir: string;
  readonly hosts: readonly string[];
  readonly validYears: number;
  readonly host: Pick<Host, "clock" | "disk">;
}

/** The files of a certificate made by this member; those of an earlier start stay. */
export async function autoTlsFiles(
  request: AutoTlsRequest,
): Promise<{ certFile: string; keyFile: string }> {
  const folder = `${request.dataDir}/fixtures/${request.kind}`;
  const certFile = `${folder}/cert.pem`;
  const keyFile = `${folder}/key.pem`;
  const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;
  if (exists(certFile) && exists(keyFile)) return { certFile, keyFile };
  if (request.validYears === 0) {
    throw new TlsFileError("selfSignedCertValidity is invalid,it should be greater than 0");
  }
  await request.host.disk.makeDirectory(folder);
  const made = selfSignedCertificate(
    [...new Set(request.hosts)],
    request.validYears * 365,
    request.host.clock.wallMs(),
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
