import { mkdtemp, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Net } from "@etcd-ts/base";
import { issueCertificate, nodeHost, silentLog } from "../src/index.ts";
import { connectionContract, hostContract, type World } from "./host-contract.ts";

async function inWorld(net: Net | undefined, body: (world: World) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "etcd-ts-host-"));
  try {
    const host = nodeHost({ log: silentLog });
    await body({ host: net === undefined ? host : { ...host, net }, directory });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

hostContract("node", (body) => inWorld(undefined, body));

const plain = nodeHost({ log: silentLog }).net;
const certificate = issueCertificate({
  hosts: ["127.0.0.1"],
  purposes: ["server"],
  validDays: 1,
  nowMs: Date.now() - 1000,
});
const trusting = { trustedCaPem: certificate.certificatePem, alpn: [] };
const tlsNet: Net = {
  listen: (address, options) =>
    plain.listen(address, { ...options, tls: { ...certificate, alpn: [] } }),
  dial: (address, options, handler) => {
    return plain.dial(address, { ...options, tls: trusting }, handler);
  },
};
connectionContract("node over TLS", (body) => inWorld(tlsNet, body));

let socketCount = 0;
const unixNet: Net = {
  listen: (address, options) => {
    // Again the same one is asked for by its path.
    if (address.kind === "unix") return plain.listen(address, options);
    socketCount += 1;
    const path = join(tmpdir(), `etcd-ts-${process.pid}-${socketCount}.sock`);
    return plain.listen({ kind: "unix", path }, options);
  },
  dial: (address, options, handler) => plain.dial(address, options, handler),
};
connectionContract("node over unix sockets", (body) => inWorld(unixNet, body));

// A Node that no longer calls `push` through the instance: what we put there has no effect, and the bytes
// come as "data".
connectionContract("node reading the long way", async (body) => {
  const { push } = Readable.prototype;
  Object.defineProperty(Socket.prototype, "push", {
    configurable: true,
    get: () => push,
    set() {},
  });
  try {
    await inWorld(undefined, body);
  } finally {
    delete (Socket.prototype as { push?: unknown }).push;
  }
});
