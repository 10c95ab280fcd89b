import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterIdOf, hexId, memberIdOf, RequestIds } from "../src/ids.ts";
import { digests } from "./support/world.ts";

test("member and cluster ids are etcd's", () => {
  const single = memberIdOf(digests, ["http://localhost:2380"], "etcd-cluster");
  assert.equal(hexId(single), "8e9e05c52164694d");
  assert.equal(hexId(clusterIdOf(digests, [single])), "cdf818194e3a8c32");

  const three = [12380, 22380, 32380].map((port) =>
    memberIdOf(digests, [`http://127.0.0.1:${port}`], "etcd-cluster-1"),
  );
  assert.deepEqual(three.map(hexId).sort(), [
    "8211f1d0f64f3269",
    "91bc3c398fb3c146",
    "fd422379fda50e48",
  ]);
  assert.equal(hexId(clusterIdOf(digests, three)), "ef37ad9dc622a7c4");
});

test("request ids hold the member, the time and a counter", () => {
  const ids = new RequestIds(0x667880157b8812c8n, 0x0123456789ab);
  const first = ids.next();
  assert.equal(hexId(ids.whole(first)), "12c82345" + "6789ab01");
  assert.equal(ids.next(), first + 1);
  assert.ok(ids.nextLeaseId() > 0n);
  assert.ok(new RequestIds(0xffffn, 5).nextLeaseId() < 1n << 63n);
});

test("the counter of request ids never comes to 0", () => {
  const ids = new RequestIds(1n, 2 ** 40 - 1);
  for (let i = 0; i < 255; i++) ids.next();
  assert.equal(ids.next(), 1);
});
