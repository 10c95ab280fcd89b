// Whether a certificate is one for the address that its holder comes from, as members of etcd ask of each
// other: a certificate that names addresses or hosts must name this one. Host names count when they lead to
// the address, or when the address leads to them (the only way for a wildcard).

import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { NetError } from "@etcd-ts/base";
import { alternativeNames } from "./alternative-names.ts";

const lazyDns = (): typeof import("node:dns") => process.getBuiltinModule("node:dns");

/** Why the holder must go; undefined when it may stay. Never rejects. */
export async function clientAddressProblem(
  leaf: X509Certificate,
  remoteAddress: string,
): Promise<NetError | undefined> {
  const { dnsNames, ipAddresses } = alternativeNames(leaf.subjectAltName ?? "");
  if (dnsNames.length === 0 && ipAddresses.length === 0) return undefined;
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, "").replace(/%.*$/, "");
  if (isIP(address) !== 0 && leaf.checkIP(address) !== undefined) return undefined;
  if (dnsNames.length === 0) {
    const valid = ipAddresses.join(", ");
    return new NetError("TLS", `x509: certificate is valid for ${valid}, not ${address}`);
  }
  if (isIP(address) !== 0 && (await leadsTo(dnsNames, address, leaf))) return undefined;
  const names = dnsNames.map((name) => JSON.stringify(name)).join(" ");
  return new NetError(
    "TLS",
    `tls: ${JSON.stringify(address)} does not match any of DNSNames [${names}]`,
  );
}

async function leadsTo(
  names: readonly string[],
  address: string,
  leaf: X509Certificate,
): Promise<boolean> {
  const { lookup, reverse } = lazyDns().promises;
  const forward = await Promise.all(
    names
      .filter((name) => !name.startsWith("*."))
      .map((name) => lookup(name, { all: true }).catch(() => [])),
  );
  if (forward.some((found) => found.some((entry) => entry.address === address))) return true;
  const hosts = await reverse(address).catch((): string[] => []);
  return hosts.some((host) => leaf.checkHost(host.replace(/\.$/, ""), { subject: "never" }));
}
