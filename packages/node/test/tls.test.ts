import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Connection,
  type Listener,
  NetError,
  type TlsClientOptions,
  type TlsInfo,
  utf8ToBytes,
} from "@etcd-ts/base";
import { derTime } from "../src/certificate.ts";
import { der, derInteger, derTag } from "../src/der.ts";
import {
  issueCertificate,
  type NodeListenOptions,
  type NodeTlsServerOptions,
  nodeHost,
  silentLog,
} from "../src/index.ts";
import { Recorder } from "./host-contract.ts";

const host = nodeHost({ log: silentLog });
const base = { hosts: ["localhost", "127.0.0.1"], validDays: 2, nowMs: Date.now() - 3_600_000 };
const authority = issueCertificate({
  ...base,
  commonName: "test authority",
  hosts: [],
  purposes: [],
  authority: true,
});
const serverCertificate = issueCertificate({ ...base, purposes: ["server"], issuer: authority });
const clientCertificate = issueCertificate({
  ...base,
  commonName: "alice",
  hosts: ["alice.example", "10.1.2.3"],
  purposes: ["client"],
  issuer: authority,
});
const tls: NodeTlsServerOptions = {
  certificatePem: serverCertificate.certificatePem,
  keyPem: serverCertificate.keyPem,
  alpn: ["h2", "http/1.1"],
};
const trusting: TlsClientOptions = { trustedCaPem: authority.certificatePem, alpn: ["h2"] };
const asAlice: TlsClientOptions = {
  ...trusting,
  certificatePem: clientCertificate.certificatePem,
  keyPem: clientCertificate.keyPem,
};
const mutual: NodeTlsServerOptions = {
  ...tls,
  requireClientCertificate: true,
  trustedCaPem: authority.certificatePem,
};

interface Outcome {
  readonly client: Recorder;
  readonly accepted: { readonly tls: TlsInfo | undefined; readonly text: string } | undefined;
  readonly error: Error | undefined;
  readonly serverErrors: string[];
}

/** One exchange: the client says hello, the server answers, the client closes. */
async function exchange(
  server: Omit<NodeListenOptions, "accept">,
  client: TlsClientOptions | undefined,
): Promise<Outcome> {
  const errors: string[] = [];
  let accepted: Connection | undefined;
  const recorder = new Recorder();
  const handle = (connection: Connection): Recorder => {
    accepted = connection;
    recorder.connection = connection;
    recorder.echo = true;
    return recorder;
  };
  const listener: Listener = await host.net.listen(
    { kind: "tcp", host: "127.0.0.1", port: 0 },
    {
      ...server,
      accept: handle,
      ...(server.acceptPlain === undefined ? {} : { acceptPlain: handle }),
      onError: (error) => errors.push(error.message),
    },
  );
  const dialled = new Recorder();
  const options = client === undefined ? {} : { tls: client };
  dialled.connection = host.net.dial(listener.address, { ...options, timeoutMs: 60_000 }, dialled);
  dialled.connection.write(utf8ToBytes("hello"));
  let error: Error | undefined;
  try {
    const refused = dialled.ended.then(() => dialled.connection.end());
    await Promise.race([dialled.received(5), refused.then(() => dialled.closed)]);
    if (dialled.receivedBytes < 5) throw new Error("ended");
    dialled.connection.end();
    await recorder.ended;
    recorder.connection.end();
    error = await dialled.closed;
  } catch {
    error = (await dialled.closed) ?? new Error("closed without an error");
  }
  const info = dialled.connection.tls;
  const seen = accepted === undefined ? undefined : { tls: accepted.tls, text: recorder.text() };
  await listener.close();
  if (accepted !== undefined) {
    accepted.destroy();
    await recorder.closed;
  }
  assert.equal(dialled.connection.tls, info);
  return { client: dialled, accepted: seen, error, serverErrors: errors };
}

test("TLS: bytes go both ways and ALPN agrees", async () => {
  const { client, accepted, error } = await exchange({ tls }, trusting);
  assert.equal(error, undefined);
  assert.equal(client.text(), "hello");
  assert.equal(accepted?.text, "hello");
  assert.equal(accepted?.tls?.alpn, "h2");
  assert.equal(client.connection.tls?.alpn, "h2");
  assert.equal(accepted?.tls?.peerCertificate, undefined);
});

