// The way to the other members: links for raft, and requests for what members ask each other beside it. Both
// dial with the certificates as their files are at that moment.

import type { Host } from "@etcd-ts/base";
import type { NodeDialOptions, NodeHost } from "@etcd-ts/node";
import { PeerLinks, PeerRequests } from "@etcd-ts/server";
import { type Config, milliseconds } from "./config.ts";
import type { DialTls } from "./dial-tls.ts";
import { parseFeatureGates } from "./feature-gates.ts";
import { hostnameOf, isIpText, urlTexts } from "./url.ts";

export interface PeerSide {
  readonly links: PeerLinks;
  readonly requests: PeerRequests;
}

export function createPeerSide(host: NodeHost, config: Config, tls: DialTls | undefined): PeerSide {
  const electionMs = config["election-timeout"];
  const dialling = dialsWith(host, tls, localHost(config));
  return {
    links: new PeerLinks({
      host: dialling,
      electionMs,
      peerUrls: urlTexts(config["initial-advertise-peer-urls"]),
      readIdleMs: milliseconds(config["raft-read-timeout"]),
      writeIdleMs: milliseconds(config["raft-write-timeout"]),
    }),
    requests: new PeerRequests({ host: dialling, electionMs }),
  };
}

/**
 * Of the feature gate SetMemberLocalAddr: the first advertised address that others can reach, which connections
 * to them then come from. Undefined: the system chooses.
 */
export function localHost(config: Config): string | undefined {
  if (!parseFeatureGates(config["feature-gates"]).get("SetMemberLocalAddr")) return undefined;
  return config["initial-advertise-peer-urls"]
    .map(hostnameOf)
    .find((name) => isIpText(name) && !/^(127\.|0\.0\.0\.0$|::1?$)/.test(name));
}

function dialsWith(host: NodeHost, files: DialTls | undefined, from: string | undefined): Host {
  if (files === undefined && from === undefined) return host;
  const { net } = host;
  return {
    ...host,
    net: {
      listen: (address, options) => net.listen(address, options),
      dial(address, options, handler) {
        const changed: NodeDialOptions = {
          ...options,
          ...(options.tls === undefined || files === undefined
            ? {}
            : { tls: { ...files.current(), alpn: options.tls.alpn } }),
          ...(from === undefined ? {} : { localHost: from }),
        };
        return net.dial(address, changed, handler);
      },
    },
  };
}
