// Peer URLs, and which of a peer's several URLs is used: one until it fails, then the next.

import type { NetAddress } from "@etcd-ts/base";

export interface PeerUrl {
  readonly text: string;
  readonly isTls: boolean;
  readonly address: NetAddress;
  /** For the `Host` field. */
  readonly authority: string;
}

const pattern = /^(https?|unixs?):\/\/(\[[0-9A-Fa-f:.%]+\]|[^/?#:\s[\]]+)(?::([0-9]{1,5}))?\/?$/;

/** Undefined for what is no peer URL: no scheme that we know, no port, a path, … */
export function parsePeerUrl(text: string): PeerUrl | undefined {
  const match = pattern.exec(text);
  if (match === null) return unixUrl(text);
  const [, scheme, host, portText] = match as unknown as [string, string, string, string?];
  if (portText === undefined || scheme.startsWith("unix")) return unixUrl(text);
  const port = Number(portText);
  if (port > 65_535) return undefined;
  return {
    text,
    isTls: scheme === "https",
    address: { kind: "tcp", host: host.replace(/^\[|\]$/g, ""), port },
    authority: `${host}:${portText}`,
  };
}

/** `unix://` names a socket: `host:port` as a relative path, as etcd has it, or an absolute one. */
function unixUrl(text: string): PeerUrl | undefined {
  const match = /^unix(s?):\/\/([^\s?#]+)$/.exec(text);
  if (match === null) return undefined;
  const isTls = match[1] === "s";
  return { text, isTls, address: { kind: "unix", path: match[2]! }, authority: "localhost" };
}

export class UrlPicker {
  #urls: readonly PeerUrl[] = [];
  #picked = 0;

  constructor(urls: readonly string[]) {
    this.update(urls);
  }

  get urls(): readonly PeerUrl[] {
    return this.#urls;
  }

  /** URLs that cannot be dialled are left out. */
  update(urls: readonly string[]): void {
    this.#urls = urls.map(parsePeerUrl).filter((url) => url !== undefined);
    this.#picked = 0;
  }

  /** Undefined: there is none. */
  pick(): PeerUrl | undefined {
    return this.#urls[this.#picked];
  }

  /** The next one's turn, unless somebody noticed before. */
  failed(url: PeerUrl): void {
    if (this.#urls[this.#picked] === url) this.#picked = (this.#picked + 1) % this.#urls.length;
  }
}
