// Endpoints from DNS: SRV records of a domain.

import { resolveSrv } from "node:dns/promises";
import { ExitCode, Failure } from "../shared/exit.ts";
import { quote } from "../shared/go-quote.ts";
import type { Output } from "../shared/output.ts";

/** Addresses from the records of both services; empty when there are none. Throws `Failure`. */
export async function discoverEndpoints(
  domain: string,
  serviceName: string,
  acceptInsecure: boolean,
  output: Output,
): Promise<string[]> {
  const suffix = serviceName === "" ? "" : `-${serviceName}`;
  const errors: string[] = [];
  const found: string[] = [];
  for (const [service, scheme] of [
    [`_etcd-client-ssl${suffix}`, "https"],
    [`_etcd-client${suffix}`, "http"],
  ] as const) {
    const name = `${service}._tcp.${domain}`;
    try {
      const records = await resolveSrv(name);
      records.sort((a, b) => a.priority - b.priority || b.weight - a.weight);
      for (const it of records) found.push(`${scheme}://${it.name.replace(/\.$/, "")}:${it.port}`);
    } catch (error) {
      errors.push(`lookup ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (errors.length === 2) {
    throw new Failure(ExitCode.error, `dns lookup errors: ${errors.join(" and ")}`);
  }
  if (acceptInsecure) return found;
  return found.filter((url) => {
    if (url.startsWith("https://")) return true;
    output.err(`ignoring discovered insecure endpoint ${quote(url)}\n`);
    return false;
  });
}
