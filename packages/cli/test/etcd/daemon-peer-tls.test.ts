// TLS between members: certificate files and who may connect with which, certificates that members make
// themselves, and what is said of connections that are turned away.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type IssuedCertificate, issueCertificate } from "@etcd-ts/node";
import { skipWithoutServer, stockEtcd } from "../etcdctl/stock.ts";
import {
  clusterFlags,
  ctl,
  type PlannedMember,
  planMembers,
  stopAll,
  until,
} from "./cluster-processes.ts";
import { inFolder } from "./daemon-process.ts";

const ready = "ready to serve client requests";
const validity = { validDays: 2, nowMs: Date.now() - 3_600_000 };
const authority = issueCertificate({
  ...validity,
  commonName: "test authority",
  hosts: [],
  purposes: [],
  authority: true,
});

function memberCertificate(commonName: string, hosts: readonly string[]): IssuedCertificate {
  const purposes = ["server", "client"] as const;
  return issueCertificate({ ...validity, commonName, hosts, purposes, issuer: authority });
}

/** The flags that name the files of a certificate, written for it. */
function tlsFlags(directory: string, name: string, certificate: IssuedCertificate): string[] {
  const path = `${directory}/${name}`;
  writeFileSync(`${path}.ca`, authority.certificatePem);
  writeFileSync(`${path}.cert`, certificate.certificatePem);
  writeFileSync(`${path}.key`, certificate.keyPem);
  return [
    `--peer-trusted-ca-file=${path}.ca`,
    `--peer-cert-file=${path}.cert`,
    `--peer-key-file=${path}.key`,
    "--peer-client-cert-auth",
  ];
}

