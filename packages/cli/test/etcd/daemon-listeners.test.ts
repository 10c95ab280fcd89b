import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type RequestOptions as HttpOptions, request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { test } from "node:test";
import { issueCertificate, selfSignedCertificate } from "@etcd-ts/node";
import { takePort } from "@etcd-ts/node/testing";
import { inFolder, memberFlags } from "./daemon-process.ts";

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

function ask(options: RequestOptions | HttpOptions, secure: boolean): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const send = secure ? httpsRequest : httpRequest;
    const request = send({ agent: false, ...options }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += String(chunk);
      });
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers });
      });
    });
    request.on("error", reject);
    request.end();
  });
}

function secure(address: string, path: string, options: RequestOptions): Promise<Answer> {
  const [host = "", port = ""] = address.split(":");
  return ask({ host, port, path, ...options }, true);
}

const base = { validDays: 2, nowMs: Date.now() - 3_600_000 };
const authority = issueCertificate({
  ...base,
  commonName: "test authority",
  hosts: [],
  purposes: [],
  authority: true,
});
const server = issueCertificate({
  ...base,
  hosts: ["localhost", "127.0.0.1"],
  purposes: ["server"],
  issuer: authority,
});
const client = issueCertificate({
  ...base,
  commonName: "alice",
  hosts: ["alice.example"],
  purposes: ["client"],
  issuer: authority,
});

function writeFiles(directory: string): { ca: string; cert: string; key: string } {
  const files = {
    ca: `${directory}/ca.pem`,
    cert: `${directory}/cert.pem`,
    key: `${directory}/key.pem`,
  };
  writeFileSync(files.ca, authority.certificatePem);
  writeFileSync(files.cert, server.certificatePem);
  writeFileSync(files.key, server.keyPem);
  return files;
}

test("TLS from files; new files serve without a restart", () =>
  inFolder(async (directory, start) => {
    const { cert, key } = writeFiles(directory);
    const daemon = start(
      memberFlags(
        directory,
        "--listen-client-urls=https://127.0.0.1:0",
        `--cert-file=${cert}`,
        `--key-file=${key}`,
      ),
    );
    const address = await daemon.address();
    assert.ok(daemon.messages().includes("serving client traffic securely"));
    const trusting = { ca: authority.certificatePem };
    const version = await secure(address, "/version", trusting);
    assert.equal(JSON.parse(version.body).etcdserver, "3.7.1");
    await assert.rejects(secure(address, "/version", {}), { code: /UNABLE|SELF_SIGNED/ });
    const renewed = issueCertificate({
      ...base,
      hosts: ["renewed.example"],
      purposes: ["server"],
      issuer: authority,
    });
    writeFileSync(cert, renewed.certificatePem);
    writeFileSync(key, renewed.keyPem);
    const after = await secure(address, "/health", { ...trusting, servername: "renewed.example" });
    assert.equal(after.status, 200);
    assert.equal((await daemon.stop()).exitCode, 0);
  }));

