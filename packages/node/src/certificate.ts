// X.509 certificates on elliptic curves: the one of `--auto-tls`, and those that tests and embedded
// clusters need. Serialised by hand: twenty DER elements do not justify a library (@peculiar/x509 brings
// twenty packages, takes 150 ms to load and asks for a Reflect polyfill). node:crypto signs.

import { isIP } from "node:net";
import {
  type Bytes,
  base64ToBytes,
  bytesToBase64,
  bytesToHex,
  concatBytes,
  keyToBytes,
  utf8ToBytes,
} from "@etcd-ts/base";
import { der, derChildren, derInteger, derObjectId, derTag, readDer } from "./der.ts";
import { lazyCrypto } from "./lazy-crypto.ts";

export interface CertificateOptions {
  readonly commonName?: string;
  readonly organization?: string;
  /** Names and IP addresses that the holder is known by. */
  readonly hosts: readonly string[];
  readonly purposes: readonly ("server" | "client")[];
  /** May sign certificates of others. */
  readonly authority?: boolean;
  /** Signed by itself when absent. */
  readonly issuer?: Pick<IssuedCertificate, "certificatePem" | "keyPem">;
  readonly validDays: number;
  readonly nowMs: number;
  readonly curve?: "P-256" | "P-521";
}

export interface IssuedCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly serialHex: string;
}

/** The certificate of `--auto-tls` and `--peer-auto-tls`, as etcd makes it. */
export function selfSignedCertificate(
  hosts: readonly string[],
  validDays: number,
  nowMs: number,
): IssuedCertificate {
  const usage = keyUsage.digitalSignature | keyUsage.keyEncipherment | keyUsage.crlSign;
  const shape = { organization: "etcd", purposes: ["server"], authority: true } as const;
  return issue({ ...shape, hosts, validDays, nowMs, curve: "P-521" }, usage);
}

export function issueCertificate(options: CertificateOptions): IssuedCertificate {
  const usage = options.authority
    ? keyUsage.digitalSignature | keyUsage.keyCertSign | keyUsage.crlSign
    : keyUsage.digitalSignature | keyUsage.keyEncipherment;
  return issue(options, usage);
}

const oids = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  extendedKeyUsage: "2.5.29.37",
  server: "1.3.6.1.5.5.7.3.1",
  client: "1.3.6.1.5.5.7.3.2",
  sha256: "1.2.840.10045.4.3.2",
  sha512: "1.2.840.10045.4.3.4",
} as const;

/** Bit 0 of the ASN.1 bit string is the highest of the byte. */
const keyUsage = {
  digitalSignature: 0x80,
  keyEncipherment: 0x20,
  keyCertSign: 0x04,
  crlSign: 0x02,
} as const;

const dayMs = 86_400_000;
const yes = Uint8Array.of(0xff);

function issue(options: CertificateOptions, usage: number): IssuedCertificate {
  const { createPrivateKey, generateKeyPairSync, randomBytes, sign } = lazyCrypto();
  const pair = generateKeyPairSync("ec", { namedCurve: options.curve ?? "P-256" });
  const signingKey =
    options.issuer === undefined ? pair.privateKey : createPrivateKey(options.issuer.keyPem);
  const hash = signingKey.asymmetricKeyDetails?.namedCurve === "secp521r1" ? "sha512" : "sha256";
  const algorithm = der(derTag.sequence, derObjectId(oids[hash]));
  const subject = distinguishedName(options);
  const serial = randomBytes(16);
  const toBeSigned = der(
    derTag.sequence,
    der(0xa0, derInteger(Uint8Array.of(2))), // version 3
    derInteger(serial),
    algorithm,
    options.issuer === undefined ? subject : subjectOf(options.issuer.certificatePem),
    der(
      derTag.sequence,
      derTime(options.nowMs),
      derTime(options.nowMs + options.validDays * dayMs),
    ),
    subject,
    pair.publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(derTag.sequence, ...extensions(options, usage))),
  );
  const signature = sign(hash, toBeSigned, signingKey);
  const signatureBits = der(derTag.bitString, Uint8Array.of(0), signature);
  return {
    certificatePem: pem("CERTIFICATE", der(derTag.sequence, toBeSigned, algorithm, signatureBits)),
    keyPem: pair.privateKey.export({ type: "sec1", format: "pem" }) as string,
    serialHex: bytesToHex(serial),
  };
}

