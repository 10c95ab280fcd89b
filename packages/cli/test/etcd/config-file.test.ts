import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { ParsedConfig } from "../../src/etcd/config.ts";
import { ConfigFileError, readConfigFile } from "../../src/etcd/config-file.ts";
import { urlTexts } from "../../src/etcd/url.ts";

async function read(text: string): Promise<ParsedConfig> {
  const folder = await mkdtemp(join(tmpdir(), "etcd-ts-config-"));
  try {
    await writeFile(join(folder, "etcd.yaml"), text);
    return await readConfigFile(join(folder, "etcd.yaml"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function refusal(text: string): Promise<ConfigFileError> {
  try {
    await read(text);
  } catch (error) {
    assert.ok(error instanceof ConfigFileError, String(error));
    return error;
  }
  return assert.fail("accepted");
}

test("keys are the names of the flags, with YAML's types", async () => {
  const { config, given, fromFile, clientAllowedCommonNames, ignoredKeys } = await read(`
name: from-file
heartbeat-interval: 50
quota-backend-bytes: -1
pre-vote: false
grpc-keepalive-min-time: 7000000000
backend-batch-interval: 9007199254740993
listen-client-urls: http://127.0.0.1:2,http://127.0.0.1:1
cors: "*"
host-whitelist: b,a
log-outputs: [stderr, /tmp/x]
cipher-suites: [TLS_A, TLS_B]
feature-gates: "LeaseCheckpoint=true"
no-such-key: ignored
client-transport-security:
  cert-file: c.pem
  key-file: k.pem
  client-cert-auth: true
  allowed-hostname: [x.example]
  allowed-cn: [alice]
peer-transport-security:
  auto-tls: true
  allowed-cn: [b, a]
socket-options:
  reuse-address: true
discovery-config:
  token: t
  client:
    endpoints: [a, b]
    dial-timeout: 5
    secure:
      cacert: ca.pem
`);
  assert.ok(fromFile);
  assert.equal(config.name, "from-file");
  assert.equal(config["heartbeat-interval"], 50);
  assert.equal(config["quota-backend-bytes"], -1);
  assert.equal(config["pre-vote"], false);
  assert.equal(config["grpc-keepalive-min-time"], 7_000_000_000n);
  assert.equal(config["backend-batch-interval"], 9_007_199_254_740_993n);
  assert.deepEqual(urlTexts(config["listen-client-urls"]), [
    "http://127.0.0.1:1",
    "http://127.0.0.1:2",
  ]);
  assert.deepEqual(config["host-whitelist"], ["a", "b"]);
  assert.deepEqual(config["log-outputs"], ["/tmp/x", "stderr"]);
  assert.deepEqual(config["cipher-suites"], ["TLS_A", "TLS_B"]);
  assert.equal(config["feature-gates"], "LeaseCheckpoint=true");
  assert.equal(config["cert-file"], "c.pem");
  assert.equal(config["client-cert-auth"], true);
  assert.deepEqual(config["client-cert-allowed-hostname"], ["x.example"]);
  assert.deepEqual(clientAllowedCommonNames, ["alice"]);
  assert.deepEqual(ignoredKeys, ["no-such-key"]);
  assert.equal(config["peer-auto-tls"], true);
  assert.deepEqual(config["peer-cert-allowed-cn"], ["a", "b"]);
  assert.equal(config["socket-reuse-address"], true);
  assert.equal(config["discovery-token"], "t");
  assert.deepEqual(config["discovery-endpoints"], ["a", "b"]);
  assert.equal(config["discovery-dial-timeout"], 5n);
  assert.equal(config["discovery-cacert"], "ca.pem");
  assert.ok(given.has("name") && given.has("cert-file") && !given.has("data-dir"));
});

test("JSON is YAML, an empty file says nothing, keys of sections do not count elsewhere", async () => {
  assert.equal((await read('{"name": "json", "max-txn-ops": 7}')).config["max-txn-ops"], 7);
  assert.equal((await read("")).config.name, "default");
  const { config, ignoredKeys } = await read(
    "cert-file: x\nraft-read-timeout: 1\nself-signed-cert-validity: 0\n",
  );
  assert.equal(config["cert-file"], "");
  assert.deepEqual(ignoredKeys, ["cert-file", "raft-read-timeout"]);
  assert.equal(config["raft-read-timeout"], 5_000_000_000n);
  assert.equal(config["self-signed-cert-validity"], 1);
});

test("of a key that comes twice the last counts, the case of keys does not, and no URLs are not given", async () => {
  assert.equal((await read("name: a\nname: b\n")).config.name, "b");
  const { config, given } = await read(`
Name: folded
NAME: first by its letters
listen-client-urls: ""
Client-Transport-Security:
  Cert-File: c.pem
`);
  assert.equal(config.name, "folded");
  assert.equal(config["cert-file"], "c.pem");
  assert.deepEqual(urlTexts(config["listen-client-urls"]), ["http://localhost:2379"]);
  assert.ok(!given.has("listen-client-urls"));
  assert.equal((await read("NAME: a\nname: b\nNaMe: c\n")).config.name, "b");
});

test("bad URLs are said bare and by their key", async () => {
  const peer = await refusal("listen-peer-urls: foo");
  assert.ok(peer.bare);
  assert.equal(
    peer.message,
    "unexpected error setting up listen-peer-urls: URL scheme must be http, https, unix, or unixs: foo",
  );
  const client = await refusal("advertise-client-urls: foo");
  assert.match(client.message, /^unexpected error setting up advertise-peer-urls: /);
});

test("wrong types, wrong sections and no YAML at all", async () => {
  for (const text of [
    "heartbeat-interval: x",
    "heartbeat-interval: -5",
    "pre-vote: 7",
    "name: [a]",
    "grpc-keepalive-min-time: 5s",
    "log-outputs: stderr",
    "- a list",
  ]) {
    assert.match((await refusal(text)).message, /^error unmarshaling JSON: /, text);
  }
  assert.equal(
    (await refusal("peer-transport-security: x")).message,
    "invalid peer-transport-security",
  );
  assert.match((await refusal("a: [")).message, /^error converting YAML to JSON: /);
  await assert.rejects(readConfigFile("/nonexistent.yaml"), {
    message: "open /nonexistent.yaml: no such file or directory",
  });
});
