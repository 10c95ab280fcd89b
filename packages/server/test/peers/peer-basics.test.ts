import { strict as assert } from "node:assert";
import { test } from "node:test";
import { parsePeerUrl, UrlPicker } from "../../src/peers/peer-url.ts";
import { areCompatible, parseVersion, servesStreams } from "../../src/peers/versions.ts";

test("peer URLs name an address, a scheme and what to say as host", () => {
  assert.deepEqual(parsePeerUrl("http://10.0.0.1:2380"), {
    text: "http://10.0.0.1:2380",
    isTls: false,
    address: { kind: "tcp", host: "10.0.0.1", port: 2380 },
    authority: "10.0.0.1:2380",
  });
  assert.deepEqual(parsePeerUrl("https://[::1]:1/")?.address, {
    kind: "tcp",
    host: "::1",
    port: 1,
  });
  assert.equal(parsePeerUrl("https://[::1]:1")?.authority, "[::1]:1");
  assert.equal(parsePeerUrl("https://etcd-0.local:2380")?.isTls, true);
  assert.deepEqual(parsePeerUrl("unix://localhost:m1")?.address, {
    kind: "unix",
    path: "localhost:m1",
  });
  assert.deepEqual(parsePeerUrl("unixs:///tmp/s")?.address, { kind: "unix", path: "/tmp/s" });
  assert.equal(parsePeerUrl("unixs:///tmp/s")?.isTls, true);
  for (const bad of [
    "",
    "http://",
    "http://h",
    "http://h:70000",
    "http://h:1/path",
    "ftp://h:1",
    "h:1",
  ]) {
    assert.equal(parsePeerUrl(bad), undefined, bad);
  }
});

test("a URL is used until it fails, then the next one", () => {
  const picker = new UrlPicker(["http://a:1", "nonsense", "http://b:2"]);
  const a = picker.pick()!;
  assert.equal(a.text, "http://a:1");
  picker.failed(a);
  const b = picker.pick()!;
  assert.equal(b.text, "http://b:2");
  picker.failed(a); // news of yesterday
  assert.equal(picker.pick(), b);
  picker.failed(b);
  assert.equal(picker.pick(), a);
  picker.update([]);
  assert.equal(picker.pick(), undefined);
});

test("versions are three numbers, and only major and minor count", () => {
  const own = parseVersion("3.7.1")!;
  for (const text of ["3.7", "3.7.1.0", "v3.7.1", "3.07.1", "3.7.x", "", "not_decided", "3.7.1 "]) {
    assert.equal(parseVersion(text), undefined, text);
  }
  assert.deepEqual(parseVersion("3.5.0-rc.1+x"), { major: 3, minor: 5 });
  assert.equal(areCompatible(own, "3.4.23", "3.0.0"), true);
  assert.equal(areCompatible(own, "3.9.0", "3.0.0"), true);
  assert.equal(areCompatible(own, "4.0.0", "3.7.9"), true);
  assert.equal(areCompatible(own, "4.0.0", "3.8.0"), false);
  assert.equal(areCompatible(own, "2.3.8", "2.0.0"), false);
  assert.equal(areCompatible(own, undefined, undefined), false);
  assert.equal(areCompatible(own, "3.5.1", undefined), true);
  assert.equal(areCompatible(own, "nonsense", "3.0.0"), false);
  assert.equal(servesStreams("3.4.0"), true);
  assert.equal(servesStreams("2.3.0"), false);
  assert.equal(servesStreams(undefined), false);
  assert.equal(servesStreams("3.5"), false);
});
