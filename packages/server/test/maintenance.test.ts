import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DowngradeRequest,
  decodeDowngradeResponse,
  decodeHashKVResponse,
  decodeHashResponse,
  decodeHealthCheckResponse,
  decodeStatusResponse,
  encodeDowngradeRequest,
  encodeHashKVRequest,
  encodeHealthCheckRequest,
  encodeMoveLeaderRequest,
  HashKVRequest,
  HealthCheckRequest,
  MoveLeaderRequest,
} from "@etcd-ts/api";
import { memberMetrics } from "../src/index.ts";
import { CallError, MemberWorld } from "./support/member-world.ts";

const service = "/etcdserverpb.Maintenance/";
const nothing = new Uint8Array(0);

function refusal(code: number, message: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CallError, String(error));
    assert.deepEqual([error.code, error.message], [code, message]);
    return true;
  };
}

test("the status tells versions, sizes, indexes and the leader", async () => {
  const world = await MemberWorld.started();
  await world.put("a", "1");
  await world.world.run(200);
  const status = decodeStatusResponse(await world.call(`${service}Status`, nothing));
  assert.equal(status.version, "3.7.1");
  assert.equal(status.storageVersion, "3.7.0");
  assert.equal(status.leader, world.member.memberId);
  assert.equal(status.raftIndex, 5);
  assert.equal(status.raftAppliedIndex, 5);
  assert.equal(status.raftTerm, 2);
  assert.equal(status.header!.revision, 2);
  assert.equal(status.dbSizeQuota, 2147483648);
  assert.ok(status.dbSize > 0 && status.dbSizeInUse > 0);
  assert.deepEqual(status.errors, []);
  assert.equal(status.downgradeInfo!.enabled, false);
  await world.stop();
});

test("hashes are the same after a restart", async () => {
  const world = await MemberWorld.started();
  for (let i = 0; i < 50; i++) await world.put(`k${i % 9}`, String(i));
  await world.compact(20);
  const hash = async () => ({
    all: decodeHashResponse(await world.call(`${service}Hash`, nothing)).hash,
    kv: decodeHashKVResponse(
      await world.call(`${service}HashKV`, encodeHashKVRequest(new HashKVRequest())),
    ),
  });
  await world.world.until(() => !world.member.machine.compaction.active);
  const before = await hash();
  assert.equal(before.kv.compactRevision, 20);
  assert.equal(before.kv.hashRevision, 51);
  await world.stop();
  await world.start();
  const after = await hash();
  assert.deepEqual([after.kv.hash, after.all], [before.kv.hash, before.all]);
  // Nothing is hashed below zero, however far.
  const negative = new HashKVRequest();
  for (const revision of [-1n, -(2n ** 63n)]) {
    negative.revision = revision;
    const bytes = await world.call(`${service}HashKV`, encodeHashKVRequest(negative));
    assert.equal(decodeHashKVResponse(bytes).hash, 1_084_519_789);
  }
  const early = new HashKVRequest();
  early.revision = 5n;
  await assert.rejects(
    world.call(`${service}HashKV`, encodeHashKVRequest(early)),
    refusal(11, "etcdserver: mvcc: required revision has been compacted"),
  );
  await world.stop();
});

test("defragmenting and moving the leader to itself work", async () => {
  const world = await MemberWorld.started();
  await world.call(`${service}Defragment`, nothing);
  const move = new MoveLeaderRequest();
  move.targetId = world.member.memberId;
  await world.call(`${service}MoveLeader`, encodeMoveLeaderRequest(move));
  move.targetId = 5n;
  await assert.rejects(
    world.call(`${service}MoveLeader`, encodeMoveLeaderRequest(move)),
    refusal(9, "etcdserver: bad leader transferee"),
  );
  await world.stop();
});

