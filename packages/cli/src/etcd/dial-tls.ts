// TLS of the connections that this member opens to others: certificate and key are read again when they
// changed, as on the listening side, the authorities once.

import type { Log, TlsClientOptions } from "@etcd-ts/base";
import { fileStamps, readAuthorities, readPair } from "../shared/pem-files.ts";

export interface DialTlsFiles {
  /** "": no certificate is shown. */
  readonly certFile: string;
  readonly keyFile: string;
  /** "": the authorities that Node trusts. */
  readonly trustedCaFile: string;
  /** With certificates that members make themselves nobody can vouch for the other side. */
  readonly skipsVerification: boolean;
}

export class DialTls {
  readonly #files: DialTlsFiles;
  readonly #log: Log;
  readonly #trustedCaPem: string | undefined;
  #stamp: string;
  #loaded: TlsClientOptions;

  /** Throws `TlsFileError`. */
  constructor(files: DialTlsFiles, log: Log) {
    this.#files = files;
    this.#log = log;
    this.#trustedCaPem =
      files.trustedCaFile === "" ? undefined : readAuthorities(files.trustedCaFile);
    this.#stamp = this.#look();
    this.#loaded = this.#load();
  }

  /** As the files are now. Files that cannot be used leave what was used last. */
  current(): TlsClientOptions {
    const stamp = this.#look();
    if (stamp === this.#stamp) return this.#loaded;
    this.#stamp = stamp;
    try {
      this.#loaded = this.#load();
    } catch (error) {
      this.#log.warn("cannot use the new certificate for connections to other members", { error });
    }
    return this.#loaded;
  }

  #load(): TlsClientOptions {
    const { certFile, keyFile, skipsVerification } = this.#files;
    return {
      ...(certFile === "" ? {} : readPair(certFile, keyFile)),
      ...(this.#trustedCaPem === undefined ? {} : { trustedCaPem: this.#trustedCaPem }),
      ...(skipsVerification ? { insecureSkipVerify: true } : {}),
      alpn: ["http/1.1"],
    };
  }

  #look(): string {
    return fileStamps([this.#files.certFile, this.#files.keyFile]);
  }
}
