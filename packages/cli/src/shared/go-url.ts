// URLs as Go's net/url reads them, with its words for what is wrong. `URL` of this world is no help: it mends and
// escapes where Go refuses, and says nothing but "Invalid URL".

import { quote } from "./go-quote.ts";

export interface GoUrl {
  /** In lower case; empty when there is none. */
  readonly scheme: string;
  /** `host:port` without user; empty for `scheme:opaque`. */
  readonly host: string;
  readonly path: string;
}

/** Says why a text is no URL, in the words of Go: `parse "…": …`. */
export class GoUrlError extends Error {
  override readonly name = "GoUrlError";
}

export function parseGoUrl(text: string): GoUrl {
  const { before: address, after: fragment } = cut(text, "#");
  const wrong = wrongEscape(fragment);
  if (wrong !== undefined) {
    parseGoUrl(address);
    throw new GoUrlError(`parse ${quote(text)}: invalid URL escape ${quote(wrong)}`);
  }
  try {
    return parseAddress(address);
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    throw new GoUrlError(`parse ${quote(address)}: ${error.message}`);
  }
}

/** `host` and `port`; undefined when the text is not `host:port` with brackets around what has colons. */
export function splitHostPort(text: string): { host: string; port: string } | undefined {
  const match = /^(?:\[([^\][]*)\]|([^:\][]*)):([^:\][]*)$/.exec(text);
  return match === null ? undefined : { host: match[1] ?? match[2] ?? "", port: match[3] ?? "" };
}

class Wrong extends Error {}

function parseAddress(text: string): GoUrl {
  for (const it of text) {
    if (it < " " || it === "\x7f") throw new Wrong("net/url: invalid control character in URL");
  }
  if (text.startsWith(":")) throw new Wrong("missing protocol scheme");
  const found = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text);
  const scheme = (found?.[1] ?? "").toLowerCase();
  const { before: rest } = cut(text.slice(found?.[0].length ?? 0), "?");
  if (!rest.startsWith("/")) {
    if (scheme !== "") return { scheme, host: "", path: "" };
    if (cut(rest, "/").before.includes(":")) {
      throw new Wrong("first path segment in URL cannot contain colon");
    }
  }
  const isNet = rest.startsWith("//") && (scheme !== "" || !rest.startsWith("///"));
  const authority = isNet ? cut(rest.slice(2), "/").before : "";
  const path = isNet ? rest.slice(2 + authority.length) : rest;
  const host = hostOf(authority);
  checkEscapes(path);
  return { scheme, host, path };
}

function hostOf(authority: string): string {
  const at = authority.lastIndexOf("@");
  const host = authority.slice(at + 1);
  const colon = host.lastIndexOf(":");
  const bracket = host.lastIndexOf("]");
  if (host.startsWith("[") && bracket < 0) throw new Wrong("missing ']' in host");
  const port = host.startsWith("[") ? host.slice(bracket + 1) : colon < 0 ? "" : host.slice(colon);
  if (!/^(:\d*)?$/.test(port)) throw new Wrong(`invalid port ${quote(port)} after host`);
  // Only a percent sign itself, before the zone of an address, and what is no ASCII may be escaped.
  checkEscapes(host, /^%(25|[89a-fA-F][0-9a-fA-F])/);
  const strange = /[^\x80-\u{10ffff}a-zA-Z0-9\-_.~!$&'()*+,;=:[\]<>"%]/u.exec(host)?.[0];
  if (strange !== undefined) throw new Wrong(`invalid character ${quote(strange)} in host name`);
  if (at >= 0 && !/^[a-zA-Z0-9\-._:~!$&'()*+,;=%@]*$/.test(authority.slice(0, at))) {
    throw new Wrong("net/url: invalid userinfo");
  }
  return host;
}

function checkEscapes(text: string, allowed?: RegExp): void {
  const wrong = wrongEscape(text, allowed);
  if (wrong !== undefined) throw new Wrong(`invalid URL escape ${quote(wrong)}`);
}

/** The first escape that is none. */
function wrongEscape(text: string, allowed = /^%[0-9a-fA-F]{2}/): string | undefined {
  for (let at = text.indexOf("%"); at >= 0; at = text.indexOf("%", at + 1)) {
    const found = text.slice(at, at + 3);
    if (!allowed.test(found)) return found;
  }
  return undefined;
}

function cut(text: string, separator: string): { before: string; after: string } {
  const at = text.indexOf(separator);
  if (at < 0) return { before: text, after: "" };
  return { before: text.slice(0, at), after: text.slice(at + separator.length) };
}
