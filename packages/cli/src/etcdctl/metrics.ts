// One figure out of a member's metrics page.

import { get as httpGet, type RequestOptions } from "node:http";
import { get as httpsGet } from "node:https";
import type { Session } from "./session.ts";
import { readTlsFiles } from "./tls-files.ts";

const metric = "process_resident_memory_bytes";

/** Resident memory of the first endpoint's process; throws when it does not tell, or when `signal` fires first. */
export async function residentBytes(
  { client, flags }: Session,
  signal?: AbortSignal,
): Promise<number> {
  const endpoint = client.endpoints[0] as string;
  const url = `${endpoint.includes("://") ? endpoint : `http://${endpoint}`}/metrics`;
  const tls = readTlsFiles({
    cert: flags.string("cert"),
    key: flags.string("key"),
    cacert: flags.string("cacert"),
    insecureTransport: true,
    insecureSkipVerify: flags.bool("insecure-skip-tls-verify"),
    serverName: "",
  });
  const page = await fetchText(url, {
    ...(signal === undefined ? {} : { signal }),
    ...(tls?.certificatePem === undefined ? {} : { cert: tls.certificatePem }),
    ...(tls?.keyPem === undefined ? {} : { key: tls.keyPem }),
    ...(tls?.trustedCaPem === undefined ? {} : { ca: tls.trustedCaPem }),
    ...(tls?.insecureSkipVerify ? { rejectUnauthorized: false } : {}),
  });
  const found = new RegExp(`^${metric} (\\S+)$`, "m").exec(page);
  if (found === null) throw new Error(`could not find: ${metric}`);
  return Number(found[1]);
}

function fetchText(url: string, options: RequestOptions): Promise<string> {
  const get = url.startsWith("https:") ? httpsGet : httpGet;
  return new Promise((resolve, reject) => {
    const request = get(url, options, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (chunk: Buffer) => parts.push(chunk));
      response.on("end", () => resolve(Buffer.concat(parts).toString("utf8")));
      response.on("error", fail);
    });
    const fail = (error: Error): void => reject(new Error(`fetch error: ${error.message}`));
    request.on("error", fail);
  });
}
