import assert from "node:assert/strict";
import { test } from "node:test";
import { compareBytes, SeededRandom } from "@etcd-ts/base";
import { EndpointError, parseEndpoint, prefixEnd, selectKeys } from "../src/index.ts";

test("endpoints are taken apart", () => {
  const cases: [string, boolean, unknown, boolean][] = [
    ["127.0.0.1:2379", false, { kind: "tcp", host: "127.0.0.1", port: 2379 }, false],
    [" 127.0.0.1:2379 ", true, { kind: "tcp", host: "127.0.0.1", port: 2379 }, true],
    ["http://db.example:1/", true, { kind: "tcp", host: "db.example", port: 1 }, false],
    ["https://[::1]:2379", false, { kind: "tcp", host: "::1", port: 2379 }, true],
    [":2379", false, { kind: "tcp", host: "127.0.0.1", port: 2379 }, false],
    ["unix:///run/x.sock", false, { kind: "unix", path: "/run/x.sock" }, false],
    ["unix:x.sock", true, { kind: "unix", path: "x.sock" }, true],
    ["unixs://x.sock", false, { kind: "unix", path: "x.sock" }, true],
  ];
  for (const [text, tlsByDefault, address, tls] of cases) {
    const endpoint = parseEndpoint(text, tlsByDefault);
    assert.deepEqual(endpoint.address, address, text);
    assert.equal(endpoint.tls, tls, text);
  }
  for (const text of ["", "host", "host:x", "host:65536", "ftp://host:1", "a:b:1", "[::1]"]) {
    assert.throws(() => parseEndpoint(text, false), EndpointError, text);
  }
});

test("a prefix ends right before the first key without it", () => {
  const random = new SeededRandom(7);
  // Few letters, so that keys are often near the edge.
  const bytes = (count: number) =>
    Uint8Array.from({ length: count }, () => random.pick([0, 1, 0x61, 0xfe, 0xff]));
  let inside = 0;
  for (let i = 0; i < 5_000; i++) {
    const prefix = bytes(1 + random.below(4));
    const key = bytes(random.below(6));
    const end = prefixEnd(prefix);
    const isOpen = end.length === 1 && end[0] === 0;
    const inRange = compareBytes(key, prefix) >= 0 && (isOpen || compareBytes(key, end) < 0);
    const hasPrefix = compareBytes(key.subarray(0, prefix.length), prefix) === 0;
    assert.equal(inRange, hasPrefix);
    if (inRange) inside += 1;
  }
  assert.ok(inside > 50);
});

test("selections become the two fields of requests", () => {
  const hex = (it: { key: Uint8Array; rangeEnd: Uint8Array }) =>
    [it.key, it.rangeEnd].map((part) => Buffer.from(part).toString("hex"));
  assert.deepEqual(hex(selectKeys({ key: "a" })), ["61", ""]);
  assert.deepEqual(hex(selectKeys({ key: "a", end: "c" })), ["61", "63"]);
  assert.deepEqual(hex(selectKeys({ prefix: "a" })), ["61", "62"]);
  assert.deepEqual(hex(selectKeys({ prefix: "" })), ["00", "00"]);
  assert.deepEqual(hex(selectKeys({ prefix: Uint8Array.of(0x61, 0xff) })), ["61ff", "62"]);
  assert.deepEqual(hex(selectKeys({ from: "a" })), ["61", "00"]);
  assert.deepEqual(hex(selectKeys({ from: "" })), ["00", "00"]);
});
