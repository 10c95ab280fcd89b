// Links over TLS with certificates on both sides, on real sockets.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { Listener, TlsClientOptions, TlsServerOptions } from "@etcd-ts/base";
import { issueCertificate, nodeHost, silentLog } from "@etcd-ts/node";
import { PeerLinks } from "../../src/peers/peer-links.ts";
import { RaftDriver } from "./support/raft-driver.ts";

const validity = { validDays: 1, nowMs: Date.now() };

test("members find each other over mutual TLS, and a stranger does not get in", async (t) => {
  const host = nodeHost({ log: silentLog });
  const ca = issueCertificate({
    ...validity,
    commonName: "authority",
    hosts: [],
    purposes: [],
    authority: true,
  });
  const issued = issueCertificate({
    ...validity,
    commonName: "member",
    hosts: ["127.0.0.1"],
    purposes: ["server", "client"],
    issuer: ca,
  });
  const { certificatePem, keyPem } = issued;
  const shared = { certificatePem, keyPem, trustedCaPem: ca.certificatePem, alpn: ["http/1.1"] };
  const serverTls: TlsServerOptions = { ...shared, requireClientCertificate: true };
  const clientTls: TlsClientOptions = shared;

  const ids = [1n, 2n, 3n];
  const links = new Map<bigint, PeerLinks>();
  const urls = new Map<bigint, string>();
  for (const id of ids) {
    const listener: Listener = await host.net.listen(
      { kind: "tcp", host: "127.0.0.1", port: 0 },
      { tls: serverTls, accept: (connection) => links.get(id)!.accept(connection) },
    );
    t.after(() => listener.close());
    assert.ok(listener.address.kind === "tcp");
    urls.set(id, `https://127.0.0.1:${listener.address.port}`);
  }
  const { trustedCaPem, alpn } = shared;
  const drivers = ids.map((id) => {
    const own = new PeerLinks({
      host,
      peerUrls: [urls.get(id)!],
      electionMs: 1000,
      // The third one has no certificate of its own.
      clientTls: id === 3n ? { trustedCaPem, alpn } : clientTls,
    });
    links.set(id, own);
    const founders = ids.map((founder) => ({ id: founder, context: new Uint8Array(0) }));
    const driver = new RaftDriver({
      host,
      links: own,
      memberId: id,
      clusterId: 5n,
      founders,
      electionTicks: id === 1n ? 3 : 20,
      preVote: true,
      members: () => [],
    });
    t.after(() => driver.stop());
    for (const other of ids) if (other !== id) own.addPeer(other, [urls.get(other)!]);
    return driver;
  });
  const [first, second] = drivers as [RaftDriver, RaftDriver, RaftDriver];
  await until(() => first.links.isFullyConnected(2n) && second.links.isFullyConnected(1n));
  await until(() => first.leader === 1n && second.leader === 1n);
  assert.ok(first.propose(Uint8Array.of(1, 2, 3)));
  await until(() => second.applied.some((entry) => entry.data.length === 3));
  assert.equal(links.get(1n)!.isFullyConnected(3n), false);
});

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 60_000;
  while (!condition()) {
    assert.ok(performance.now() < end, "in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
