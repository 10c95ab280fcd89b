// Connections of the load generator: our own client transport, which costs the generator about as much as
// the server's side costs ours, against every server.

import type { Bytes } from "@etcd-ts/base";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { Channel } from "@etcd-ts/rpc";

const host = nodeHost({ log: silentLog });
const messageBytesMax = 2 ** 31 - 1;

export interface Target {
  /** `host:port`; several: connections go round among them. */
  readonly endpoints: readonly string[];
  readonly trustedCaPem?: string | undefined;
}

export function openChannel(endpoint: string, trustedCaPem?: string): Channel {
  const colon = endpoint.lastIndexOf(":");
  return new Channel({
    host,
    address: {
      kind: "tcp",
      host: endpoint.slice(0, colon),
      port: Number(endpoint.slice(colon + 1)),
    },
    receiveBytesMax: messageBytesMax,
    sendBytesMax: messageBytesMax,
    ...(trustedCaPem === undefined ? {} : { tls: { trustedCaPem } }),
  });
}

export function openChannels(target: Target, count: number): Channel[] {
  return Array.from({ length: count }, (_, index) =>
    openChannel(target.endpoints[index % target.endpoints.length] as string, target.trustedCaPem),
  );
}

/** One call on a connection of its own. */
export async function callOnce(target: Target, path: string, message: Bytes): Promise<Bytes> {
  const [channel] = openChannels(target, 1) as [Channel];
  try {
    return await channel.unary(path, message, { timeoutMs: 30_000 });
  } finally {
    channel.close();
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