function distinguishedName(options: CertificateOptions): Bytes {
  const attributes: Bytes[] = [];
  const add = (id: string, value: string | undefined): void => {
    if (value === undefined) return;
    const text = der(derTag.utf8String, utf8ToBytes(value));
    attributes.push(der(derTag.set, der(derTag.sequence, derObjectId(id), text)));
  };
  add(oids.organization, options.organization);
  add(oids.commonName, options.commonName);
  return der(derTag.sequence, ...attributes);
}

/** The subject of a certificate, as it stands there. */
function subjectOf(certificatePem: string): Bytes {
  const text = certificatePem.replace(/-----[^-]*-----|\s/g, "");
  const certificate = readDer(base64ToBytes(text), 0);
  const toBeSigned = derChildren(certificate.content)[0];
  // version, serial number, algorithm, issuer, validity, subject
  const subject = toBeSigned === undefined ? undefined : derChildren(toBeSigned.content)[5];
  if (subject === undefined) throw new RangeError("malformed issuer certificate");
  return der(subject.tag, subject.content);
}

function extensions(options: CertificateOptions, usage: number): Bytes[] {
  const unusedBits = 31 - Math.clz32(usage & -usage);
  const usageBits = der(derTag.bitString, Uint8Array.of(unusedBits, usage));
  const purposes = options.purposes.map((purpose) => derObjectId(oids[purpose]));
  const constraints = options.authority ? [der(derTag.boolean, yes)] : [];
  const list = [
    extension(oids.keyUsage, true, usageBits),
    extension(oids.basicConstraints, true, der(derTag.sequence, ...constraints)),
  ];
  if (purposes.length > 0) {
    list.push(extension(oids.extendedKeyUsage, false, der(derTag.sequence, ...purposes)));
  }
  if (options.hosts.length > 0) {
    const names = options.hosts.map((host) =>
      isIP(host) === 0 ? der(0x82, utf8ToBytes(host)) : der(0x87, ipBytes(host)),
    );
    list.push(extension(oids.subjectAltName, false, der(derTag.sequence, ...names)));
  }
  return list;
}

function extension(id: string, critical: boolean, value: Bytes): Bytes {
  const content = der(derTag.octetString, value);
  if (!critical) return der(derTag.sequence, derObjectId(id), content);
  return der(derTag.sequence, derObjectId(id), der(derTag.boolean, yes), content);
}

/** UTCTime through 2049, GeneralizedTime from then on (RFC 5280, 4.1.2.5). */
export function derTime(ms: number): Bytes {
  const digits = new Date(ms).toISOString().replace(/\.\d+/, "").replace(/[-:T]/g, "");
  if (Number(digits.slice(0, 4)) < 2050) return der(derTag.utcTime, keyToBytes(digits.slice(2)));
  return der(derTag.generalizedTime, keyToBytes(digits));
}

/** 4 or 16 bytes of an address that `isIP` accepts. */
export function ipBytes(ip: string): Bytes {
  if (isIP(ip) === 4) return Uint8Array.from(ip.split(".").map(Number));
  const groups = ip
    .replace(/%.*$/, "")
    // An IPv4 tail is two groups.
    .replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a, b, c, d) => {
      const group = (high: string, low: string): string =>
        (Number(high) * 256 + Number(low)).toString(16);
      return `${group(a, b)}:${group(c, d)}`;
    })
    .split("::")
    .map((half) => (half === "" ? [] : half.split(":")));
  const [before = [], after = []] = groups;
  const gap = Array.from({ length: 8 - before.length - after.length }, () => "0");
  const values = [...before, ...gap, ...after].map((group) => Number.parseInt(group, 16));
  return concatBytes(values.map((value) => Uint8Array.of(value >>> 8, value & 0xff)));
}

function pem(label: string, bytes: Bytes): string {
  const lines = bytesToBase64(bytes).replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