test("clients must show a certificate of the authority, for an allowed name", () =>
  inFolder(async (directory, start) => {
    const { ca, cert, key } = writeFiles(directory);
    const daemon = start(
      memberFlags(
        directory,
        "--listen-client-urls=https://127.0.0.1:0",
        `--cert-file=${cert}`,
        `--key-file=${key}`,
        "--client-cert-auth",
        `--trusted-ca-file=${ca}`,
        "--client-cert-allowed-hostname=bob.example,alice.example",
        "--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "--tls-max-version=TLS1.2",
      ),
    );
    const address = await daemon.address();
    const trusting = { ca: authority.certificatePem };
    const alice = { ...trusting, cert: client.certificatePem, key: client.keyPem };
    assert.equal((await secure(address, "/health", alice)).status, 200);
    await assert.rejects(secure(address, "/health", trusting));
    const refusal = await daemon.line("rejected connection on client endpoint");
    assert.match(String(refusal["error"]), /didn't provide a certificate/);
    assert.equal((await daemon.stop()).exitCode, 0);
  }));

test("auto-tls makes a certificate for the hosts and keeps it", () =>
  inFolder(async (directory, start) => {
    const flags = memberFlags(directory, "--listen-client-urls=https://127.0.0.1:0", "--auto-tls");
    const path = `${directory}/data/fixtures/client`;
    let first = "";
    for (let round = 0; round < 2; round++) {
      const daemon = start(flags);
      const address = await daemon.address();
      const certificate = readFileSync(`${path}/cert.pem`, "utf8");
      assert.equal(statSync(`${path}/key.pem`).mode & 0o777, 0o600);
      assert.equal(statSync(path).mode & 0o777, 0o700);
      const answer = await secure(address, "/health", { ca: certificate });
      assert.equal(answer.status, 200);
      if (round === 0) first = certificate;
      else assert.equal(certificate, first);
      assert.equal((await daemon.stop()).exitCode, 0);
    }
  }));

test("behind TLS, HTTP/2 that is no gRPC gets the same pages", () =>
  inFolder(async (directory, start) => {
    const { cert, key } = writeFiles(directory);
    const daemon = start(
      memberFlags(
        directory,
        "--listen-client-urls=https://127.0.0.1:0",
        `--cert-file=${cert}`,
        `--key-file=${key}`,
      ),
    );
    const session = connect(`https://${await daemon.address()}`, { ca: authority.certificatePem });
    const get = async (path: string): Promise<{ status: unknown; body: string }> => {
      const stream = session.request({ ":path": path });
      let body = "";
      stream.setEncoding("utf8").on("data", (chunk) => {
        body += chunk;
      });
      const [headers] = await once(stream, "response");
      await once(stream, "end");
      return { status: headers[":status"], body };
    };
    assert.deepEqual(await get("/health"), { status: 200, body: '{"health":"true","reason":""}' });
    assert.deepEqual(await get("/nothing"), { status: 404, body: "404 page not found\n" });
    const metrics = await get("/metrics");
    assert.ok(metrics.body.length > 65_536 && metrics.body.endsWith("\n"));
    session.destroy();
    assert.equal((await daemon.stop()).exitCode, 0);
  }));

test("one port for http and https", () =>
  inFolder(async (directory, start) => {
    const { cert, key } = writeFiles(directory);
    const port = await takePort();
    const urls = `http://127.0.0.1:${port},https://127.0.0.1:${port}`;
    const daemon = start(
      memberFlags(
        directory,
        `--listen-client-urls=${urls}`,
        `--cert-file=${cert}`,
        `--key-file=${key}`,
      ),
    );
    await daemon.addresses(2);
    assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);
    const trusting = { ca: authority.certificatePem };
    assert.equal((await secure(`127.0.0.1:${port}`, "/health", trusting)).status, 200);
    assert.equal((await daemon.stop()).exitCode, 0);
  }));

test("TLS that cannot be is one clear message", () =>
  inFolder(async (directory, start) => {
    const { cert, key } = writeFiles(directory);
    const https = "--listen-client-urls=https://127.0.0.1:0";
    const otherKey = `${directory}/other.key`;
    writeFileSync(otherKey, selfSignedCertificate(["127.0.0.1"], 1, Date.now()).keyPem);
    const garbage = `${directory}/garbage`;
    writeFileSync(garbage, "no PEM");
    const cases: readonly (readonly [string[], RegExp])[] = [
      [[https], /^TLS key\/cert .* must be provided for client url https:.* with HTTPS scheme$/],
      [[https, `--cert-file=${cert}`], /^KeyFile and CertFile must both be present/],
      [
        [https, `--cert-file=${directory}/no`, `--key-file=${key}`],
        /no: no such file or directory$/,
      ],
      [
        [https, `--cert-file=${cert}`, `--key-file=${otherKey}`],
        /other\.key is not the key of .*: tls: private key does not match public key$/,
      ],
      [
        [https, `--cert-file=${garbage}`, `--key-file=${key}`],
        /garbage: tls: failed to find any PEM data in certificate input$/,
      ],
      [
        [https, `--cert-file=${cert}`, `--key-file=${garbage}`],
        /garbage: tls: failed to find any PEM data in key input$/,
      ],
      [
        [https, `--cert-file=${cert}`, `--key-file=${key}`, `--trusted-ca-file=${garbage}`],
        /garbage: tls: failed to find any PEM data in certificate input$/,
      ],
      [
        [https, `--cert-file=${cert}`, `--key-file=${key}`, "--cipher-suites=TLS_X"],
        /^unexpected TLS cipher suite "TLS_X"$/,
      ],
      [["--cipher-suites=TLS_Y"], /^unexpected TLS cipher suite "TLS_Y"$/],
      [
        ["--listen-client-urls=http://127.0.0.1:99999"],
        /^listen tcp: address 99999: invalid port$/,
      ],
      [["--listen-metrics-urls=https://127.0.0.1:0"], /must be provided for metrics secure url/],
      [
        ["--listen-client-http-urls=http://127.0.0.1:0"],
        /^cannot bind both .* on the same url http:\/\/127\.0\.0\.1:0$/,
      ],
    ];
    const failures = cases.map(async ([flags, text]) => {
      const daemon = start(memberFlags(directory, ...flags));
      assert.equal((await daemon.ended).exitCode, 1);
      const fatal = daemon.lines.filter((line) => line.level === "fatal");
      assert.equal(fatal.length, 1, daemon.text());
      assert.match(String(fatal[0]?.["error"]), text);
    });
    await Promise.all(failures);
  }));

