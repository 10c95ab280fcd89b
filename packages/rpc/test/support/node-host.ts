// A small Host over node:net for the tests of this package, which may not use `@etcd-ts/node`.

import { randomBytes, randomInt } from "node:crypto";
import net from "node:net";
import tls from "node:tls";
import {
  type Bytes,
  type Connection,
  type ConnectionHandler,
  type DialOptions,
  type Listener,
  type ListenOptions,
  type Log,
  type NetAddress,
  NetError,
  type TlsInfo,
} from "@etcd-ts/base";
import type { RpcHost } from "../../src/index.ts";

export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  named: () => silentLog,
};

export function nodeHost(log: Log = silentLog): RpcHost {
  return {
    clock: { monotonicMs: () => performance.now(), wallMs: () => Date.now() },
    timers: {
      after(delayMs, fire) {
        const timer = setTimeout(fire, delayMs);
        return { cancel: () => clearTimeout(timer) };
      },
      soon: (run) => {
        setImmediate(run);
      },
    },
    random: { below: (bound) => randomInt(bound), bytes: (count) => randomBytes(count) },
    net: { listen, dial },
    log,
  };
}

function listen(address: NetAddress, options: ListenOptions): Promise<Listener> {
  const accept = (socket: net.Socket): void => {
    const connection = new SocketConnection(socket, tlsInfo(socket));
    connection.start(options.accept(connection));
  };
  const server =
    options.tls === undefined
      ? net.createServer({ noDelay: true }, accept)
      : tls.createServer(
          {
            cert: options.tls.certificatePem,
            key: options.tls.keyPem,
            ALPNProtocols: [...options.tls.alpn],
            noDelay: true,
          },
          accept,
        );
  return new Promise((resolve, reject) => {
    server.on("error", (error: NodeJS.ErrnoException) =>
      reject(new NetError(error.code ?? "", error.message)),
    );
    server.on("tlsClientError", (error, socket) =>
      options.onError?.(error, false, socket.remoteAddress ?? ""),
    );
    const listening = (): void =>
      resolve({
        address:
          address.kind === "unix"
            ? address
            : { ...address, port: (server.address() as net.AddressInfo).port },
        close: () => new Promise((done) => server.close(() => done())),
      });
    if (address.kind === "unix") server.listen(address.path, listening);
    else server.listen(address.port, address.host, listening);
    // `close` must not wait for connections.
    const close = server.close.bind(server);
    server.close = ((done?: () => void) => {
      close();
      done?.();
      return server;
    }) as typeof server.close;
  });
}

function dial(address: NetAddress, options: DialOptions, handler: ConnectionHandler): Connection {
  const place =
    address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
  const socket =
    options.tls === undefined
      ? net.connect({ ...place, noDelay: true })
      : tls.connect({
          ...place,
          ALPNProtocols: [...options.tls.alpn],
          ...(options.tls.trustedCaPem === undefined ? {} : { ca: options.tls.trustedCaPem }),
          servername: options.tls.serverName ?? "",
          rejectUnauthorized: options.tls.insecureSkipVerify !== true,
          checkServerIdentity: () => undefined,
        });
  const connection = new SocketConnection(socket, undefined);
  connection.start(handler);
  if (options.timeoutMs !== undefined) {
    const timer = setTimeout(
      () => socket.destroy(new NetError("TIMEOUT", "i/o timeout")),
      options.timeoutMs,
    );
    const stop = (): void => clearTimeout(timer);
    socket.once(options.tls === undefined ? "connect" : "secureConnect", stop);
    socket.once("close", stop);
  }
  socket.once(options.tls === undefined ? "connect" : "secureConnect", () => {
    connection.tls = tlsInfo(socket);
    handler.onOpen?.();
  });
  return connection;
}

function tlsInfo(socket: net.Socket): TlsInfo | undefined {
  if (!(socket instanceof tls.TLSSocket)) return undefined;
  const { alpnProtocol } = socket;
  return {
    alpn: typeof alpnProtocol === "string" ? alpnProtocol : "",
    serverName: "",
    peerCertificate: undefined,
  };
}

class SocketConnection implements Connection {
  readonly socket: net.Socket;
  tls: TlsInfo | undefined;
  #handler: ConnectionHandler | undefined;
  #error: Error | undefined;

  constructor(socket: net.Socket, info: TlsInfo | undefined) {
    this.socket = socket;
    this.tls = info;
  }

  get remoteAddress(): string {
    const { remoteAddress, remotePort } = this.socket;
    return remoteAddress === undefined ? "@" : `${remoteAddress}:${remotePort}`;
  }

  get localAddress(): string {
    const { localAddress, localPort } = this.socket;
    return localAddress === undefined ? "@" : `${localAddress}:${localPort}`;
  }

  start(handler: ConnectionHandler): void {
    this.#handler = handler;
    const { socket } = this;
    socket.on("data", (chunk: Bytes) => this.#handler?.onData(chunk));
    socket.on("drain", () => this.#handler?.onDrain());
    socket.on("end", () => this.#handler?.onEnd());
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#error =
        error instanceof NetError ? error : new NetError(error.code ?? "", error.message);
    });
    socket.on("close", () => {
      const last = this.#handler;
      this.#handler = undefined;
      last?.onClose(this.#error);
    });
  }

  write(bytes: Bytes): boolean {
    return this.socket.write(bytes) || this.socket.writableLength < 65_536;
  }

  get isWritten(): boolean {
    return this.socket.writableLength === 0 && !this.socket.destroyed;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }

  detach(unconsumed: Bytes): net.Socket {
    this.#handler = undefined;
    this.socket.removeAllListeners("data");
    this.socket.removeAllListeners("end");
    this.socket.removeAllListeners("drain");
    this.socket.pause();
    if (unconsumed.length > 0) this.socket.unshift(unconsumed);
    return this.socket;
  }
}
