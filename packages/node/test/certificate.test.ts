import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { bytesToHex, utf8ToBytes } from "@etcd-ts/base";
import { derTime, ipBytes } from "../src/certificate.ts";
import { der, derInteger, derTag } from "../src/der.ts";
import { issueCertificate, revokedSerials, selfSignedCertificate } from "../src/index.ts";

const nowMs = Date.parse("2026-03-04T05:06:07Z");

test("the auto-tls certificate has etcd's shape", () => {
  const hosts = ["localhost", "127.0.0.1", "::1", "fe80::1:2"];
  const made = selfSignedCertificate(hosts, 365, nowMs);
  const certificate = new X509Certificate(made.certificatePem);
  assert.equal(certificate.subject, "O=etcd");
  assert.equal(certificate.issuer, "O=etcd");
  // basicConstraints with CA:TRUE. (OpenSSL does not call it an authority, as it may not sign.)
  assert.match(bytesToHex(certificate.raw), /0603551d130101ff040530030101ff/);
  assert.equal(certificate.validFrom, "Mar  4 05:06:07 2026 GMT");
  assert.equal(certificate.validTo, "Mar  4 05:06:07 2027 GMT");
  assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, "secp521r1");
  assert.ok(certificate.verify(certificate.publicKey));
  assert.match(made.keyPem, /^-----BEGIN EC PRIVATE KEY-----/);
  assert.equal(
    certificate.subjectAltName,
    "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:FE80:0:0:0:0:0:1:2",
  );
  // serverAuth and nothing else
  assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  assert.equal(made.serialHex.length, 32);
});

test("a certificate signed by an authority verifies against it", () => {
  const purposes = ["server", "client"] as const;
  const base = { hosts: ["a.example"], purposes, validDays: 1, nowMs };
  for (const curve of ["P-256", "P-521"] as const) {
    const authority = issueCertificate({ ...base, commonName: "ca", authority: true, curve });
    const leaf = issueCertificate({ ...base, commonName: "leaf", issuer: authority });
    const parsed = new X509Certificate(leaf.certificatePem);
    const parent = new X509Certificate(authority.certificatePem);
    assert.ok(parsed.verify(parent.publicKey));
    assert.ok(parsed.checkIssued(parent));
    assert.equal(parsed.ca, false);
    assert.equal(parsed.checkHost("a.example", { subject: "never" }), "a.example");
  }
});

test("IP addresses become their bytes", () => {
  const hex = (ip: string): string => bytesToHex(ipBytes(ip));
  assert.equal(hex("1.2.3.255"), "010203ff");
  assert.equal(hex("::"), "00".repeat(16));
  assert.equal(hex("::1"), `${"00".repeat(15)}01`);
  assert.equal(hex("2001:db8::"), `20010db8${"00".repeat(12)}`);
  assert.equal(hex("1:2:3:4:5:6:7:8"), "00010002000300040005000600070008");
  assert.equal(hex("::ffff:10.0.0.1"), "00000000000000000000ffff0a000001");
});

test("a revocation list gives its serial numbers, in DER and in PEM", () => {
  const entry = (serial: number[]): Uint8Array =>
    der(derTag.sequence, derInteger(Uint8Array.from(serial)), derTime(nowMs));
  const list = (...revoked: Uint8Array[]): Uint8Array =>
    der(
      derTag.sequence,
      der(
        derTag.sequence,
        derInteger(Uint8Array.of(1)),
        der(derTag.sequence),
        der(derTag.sequence),
        derTime(nowMs),
        derTime(nowMs + 1000),
        ...revoked,
      ),
      der(derTag.sequence),
      der(derTag.bitString, Uint8Array.of(0)),
    );
  const bytes = list(der(derTag.sequence, entry([0xab, 0xcd]), entry([5]), entry([0x7f, 0, 1])));
  assert.deepEqual([...revokedSerials(bytes)].sort(), ["5", "7f0001", "abcd"]);
  const pem = `-----BEGIN X509 CRL-----\n${Buffer.from(bytes).toString("base64")}\n-----END X509 CRL-----\n`;
  assert.deepEqual(revokedSerials(utf8ToBytes(pem)), revokedSerials(bytes));
  assert.equal(revokedSerials(list()).size, 0);
  for (const bad of [
    new Uint8Array(0),
    utf8ToBytes("no list"),
    bytes.subarray(0, 40),
    Uint8Array.of(0x30, 0),
  ]) {
    assert.throws(() => revokedSerials(bad), RangeError);
  }
});
