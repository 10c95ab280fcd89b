// Why there is no connection, in the words of grpc-go, on which scripts and tests of etcd rely.

import { type NetAddress, NetError } from "@etcd-ts/base";

const systemTexts: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "connect: connection refused"],
  ["ECONNRESET", "connect: connection reset by peer"],
  ["EHOSTUNREACH", "connect: no route to host"],
  ["ENETUNREACH", "connect: network is unreachable"],
  ["ENOENT", "connect: no such file or directory"],
  ["EACCES", "connect: permission denied"],
  ["ETIMEDOUT", "i/o timeout"],
  ["TIMEOUT", "i/o timeout"],
]);

/** The message of the UNAVAILABLE that calls get. */
export function connectText(address: NetAddress, error: Error | undefined): string {
  return `connection error: desc = ${JSON.stringify(what(address, error))}`;
}

function what(address: NetAddress, error: Error | undefined): string {
  if (!(error instanceof NetError))
    return `error reading server preface: ${error?.message ?? "EOF"}`;
  if (error.code === "TLS") return `transport: authentication handshake failed: ${error.message}`;
  return `transport: Error while dialing: ${dialText(address, error)}`;
}

function dialText(address: NetAddress, error: NetError): string {
  if (address.kind === "tcp" && (error.code === "ENOTFOUND" || error.code === "EAI_AGAIN")) {
    return `dial tcp: lookup ${address.host}: no such host`;
  }
  const text = systemTexts.get(error.code) ?? error.message;
  if (address.kind === "unix") return `dial unix ${address.path}: ${text}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `dial tcp ${host}:${address.port}: ${text}`;
}
