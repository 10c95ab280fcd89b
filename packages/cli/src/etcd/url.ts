// URLs of listeners and members, with etcd's rules and the texts of its refusals.

import { isIP } from "node:net";
import { type GoUrl, GoUrlError, parseGoUrl, splitHostPort } from "../shared/go-url.ts";

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

/** Throws `UrlError`. */
export function parseUrl(text: string): EtcdUrl {
  const { scheme, host, path } = parsed(text);
  switch (scheme) {
    case "http":
    case "https":
      if (splitHostPort(host) === undefined) {
        throw new UrlError(`URL address does not have the form "host:port": ${text}`);
      }
      if (path !== "") throw new UrlError(`URL must not contain a path: ${text}`);
      return { scheme, host, path, text };
    case "unix":
    case "unixs":
      return { scheme, host, path, text };
    default:
      throw new UrlError(`URL scheme must be http, https, unix, or unixs: ${text}`);
  }
}

function parsed(text: string): GoUrl {
  try {
    return parseGoUrl(text);
  } catch (cause) {
    if (!(cause instanceof GoUrlError)) throw cause;
    throw new UrlError(cause.message, { cause });
  }
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
