// URLs of listeners and members, with etcd's rules and the texts of its refusals.

import { isIP } from "node:net";

export type UrlScheme = "http" | "https" | "unix" | "unixs";

export interface EtcdUrl {
  readonly scheme: UrlScheme;
  /** `host:port` for http and https. */
  readonly host: string;
  /** Only of unix URLs. */
  readonly path: string;
  /** As given. */
  readonly text: string;
}

/** Why a text is no URL; the message is etcd's. */
export class UrlError extends Error {
  override readonly name = "UrlError";
}

/** Comma-separated URLs, sorted, each once. */
export function parseUrls(text: string): readonly EtcdUrl[] {
  return parseUrlList(text.split(","));
}

export function parseUrlList(texts: readonly string[]): readonly EtcdUrl[] {
  if (texts.length === 0) throw new UrlError("no valid URLs given");
  const byText = new Map<string, EtcdUrl>();
  for (const text of texts) {
    const url = parseUrl(text.trim());
    byText.set(url.text, url);
  }
  return [...byText.values()].sort((a, b) => (a.text < b.text ? -1 : 1));
}

export function parseUrl(text: string): EtcdUrl {
  const [, scheme = "", rest = ""] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s.exec(text) ?? [];
  const wrongScheme = new UrlError(`URL scheme must be http, https, unix, or unixs: ${text}`);
  if (scheme === "") {
    if (/^[^/?#]*:/.test(text)) {
      throw new UrlError(
        `parse ${JSON.stringify(text)}: first path segment in URL cannot contain colon`,
      );
    }
    throw wrongScheme;
  }
  const [, host = "", tail = ""] = /^\/\/([^/?#]*)(.*)$/s.exec(rest) ?? ["", "", rest];
  checkHost(text, host);
  const path = /^[^?#]*/.exec(tail)?.[0] ?? "";
  switch (scheme.toLowerCase()) {
    case "http":
    case "https":
      if (splitHostPort(host) === undefined) {
        throw new UrlError(`URL address does not have the form "host:port": ${text}`);
      }
      if (path !== "") throw new UrlError(`URL must not contain a path: ${text}`);
      return { scheme: scheme.toLowerCase() as UrlScheme, host, path, text };
    case "unix":
    case "unixs":
      return { scheme: scheme.toLowerCase() as UrlScheme, host, path, text };
    default:
      throw wrongScheme;
  }
}

/** `host` without brackets, and the port; undefined when the text is not `host:port`. */
export function splitHostPort(text: string): { host: string; port: string } | undefined {
  const match = /^(?:\[([^\][]*)\]|([^:\][]*)):([^:]*)$/.exec(text);
  if (match === null) return undefined;
  return { host: match[1] ?? match[2] ?? "", port: match[3] ?? "" };
}

export function hostnameOf(url: EtcdUrl): string {
  return splitHostPort(url.host)?.host ?? url.host;
}

export function isUnix(url: EtcdUrl): boolean {
  return url.scheme === "unix" || url.scheme === "unixs";
}

export function isSecure(url: EtcdUrl): boolean {
  return url.scheme === "https" || url.scheme === "unixs";
}

export function isIpText(host: string): boolean {
  return isIP(host.replace(/%.*$/, "")) !== 0;
}

export function urlTexts(urls: readonly EtcdUrl[]): string[] {
  return urls.map((url) => url.text);
}

function checkHost(text: string, host: string): void {
  if (host.startsWith("[") && !host.includes("]")) {
    throw new UrlError(`parse ${JSON.stringify(text)}: missing ']' in host`);
  }
  const bad = /[\s"<>^`{}\\]/.exec(host)?.[0];
  if (bad !== undefined) {
    const shown = JSON.stringify(bad);
    throw new UrlError(`parse ${JSON.stringify(text)}: invalid character ${shown} in host name`);
  }
  const port = splitHostPort(host)?.port ?? "";
  if (!/^\d*$/.test(port)) {
    const shown = JSON.stringify(`:${port}`);
    throw new UrlError(`parse ${JSON.stringify(text)}: invalid port ${shown} after host`);
  }
}