test("unix sockets, plain and with TLS, and a stale file of one", () =>
  inFolder(async (directory, start) => {
    const { cert, key } = writeFiles(directory);
    const flags = memberFlags(
      directory,
      `--listen-client-urls=unix://${directory}/plain.sock,unixs://${directory}/tls.sock`,
      `--cert-file=${cert}`,
      `--key-file=${key}`,
    );
    const first = start(flags);
    await first.addresses(2);
    const plain = await ask({ socketPath: `${directory}/plain.sock`, path: "/health" }, false);
    assert.equal(plain.status, 200);
    const options = { socketPath: `${directory}/tls.sock`, ca: authority.certificatePem };
    const encrypted = await ask({ ...options, path: "/health", servername: "localhost" }, true);
    assert.equal(encrypted.status, 200);
    await first.stop("SIGKILL");
    assert.ok(existsSync(`${directory}/plain.sock`));
    const second = start(flags);
    await second.addresses(2);
    assert.equal((await second.stop()).exitCode, 0);
    assert.ok(!existsSync(`${directory}/plain.sock`));
  }));

test("HTTP apart from gRPC, metrics apart from both, and the peer port", () =>
  inFolder(async (directory, start) => {
    const daemon = start(
      memberFlags(
        directory,
        "--listen-client-http-urls=http://localhost:0",
        "--listen-metrics-urls=http://127.0.0.1:0",
        "--host-whitelist=127.0.0.1",
        "--cors=http://good.example:80",
      ),
    );
    const [grpc = "", http = ""] = await daemon.addresses(2);
    await assert.rejects(fetch(`http://${grpc}/health`));
    assert.equal((await fetch(`http://${http}/health`)).status, 200);
    const [, port = ""] = http.split(":");
    const misdirected = await ask(
      { host: "127.0.0.1", port, path: "/health", headers: { Host: "evil.example" } },
      false,
    );
    assert.equal(misdirected.status, 421);
    assert.match(misdirected.body, /CVE-2018-5702/);
    const headers = { Origin: "http://good.example:80" };
    const good = await fetch(`http://${http}/health`, { headers });
    assert.equal(good.headers.get("access-control-allow-origin"), "http://good.example:80");
    const bad = await fetch(`http://${http}/health`, { headers: { Origin: "http://bad.example" } });
    assert.equal(bad.headers.get("access-control-allow-origin"), null);

    const metrics = String((await daemon.line("serving metrics"))["address"]);
    assert.match(await (await fetch(`http://${metrics}/metrics`)).text(), /^# HELP /);
    assert.equal((await fetch(`http://${metrics}/readyz`)).status, 200);
    assert.equal((await fetch(`http://${metrics}/version`)).status, 404);

    const peer = String((await daemon.line("serving peer traffic"))["address"]);
    const version = await fetch(`http://${peer}/version`);
    assert.equal(((await version.json()) as { etcdcluster: string }).etcdcluster, "3.7.0");
    const members = await fetch(`http://${peer}/members`);
    assert.match(String(members.headers.get("x-etcd-cluster-id")), /^[0-9a-f]+$/);
    const [member] = (await members.json()) as { name: string; peerURLs: string[] }[];
    assert.equal(member?.name, "m1");
    assert.deepEqual(member?.peerURLs, ["http://127.0.0.1:1"]);
    assert.equal((await fetch(`http://${peer}/health`)).status, 404);
    assert.equal((await daemon.stop()).exitCode, 0);
  }));
