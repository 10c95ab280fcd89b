import { strict as assert } from "node:assert";
import { test } from "node:test";
import {
  encodeLeaseInternalRequest,
  LeaseInternalRequest,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from "@etcd-ts/api";
import { type Bytes, bytesToUtf8, concatBytes, utf8ToBytes } from "@etcd-ts/base";
import type { Member } from "@etcd-ts/machine";
import { encodeMessage, Message, MessageType } from "@etcd-ts/raft";
import { ClientConnection, type FieldList } from "@etcd-ts/rpc/http1";
import { catalogue } from "../../src/errors.ts";
import { PeerRequests } from "../../src/peers/peer-requests.ts";
import type { PeerAnswers } from "../../src/peers/seams.ts";
import { LinksWorld, type TestNode, urlOf } from "./support/links-world.ts";

const members: readonly Member[] = [
  {
    id: 0x8e9e05c52164694dn,
    peerUrls: ["http://n1:2380"],
    isLearner: false,
    name: "one",
    clientUrls: ["http://n1:2379"],
  },
  {
    id: 0xffff_ffff_ffff_fff0n,
    peerUrls: ["http://n2:2380"],
    isLearner: true,
    name: "",
    clientUrls: [],
  },
];

const answers: PeerAnswers = {
  clusterVersion: "",
  storageVersion: "3.7.0",
  members: () => members,
  promote: async (id, authorization) => {
    if (id === 1n) return { code: 9, message: `etcdserver: not in sync ${authorization ?? "-"}` };
    if (id === 2n) return { code: 4, message: "etcdserver: request timed out" };
    if (id === 3n) throw new Error("broken");
    if (id === 4n) return catalogue.memberNotFound;
    if (id === 5n) return catalogue.memberNotLearner;
    if (id === 6n) return catalogue.learnerNotReady;
    return id === members[1]!.id ? members : { code: 5, message: "membership: ID not found" };
  },
  renewLease: async (id) => {
    if (id === 1n) return 42n;
    if (id === 2n) return { failure: "timeout" };
    return id === 3n
      ? { failure: "other", message: "not a primary lessor" }
      : { failure: "not-found" };
  },
  leaseTimeToLive: async (request) => {
    if (request.id !== 1n) return { failure: "not-found" };
    const response = new LeaseTimeToLiveResponse();
    response.id = 1n;
    response.ttl = 7;
    response.grantedTtl = 10;
    response.keys = request.keys ? [utf8ToBytes("k")] : [];
    return response;
  },
  hashKv: async (revision) => {
    if (revision === 1n) return { failure: "compacted", message: "" };
    if (revision === 99n) return { failure: "future", message: "" };
    return {
      revision: 12,
      clusterId: 0xc1n,
      memberId: 2n ** 63n + 1n,
      raftTerm: 3,
      hash: 4_000_000_000,
      compactRevision: 0,
      hashRevision: 12,
    };
  },
  downgradeEnabled: async () => true,
};

interface Got {
  readonly status: number;
  readonly text: string;
  readonly fields: Map<string, string>;
}

async function ask(
  world: LinksWorld,
  node: TestNode,
  method: string,
  target: string,
  body?: Bytes,
  more: FieldList = [],
): Promise<Got> {
  const parts: Bytes[] = [new Uint8Array(0)];
  const fields = new Map<string, string>();
  let status = 0;
  let over = false;
  const connection = new ClientConnection({
    host: node.host,
    address: { kind: "tcp", host: `n${node.memberId}`, port: 2380 },
    authority: "x",
    dialTimeoutMs: 1000,
    readIdleMs: 5000,
    writeIdleMs: 5000,
  });
  connection.send(
    { method, target, fields: more, ...(body === undefined ? {} : { body }) },
    {
      onHead: (head) => {
        status = head.status;
        for (const name of ["content-type", "x-etcd-cluster-id", "x-server-version", "allow"]) {
          fields.set(name, head.fields.get(name) ?? "");
        }
      },
      onBody: (part) => parts.push(part),
      onDrain() {},
      onDone: () => {
        over = true;
      },
    },
  );
  await world.until(() => over, 6000, `${method} ${target}`);
  connection.destroy();
  return { status, text: bytesToUtf8(concatBytes(parts)), fields };
}

async function served(): Promise<[LinksWorld, TestNode]> {
  const world = new LinksWorld();
  return [world, await world.node(1n, { answers })];
}

test("probing, versions, members, downgrade: as members know them", async () => {
  const [world, node] = await served();
  const probing = await ask(world, node, "GET", "/raft/probing");
  assert.match(probing.text, /^\{"OK":true,"Now":"2026-01-01T00:00:[0-9.]+Z"\}\n$/);
  const version = await ask(world, node, "GET", "/version");
  assert.deepEqual(JSON.parse(version.text), {
    etcdserver: "3.7.1",
    etcdcluster: "not_decided",
    storage: "3.7.0",
    implementation: "etcd-ts",
  });
  assert.equal(version.fields.get("x-etcd-cluster-id"), "c1");
  assert.equal(version.fields.get("x-server-version"), "3.7.1");
  const list = await ask(world, node, "GET", "/members");
  assert.equal(
    list.text,
    '[{"id":10276657743932975437,"peerURLs":["http://n1:2380"],"name":"one","clientURLs":["http://n1:2379"]},' +
      '{"id":18446744073709551600,"peerURLs":["http://n2:2380"],"isLearner":true}]\n',
  );
  assert.equal((await ask(world, node, "GET", "/downgrade/enabled")).text, "true");
});

test("wrong verbs and paths get their statuses", async () => {
  const [world, node] = await served();
  for (const [method, target, status, text] of [
    ["POST", "/version", 405, "Method Not Allowed\n"],
    ["POST", "/members", 405, "Method Not Allowed\n"],
    ["GET", "/leases", 405, "Method Not Allowed\n"],
    ["GET", "/leases/internal", 405, "Method Not Allowed\n"],
    ["GET", "/members/promote/1", 405, "Method Not Allowed\n"],
    ["POST", "/members/hashkv", 405, "Method Not Allowed\n"],
    ["GET", "/raft", 405, "Method Not Allowed\n"],
    ["GET", "/raft/snapshot", 405, "Method Not Allowed\n"],
    ["POST", "/raft/stream/message/1", 405, "Method Not Allowed\n"],
    ["GET", "/members/other", 400, "bad path\n"],
    ["GET", "/", 404, "404 page not found\n"],
    ["GET", "/raft/stream/message/1", 412, "incompatible version\n"],
    ["POST", "/raft", 412, "incompatible version\n"],
    ["POST", "/members/promote/x", 404, "member x not found in cluster\n"],
    ["POST", "/members/promote/18446744073709551616", 404, /not found/],
    ["POST", "/members/promote/7", 404, "membership: ID not found\n"],
    ["POST", "/members/promote/1", 412, "etcdserver: not in sync -\n"],
    ["POST", "/members/promote/2", 408, "etcdserver: request timed out\n"],
    ["POST", "/members/promote/3", 500, "broken\n"],
    // A stock member looks for these very words, to tell its client why.
    ["POST", "/members/promote/4", 404, "membership: ID not found\n"],
    ["POST", "/members/promote/5", 412, "membership: can only promote a learner member\n"],
    [
      "POST",
      "/members/promote/6",
      412,
      "etcdserver: can only promote a learner member which is in sync with leader\n",
    ],
  ] as const) {
    const got = await ask(world, node, method, target);
    assert.equal(got.status, status, `${method} ${target}`);
    if (typeof text === "string") assert.equal(got.text, text, `${method} ${target}`);
    else assert.match(got.text, text);
    assert.equal(got.fields.get("x-etcd-cluster-id"), "c1");
  }
});

test("a list of members that is not known yet is no list", async () => {
  const world = new LinksWorld();
  const node = await world.node(2n, { answers: { ...answers, members: () => undefined } });
  const got = await ask(world, node, "GET", "/members");
  assert.equal(got.status, 503);
  // A stock member that joins looks at the body alone, and asks the next one when that is no JSON.
  assert.throws(() => JSON.parse(got.text));
});

test("the checks of a stream come in etcd's order", async () => {
  const [world, node] = await served();
  const known: FieldList = [
    ["X-Server-Version", "3.5.30"],
    ["X-Min-Cluster-Version", "3.0.0"],
    ["X-Etcd-Cluster-ID", "c1"],
  ];
  node.removedIds.add(9n);
  node.links.addPeer(5n, ["http://n5:2380"]);
  const from5: FieldList = [...known, ["X-Raft-To", "2"]];
  for (const [fields, target, status, text] of [
    [known.slice(0, 2), "/raft/stream/message/5", 412, "cluster ID mismatch\n"],
    [known, "/raft/stream/other/5", 404, "invalid path\n"],
    [known, "/raft/stream/message/5/6", 404, "invalid path\n"],
    [known, "/raft/stream/message/xyz", 404, "invalid from\n"],
    [known, "/raft/stream/message/9", 410, "removed member\n"],
    [known, "/raft/stream/msgapp/8", 404, "error sender not found\n"],
    [known, "/raft/stream/message/5", 412, "to field mismatch\n"],
    [from5, "/raft/stream/message/5", 412, "to field mismatch\n"],
  ] as const) {
    const got = await ask(world, node, "GET", target, undefined, fields);
    assert.deepEqual([got.status, got.text], [status, text], target);
    assert.equal(got.fields.get("x-server-version"), "3.7.1");
  }
  const garbage = await ask(world, node, "POST", "/raft", utf8ToBytes("\xff"), known);
  assert.deepEqual([garbage.status, garbage.text], [400, "error unmarshalling raft message\n"]);
});

test("a stock member that knows no old store is told of before anything of it is taken", async () => {
  const [world, node] = await served();
  node.links.addPeer(5n, ["http://n5:2380"]);
  const message = new Message();
  message.type = MessageType.MsgHeartbeatResp;
  message.from = 5n;
  message.to = node.memberId;
  const body = encodeMessage(message);
  node.onReceive = () => assert.ok(node.metStrictCount > 0 || !isStrict);
  let isStrict = false;
  const post = async (...more: (readonly [string, string])[]): Promise<number> => {
    const fields: FieldList = [
      ["X-Server-From", "5"],
      ["X-Min-Cluster-Version", "3.0.0"],
      ["X-Etcd-Cluster-ID", "c1"],
      ...more,
    ];
    const before = node.metStrictCount;
    assert.equal((await ask(world, node, "POST", "/raft", body, fields)).status, 204);
    return node.metStrictCount - before;
  };
  assert.equal(await post(["X-Server-Version", "3.6.14"]), 0);
  assert.equal(
    await post(["X-Server-Version", "3.7.1"], ["X-Server-Implementation", "etcd-ts"]),
    0,
  );
  isStrict = true;
  assert.equal(await post(["X-Server-Version", "3.7.1"]), 1);
  assert.equal(await post(["X-Server-Version", "3.8.0"]), 1);
});

test("hashes are asked for in the body of a GET", async () => {
  const [world, node] = await served();
  const hash = (body: string, fields: FieldList = []) =>
    ask(world, node, "GET", "/members/hashkv", utf8ToBytes(body), fields);
  assert.equal(
    (await hash('{"revision":5}')).text,
    '{"header":{"cluster_id":193,"member_id":9223372036854775809,"revision":12,"raft_term":3},' +
      '"hash":4000000000,"hash_revision":12}',
  );
  assert.equal((await hash("{}")).status, 200);
  for (const [body, text] of [
    ['{"revision":1}', "mvcc: required revision has been compacted\n"],
    ['{"revision":99}', "mvcc: required revision is a future revision\n"],
    ["", "error unmarshalling request\n"],
    ["[]", "error unmarshalling request\n"],
    ['{"revision":"x"}', "error unmarshalling request\n"],
    ['{"revision":-1}', "error unmarshalling request\n"],
  ] as const) {
    const got = await hash(body);
    assert.deepEqual([got.status, got.text], [400, text], body);
  }
  const foreign = await hash("{}", [["X-Etcd-Cluster-ID", "dead"]]);
  assert.deepEqual([foreign.status, foreign.text], [412, "cluster ID mismatch\n"]);
  const large = await hash(`{"revision":${"1".repeat(70_000)}}`);
  assert.deepEqual([large.status, large.text], [413, "request body too large\n"]);
});

test("what one member asks is what the other answers", async () => {
  const [world, node] = await served();
  const requests = new PeerRequests({ host: node.host, electionMs: 1000 });
  const urls = ["http://dead:1", "nonsense", urlOf(1n)];
  const wait = <T>(task: Promise<T>): Promise<T> => world.world.complete(task, 10_000);
  assert.deepEqual(await wait(requests.cluster(urls, 1000)), { clusterId: 0xc1n, members });
  assert.deepEqual(await wait(requests.versions(urls, 1000)), {
    ...{ server: "3.7.1", cluster: "", isOurs: true },
  });
  assert.equal(await wait(requests.downgradeEnabled(urls, 1000)), true);
  assert.deepEqual(await wait(requests.hashKv(urls, 0xc1n, 5n, 1000)), {
    revision: 12n,
    hash: 4_000_000_000,
    compactRevision: 0n,
    hashRevision: 12n,
  });
  await assert.rejects(wait(requests.hashKv(urls, 0xc1n, 1n, 1000)), /compacted/);
  assert.deepEqual(await wait(requests.promote(urls, members[1]!.id, undefined, 1000)), members);
  await assert.rejects(wait(requests.promote(urls, 1n, "token", 1000)), {
    status: 412,
    message: "etcdserver: not in sync token",
  });
  assert.equal(await wait(requests.renewLease(urls, 1n, 1000)), 42n);
  assert.deepEqual(await wait(requests.renewLease(urls, 2n, 1000)), { failure: "timeout" });
  assert.deepEqual(await wait(requests.renewLease(urls, 3n, 1000)), {
    failure: "other",
    message: "not a primary lessor",
  });
  assert.deepEqual(await wait(requests.renewLease(urls, 4n, 1000)), { failure: "not-found" });
  const request = new LeaseTimeToLiveRequest();
  request.id = 1n;
  request.keys = true;
  const left = await wait(requests.leaseTimeToLive(urls, request, 1000));
  assert.ok(!("failure" in left));
  assert.deepEqual([left.ttl, left.grantedTtl, left.keys.length], [7, 10, 1]);
  assert.notEqual(left.header, undefined, "a stock member panics without a header");
  request.id = 2n;
  assert.deepEqual(await wait(requests.leaseTimeToLive(urls, request, 1000)), {
    failure: "not-found",
  });
  await assert.rejects(wait(requests.cluster(["http://dead:1"], 1000)), /refused/);
  await assert.rejects(wait(requests.cluster([], 1000)), /no URL/);
  requests.stop();
});

test("requests about leases that are none are refused", async () => {
  const [world, node] = await served();
  const bad = await ask(world, node, "POST", "/leases", utf8ToBytes("\xff\xff"));
  assert.deepEqual([bad.status, bad.text], [400, "error unmarshalling request\n"]);
  const empty = encodeLeaseInternalRequest(new LeaseInternalRequest());
  assert.equal((await ask(world, node, "POST", "/leases/internal", empty)).status, 400);
});
