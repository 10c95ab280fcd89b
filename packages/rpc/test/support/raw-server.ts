// A server by hand, for a client channel: takes connections as `RawPeer`s.

import { utf8ToBytes } from "@etcd-ts/base";
import { clientPreface } from "../../src/frames.ts";
import { Channel, type ChannelOptions } from "../../src/index.ts";
import { RawPeer, settings } from "./raw-peer.ts";
import { World } from "./world.ts";

const address = { kind: "tcp", host: "server", port: 7 } as const;

export class RawServer {
  readonly world: World = new World();
  readonly channel: Channel;
  readonly peers: RawPeer[] = [];

  constructor(options: Partial<ChannelOptions> = {}) {
    this.channel = new Channel({ host: this.world.host, address, ...options });
  }

  async listen(): Promise<void> {
    await this.world.host.net.listen(address, {
      accept: (connection) => {
        const peer = new RawPeer(this.world, connection as never);
        this.peers.push(peer);
        const handler = peer.io.handler!;
        let preface = clientPreface.length;
        return {
          ...handler,
          onData: (bytes) => {
            const skip = Math.min(preface, bytes.length);
            preface -= skip;
            if (skip < bytes.length) handler.onData(bytes.subarray(skip));
          },
        };
      },
    });
  }

  /** Listening, connected, greeted; the client's greeting is taken. */
  static async connected(options: Partial<ChannelOptions> = {}): Promise<[RawServer, RawPeer]> {
    const server = new RawServer(options);
    await server.listen();
    server.channel.connect();
    await server.world.settle();
    const peer = server.peers[0]!;
    peer.send(settings());
    await server.world.settle();
    peer.story();
    return [server, peer];
  }
}

export const text = (value: string): Uint8Array => utf8ToBytes(value);
