// Listening and dialling over node:net and node:tls; addresses and error texts as etcd's users know them.
//
// One listener can serve TLS and plain connections on the same port (etcd allows both schemes for one
// host:port): the first byte of a TLS connection is 22, the record type of a handshake.

import type { LookupAddress } from "node:dns";
import { unlinkSync } from "node:fs";
import { type AddressInfo, connect, createServer, isIP, type Server, type Socket } from "node:net";
import type { TLSSocket, Server as TlsServer } from "node:tls";
import {
  type Connection,
  type ConnectionHandler,
  type DialOptions,
  type Listener,
  type ListenOptions,
  type Net,
  type NetAddress,
  NetError,
  type TlsClientOptions,
} from "@etcd-ts/base";
import { type ConnectionNames, highWaterBytes, NodeConnection } from "./connection.ts";
import { netError, systemCode } from "./system-errors.ts";
import {
  ClientVerifier,
  clientOptions,
  type NodeTlsServerOptions,
  serverContext,
  tlsFailure,
  tlsInfo,
} from "./tls.ts";

export interface NodeListenOptions extends ListenOptions {
  readonly tls?: NodeTlsServerOptions;
  /**
   * Asked before each handshake, so that new certificate files serve without a restart. Gives back the same
   * object as long as nothing changed.
   */
  readonly refreshTls?: () => NodeTlsServerOptions;
  /** With `tls`: connections that do not begin with a TLS handshake are welcome too, and go here. */
  readonly acceptPlain?: (connection: Connection) => ConnectionHandler;
  /** Connections beyond this number are closed at once. */
  readonly connectionCountMax?: number;
}

export interface NodeNet extends Net {
  listen(address: NetAddress, options: NodeListenOptions): Promise<Listener>;
}

type Network = NetAddress["kind"];

const handshakeTimeoutMs = 10_000;
const keepAliveDelayMs = 30_000;
const backlog = 4096;
const tlsHandshakeRecord = 22;

// Loaded when they are first needed: together they take 5 ms of a start.
const lazyTls = (): typeof import("node:tls") => process.getBuiltinModule("node:tls");
const lazyDns = (): typeof import("node:dns") => process.getBuiltinModule("node:dns");

const socketOptions = {
  allowHalfOpen: true,
  highWaterMark: highWaterBytes,
  keepAlive: true,
  keepAliveInitialDelay: keepAliveDelayMs,
  noDelay: true,
};

class NodeNetwork implements NodeNet {
  async listen(address: NetAddress, options: NodeListenOptions): Promise<Listener> {
    const server =
      options.tls === undefined
        ? plainServer(options, address.kind)
        : tlsServer(options, options.tls, address.kind);
    if (options.connectionCountMax !== undefined)
      server.maxConnections = options.connectionCountMax;
    await bind(server, address);
    server.on("error", (error) => options.onError?.(netError("accept", error), true, ""));
    server.on("drop", (dropped) => {
      const from = hostPort(dropped?.remoteAddress ?? "", dropped?.remotePort ?? 0);
      options.onError?.(new NetError("EMFILE", "too many connections"), false, from);
    });
    return new NodeListener(server, address);
  }

  dial(address: NetAddress, options: DialOptions, handler: ConnectionHandler): Connection {
    const where = address.kind === "unix" ? address.path : hostPort(address.host, address.port);
    const names: ConnectionNames = {
      remoteAddress: where,
      localAddress: "",
      network: address.kind,
    };
    const dialling = `dial ${address.kind} ${where}`;
    const socket =
      options.tls === undefined
        ? connect({ ...target(address), ...socketOptions })
        : dialTls(address, options.tls);
    socket.setNoDelay(true);
    const connection = new NodeConnection(socket, names, false, dialling);
    let timer: NodeJS.Timeout | undefined;
    if (options.timeoutMs !== undefined) {
      timer = setTimeout(() => {
        connection.fail(new NetError("TIMEOUT", `${dialling}: i/o timeout`));
      }, options.timeoutMs);
      socket.once("close", () => clearTimeout(timer));
    }
    socket.once(options.tls === undefined ? "connect" : "secureConnect", () => {
      clearTimeout(timer);
      const local = hostPort(socket.localAddress ?? "", socket.localPort ?? 0);
      const info = options.tls === undefined ? undefined : tlsInfo(socket as TLSSocket, false);
      connection.opened(address.kind === "unix" ? "@" : local, info);
    });
    connection.start(handler);
    return connection;
  }
}

export function nodeNet(): NodeNet {
  return new NodeNetwork();
}

class NodeListener implements Listener {
  readonly address: NetAddress;
  readonly #server: Server;

  constructor(server: Server, asked: NetAddress) {
    this.#server = server;
    const bound = server.address() as AddressInfo | string | null;
    this.address =
      asked.kind === "tcp" && bound !== null && typeof bound === "object"
        ? { kind: "tcp", host: bound.address, port: bound.port }
        : asked;
  }

