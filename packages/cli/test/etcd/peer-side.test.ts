import assert from "node:assert/strict";
import { test } from "node:test";
import { finish, parseCommandLine } from "../../src/etcd/command-line.ts";
import { localHost } from "../../src/etcd/peer-side.ts";

test("the address that a member dials others from: the first of its own that they can reach", () => {
  const hostOf = (urls: string, gate = "true"): string | undefined => {
    const gates = `--feature-gates=SetMemberLocalAddr=${gate}`;
    const line = parseCommandLine([`--initial-advertise-peer-urls=${urls}`, gates]);
    assert.ok(line.kind === "flags");
    return localHost(finish(line.draft, line.given, false).config);
  };
  assert.equal(hostOf("http://10.0.0.1:2380"), "10.0.0.1");
  assert.equal(hostOf("http://10.0.0.1:2380", "false"), undefined);
  assert.equal(hostOf("http://127.0.0.1:1,http://host.example:1,http://192.0.2.1:1"), "192.0.2.1");
  assert.equal(hostOf("http://[::1]:1,http://[2001:db8::1]:1"), "2001:db8::1");
  assert.equal(hostOf("http://0.0.0.0:1,http://[::]:1"), undefined);
});
