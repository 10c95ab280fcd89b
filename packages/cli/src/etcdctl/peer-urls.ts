// Peer URLs as etcd's clients accept them, with their words for what is wrong.

import { GoUrlError, parseGoUrl, splitHostPort } from "../shared/go-url.ts";

/** What is wrong with the URL; undefined when nothing is. */
export function peerUrlProblem(given: string): string | undefined {
  const text = given.trim();
  try {
    const { scheme, host, path } = parseGoUrl(text);
    switch (scheme) {
      case "http":
      case "https":
        if (splitHostPort(host) === undefined) {
          return `URL address does not have the form "host:port": ${text}`;
        }
        return path === "" ? undefined : `URL must not contain a path: ${text}`;
      case "unix":
      case "unixs":
        return undefined;
      default:
        return `URL scheme must be http, https, unix, or unixs: ${text}`;
    }
  } catch (error) {
    if (error instanceof GoUrlError) return error.message;
    throw error;
  }
}
