// The load of `unary.bench.ts`; as a process of its own it is driven by messages of its parent.

import type { NetAddress } from "@etcd-ts/base";
import { Channel } from "../../src/index.ts";
import { nodeHost } from "../support/node-host.ts";

const message = new Uint8Array(64).fill(7);

/** That many calls, spread over the channels, with so many at a time. */
export function callMany(
  channels: readonly Channel[],
  count: number,
  concurrency: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let started = 0;
    let ended = 0;
    const handler = {
      onResult(error: Error | undefined, _: unknown, tag: unknown): void {
        if (error !== undefined) reject(error);
        else if (++ended === count) resolve();
        else if (started < count) start(tag as Channel);
      },
    };
    const start = (channel: Channel): void => {
      started++;
      channel.startUnary("/bench.Echo/Echo", message, {}, handler, channel);
    };
    while (started < Math.min(count, concurrency)) start(channels[started % channels.length]!);
  });
}

interface Order {
  readonly address: NetAddress;
  readonly connections: number;
  readonly concurrency: number;
  readonly count: number;
}

if (process.send !== undefined && process.argv[1]?.endsWith("load.js") === true) {
  let channels: Channel[] = [];
  process.on("message", ({ address, connections, concurrency, count }: Order) => {
    if (channels.length === 0) {
      const host = nodeHost();
      channels = Array.from({ length: connections }, () => new Channel({ host, address }));
    }
    callMany(channels, count, concurrency).then(
      () => process.send!("done"),
      (error: unknown) => {
        throw error;
      },
    );
  });
  process.on("disconnect", () => {
    for (const channel of channels) channel.close();
  });
  process.send("ready");
}
