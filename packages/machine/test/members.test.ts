// Members, cluster version and downgrade: semantics §12, §17; peer protocol §10.4 to §10.7.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ClusterMemberAttrSetRequest,
  ClusterVersionSetRequest,
  DowngradeInfoSetRequest,
  DowngradeVersionTestRequest,
  encodeInternalRaftRequest,
  encodeV2Request,
  InternalRaftRequest,
  MemberAttributes,
  V2Request,
} from "@etcd-ts/api";
import {
  type Bytes,
  build,
  bytesToUtf8,
  CorruptionError,
  emptyBytes,
  utf8ToBytes,
} from "@etcd-ts/base";
import {
  type ConfChangeOutcome,
  encodeMemberContext,
  encodePromoteContext,
  type Member,
  MemberChangeType,
} from "@etcd-ts/machine";
import { Driver } from "./support/driver.ts";

const first = 0xfd42_2379_fda5_0e48n;

function member(id: bigint, fields: Partial<Member> = {}): Member {
  const url = `http://10.0.0.${id % 250n}:2380`;
  return { id, peerUrls: [url], isLearner: false, name: "", clientUrls: [], ...fields };
}

class Cluster extends Driver {
  change(type: number, nodeId: bigint, context: Bytes): ConfChangeOutcome {
    const entry = { index: this.machine.appliedIndex + 1, term: 2 };
    return this.machine.applyConfChange(entry, { type, nodeId, context });
  }

  add(m: Member): ConfChangeOutcome {
    const { addNode, addLearnerNode } = MemberChangeType;
    return this.change(m.isLearner ? addLearnerNode : addNode, m.id, encodeMemberContext(m));
  }

  remove(id: bigint): ConfChangeOutcome {
    return this.change(MemberChangeType.removeNode, id, emptyBytes);
  }

  bucket(name: "members" | "members_removed" | "cluster" | "meta"): Record<string, string> {
    const found: Record<string, string> = {};
    this.backend.scan(name, emptyBytes, undefined, 100, (key, value) => {
      found[bytesToUtf8(key)] = bytesToUtf8(value);
      return true;
    });
    return found;
  }

  again(): Cluster {
    this.commit();
    return new Cluster({}, this.backend.afterCrash());
  }
}

test("a member is added and stored as etcd stores it, its id a bare number", () => {
  const c = new Cluster();
  const outcome = c.add(member(first, { name: "n<1>", clientUrls: ["http://c:2379"] }));
  assert.deepEqual(
    [outcome.error, outcome.kind, outcome.raftChange.nodeId],
    [undefined, "added", first],
  );
  assert.deepEqual(c.bucket("members"), {
    fd422379fda50e48:
      '{"id":18249187646912138824,"peerURLs":["http://10.0.0.74:2380"],"name":"n\\u003c1\\u003e","clientURLs":["http://c:2379"]}',
  });
  assert.deepEqual(c.again().machine.members.get(first), c.machine.members.get(first));
  assert.deepEqual(c.notes, ["members"]);
});

test("refusals of an addition: known id, URL in use, removed id, one learner too many", () => {
  const c = new Cluster();
  c.add(member(1n));
  assert.equal(c.add(member(1n, { peerUrls: ["http://other:1"] })).error, "memberExist");
  const taken = c.add(member(2n, { peerUrls: ["http://new:1", "http://10.0.0.1:2380"] }));
  assert.equal(taken.error, "peerUrlExist");
  assert.deepEqual([taken.kind, taken.raftChange.nodeId, taken.members.length], ["none", 0n, 1]);
  assert.equal(c.add(member(3n, { isLearner: true })).error, undefined);
  assert.equal(c.add(member(4n, { isLearner: true })).error, "tooManyLearners");
  assert.equal(c.add(member(4n)).error, undefined);
  assert.equal(c.remove(4n).kind, "removed");
  assert.equal(c.add(member(4n)).error, "memberNotFound");
  assert.deepEqual(c.bucket("members_removed"), { "4": "removed" });
  assert.deepEqual(
    c.machine.members.list().map((m) => m.id),
    [1n, 3n],
  );
  assert.equal(c.again().machine.members.isRemoved(4n), true);
});

test("a removal of nobody is refused", () => {
  const c = new Cluster();
  assert.equal(c.remove(9n).error, "memberNotFound");
});

test("an update replaces the peer URLs and keeps the rest", () => {
  const c = new Cluster();
  c.add(member(1n, { name: "one", clientUrls: ["http://c:1"] }));
  c.add(member(2n));
  const change = (id: bigint, urls: string[]) =>
    c.change(MemberChangeType.updateNode, id, encodeMemberContext(member(id, { peerUrls: urls })));
  assert.equal(change(1n, ["http://x:1", "odd"]).kind, "updated");
  assert.deepEqual(
    c.machine.members.get(1n),
    member(1n, {
      peerUrls: ["http://x:1", "odd"],
      name: "one",
      clientUrls: ["http://c:1"],
    }),
  );
  assert.equal(change(2n, ["http://x:1"]).error, "peerUrlExist");
  assert.equal(change(2n, ["http://10.0.0.2:2380"]).error, undefined, "its own URL");
  assert.equal(change(3n, ["http://y:1"]).error, "memberNotFound");
});