test("TLS: a client without ALPN is accepted", async () => {
  const { accepted } = await exchange({ tls }, { ...trusting, alpn: [] });
  assert.equal(accepted?.tls?.alpn, "");
});

test("TLS: an unknown authority is refused by the client with Go's words", async () => {
  const other = issueCertificate({ ...base, commonName: "x", purposes: [], authority: true });
  const { error } = await exchange({ tls }, { ...trusting, trustedCaPem: other.certificatePem });
  assert.ok(error instanceof NetError);
  assert.equal(error.code, "TLS");
  assert.match(
    error.message,
    /^tls: failed to verify certificate: x509: certificate signed by unknown authority$/,
  );
  const { accepted } = await exchange({ tls }, { alpn: ["h2"], insecureSkipVerify: true });
  assert.equal(accepted?.text, "hello");
});

test("TLS: a server that speaks in the clear is said to be one", async () => {
  const accepted = new Recorder();
  const listener = await host.net.listen(
    { kind: "tcp", host: "127.0.0.1", port: 0 },
    {
      accept: (connection) => {
        accepted.connection = connection;
        connection.write(utf8ToBytes("HTTP/1.1 400 Bad Request\r\n\r\n"));
        return accepted;
      },
    },
  );
  const dialled = new Recorder();
  dialled.connection = host.net.dial(listener.address, { tls: trusting }, dialled);
  const error = await dialled.closed;
  assert.equal(error?.message, "tls: first record does not look like a TLS handshake");
  await listener.close();
  accepted.connection.destroy();
});

test("TLS: the server's name is verified", async () => {
  const wrong = await exchange({ tls }, { ...trusting, serverName: "other.example" });
  const refused = "tls: failed to verify certificate: x509: certificate is valid for";
  assert.equal(wrong.error?.message, `${refused} localhost, not other.example`);
  const address = await exchange({ tls }, { ...trusting, serverName: "10.9.9.9" });
  assert.equal(address.error?.message, `${refused} 127.0.0.1, not 10.9.9.9`);
  const right = await exchange({ tls }, { ...trusting, serverName: "localhost" });
  assert.equal(right.accepted?.tls?.serverName, "localhost");
});

test("TLS: a client certificate is required, verified and shown", async () => {
  const { accepted } = await exchange({ tls: mutual }, asAlice);
  assert.deepEqual(accepted?.tls?.peerCertificate, {
    commonName: "alice",
    dnsNames: ["alice.example"],
    ipAddresses: ["10.1.2.3"],
  });
  const without = await exchange({ tls: mutual }, trusting);
  assert.equal(without.accepted, undefined);
  assert.ok(without.error !== undefined);
  assert.deepEqual(without.serverErrors, ["tls: client didn't provide a certificate"]);
  const stranger = issueCertificate({ ...base, commonName: "eve", purposes: ["client"] });
  const refused = await exchange({ tls: mutual }, { ...asAlice, ...stranger });
  assert.equal(refused.accepted, undefined);
  assert.match(
    refused.serverErrors.join(),
    /failed to verify certificate: x509: .*unknown authority/,
  );
});

test("TLS: a certificate for servers does not make a client", async () => {
  const { accepted, serverErrors } = await exchange(
    { tls: mutual },
    { ...trusting, ...serverCertificate },
  );
  assert.equal(accepted, undefined);
  assert.match(serverErrors.join(), /incompatible key usage/);
});

test("TLS: a client must be valid for an allowed name", async () => {
  const allow = (...names: string[]): NodeTlsServerOptions => ({
    ...mutual,
    allowedHostnames: names,
  });
  assert.ok((await exchange({ tls: allow("x", "alice.example") }, asAlice)).accepted);
  assert.ok((await exchange({ tls: allow("10.1.2.3") }, asAlice)).accepted);
  const { accepted, serverErrors } = await exchange({ tls: allow("bob.example") }, asAlice);
  assert.equal(accepted, undefined);
  assert.deepEqual(serverErrors, ["client certificate authentication failed"]);
  const common = { ...mutual, allowedCommonNames: ["bob"] };
  assert.equal((await exchange({ tls: common }, asAlice)).accepted, undefined);
  assert.ok(
    (await exchange({ tls: { ...common, allowedCommonNames: ["alice"] } }, asAlice)).accepted,
  );
});

