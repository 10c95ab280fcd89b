// Leases as replicated state: semantics §9; disk formats §5.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ClusterVersionSetRequest,
  decodeLease,
  LeaseCheckpoint,
  LeaseCheckpointRequest,
} from "@etcd-ts/api";
import { type Bytes, build, emptyBytes } from "@etcd-ts/base";
import { Driver, Refusal } from "./support/driver.ts";

function stored(
  d: Driver,
): { key: string; id: bigint; ttl: bigint | number; left: bigint | number }[] {
  const found: ReturnType<typeof stored> = [];
  d.backend.scan("lease", emptyBytes, undefined, 1000, (key, value) => {
    const { id, ttl, remainingTtl } = decodeLease(value);
    found.push({ key: Buffer.from(key).toString("hex"), id, ttl, left: remainingTtl });
    return true;
  });
  return found;
}

function checkpoint(d: Driver, ...items: [bigint, number][]): string | undefined {
  const checkpoints = items.map(([id, remaining]) =>
    Object.assign(new LeaseCheckpoint(), { id, remainingTtl: remaining }),
  );
  return d.apply({ leaseCheckpoint: build(LeaseCheckpointRequest, { checkpoints }) })?.error;
}

test("a grant is answered with its TTL, raised to the minimum", () => {
  const d = new Driver();
  const granted = (ttl: bigint, id: bigint): number | undefined => {
    const result = d.apply({ leaseGrant: { id, ttl } })?.result;
    return result?.kind === "leaseGrant" ? result.ttl : undefined;
  };
  assert.equal(granted(60n, 1n), 60);
  assert.equal(granted(1n, 2n), 2);
  assert.equal(granted(-7n, 3n), 2);
  assert.equal(granted(9_000_000_000n, -4n), 9_000_000_000);
  assert.equal(d.machine.revision, 1, "a grant changes no revision");
  assert.deepEqual(d.notes, [
    "granted 1 60",
    "granted 2 2",
    "granted 3 2",
    "granted -4 9000000000",
  ]);
});

test("the minimum TTL can be configured", () => {
  const d = new Driver({ leaseTtlSecondsMin: 15 });
  d.grant(1, 5);
  assert.equal(d.machine.leases.get(1n)?.ttl, 15);
});

test("a grant is refused: id in use, TTL too large, id 0", () => {
  const d = new Driver();
  d.grant(1);
  assert.throws(() => d.grant(1), new Refusal("leaseExist"));
  assert.throws(() => d.grant(2, 9_000_000_001), new Refusal("leaseTtlTooLarge"));
  assert.throws(() => d.grant(1, 9_000_000_001), new Refusal("leaseTtlTooLarge"));
  assert.throws(() => d.grant(0), new Refusal("leaseNotFound"));
  assert.equal(d.machine.leases.size, 1);
});

test("a revoke deletes all keys in byte order in one revision", () => {
  const d = new Driver();
  d.grant(5);
  for (const key of ["b", "\xff", "a", "aa"]) d.put(key, "v", { lease: 5n });
  d.put("free", "v");
  d.revoke(5);
  assert.equal(d.machine.revision, 7);
  assert.deepEqual(
    d.events.slice(-4).map((e) => `${e.key} ${e.modRevision}/${e.sub}`),
    ["a 7/0", "aa 7/1", "b 7/2", "\xff 7/3"],
  );
  assert.deepEqual(d.keys("\0", "\0"), ["free"]);
  assert.deepEqual(stored(d), []);
  assert.deepEqual(d.notes.slice(-2), ["changed 7 4", "revoked 5"]);
});

test("a revoke without keys takes no revision; of an unknown lease it is refused", () => {
  const d = new Driver();
  d.grant(5);
  d.revoke(5);
  assert.equal(d.machine.revision, 1);
  assert.throws(() => d.revoke(5), new Refusal("leaseNotFound"));
});