/** Whether a connection with this certificate is still there when the server had time to judge it. */
async function isWelcome(
  port: number,
  certificate: IssuedCertificate | undefined,
): Promise<boolean> {
  const shown =
    certificate === undefined ? {} : { cert: certificate.certificatePem, key: certificate.keyPem };
  const socket: TLSSocket = connectTls({
    host: "127.0.0.1",
    port,
    ca: authority.certificatePem,
    ...shown,
  });
  let received = "";
  socket.on("data", (chunk) => {
    received += String(chunk);
  });
  socket.on("error", () => {});
  socket.on("secureConnect", () =>
    socket.write("GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
  );
  await once(socket, "close");
  return received.startsWith("HTTP/1.1 200");
}

function portOf({ peerUrl }: PlannedMember): number {
  return Number(new URL(peerUrl).port);
}

test("members with certificates of one authority, and strangers at the door", () =>
  inFolder(async (directory, start) => {
    const members = await planMembers(directory, 3, "https");
    const certificate = memberCertificate("member", ["127.0.0.1"]);
    const flags = tlsFlags(directory, "member", certificate);
    const allowed = "--peer-cert-allowed-cn=member,other";
    const daemons = members.map((member) =>
      start(clusterFlags(member, members, ...flags, allowed)),
    );
    await Promise.all(daemons.map((daemon) => daemon.line(ready)));
    const [first, , third] = members as [PlannedMember, PlannedMember, PlannedMember];
    assert.equal(await ctl(first.clientUrl, "put", "over", "tls"), "OK");
    assert.equal(await ctl(third.clientUrl, "get", "over", "--print-value-only"), "tls");

    const [daemon] = daemons as [(typeof daemons)[0]];
    const rejections = (): string[] =>
      daemon.lines
        .filter(({ msg }) => msg === "rejected connection on peer endpoint")
        .map((line) => String(line["error"]));
    /** The next one, as the process and its log are not heard of at the same time. */
    const nextRejection = async (): Promise<string> => {
      const before = seen;
      await until("a connection is rejected", () => rejections().length > before);
      seen = rejections().length;
      return rejections().at(-1) ?? "";
    };
    let seen = 0;
    assert.equal(await isWelcome(portOf(first), certificate), true);
    assert.deepEqual(rejections(), []);
    assert.equal(await isWelcome(portOf(first), undefined), false);
    assert.match(await nextRejection(), /didn't provide a certificate/);
    const stranger = memberCertificate("stranger", ["127.0.0.1"]);
    assert.equal(await isWelcome(portOf(first), stranger), false);
    assert.equal(await nextRejection(), "client certificate authentication failed");
    // The right name, and an address that the connection does not come from.
    const elsewhere = memberCertificate("member", ["192.0.2.1"]);
    assert.equal(await isWelcome(portOf(first), elsewhere), false);
    const address = "x509: certificate is valid for 192.0.2.1, not 127.0.0.1";
    assert.equal(await nextRejection(), address);
    const named = memberCertificate("member", ["no-such-host.invalid"]);
    assert.equal(await isWelcome(portOf(first), named), false);
    const text = 'tls: "127.0.0.1" does not match any of DNSNames ["no-such-host.invalid"]';
    assert.equal(await nextRejection(), text);
    const local = memberCertificate("member", ["localhost"]);
    assert.equal(await isWelcome(portOf(first), local), true);

    // Plain text is told of at once: when a time has run out, it is in other words.
    const plain = connect(portOf(first), "127.0.0.1").on("error", () => {});
    plain.write("hello\n");
    plain.resume();
    await once(plain, "close");
    assert.equal(await nextRejection(), "tls: first record does not look like a TLS handshake");
    await stopAll(daemons);
  }));

test("new certificate files serve, and are shown to others, without a restart", () =>
  inFolder(async (directory, start) => {
    const [first, second] = (await planMembers(directory, 2, "https")) as [
      PlannedMember,
      PlannedMember,
    ];
    const members = [first, second];
    // The first member's certificate is for another address; the second one looks at it.
    const flags = tlsFlags(
      directory,
      "first",
      memberCertificate("first", ["127.0.0.1", "192.0.2.1"]),
    );
    const shown = tlsFlags(directory, "shown", memberCertificate("shown", ["192.0.2.1"])).slice(
      1,
      3,
    );
    const one = start(
      clusterFlags(
        first,
        members,
        ...flags,
        ...shown.map((flag) => flag.replace("--peer-", "--peer-client-")),
      ),
    );
    const certificate = memberCertificate("second", ["127.0.0.1"]);
    const other = start(
      clusterFlags(second, members, ...tlsFlags(directory, "second", certificate)),
    );
    const rejected = await other.line("rejected connection on peer endpoint");
    assert.equal(rejected["error"], "x509: certificate is valid for 192.0.2.1, not 127.0.0.1");
    tlsFlags(directory, "shown", memberCertificate("shown", ["127.0.0.1"]));
    await Promise.all([one.line(ready), other.line(ready)]);
    assert.equal(await ctl(second.clientUrl, "put", "a", "b"), "OK");
    await stopAll([one, other]);
  }));

test("--peer-skip-client-san-verification lets a certificate for another address in", () =>
  inFolder(async (directory, start) => {
    const [member] = (await planMembers(directory, 1, "https")) as [PlannedMember];
    const flags = tlsFlags(directory, "member", memberCertificate("member", ["127.0.0.1"]));
    const skip = "--peer-skip-client-san-verification";
    const daemon = start(clusterFlags(member, [member], ...flags, skip));
    await daemon.line(ready);
    const elsewhere = memberCertificate("member", ["192.0.2.1"]);
    assert.equal(await isWelcome(portOf(member), elsewhere), true);
    assert.equal((await daemon.stop()).exitCode, 0);
  }));

test("--peer-auto-tls: members that trust whoever they reach", () =>
  inFolder(async (directory, start) => {
    const members = await planMembers(directory, 2, "https");
    const [first, second] = members as [PlannedMember, PlannedMember];
    const daemons = members.map((member) =>
      start(clusterFlags(member, members, "--peer-auto-tls")),
    );
    await Promise.all(daemons.map((daemon) => daemon.line(ready)));
    assert.ok(existsSync(`${first.dataDir}/fixtures/peer/cert.pem`));
    assert.equal(await ctl(first.clientUrl, "put", "over", "auto tls"), "OK");
    assert.equal(await ctl(second.clientUrl, "get", "over", "--print-value-only"), "auto tls");
    await stopAll(daemons);
  }));

test(
  "one of ours among stock members, with certificates on both sides",
  { skip: skipWithoutServer },
  () =>
    inFolder(async (directory, start) => {
      const members = await planMembers(directory, 3, "https");
      const flags = tlsFlags(directory, "member", memberCertificate("member", ["127.0.0.1"]));
      const stock = { program: stockEtcd as string };
      const daemons = members.map((member, i) =>
        start(clusterFlags(member, members, ...flags), i === 0 ? {} : stock),
      );
      const [ours] = daemons as [(typeof daemons)[0]];
      await ours.line(ready);
      for (const [i, { clientUrl }] of members.entries()) {
        await until(`${clientUrl} is healthy`, () =>
          fetch(`${clientUrl}/health`).then(
            ({ status }) => status === 200,
            () => false,
          ),
        );
        assert.equal(await ctl(clientUrl, "put", `key${i}`, "value"), "OK");
      }
      for (const { clientUrl } of members) {
        const count = await ctl(clientUrl, "get", "key", "--prefix", "--keys-only");
        assert.equal(count.split("\n").filter((line) => line !== "").length, 3);
      }
      assert.equal((await ours.stop()).exitCode, 0);
    }),
);

test("peer certificates that cannot be are one clear message", () =>
  inFolder(async (directory, start) => {
    const [member] = (await planMembers(directory, 1, "https")) as [PlannedMember];
    const flags = tlsFlags(directory, "member", memberCertificate("member", ["127.0.0.1"]));
    const cases: readonly (readonly [string[], RegExp])[] = [
      [[], /^TLS key\/cert \(--peer-cert-file, --peer-key-file\) must be provided for peer url/],
      [[flags[1] as string], /^KeyFile and CertFile must both be present/],
      [
        [...flags, "--peer-client-cert-file=/none"],
        /^ClientKeyFile and ClientCertFile must both be present or both absent/,
      ],
      [
        [...flags, "--peer-cert-allowed-cn=a", "--peer-cert-allowed-hostname=b"],
        /^AllowedCNs and AllowedHostnames are mutually exclusive \(cns=\["a"\], hostnames=\["b"\]\)$/,
      ],
      [[...flags, "--peer-trusted-ca-file=/none"], /^open \/none: no such file or directory$/],
      [
        [...flags, `--peer-client-cert-file=${directory}`, "--peer-client-key-file=/none"],
        /: is a directory$/,
      ],
    ];
    await Promise.all(
      cases.map(async ([more, text], i) => {
        const own = { ...member, dataDir: `${directory}/${i}` };
        const listening = [
          `--listen-peer-urls=https://127.0.0.1:0`,
          "--listen-client-urls=http://127.0.0.1:0",
        ];
        const daemon = start(clusterFlags(own, [member], ...listening, ...more));
        assert.equal((await daemon.ended).exitCode, 1);
        const fatal = daemon.lines.filter((line) => line.level === "fatal");
        assert.equal(fatal.length, 1, daemon.text());
        assert.match(String(fatal[0]?.["error"]), text);
        assert.equal(fatal[0]?.["stacktrace"], undefined);
        assert.ok(!existsSync(own.dataDir));
      }),
    );
  }));

test("several peer URLs, plain and with TLS, one of them a unix socket", () =>
  inFolder(async (directory, start) => {
    const [first, second] = (await planMembers(directory, 2)) as [PlannedMember, PlannedMember];
    const [other] = (await planMembers(directory, 1, "https")) as [PlannedMember];
    const flags = tlsFlags(directory, "member", memberCertificate("member", ["127.0.0.1"]));
    const urls = `${first.peerUrl},${other.peerUrl}`;
    const cluster = `m1=${first.peerUrl},m1=${other.peerUrl},m2=${second.peerUrl}`;
    const socket = `unix://${directory}/peer.sock`;
    const one = start([
      ...clusterFlags(first, [first], ...flags),
      `--listen-peer-urls=${urls},${socket}`,
      `--initial-advertise-peer-urls=${urls}`,
      `--initial-cluster=${cluster}`,
    ]);
    const two = start([
      ...clusterFlags(second, [second], ...flags),
      `--initial-cluster=${cluster}`,
    ]);
    await Promise.all([one.line(ready), two.line(ready)]);
    assert.equal(await ctl(second.clientUrl, "put", "a", "b"), "OK");
    assert.equal(one.messages().filter((msg) => msg === "serving peer traffic").length, 3);
    assert.equal(await isWelcome(portOf(other), memberCertificate("m", ["127.0.0.1"])), true);
    assert.equal((await fetch(`${first.peerUrl}/members`)).status, 200);
    assert.ok(existsSync(`${directory}/peer.sock`));
    await stopAll([one, two]);
  }));
