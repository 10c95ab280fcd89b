// Listening and dialling over node:net and node:tls; addresses and error texts as etcd's users know them.
//
// The first byte of a TLS connection is 22, the record type of a handshake. So one listener can serve TLS
// and plain connections on the same port (etcd allows both schemes for one host:port), and one that serves
// TLS alone says at once what is wrong with a plain connection, where OpenSSL would wait for more bytes.

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
import { clientAddressProblem } from "./client-address.ts";
import { type ConnectionNames, highWaterBytes, NodeConnection } from "./connection.ts";
import { HeldConnection } from "./held-connection.ts";
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
  /** Other processes may listen on the same port (SO_REUSEPORT); see `canReusePort`. */
  readonly reusePort?: boolean;
}

/** Node sets SO_REUSEPORT from 22.12 and 23.1 on, and before that ignores the wish. */
export function canReusePort(version: string = process.versions.node): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}

export interface NodeDialOptions extends DialOptions {
  /** The address of ours to dial from; the system chooses when absent. */
  readonly localHost?: string;
}

export interface NodeNet extends Net {
  dial(address: NetAddress, options: NodeDialOptions, handler: ConnectionHandler): Connection;
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
    await bind(server, address, options.reusePort === true);
    server.on("error", (error) => options.onError?.(netError("accept", error), true, ""));
    server.on("drop", (dropped) => {
      const from = hostPort(dropped?.remoteAddress ?? "", dropped?.remotePort ?? 0);
      options.onError?.(new NetError("EMFILE", "too many connections"), false, from);
    });
    return new NodeListener(server, address);
  }

  dial(address: NetAddress, options: NodeDialOptions, handler: ConnectionHandler): Connection {
    const where = address.kind === "unix" ? address.path : hostPort(address.host, address.port);
    const names: ConnectionNames = {
      remoteAddress: where,
      localAddress: "",
      network: address.kind,
    };
    const dialling = `dial ${address.kind} ${where}`;
    const socket =
      options.tls === undefined
        ? connect({ ...target(address, options), ...socketOptions })
        : dialTls(address, options, options.tls);
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
    const refuse = (refusal: NetError): void => {
      connection.destroy();
      options.onError?.(refusal, false, connection.remoteAddress);
    };
    const refusal = verifier.verdict(socket);
    if (refusal !== undefined) return refuse(refusal);
    connection.tls = tlsInfo(socket, current.requireClientCertificate === true);
    const leaf = current.matchesClientAddress ? socket.getPeerX509Certificate() : undefined;
    if (leaf === undefined) {
      connection.start(options.accept(connection));
      return;
    }
    // Names may have to be looked up; until then the connection waits unread.
    let gone = false;
    const held = new HeldConnection(connection, () => {
      gone = true;
    });
    connection.start(held);
    void clientAddressProblem(leaf, socket.remoteAddress ?? "").then((problem) => {
      if (gone) return;
      if (problem !== undefined) refuse(problem);
      else held.handOver(options.accept(connection));
    });
  });
  server.on("tlsClientError", (error, socket) => {
    const failure = tlsFailure(error) ?? netError("tls handshake", error);
    options.onError?.(failure, false, namesOf(socket, network).remoteAddress);
    socket.destroy();
  });
  // A server of its own in front, which hands sockets to the TLS one.
  const plain = options.acceptPlain;
  return createServer(socketOptions, (socket) => {
    const refuse = (code: string, text: string): void => {
      options.onError?.(new NetError(code, text), false, namesOf(socket, network).remoteAddress);
      socket.destroy();
    };
    peekFirstByte(socket, refuse, (first) => {
      if (first === tlsHandshakeRecord) {
        if (refresh(socket)) server.emit("connection", socket);
        else socket.destroy();
      } else if (plain === undefined) {
        refuse("TLS", "tls: first record does not look like a TLS handshake");
      } else acceptPlain(socket, network, plain, options);
    });
  });
}

function peekFirstByte(
  socket: Socket,
  refuse: (code: string, text: string) => void,
  found: (byte: number) => void,
): void {
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("end", onEnd);
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
  const onEnd = (): void => {
    stop();
    refuse("ECONNRESET", "EOF");
  };
  const timer = setTimeout(() => {
    stop();
    refuse("TIMEOUT", "tls handshake: i/o timeout");
  }, handshakeTimeoutMs);
  socket.on("readable", look);
  socket.on("end", onEnd);
  socket.on("error", stop);
  socket.on("close", stop);
}

async function bind(server: Server, address: NetAddress, reusePort: boolean): Promise<void> {
  if (address.kind === "tcp") {
    const host = await bindHost(address.host);
    const what = `listen tcp ${hostPort(host, address.port)}: bind`;
    const options = { host, port: address.port, backlog, ...(reusePort ? { reusePort } : {}) };
    return listening(server, options, what);
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

function target(
  address: NetAddress,
  { localHost }: NodeDialOptions,
): { path: string } | { host: string; port: number; localAddress?: string } {
  if (address.kind === "unix") return { path: address.path };
  const { host, port } = address;
  return { host, port, ...(localHost === undefined ? {} : { localAddress: localHost }) };
}

function dialTls(address: NetAddress, dial: NodeDialOptions, options: TlsClientOptions): TLSSocket {
  const tls = lazyTls();
  const host = address.kind === "tcp" ? address.host : "";
  const secure = clientOptions(options, host, tls.checkServerIdentity);
  return tls.connect({ ...target(address, dial), ...socketOptions, ...secure });
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