test("a put moves its key between leases, and off them", () => {
  const d = new Driver();
  d.grant(1);
  d.grant(2);
  const keys = (): unknown => [d.machine.leases.get(1n)?.keys(), d.machine.leases.get(2n)?.keys()];
  d.put("k", "", { lease: 1n });
  assert.deepEqual(keys(), [["k"], []]);
  d.put("k", "", { lease: 1n });
  assert.deepEqual(keys(), [["k"], []]);
  d.put("k", "", { lease: 2n });
  assert.deepEqual(keys(), [[], ["k"]]);
  d.put("k", "");
  assert.deepEqual(keys(), [[], []]);
  d.put("k", "", { lease: 2n });
  d.delete("k");
  assert.deepEqual(keys(), [[], []]);
  d.put("k", "");
  d.revoke(2);
  assert.equal(d.value("k"), "");
});

test("the place of a revoked lease serves the next one", () => {
  const d = new Driver();
  d.grant(1);
  d.put("k", "", { lease: 1n });
  d.revoke(1);
  d.grant(2);
  assert.equal(d.machine.leases.get(2n)?.place, 1);
  d.put("k", "", { lease: 2n });
  assert.deepEqual(d.machine.leases.get(2n)?.keys(), ["k"]);
});

test("ids are stored as eight bytes, negative ones too", () => {
  const d = new Driver();
  d.grant(0x1234, 7);
  d.grant(-2n, 8);
  assert.deepEqual(
    stored(d).map((lease) => [lease.key, lease.id, Number(lease.ttl)]),
    [
      ["0000000000001234", 0x1234n, 7],
      ["fffffffffffffffe", -2n, 8],
    ],
  );
});

test("leases, their keys and their remaining time come back after a restart", () => {
  const d = new Driver({ persistLeaseCheckpoints: true });
  d.grant(1, 100);
  d.grant(2, 100);
  d.put("a", "", { lease: 1n });
  d.put("b", "", { lease: 2n });
  d.put("b", "", { lease: 1n });
  d.put("c", "", { lease: 1n });
  d.delete("c");
  assert.equal(checkpoint(d, [1n, 40]), undefined);
  d.commit();
  const { leases } = d.crash({ leaseTtlSecondsMin: 120 }).machine;
  assert.deepEqual(leases.get(1n)?.keys(), ["a", "b"]);
  assert.deepEqual(leases.get(2n)?.keys(), []);
  assert.equal(leases.get(1n)?.remainingTtl, 40);
  assert.equal(leases.get(1n)?.ttl, 120, "raised to the minimum");
  assert.deepEqual([...leases.all()].map((lease) => lease.id).sort(), [1n, 2n]);
});

test("checkpoints are stored from cluster version 3.6 on", () => {
  for (const [version, left] of [
    ["", 0],
    ["3.5.0", 0],
    ["3.6.0", 40],
    ["4.0.0", 40],
  ] as const) {
    const d = new Driver();
    d.grant(1, 100);
    if (version !== "") {
      d.apply({ clusterVersionSet: build(ClusterVersionSetRequest, { ver: version }) });
    }
    checkpoint(d, [1n, 40]);
    assert.equal(d.machine.leases.get(1n)?.remainingTtl, 40);
    d.commit();
    assert.equal(d.crash().machine.leases.get(1n)?.remainingTtl, left, version);
  }
});

test("checkpoints stop at the first lease that is gone", () => {
  const d = new Driver();
  d.grant(1);
  d.grant(3);
  assert.equal(checkpoint(d, [1n, 10], [2n, 20], [3n, 30]), "leaseNotFound");
  assert.equal(d.machine.leases.get(1n)?.remainingTtl, 10);
  assert.equal(d.machine.leases.get(3n)?.remainingTtl, 0);
});

test("a key may name a lease that is gone, as after a restore; a new lease of that id does not own it", () => {
  const d = new Driver();
  d.grant(1);
  d.put("k", "v", { lease: 1n });
  d.backend.delete("lease", Buffer.from("0000000000000001", "hex") as Bytes);
  d.commit();
  const again = d.crash();
  assert.equal(again.machine.leases.size, 0);
  assert.equal(again.range("k").kvs[0]?.lease, 1n);
  again.put("k", "w", { ignoreLease: true });
  assert.equal(again.range("k").kvs[0]?.lease, 1n);
  again.grant(1);
  assert.deepEqual(again.machine.leases.get(1n)?.keys(), []);
});
