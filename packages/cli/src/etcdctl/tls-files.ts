// The TLS flags: files with certificates, read when the client is built.

import type { ClientTlsOptions } from "@etcd-ts/client";
import { Failure } from "../shared/exit.ts";
import { readPair, readText, TlsFileError } from "../shared/pem-files.ts";

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly cacert: string;
  readonly insecureTransport: boolean;
  readonly insecureSkipVerify: boolean;
  /** Name that the server's certificate must have; "" for the endpoint's. */
  readonly serverName: string;
}

/** The TLS options of the client; undefined when nothing asks for TLS. Throws `Failure`. */
export function readTlsFiles(files: TlsFiles): ClientTlsOptions | undefined {
  const { cert, key, cacert, insecureTransport, insecureSkipVerify, serverName } = files;
  const wanted =
    cert !== "" || key !== "" || cacert !== "" || serverName !== "" || insecureSkipVerify;
  if (!wanted && insecureTransport) return undefined;
  if ((cert === "") !== (key === "")) {
    throw Failure.badArguments(
      `KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`,
    );
  }
  try {
    return {
      ...(cert === "" ? {} : readPair(cert, key)),
      ...(cacert === "" ? {} : { trustedCaPem: readText(cacert) }),
      ...(serverName === "" ? {} : { serverName }),
      insecureSkipVerify,
    };
  } catch (error) {
    if (!(error instanceof TlsFileError)) throw error;
    throw Failure.badArguments(error.message);
  }
}
