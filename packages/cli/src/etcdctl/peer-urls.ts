// Peer URLs as etcd's clients accept them, with Go's words for what is wrong.

import { quote } from "../shared/go-quote.ts";

/** What is wrong with the URL; undefined when nothing is. */
export function peerUrlProblem(given: string): string | undefined {
  const url = given.trim();
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(url);
  if (scheme === null) {
    const segment = (url.split("/", 1)[0] as string) ?? "";
    if (url.startsWith(":")) return `parse ${quote(url)}: missing protocol scheme`;
    if (segment.includes(":")) {
      return `parse ${quote(url)}: first path segment in URL cannot contain colon`;
    }
    return `URL scheme must be http, https, unix, or unixs: ${url}`;
  }
  const name = (scheme[1] as string).toLowerCase();
  if (!["http", "https", "unix", "unixs"].includes(name)) {
    return `URL scheme must be http, https, unix, or unixs: ${url}`;
  }
  const rest = url.slice(scheme[0].length);
  const authority = rest.startsWith("//") ? (/^\/\/([^/?#]*)(.*)$/s.exec(rest) ?? []) : [];
  const place = authority[1] ?? "";
  const path = authority[2] ?? rest;
  if (!/^(\[[^\]]*\]|[^:]*):[^:]*$/.test(place)) {
    return `URL address does not have the form "host:port": ${url}`;
  }
  if (!/:\d*$/.test(place)) {
    const port = place.slice(place.lastIndexOf(":"));
    return `parse ${quote(url)}: invalid port ${quote(port)} after host`;
  }
  if (path !== "") return `URL must not contain a path: ${url}`;
  return undefined;
}