test("TLS: a revoked certificate is refused, its issuer's too", async () => {
  const list = (serialHex: string): Uint8Array =>
    der(
      derTag.sequence,
      der(
        derTag.sequence,
        der(derTag.sequence),
        der(derTag.sequence),
        derTime(base.nowMs),
        der(
          derTag.sequence,
          der(derTag.sequence, derInteger(Buffer.from(serialHex, "hex")), derTime(base.nowMs)),
        ),
      ),
    );
  for (const revoked of [clientCertificate, authority]) {
    const crlDer = list(revoked.serialHex);
    const { accepted, serverErrors } = await exchange({ tls: { ...mutual, crlDer } }, asAlice);
    assert.equal(accepted, undefined);
    assert.match(serverErrors.join(), /^transport: certificate serial [0-9a-f]+ revoked$/);
  }
  const crlDer = list(serverCertificate.serialHex);
  assert.ok((await exchange({ tls: { ...mutual, crlDer } }, asAlice)).accepted);
});

test("TLS: versions and cipher suites are kept to", async () => {
  const tls12 = { ...tls, maxVersion: "TLSv1.2" } as const;
  const suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
  assert.ok((await exchange({ tls: { ...tls12, cipherSuites: [suite] } }, trusting)).accepted);
  // A suite for RSA keys, which we have none of.
  const rsa = { ...tls12, cipherSuites: ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"] };
  const { accepted, serverErrors } = await exchange({ tls: rsa }, trusting);
  assert.equal(accepted, undefined);
  assert.match(serverErrors.join(), /no shared cipher/);
});

test("TLS: plain connections on the same port, when asked for", async () => {
  const acceptPlain = (): Recorder => new Recorder();
  const plain = await exchange({ tls, acceptPlain }, undefined);
  assert.equal(plain.accepted?.text, "hello");
  assert.equal(plain.accepted?.tls, undefined);
  const secure = await exchange({ tls, acceptPlain }, trusting);
  assert.equal(secure.accepted?.tls?.alpn, "h2");
  assert.equal(secure.accepted?.text, "hello");
  const refused = await exchange({ tls }, undefined);
  assert.equal(refused.accepted, undefined);
});

test("TLS: new certificates serve the next connection", async () => {
  const fresh = issueCertificate({
    ...base,
    hosts: ["fresh.example"],
    purposes: ["server"],
    issuer: authority,
  });
  let current = tls;
  const errors: string[] = [];
  const listener = await host.net.listen(
    { kind: "tcp", host: "127.0.0.1", port: 0 },
    {
      tls,
      refreshTls: () => current,
      accept: (connection) => {
        const recorder = new Recorder();
        recorder.connection = connection;
        connection.end();
        return recorder;
      },
      onError: (error) => errors.push(error.message),
    },
  );
  const attempt = async (serverName: string): Promise<Error | undefined> => {
    const recorder = new Recorder();
    const options = { tls: { ...trusting, serverName } };
    recorder.connection = host.net.dial(listener.address, options, recorder);
    await Promise.race([recorder.ended, recorder.closed]);
    recorder.connection.end();
    return recorder.closed;
  };
  assert.equal(await attempt("localhost"), undefined);
  current = { ...tls, certificatePem: fresh.certificatePem, keyPem: fresh.keyPem };
  assert.equal(await attempt("fresh.example"), undefined);
  assert.ok((await attempt("localhost")) instanceof NetError);
  await listener.close();
});

test("TLS: a handshake of rubbish reaches onError and nobody else", async () => {
  const errors: string[] = [];
  const listener = await host.net.listen(
    { kind: "tcp", host: "127.0.0.1", port: 0 },
    {
      tls,
      accept: () => assert.fail("accepted"),
      onError: (error, fatal) => errors.push(`${error.message} ${fatal}`),
    },
  );
  const recorder = new Recorder();
  recorder.connection = host.net.dial(listener.address, {}, recorder);
  recorder.connection.write(utf8ToBytes("GET / HTTP/1.1\r\n\r\n"));
  await recorder.closedOrEnded;
  recorder.connection.destroy();
  await recorder.closed;
  await listener.close();
  assert.equal(errors.length, 1);
  assert.match(errors[0]!, /false$/);
});
