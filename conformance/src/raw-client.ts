// A client without opinions: sends what it is given, shows what comes back, retries nothing. On our own
// transport, which is what the load generator wants; that our server is not only good for our own client is
// shown by the suites with stock clients.

import type { Bytes } from "@etcd-ts/base";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { Channel, RpcError } from "@etcd-ts/rpc";

const host = nodeHost({ log: silentLog });
const receiveBytesMax = 2 ** 31 - 1;

/** The gRPC status of a refused call. */
export class RawError extends Error {
  override readonly name = "RawError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export interface RawStreamHandler {
  onMessage(message: Bytes): void;
  /** `error` undefined: the server ended it with OK. */
  onEnd(error: RawError | undefined): void;
}

export interface RawStream {
  send(message: Bytes): void;
  cancel(): void;
}

export class RawClient {
  readonly #channel: Channel;

  /** `endpoint`: `host:port`. */
  constructor(endpoint: string, trustedCaPem?: string) {
    const [name, port] = endpoint.split(":");
    this.#channel = new Channel({
      host,
      address: { kind: "tcp", host: name as string, port: Number(port) },
      receiveBytesMax,
      sendBytesMax: receiveBytesMax,
      ...(trustedCaPem === undefined ? {} : { tls: { trustedCaPem } }),
    });
  }

  async unary(path: string, message: Bytes): Promise<Bytes> {
    try {
      return await this.#channel.unary(path, message);
    } catch (error) {
      throw error instanceof RpcError ? new RawError(error.code, error.message) : error;
    }
  }

  stream(path: string, handler: RawStreamHandler): RawStream {
    let cancelled = false;
    const stream = this.#channel.stream(
      path,
      {},
      {
        onMessage: (bytes) => handler.onMessage(bytes),
        onEnd: (error) => {
          if (cancelled) return;
          handler.onEnd(error === undefined ? undefined : new RawError(error.code, error.message));
        },
      },
    );
    return {
      send: (message) => {
        stream.send(message);
      },
      cancel: () => {
        cancelled = true;
        stream.cancel();
      },
    };
  }

  close(): void {
    this.#channel.close();
  }
}
