// Peer URLs as etcd's clients accept them, with their words for what is wrong.

import { parseUrl, UrlError } from "../etcd/url.ts";

/** What is wrong with the URL; undefined when nothing is. */
export function peerUrlProblem(given: string): string | undefined {
  try {
    parseUrl(given.trim());
    return undefined;
  } catch (error) {
    if (error instanceof UrlError) return error.message;
    throw error;
  }
}
