// A certificate revocation list (RFC 5280, section 5), reduced to the serial numbers in it. Like etcd we
// look at nothing else: neither issuer, dates nor signature (the operator names the file).

import { type Bytes, base64ToBytes, bytesToHex, bytesToUtf8 } from "@etcd-ts/base";
import { derChildren, derTag, readDer } from "./der.ts";

const pemBlock = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]*)-----END X509 CRL-----/g;

/**
 * Serial numbers as lower-case hex digits without leading zeros, of a list in DER or of all lists in a PEM
 * text. Throws RangeError when it is no list.
 */
export function revokedSerials(file: Bytes): ReadonlySet<string> {
  const serials = new Set<string>();
  const blocks = [...bytesToUtf8(file).matchAll(pemBlock)];
  if (blocks.length === 0) collect(file, serials);
  for (const block of blocks)
    collect(base64ToBytes((block[1] as string).replace(/\s/g, "")), serials);
  return serials;
}

/** `serial` in any hex notation, in the form of `revokedSerials`. */
export function normalizeSerial(serial: string): string {
  return serial.toLowerCase().replace(/^0+(?=.)/, "");
}

function collect(list: Bytes, serials: Set<string>): void {
  // CertificateList ::= SEQUENCE { tbsCertList SEQUENCE { version?, signature, issuer, thisUpdate,
  //   nextUpdate?, revokedCertificates SEQUENCE OF SEQUENCE { serial, date, … }?, … }, … }
  const outer = readDer(list, 0);
  const toBeSigned = outer.tag === derTag.sequence ? derChildren(outer.content)[0] : undefined;
  if (toBeSigned?.tag !== derTag.sequence)
    throw new RangeError("malformed certificate revocation list");
  const fields = derChildren(toBeSigned.content);
  let next = fields[0]?.tag === derTag.integer ? 1 : 0;
  next += 2;
  const times: readonly number[] = [derTag.utcTime, derTag.generalizedTime];
  if (!times.includes(fields[next]?.tag ?? 0))
    throw new RangeError("malformed certificate revocation list");
  while (times.includes(fields[next]?.tag ?? 0)) next += 1;
  const revoked = fields[next];
  if (revoked?.tag !== derTag.sequence) return;
  for (const entry of derChildren(revoked.content)) {
    const serial = derChildren(entry.content)[0];
    if (serial?.tag !== derTag.integer)
      throw new RangeError("malformed certificate revocation list");
    serials.add(normalizeSerial(bytesToHex(serial.content)));
  }
}
