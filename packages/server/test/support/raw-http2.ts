// The cheapest possible gRPC client: frames that were put together once, fed straight into a server
// connection. What it costs is next to nothing, so a benchmark measures the server alone.

import type { Connection, ConnectionHandler } from "@etcd-ts/base";
import type { RpcServer } from "@etcd-ts/rpc";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function literal(name: string, value: string): Buffer {
  const text = (s: string) => Buffer.concat([Buffer.from([s.length]), Buffer.from(s)]);
  return Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);
}

export class RawClient {
  readonly #handler: ConnectionHandler;
  #nextStream = 1;
  #firstBlock: Buffer | undefined;
  readonly #block: Buffer;
  #writes = 0;
  bytesWritten = 0;

  constructor(server: RpcServer, path: string) {
    const connection: Connection = {
      remoteAddress: "127.0.0.1:1",
      localAddress: "127.0.0.1:2",
      tls: undefined,
      isWritten: true,
      write: (bytes) => {
        this.#writes++;
        this.bytesWritten += bytes.length;
        return true;
      },
      pause() {},
      resume() {},
      end() {},
      destroy() {},
      detach: () => undefined,
    };
    this.#handler = server.attach(connection);
    const own = [
      literal(":path", path),
      literal(":authority", "127.0.0.1:2379"),
      literal("content-type", "application/grpc"),
      literal("user-agent", "grpc-go/1.71.1"),
      literal("te", "trailers"),
      literal("client-api-version", "3.7.1"),
      literal("hasleader", "true"),
    ];
    // :method POST and :scheme http stand in the static table; ours are 62… with the newest first.
    const fixed = Buffer.from([0x83, 0x86]);
    this.#firstBlock = Buffer.concat([fixed, ...own]);
    this.#block = Buffer.concat([
      fixed,
      Buffer.from(own.map((_, i) => 0x80 | (61 + own.length - i))),
    ]);
    const settings = Buffer.alloc(6);
    settings.writeUInt16BE(4, 0);
    settings.writeUInt32BE(0x7fffffff, 2);
    const window = Buffer.alloc(4);
    window.writeUInt32BE(0x7fffffff - 65535);
    this.#handler.onData(
      Buffer.concat([
        preface,
        frame(4, 0, 0, settings),
        frame(4, 1, 0, new Uint8Array(0)),
        frame(8, 0, 0, window),
      ]),
    );
  }

  get writes(): number {
    return this.#writes;
  }

  /** Bytes of one call: headers and one message. */
  request(message: Uint8Array): Buffer {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    const block = this.#firstBlock ?? this.#block;
    this.#firstBlock = undefined;
    const data = Buffer.alloc(5 + message.length);
    data.writeUInt32BE(message.length, 1);
    data.set(message, 5);
    return Buffer.concat([frame(1, 4, stream, block), frame(0, 1, stream, data)]);
  }

  send(bytes: Uint8Array): void {
    this.#handler.onData(bytes);
  }

  close(): void {
    this.#handler.onClose(undefined);
  }
}