test("a downgrade goes one minor version, once", async () => {
  const world = await MemberWorld.started();
  const downgrade = async (action: number, version: string) => {
    const request = new DowngradeRequest();
    request.action = action;
    request.version = version;
    const bytes = await world.call(`${service}Downgrade`, encodeDowngradeRequest(request));
    return decodeDowngradeResponse(bytes).version;
  };
  assert.equal(await downgrade(0, "3.6"), "3.7");
  assert.equal(await downgrade(0, "3.6.0"), "3.7");
  assert.equal(await downgrade(0, "3.6.1-rc.0+x"), "3.7");
  assert.equal(await downgrade(2, ""), "3.7");
  await assert.rejects(
    downgrade(0, "three"),
    refusal(3, "etcdserver: wrong downgrade target version format"),
  );
  await assert.rejects(
    downgrade(0, "3.5"),
    refusal(3, "etcdserver: invalid downgrade target version"),
  );
  await assert.rejects(downgrade(9, "3.6"), refusal(2, "etcdserver: unknown method"));
  await downgrade(1, "3.6");
  await assert.rejects(
    downgrade(1, "3.6"),
    refusal(9, "etcdserver: cluster has a downgrade job in progress"),
  );
  await world.world.until(() => world.member.clusterVersion === "3.6.0", 10_000);
  assert.equal(world.member.machine.storageVersion, "3.6.0");
  await downgrade(2, "");
  await world.world.until(() => world.member.clusterVersion === "3.7.0", 10_000);
  assert.equal(world.member.machine.storageVersion, "3.7.0");
  await world.stop();
});

test("the health service knows the server as a whole", async () => {
  const world = await MemberWorld.started();
  const check = async (name: string) => {
    const request = new HealthCheckRequest();
    request.service = name;
    const bytes = await world.call(
      "/grpc.health.v1.Health/Check",
      encodeHealthCheckRequest(request),
    );
    return decodeHealthCheckResponse(bytes).status;
  };
  assert.equal(await check(""), 1);
  await assert.rejects(check("etcdserverpb.KV"), refusal(5, "unknown service"));
  await world.stop();
});

test("HTTP endpoints answer as etcd's", async () => {
  const world = await MemberWorld.started();
  const get = async (target: string, method = "GET") => {
    const answer = await world.world.settled(world.member.http.handle({ method, target }));
    return answer === undefined ? undefined : { status: answer.status, body: answer.body };
  };
  assert.deepEqual(await get("/version"), {
    status: 200,
    body: '{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}',
  });
  assert.deepEqual(await get("/version", "POST"), { status: 405, body: "Method Not Allowed\n" });
  assert.deepEqual(await get("/health"), { status: 200, body: '{"health":"true","reason":""}' });
  assert.deepEqual(await get("/livez"), { status: 200, body: "ok\n" });
  assert.deepEqual(await get("/readyz?verbose"), {
    status: 200,
    body: "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n",
  });
  assert.deepEqual(await get("/readyz/linearizable_read"), { status: 200, body: "ok\n" });
  // A check that is asked for by name cannot be excluded.
  assert.deepEqual(await get("/readyz/non_learner?verbose&exclude=non_learner"), {
    status: 200,
    body: "[+]non_learner ok\nok\n",
  });
  assert.deepEqual(await get("/readyz?verbose&exclude=linearizable_read&exclude=nonsense"), {
    status: 200,
    body: "[+]data_corruption ok\n[+]serializable_read ok\n[+]non_learner ok\nok\n",
  });
  assert.equal(await get("/livez/linearizable_read"), undefined);
  assert.equal(await get("/nothing"), undefined);
  await world.stop();
});

test("every metric family can be collected and has a name of its own", async () => {
  const world = await MemberWorld.started();
  await world.put("a", "1");
  const families = memberMetrics(world.member);
  const names = families.map((family) => family.name);
  assert.equal(new Set(names).size, names.length);
  const values = new Map<string, number>();
  for (const family of families) {
    family.collect((labels, value) => {
      assert.equal(labels.length, family.labelNames.length, family.name);
      values.set(family.name, typeof value === "number" ? value : value.count);
    });
  }
  // Where the name suggests another type than the one that etcd gives.
  const types = new Map(families.map((family) => [family.name, family.type]));
  for (const name of [
    "etcd_debugging_mvcc_db_compaction_last",
    "etcd_grpc_proxy_watchers_coalescing_total",
    "etcd_server_proposals_applied_total",
    "etcd_debugging_mvcc_keys_total",
    "etcd_disk_wal_write_bytes_total",
  ]) {
    assert.equal(types.get(name), "gauge", name);
  }
  assert.equal(values.get("etcd_server_has_leader"), 1);
  assert.equal(values.get("etcd_mvcc_put_total"), 1);
  assert.equal(values.get("etcd_debugging_mvcc_keys_total"), 1);
  assert.ok(values.get("etcd_disk_wal_fsync_duration_seconds")! > 0);
  await world.stop();
});
