// TLS through node:tls, in etcd's terms: PEM texts, client certificates that are required and verified,
// revocation by serial number, names that a client must be valid for.
//
// Node's own verdict on a client's certificate closes the connection without a word on why, so the server
// side lets the handshake pass and gives the verdict itself, before anybody sees the connection. Client
// certificates switch session tickets off: a resumed session would skip the look at the revocation list.

import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { ConnectionOptions, PeerCertificate as NodeCertificate, TLSSocket } from "node:tls";
import {
  type Bytes,
  NetError,
  type PeerCertificate,
  type TlsClientOptions,
  type TlsInfo,
  type TlsServerOptions,
  utf8ToBytes,
} from "@etcd-ts/base";
import { alternativeNames } from "./alternative-names.ts";
import { cipherList } from "./cipher-suites.ts";
import { lazyCrypto } from "./lazy-crypto.ts";
import { normalizeSerial, revokedSerials } from "./revocation-list.ts";

export interface NodeTlsServerOptions extends TlsServerOptions {
  /** A list in DER; `crlPem` is the same in PEM. */
  readonly crlDer?: Bytes;
  /** The client's certificate must be valid for one of these names. */
  readonly allowedHostnames?: readonly string[];
  /** The common name of the client's certificate must be one of these. */
  readonly allowedCommonNames?: readonly string[];
  /** A client's certificate that names addresses or hosts must name the one that the client comes from. */
  readonly matchesClientAddress?: boolean;
}

/** Options for `tls.createServer` and for `Server.setSecureContext`. */
export function serverContext(options: TlsServerOptions): object {
  return {
    cert: options.certificatePem,
    key: options.keyPem,
    ...(options.trustedCaPem === undefined ? {} : { ca: options.trustedCaPem }),
    ...(options.cipherSuites === undefined || options.cipherSuites.length === 0
      ? {}
      : { ciphers: cipherList(options.cipherSuites) }),
    minVersion: options.minVersion ?? "TLSv1.2",
    ...(options.maxVersion === undefined ? {} : { maxVersion: options.maxVersion }),
    ...(options.requireClientCertificate
      ? { secureOptions: lazyCrypto().constants.SSL_OP_NO_TICKET }
      : {}),
  };
}

/** Judges the clients of a listener; made anew when the listener's options change. */
export class ClientVerifier {
  readonly #options: NodeTlsServerOptions;
  readonly #revoked: ReadonlySet<string> | undefined;

  constructor(options: NodeTlsServerOptions) {
    this.#options = options;
    const { crlDer, crlPem } = options;
    if (crlDer !== undefined) this.#revoked = revokedSerials(crlDer);
    else if (crlPem !== undefined) this.#revoked = revokedSerials(utf8ToBytes(crlPem));
  }

  /** Why the client must go; undefined when it may stay. */
  verdict(socket: TLSSocket): NetError | undefined {
    const leaf = socket.getPeerX509Certificate();
    if (this.#options.requireClientCertificate) {
      if (leaf === undefined)
        return new NetError("TLS", "tls: client didn't provide a certificate");
      if (!socket.authorized) {
        const text = certificateText(String(socket.authorizationError));
        return new NetError("TLS", `tls: failed to verify certificate: ${text}`);
      }
    }
    return this.#revocation(leaf) ?? this.#nameVerdict(leaf);
  }

  #revocation(leaf: X509Certificate | undefined): NetError | undefined {
    if (this.#revoked === undefined) return undefined;
    let depth = 0;
    for (let c = leaf; c !== undefined && depth < 16; c = c.issuerCertificate, depth += 1) {
      const serial = normalizeSerial(c.serialNumber);
      if (this.#revoked.has(serial)) {
        return new NetError("TLS", `transport: certificate serial ${serial} revoked`);
      }
    }
    return undefined;
  }

  #nameVerdict(leaf: X509Certificate | undefined): NetError | undefined {
    const { allowedHostnames, allowedCommonNames } = this.#options;
    const refused = new NetError("TLS", "client certificate authentication failed");
    if (allowedCommonNames !== undefined && allowedCommonNames.length > 0) {
      const name = leaf === undefined ? "" : commonName(leaf.toLegacyObject());
      return allowedCommonNames.includes(name) ? undefined : refused;
    }
    if (allowedHostnames !== undefined && allowedHostnames.length > 0) {
      const valid = leaf !== undefined && allowedHostnames.some((name) => validFor(leaf, name));
      return valid ? undefined : refused;
    }
    return undefined;
  }
}