  close(): Promise<void> {
    // Not waited for: the server counts as open until its last connection ends, and they live on.
    if (this.#server.listening) this.#server.close();
    return new Promise((resolve) => setImmediate(resolve));
  }
}

function plainServer(options: NodeListenOptions, network: Network): Server {
  return createServer(socketOptions, (socket) => {
    acceptPlain(socket, network, options.accept, options);
  });
}

function acceptPlain(
  socket: Socket,
  network: Network,
  accept: (connection: Connection) => ConnectionHandler,
  options: NodeListenOptions,
): void {
  const connection = new NodeConnection(socket, namesOf(socket, network), true, "");
  if (connection.remoteAddress === "") {
    // The other side was gone before we looked.
    connection.destroy();
    options.onError?.(new NetError("ECONNRESET", "connection reset by peer"), false, "");
    return;
  }
  connection.start(accept(connection));
}

function tlsServer(
  options: NodeListenOptions,
  tls: NodeTlsServerOptions,
  network: Network,
): Server {
  let current = tls;
  let verifier = new ClientVerifier(tls);
  const server: TlsServer = lazyTls().createServer({
    ...socketOptions,
    ...serverContext(tls),
    ALPNProtocols: [...tls.alpn],
    requestCert: tls.requireClientCertificate === true,
    rejectUnauthorized: false,
    handshakeTimeout: handshakeTimeoutMs,
  });
  const refresh = (socket: Socket): boolean => {
    if (options.refreshTls === undefined) return true;
    try {
      const fresh = options.refreshTls();
      if (fresh === current) return true;
      server.setSecureContext(serverContext(fresh));
      verifier = new ClientVerifier(fresh);
      current = fresh;
      return true;
    } catch (error) {
      options.onError?.(asError(error), false, namesOf(socket, network).remoteAddress);
      return false;
    }
  };
  server.on("secureConnection", (socket) => {
    const connection = new NodeConnection(socket, namesOf(socket, network), true, "");
    const refusal = verifier.verdict(socket);
    if (refusal !== undefined) {
      connection.destroy();
      options.onError?.(refusal, false, connection.remoteAddress);
      return;
    }
    connection.tls = tlsInfo(socket, current.requireClientCertificate === true);
    connection.start(options.accept(connection));
  });
  server.on("tlsClientError", (error, socket) => {
    const failure = tlsFailure("tls handshake", error) ?? netError("tls handshake", error);
    options.onError?.(failure, false, namesOf(socket, network).remoteAddress);
    socket.destroy();
  });
  if (options.acceptPlain === undefined && options.refreshTls === undefined) return server;

  // A server of its own in front, which hands sockets to the TLS one.
  const plain = options.acceptPlain;
  return createServer(socketOptions, (socket) => {
    const shake = (): void => {
      if (refresh(socket)) server.emit("connection", socket);
      else socket.destroy();
    };
    if (plain === undefined) return shake();
    peekFirstByte(socket, (first) => {
      if (first === tlsHandshakeRecord) shake();
      else acceptPlain(socket, network, plain, options);
    });
  });
}

function peekFirstByte(socket: Socket, found: (byte: number) => void): void {
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("end", giveUp);
    socket.off("error", stop);
    socket.off("close", stop);
  };
  const look = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    stop();
    socket.unshift(chunk);
    found(chunk[0] as number);
  };
  const giveUp = (): void => {
    socket.destroy();
  };
  const timer = setTimeout(giveUp, handshakeTimeoutMs);
  socket.on("readable", look);
  socket.on("end", giveUp);
  socket.on("error", stop);
  socket.on("close", stop);
}

async function bind(server: Server, address: NetAddress): Promise<void> {
  if (address.kind === "tcp") {
    const host = await bindHost(address.host);
    const what = `listen tcp ${hostPort(host, address.port)}: bind`;
    return listening(server, { host, port: address.port, backlog }, what);
  }
  const what = `listen unix ${address.path}: bind`;
  try {
    await listening(server, { path: address.path, backlog }, what);
  } catch (error) {
    // The file of a process that was killed; a live one answers.
    if (systemCode(error) !== "EADDRINUSE" || (await answers(address.path))) throw error;
    try {
      unlinkSync(address.path);
    } catch (cause) {
      if (systemCode(cause) !== "ENOENT") throw netError(what, cause);
    }
    await listening(server, { path: address.path, backlog }, what);
  }
}

function listening(server: Server, where: object, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      server.off("listening", onListening);
      reject(netError(what, error));
    };
    const onListening = (): void => {
      server.off("error", onError);
      resolve();
    };
    server.once("error", onError);
    server.once("listening", onListening);
    server.listen(where);
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    // Refused: nobody listens there. Anything else (no permission, say) is not ours to remove.
    probe.once("error", (error) => resolve(systemCode(error) !== "ECONNREFUSED"));
  });
}

/** A host name as the address to bind: its first IPv4 address if it has one, as Go chooses. */
async function bindHost(host: string): Promise<string> {
  if (host === "" || isIP(host) !== 0) return host === "" ? "::" : host;
  let found: LookupAddress[];
  try {
    found = await lazyDns().promises.lookup(host, { all: true });
  } catch (error) {
    throw netError(`listen tcp: lookup ${host}`, error);
  }
  const chosen = found.find((entry) => entry.family === 4) ?? found[0];
  if (chosen === undefined)
    throw new NetError("ENOTFOUND", `listen tcp: lookup ${host}: no such host`);
  return chosen.address;
}

function target(address: NetAddress): { path: string } | { host: string; port: number } {
  return address.kind === "unix"
    ? { path: address.path }
    : { host: address.host, port: address.port };
}

function dialTls(address: NetAddress, options: TlsClientOptions): TLSSocket {
  const tls = lazyTls();
  const host = address.kind === "tcp" ? address.host : "";
  const secure = clientOptions(options, host, tls.checkServerIdentity);
  return tls.connect({ ...target(address), ...socketOptions, ...secure });
}

function namesOf(socket: Socket, network: Network): ConnectionNames {
  if (network === "unix") {
    return { remoteAddress: "@", localAddress: "@", network: "unix" };
  }
  const remote = socket.remoteAddress;
  const local = socket.localAddress ?? "";
  return {
    remoteAddress: remote === undefined ? "" : hostPort(remote, socket.remotePort ?? 0),
    localAddress: hostPort(local, socket.localPort ?? 0),
    network,
  };
}

export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