test("a learner is promoted, a voter is not", () => {
  const c = new Cluster();
  c.add(member(1n));
  c.add(member(2n, { isLearner: true, name: "l" }));
  const promote = (id: bigint) => c.change(MemberChangeType.addNode, id, encodePromoteContext(id));
  const outcome = promote(2n);
  assert.deepEqual(
    [outcome.kind, outcome.member?.isLearner, outcome.member?.name],
    ["promoted", false, "l"],
  );
  assert.equal(promote(2n).error, "memberNotLearner");
  assert.equal(promote(7n).error, "memberNotFound");
});

test("a context that no member can have proposed stops the machine", () => {
  const c = new Cluster();
  const { addNode } = MemberChangeType;
  for (const context of [
    "",
    "{",
    "[]",
    '{"id":2}',
    '{"id":"1"}',
    '{"id":1.5}',
    '{"id":1,"peerURLs":[1]}',
  ]) {
    assert.throws(() => c.change(addNode, 1n, utf8ToBytes(context)), CorruptionError, context);
  }
  assert.throws(() => c.change(9, 1n, emptyBytes), CorruptionError);
});

test("a member publishes its attributes; an unknown one changes nothing", () => {
  const c = new Cluster();
  c.add(member(first));
  const publish = (memberId: bigint) => {
    const memberAttributes = build(MemberAttributes, { name: "n1", clientUrls: ["http://c:1"] });
    const clusterMemberAttrSet = build(ClusterMemberAttrSetRequest, { memberId, memberAttributes });
    c.apply({ clusterMemberAttrSet });
  };
  publish(first);
  publish(5n);
  assert.deepEqual(c.machine.members.list(), [
    member(first, { name: "n1", clientUrls: ["http://c:1"] }),
  ]);
  assert.deepEqual(c.notes, ["members", "members"]);
});

test("cluster version and downgrade are stored as text and JSON", () => {
  const c = new Cluster();
  assert.equal(c.machine.members.clusterVersion, "");
  c.apply({ clusterVersionSet: build(ClusterVersionSetRequest, { ver: "3.7.0" }) });
  c.apply({ downgradeInfoSet: build(DowngradeInfoSetRequest, { enabled: true, ver: "3.6.0" }) });
  assert.deepEqual(c.bucket("cluster"), {
    clusterVersion: "3.7.0",
    downgrade: '{"target-version":"3.6.0","enabled":true}',
  });
  const { members } = c.again().machine;
  assert.equal(members.clusterVersion, "3.7.0");
  assert.deepEqual(members.downgrade, { enabled: true, targetVersion: "3.6.0" });
  c.apply({ downgradeInfoSet: build(DowngradeInfoSetRequest, { enabled: false, ver: "3.6.0" }) });
  assert.equal(c.bucket("cluster")["downgrade"], '{"target-version":"","enabled":false}');
  assert.deepEqual(c.notes, ["version 3.7.0", "downgrade", "downgrade"]);
});

test("the test entry of downgrades is passed over", () => {
  const c = new Cluster();
  const outcome = c.apply({
    downgradeVersionTest: build(DowngradeVersionTestRequest, { ver: "3.8" }),
  });
  assert.equal(outcome?.result?.kind, "none");
});

test("members and the cluster version arrive from the v2 requests of 3.4 and 3.5 as well", () => {
  const c = new Cluster();
  c.add(member(first));
  const bare = (path: string, val: string, method = "PUT") =>
    c.applyData(encodeV2Request(build(V2Request, { id: 5n, method, path, val })));
  bare("/0/members/fd422379fda50e48/attributes", '{"name":"old","clientURLs":["http://c:1"]}');
  assert.equal(c.machine.members.get(first)?.name, "old");
  bare("/0/version", "3.5.0");
  assert.equal(c.machine.members.clusterVersion, "3.5.0");
  bare("/0/members/fd422379fda50e48/attributes", '{"name":"none","clientURLs":null}');
  assert.deepEqual(c.machine.members.get(first)?.clientUrls, []);
  bare("", "", "SYNC");
  bare("/1/some/key", "x");
  bare("/0/version", "9.9.9", "GET");
  assert.equal(c.machine.members.clusterVersion, "3.5.0");
  const wrapped = build(InternalRaftRequest, {
    id: 3n,
    v2: build(V2Request, { method: "PUT", path: "/0/version", val: "3.6.0" }),
  });
  c.applyData(encodeInternalRaftRequest(wrapped));
  assert.equal(c.machine.members.clusterVersion, "3.6.0");
  assert.throws(() => bare("/0/members/fd422379fda50e48/attributes", "{"), CorruptionError);
});

test("raft's configuration is kept, its ids exact", () => {
  const c = new Cluster();
  assert.equal(c.machine.confState, undefined);
  const state = {
    voters: [first, 2n],
    learners: [3n],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  c.machine.setConfState(state);
  assert.deepEqual(c.again().machine.confState, state);
  assert.equal(
    c.bucket("meta")["confState"],
    `{"voters":[${first},2],"learners":[3],"auto_leave":false}`,
  );
});

test("members can be replaced without the log", () => {
  const c = new Cluster();
  c.add(member(1n));
  c.add(member(2n));
  c.remove(2n);
  c.machine.replaceMembers([member(2n), member(3n)]);
  assert.deepEqual(
    c
      .again()
      .machine.members.list()
      .map((m) => m.id),
    [2n, 3n],
  );
  assert.equal(c.machine.members.isRemoved(2n), false);
});

test("the storage version is kept in meta", () => {
  const c = new Cluster();
  assert.equal(c.machine.storageVersion, "");
  c.machine.setStorageVersion("3.7.0");
  assert.equal(c.again().machine.storageVersion, "3.7.0");
  c.machine.setStorageVersion("");
  assert.equal(c.again().machine.storageVersion, "");
});