export function tlsInfo(socket: TLSSocket, verifiedClient: boolean): TlsInfo {
  const serverName = (socket as { servername?: unknown }).servername;
  return {
    alpn: typeof socket.alpnProtocol === "string" ? socket.alpnProtocol : "",
    serverName: typeof serverName === "string" ? serverName : "",
    peerCertificate: verifiedClient ? peerCertificate(socket.getPeerCertificate(false)) : undefined,
  };
}

/** Options for `tls.connect`; `host` is the name dialled, "" for a unix socket. */
export function clientOptions(
  options: TlsClientOptions,
  host: string,
  checkServerIdentity: NonNullable<ConnectionOptions["checkServerIdentity"]>,
): ConnectionOptions {
  const name = options.serverName ?? (host === "" ? "localhost" : host);
  return {
    ...(options.trustedCaPem === undefined ? {} : { ca: options.trustedCaPem }),
    ...(options.certificatePem === undefined ? {} : { cert: options.certificatePem }),
    ...(options.keyPem === undefined ? {} : { key: options.keyPem }),
    // An IP address must not go into the SNI field (RFC 6066 section 3).
    servername: isIP(name) === 0 ? name : "",
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
    rejectUnauthorized: options.insecureSkipVerify !== true,
    ALPNProtocols: [...options.alpn],
    minVersion: "TLSv1.2",
  };
}

/** A failed handshake as a `NetError` with code "TLS"; system errors keep their own code. */
export function tlsFailure(error: unknown): NetError | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== "string") return undefined;
  const text = handshakeText(code, error as Error);
  return text === undefined ? undefined : new NetError("TLS", `tls: ${text}`, { cause: error });
}

function handshakeText(code: string, error: Error): string | undefined {
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `failed to verify certificate: x509: ${otherNamesText(error as WrongName)}`;
  }
  if (code in certificateTexts) return `failed to verify certificate: ${certificateText(code)}`;
  // The other side speaks in the clear, and OpenSSL took its first bytes for the head of a record.
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER") {
    return "first record does not look like a TLS handshake";
  }
  if (!code.startsWith("ERR_SSL_") && !code.startsWith("ERR_TLS_")) return undefined;
  const { reason } = error as { readonly reason?: unknown };
  return typeof reason === "string" ? reason : error.message;
}

/** How Node tells that a certificate is not valid for the name that was dialled. */
interface WrongName extends Error {
  readonly host: string;
  readonly cert: { readonly subjectaltname?: string };
}

function otherNamesText({ host, cert }: WrongName): string {
  const { dnsNames, ipAddresses } = alternativeNames(cert.subjectaltname ?? "");
  const isAddress = isIP(host) !== 0;
  const names = isAddress ? ipAddresses : dnsNames;
  if (names.length > 0) return `certificate is valid for ${names.join(", ")}, not ${host}`;
  return isAddress
    ? `cannot validate certificate for ${host} because it doesn't contain any IP SANs`
    : `certificate is not valid for any names, but wanted to match ${host}`;
}

const unknownAuthority = "x509: certificate signed by unknown authority";
const expired = "x509: certificate has expired or is not yet valid";
const certificateTexts: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: expired,
  CERT_NOT_YET_VALID: expired,
  CERT_SIGNATURE_FAILURE: unknownAuthority,
  CERT_UNTRUSTED: unknownAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  INVALID_CA: "x509: a certificate in the chain is not a certificate authority",
  INVALID_PURPOSE: "x509: certificate specifies an incompatible key usage",
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
};

function certificateText(code: string): string {
  return certificateTexts[code] ?? `x509: ${code}`;
}

function peerCertificate(certificate: NodeCertificate): PeerCertificate {
  return {
    commonName: commonName(certificate),
    ...alternativeNames(certificate.subjectaltname ?? ""),
  };
}

/** Of several common names the last counts, as in Go. */
function commonName(certificate: NodeCertificate): string {
  const name: unknown = certificate.subject?.CN;
  return Array.isArray(name) ? String(name.at(-1) ?? "") : String(name ?? "");
}

function validFor(leaf: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return leaf.checkIP(name) !== undefined;
  return leaf.checkHost(name, { subject: "never" }) !== undefined;
}
