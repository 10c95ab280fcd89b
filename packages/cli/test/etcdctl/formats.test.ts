// Every output format on constructed answers, against the samples of etcd 3.7.1: cluster
// 7d1e6c0b9a2f4e35, members n1 (b6f3c91d2a84e57, only 15 digits) and n2, a lease, keys under `fruit/`.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AlarmMember,
  AlarmResponse,
  AuthRoleGetResponse,
  AuthRoleListResponse,
  AuthStatusResponse,
  AuthUserGetResponse,
  AuthUserListResponse,
  DeleteRangeResponse,
  DowngradeInfo,
  DowngradeResponse,
  Event,
  HashKVResponse,
  KeyValue,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseStatus,
  LeaseTimeToLiveResponse,
  Member,
  MemberAddResponse,
  MemberListResponse,
  MoveLeaderResponse,
  Permission,
  PutResponse,
  RangeResponse,
  ResponseHeader,
  ResponseOp,
  StatusResponse,
  TxnResponse,
  WatchResponse,
} from "@etcd-ts/api";
import { makePrinter } from "../../src/etcdctl/print/make-printer.ts";
import type { Printer } from "../../src/etcdctl/print/printer.ts";
import { Failure } from "../../src/shared/exit.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const lease = 0x12ab34cd56ef7890n;

function header(fields: Partial<ResponseHeader> = {}): ResponseHeader {
  return Object.assign(
    new ResponseHeader(),
    {
      clusterId: 9015762301129543221n,
      memberId: 823943853834260055n,
      revision: 12,
      raftTerm: 3,
    },
    fields,
  );
}

const headerJson =
  '"header":{"cluster_id":9015762301129543221,"member_id":823943853834260055,"revision":12,"raft_term":3}';
const flatHeaderJson =
  '"cluster_id":9015762301129543221,"member_id":823943853834260055,"revision":12,"raft_term":3';
const headerFields =
  '"ClusterID" : 9015762301129543221\n"MemberID" : 823943853834260055\n"Revision" : 12\n"RaftTerm" : 3\n';
const emptyHeaderFields = (revision: number) =>
  `"ClusterID" : 0\n"MemberID" : 0\n"Revision" : ${revision}\n"RaftTerm" : 0\n`;

function pair(key: string, value: string, fields: Partial<KeyValue> = {}): KeyValue {
  return Object.assign(
    new KeyValue(),
    { key: bytes(key), value: bytes(value), createRevision: 9, modRevision: 11, version: 2 },
    fields,
  );
}

/** An answer with the usual header. */
function answer<T extends { header: ResponseHeader | undefined }>(
  type: new () => T,
  fields: Partial<T> = {},
): T {
  return Object.assign(new type(), { header: header() }, fields);
}

async function shown(
  format: string,
  print: (printer: Printer) => void,
  hex = false,
): Promise<{ out: string; err: string; raw: Buffer }> {
  const parts: Uint8Array[] = [];
  let err = "";
  const output = {
    out: (data: string | Uint8Array) => {
      parts.push(typeof data === "string" ? bytes(data) : data);
    },
    err: (text: string) => {
      err += text;
    },
  };
  print(await makePrinter(format, { output, hex }));
  const raw = Buffer.concat(parts);
  return { out: raw.toString("utf8"), err, raw };
}

async function expectOutput(
  format: string,
  print: (printer: Printer) => void,
  wanted: string,
  hex = false,
): Promise<void> {
  assert.equal((await shown(format, print, hex)).out, wanted);
}

async function expectUnsupported(format: string, print: (printer: Printer) => void): Promise<void> {
  await assert.rejects(
    shown(format, print),
    (error) =>
      error instanceof Failure &&
      error.exitCode === 4 &&
      error.message === `${format} not supported as output format`,
  );
}

test("an unknown format is refused", async () => {
  await assert.rejects(
    shown("bogus", () => undefined),
    (error) =>
      error instanceof Failure &&
      error.exitCode === 4 &&
      error.message === "unsupported output format",
  );
});

test("put", async () => {
  const response = answer(PutResponse, { prevKv: pair("fruit/apple", "red") });
  const print = (it: Printer) => it.put(response);
  await expectOutput("simple", print, "OK\nfruit/apple\nred\n");
  await expectOutput(
    "json",
    print,
    `{${headerJson},"prev_kv":{"key":"ZnJ1aXQvYXBwbGU=","create_revision":9,"mod_revision":11,"version":2,"value":"cmVk"}}\n`,
  );
  await expectOutput(
    "fields",
    print,
    `${headerFields}"PrevKey" : "fruit/apple"\n"PrevCreateRevision" : 9\n"PrevModRevision" : 11\n"PrevVersion" : 2\n"PrevValue" : "red"\n"PrevLease" : 0\n`,
  );
  await expectUnsupported("table", print);
  const plain = answer(PutResponse);
  await expectOutput("simple", (it) => it.put(plain), "OK\n");
  const { raw } = await shown("protobuf", (it) => it.put(plain));
  assert.equal(raw.toString("hex"), "0a1808b59cbdd1b9819b8f7d10d79ca1959d92cfb70b180c2003");
});

test("get", async () => {
  const response = answer(RangeResponse, {
    kvs: [pair("fruit/apple", "green", { modRevision: 12, version: 3 })],
    more: true,
    count: 2,
  });
  const print = (it: Printer) => it.get(response, false);
  await expectOutput("simple", print, "fruit/apple\ngreen\n");
  await expectOutput("simple", (it) => it.get(response, true), "green\n");
  await expectOutput(
    "simple",
    print,
    "\\x66\\x72\\x75\\x69\\x74\\x2f\\x61\\x70\\x70\\x6c\\x65\n\\x67\\x72\\x65\\x65\\x6e\n",
    true,
  );
  await expectOutput(
    "json",
    print,
    `{${headerJson},"kvs":[{"key":"ZnJ1aXQvYXBwbGU=","create_revision":9,"mod_revision":12,"version":3,"value":"Z3JlZW4="}],"more":true,"count":2}\n`,
  );
  await expectOutput(
    "fields",
    print,
    `${headerFields}"Key" : "fruit/apple"\n"CreateRevision" : 9\n"ModRevision" : 12\n"Version" : 3\n"Value" : "green"\n"Lease" : 0\n"More" : true\n"Count" : 2\n`,
  );
  await expectOutput(
    "fields",
    (it) => it.get(answer(RangeResponse), false),
    `${headerFields}"More" : false\n"Count" : 0\n`,
  );
  await expectOutput("simple", (it) => it.get(answer(RangeResponse), false), "");
  await expectUnsupported("table", print);
});

test("bytes that are no text come out as they are", async () => {
  const kv = pair("", "", { key: Uint8Array.of(0xff, 0x0a), value: Uint8Array.of(0, 0xc3) });
  const response = answer(RangeResponse, { kvs: [kv], count: 1 });
  const { raw } = await shown("simple", (it) => it.get(response, false));
  assert.deepEqual(raw, Buffer.from([0xff, 0x0a, 0x0a, 0, 0xc3, 0x0a]));
  const fields = (await shown("fields", (it) => it.get(response, false))).out;
  assert.match(fields, /^"Key" : "\\xff\\n"$/m);
  assert.match(fields, /^"Value" : "\\x00\\xc3"$/m);
});

test("del", async () => {
  const kv = pair("fruit/apple", "green", { modRevision: 12, version: 3 });
  const response = answer(DeleteRangeResponse, { deleted: 1, prevKvs: [kv] });
  const print = (it: Printer) => it.del(response);
  await expectOutput("simple", print, "1\nfruit/apple\ngreen\n");
  await expectOutput(
    "json",
    print,
    `{${headerJson},"deleted":1,"prev_kvs":[{"key":"ZnJ1aXQvYXBwbGU=","create_revision":9,"mod_revision":12,"version":3,"value":"Z3JlZW4="}]}\n`,
  );
  await expectOutput("json", (it) => it.del(answer(DeleteRangeResponse)), `{${headerJson}}\n`);
  await expectOutput(
    "fields",
    print,
    `${headerFields}"Deleted" : 1\n"PrevKey" : "fruit/apple"\n"PrevCreateRevision" : 9\n"PrevModRevision" : 12\n"PrevVersion" : 3\n"PrevValue" : "green"\n"PrevLease" : 0\n`,
  );
});

test("txn", async () => {
  const inner = Object.assign(new ResponseHeader(), { revision: 12 });
  const put = new ResponseOp();
  put.responsePut = Object.assign(new PutResponse(), { header: inner });
  const range = new ResponseOp();
  range.responseRange = Object.assign(new RangeResponse(), {
    header: inner,
    kvs: [pair("fruit/fig", "dark blue", { createRevision: 12, modRevision: 12, version: 1 })],
    count: 1,
  });
  const nested = new ResponseOp();
  nested.responseTxn = Object.assign(new TxnResponse(), { header: new ResponseHeader() });
  const response = answer(TxnResponse, { succeeded: true, responses: [put, range] });
  const print = (it: Printer) => it.txn(response);
  await expectOutput("simple", print, "SUCCESS\n\nOK\n\nfruit/fig\ndark blue\n");
  await expectOutput(
    "json",
    print,
    `{${headerJson},"succeeded":true,"responses":[{"Response":{"response_put":{"header":{"revision":12}}}},{"Response":{"response_range":{"header":{"revision":12},"kvs":[{"key":"ZnJ1aXQvZmln","create_revision":12,"mod_revision":12,"version":1,"value":"ZGFyayBibHVl"}],"count":1}}}]}\n`,
  );
  await expectOutput(
    "fields",
    print,
    `${headerFields}"Succeeded" : true\n${emptyHeaderFields(12)}${emptyHeaderFields(12)}"Key" : "fruit/fig"\n"CreateRevision" : 12\n"ModRevision" : 12\n"Version" : 1\n"Value" : "dark blue"\n"Lease" : 0\n"More" : false\n"Count" : 1\n`,
  );
  const failed = answer(TxnResponse, { responses: [nested] });
  await expectOutput("simple", (it) => it.txn(failed), "FAILURE\n\nFAILURE\n");
  await expectOutput(
    "json",
    (it) => it.txn(failed),
    `{${headerJson},"responses":[{"Response":{"response_txn":{"header":{}}}}]}\n`,
  );
  await expectOutput("json", (it) => it.txn(answer(TxnResponse)), `{${headerJson}}\n`);
});

test("watch", async () => {
  const put = Object.assign(new Event(), {
    kv: pair("fruit/apple", "green", { modRevision: 12, version: 3 }),
    prevKv: pair("fruit/apple", "red"),
  });
  const gone = Object.assign(new Event(), {
    type: 1,
    kv: Object.assign(new KeyValue(), { key: bytes("fruit/apple"), modRevision: 13 }),
  });
  const response = answer(WatchResponse, { events: [put, gone] });
  const print = (it: Printer) => it.watch(response);
  await expectOutput(
    "simple",
    print,
    "PUT\nfruit/apple\nred\nfruit/apple\ngreen\nDELETE\nfruit/apple\n\n",
  );
  await expectOutput(
    "json",
    print,
    `{"Header":{${flatHeaderJson}},"Events":[{"kv":{"key":"ZnJ1aXQvYXBwbGU=","create_revision":9,"mod_revision":12,"version":3,"value":"Z3JlZW4="},"prev_kv":{"key":"ZnJ1aXQvYXBwbGU=","create_revision":9,"mod_revision":11,"version":2,"value":"cmVk"}},{"type":1,"kv":{"key":"ZnJ1aXQvYXBwbGU=","mod_revision":13}}],"CompactRevision":0,"Canceled":false,"Created":false,"CancelReason":""}\n`,
  );
  await expectOutput(
    "json",
    (it) => it.watch(Object.assign(new WatchResponse(), { canceled: true, compactRevision: 5 })),
    '{"Header":{},"Events":null,"CompactRevision":5,"Canceled":true,"Created":false,"CancelReason":""}\n',
  );
  const fields = (await shown("fields", print)).out;
  assert.ok(fields.startsWith(`${headerFields}"Type" : PUT\n"PrevKey" : "fruit/apple"\n`));
  assert.ok(fields.includes('"Type" : DELETE\n"Key" : "fruit/apple"\n"CreateRevision" : 0\n'));
  await expectOutput("simple", (it) => it.watch(answer(WatchResponse)), "");
  // No watch id, no reason.
  const raw = (
    await shown("protobuf", (it) =>
      it.watch(
        Object.assign(new WatchResponse(), { watchId: 7n, cancelReason: "x", canceled: true }),
      ),
    )
  ).raw;
  assert.equal(raw.toString("hex"), "2001");
});

test("leases", async () => {
  const granted = answer(LeaseGrantResponse, { id: lease, ttl: 60 });
  await expectOutput(
    "simple",
    (it) => it.leaseGrant(granted),
    "lease 12ab34cd56ef7890 granted with TTL(60s)\n",
  );
  await expectOutput(
    "json",
    (it) => it.leaseGrant(granted),
    `{${flatHeaderJson},"ID":1345226970231699600,"TTL":60,"Error":""}\n`,
  );
  await expectOutput(
    "fields",
    (it) => it.leaseGrant(granted),
    `${headerFields}"ID" : 1345226970231699600\n"TTL" : 60\n`,
  );
  await expectOutput(
    "fields",
    (it) => it.leaseGrant(answer(LeaseGrantResponse, { id: 0x1234n, ttl: 60 })),
    '"ClusterID" : 7d1e6c0b9a2f4e35\n"MemberID" : b6f3c91d2a84e57\n"Revision" : 12\n"RaftTerm" : 3\n"ID" : 0000000000001234\n"TTL" : 60\n',
    true,
  );
  const { raw } = await shown("protobuf", (it) => it.leaseGrant(granted));
  assert.equal(raw.toString("hex"), "08b59cbdd1b9819b8f7d10d79ca1959d92cfb70b180c2003");

  const kept = answer(LeaseKeepAliveResponse, { id: lease, ttl: 60 });
  await expectOutput(
    "simple",
    (it) => it.leaseKeepAlive(kept),
    "lease 12ab34cd56ef7890 keepalived with TTL(60)\n",
  );
  await expectOutput(
    "json",
    (it) => it.leaseKeepAlive(kept),
    `{${flatHeaderJson},"ID":1345226970231699600,"TTL":60}\n`,
  );
  await expectOutput(
    "simple",
    (it) => it.leaseKeepAlive(answer(LeaseKeepAliveResponse, { id: lease })),
    "lease 12ab34cd56ef7890 expired or revoked.\n",
  );

  const left = answer(LeaseTimeToLiveResponse, {
    id: lease,
    ttl: 41,
    grantedTtl: 60,
    keys: [bytes("fruit/apple"), bytes("fruit/pear")],
  });
  const base = "lease 12ab34cd56ef7890 granted with TTL(60s), remaining(41s)";
  await expectOutput("simple", (it) => it.leaseTimeToLive(left, false), `${base}\n`);
  await expectOutput(
    "simple",
    (it) => it.leaseTimeToLive(left, true),
    `${base}, attached keys([fruit/apple fruit/pear])\n`,
  );
  await expectOutput(
    "simple",
    (it) =>
      it.leaseTimeToLive(
        answer(LeaseTimeToLiveResponse, { id: lease, ttl: 41, grantedTtl: 60 }),
        true,
      ),
    `${base}, attached keys([])\n`,
  );
  await expectOutput(
    "simple",
    (it) => it.leaseTimeToLive(answer(LeaseTimeToLiveResponse, { id: 0x1234n, ttl: -1 }), false),
    "lease 0000000000001234 already expired\n",
  );
  await expectOutput(
    "json",
    (it) =>
      it.leaseTimeToLive(
        answer(LeaseTimeToLiveResponse, { id: lease, ttl: 41, grantedTtl: 60 }),
        true,
      ),
    `{${flatHeaderJson},"id":1345226970231699600,"ttl":41,"granted-ttl":60,"keys":null}\n`,
  );
  await expectOutput(
    "fields",
    (it) => it.leaseTimeToLive(left, true),
    `${headerFields}"ID" : 1345226970231699600\n"TTL" : 41\n"GrantedTTL" : 60\n"Key" : "fruit/apple"\n"Key" : "fruit/pear"\n`,
  );

  const list = answer(LeaseLeasesResponse, {
    leases: [Object.assign(new LeaseStatus(), { id: lease })],
  });
  await expectOutput("simple", (it) => it.leaseList(list), "found 1 leases\n12ab34cd56ef7890\n");
  await expectOutput(
    "json",
    (it) => it.leaseList(list),
    `{${flatHeaderJson},"leases":[{"id":1345226970231699600}]}\n`,
  );
  await expectOutput(
    "json",
    (it) => it.leaseList(answer(LeaseLeasesResponse)),
    `{${flatHeaderJson},"leases":[]}\n`,
  );

  const revoked = answer(LeaseRevokeResponse);
  await expectOutput(
    "simple",
    (it) => it.leaseRevoke(lease, revoked),
    "lease 12ab34cd56ef7890 revoked\n",
  );
  await expectOutput("json", (it) => it.leaseRevoke(lease, revoked), `{${headerJson}}\n`);
  await assert.rejects(
    shown("protobuf", (it) => it.leaseRevoke(lease, revoked)),
    (error) =>
      error instanceof Failure &&
      error.exitCode === 4 &&
      /^marshal unsupported/.test(error.message),
  );
});

const n1 = Object.assign(new Member(), {
  id: 823943853834260055n,
  name: "n1",
  peerUrls: ["http://10.1.0.1:2380"],
  clientUrls: ["http://10.1.0.1:2379"],
});
const n2 = Object.assign(new Member(), {
  id: 14168870327544284715n,
  peerUrls: ["http://10.1.0.2:2380"],
  isLearner: true,
});
const memberHeader = () => header({ revision: 0 });

test("members", async () => {
  const list = answer(MemberListResponse, { header: memberHeader(), members: [n1, n2] });
  const print = (it: Printer) => it.memberList(list);
  await expectOutput(
    "simple",
    print,
    "b6f3c91d2a84e57, started, n1, http://10.1.0.1:2380, http://10.1.0.1:2379, false\nc4a1f07e35d9862b, unstarted, , http://10.1.0.2:2380, , true\n",
  );
  await expectOutput(
    "table",
    print,
    `┌──────────────────┬───────────┬──────┬──────────────────────┬──────────────────────┬────────────┐
│        ID        │  STATUS   │ NAME │      PEER ADDRS      │     CLIENT ADDRS     │ IS LEARNER │
├──────────────────┼───────────┼──────┼──────────────────────┼──────────────────────┼────────────┤
│  b6f3c91d2a84e57 │   started │   n1 │ http://10.1.0.1:2380 │ http://10.1.0.1:2379 │      false │
│ c4a1f07e35d9862b │ unstarted │      │ http://10.1.0.2:2380 │                      │       true │
└──────────────────┴───────────┴──────┴──────────────────────┴──────────────────────┴────────────┘
`,
  );
  await expectOutput(
    "json",
    print,
    '{"header":{"cluster_id":9015762301129543221,"member_id":823943853834260055,"raft_term":3},"members":[{"ID":823943853834260055,"name":"n1","peerURLs":["http://10.1.0.1:2380"],"clientURLs":["http://10.1.0.1:2379"]},{"ID":14168870327544284715,"peerURLs":["http://10.1.0.2:2380"],"isLearner":true}]}\n',
  );
  const only = answer(MemberListResponse, { header: memberHeader(), members: [n1] });
  await expectOutput(
    "json",
    (it) => it.memberList(only),
    '{"header":{"cluster_id":"7d1e6c0b9a2f4e35","member_id":"b6f3c91d2a84e57","raft_term":3},"members":[{"ID":"b6f3c91d2a84e57","name":"n1","peerURLs":["http://10.1.0.1:2380"],"clientURLs":["http://10.1.0.1:2379"]}]}\n',
    true,
  );
  await expectOutput(
    "fields",
    (it) => it.memberList(only),
    '"ClusterID" : 9015762301129543221\n"MemberID" : 823943853834260055\n"RaftTerm" : 3\n"ID" : 823943853834260055\n"Name" : "n1"\n"PeerURL" : "http://10.1.0.1:2380"\n"ClientURL" : "http://10.1.0.1:2379"\n"IsLearner" : false\n\n',
  );

  const added = answer(MemberAddResponse, { member: n2, members: [n1, n2] });
  await expectOutput(
    "simple",
    (it) => it.memberAdd(added),
    "Member c4a1f07e35d9862b added as learner to cluster 7d1e6c0b9a2f4e35\n",
  );
  const sentence = async (print: (printer: Printer) => void) => (await shown("simple", print)).out;
  assert.equal(
    await sentence((it) => it.memberUpdate(n1.id, list)),
    "Member  b6f3c91d2a84e57 updated in cluster 7d1e6c0b9a2f4e35\n",
  );
  assert.equal(
    await sentence((it) => it.memberRemove(n2.id, list)),
    "Member c4a1f07e35d9862b removed from cluster 7d1e6c0b9a2f4e35\n",
  );
  assert.equal(
    await sentence((it) => it.memberPromote(n2.id, list)),
    "Member c4a1f07e35d9862b promoted in cluster 7d1e6c0b9a2f4e35\n",
  );
  await expectUnsupported("fields", (it) => it.memberAdd(added));
  await expectUnsupported("table", (it) => it.memberRemove(n2.id, list));
});

test("endpoints", async () => {
  const health = [
    { endpoint: "10.1.0.1:2379", health: true, took: "1.834ms", error: "" },
    {
      endpoint: "10.1.0.9:2379",
      health: false,
      took: "5.000903138s",
      error: "context deadline exceeded",
    },
  ];
  const simple = await shown("simple", (it) => it.endpointHealth(health));
  assert.equal(
    simple.out,
    "10.1.0.1:2379 is healthy: successfully committed proposal: took = 1.834ms\n",
  );
  assert.equal(
    simple.err,
    "10.1.0.9:2379 is unhealthy: failed to commit proposal: context deadline exceeded\n",
  );
  await expectOutput(
    "json",
    (it) => it.endpointHealth(health),
    '[{"endpoint":"10.1.0.1:2379","health":true,"took":"1.834ms"},{"endpoint":"10.1.0.9:2379","health":false,"took":"5.000903138s","error":"context deadline exceeded"}]\n',
  );
  await expectOutput(
    "fields",
    (it) => it.endpointHealth(health.slice(0, 1)),
    '"Endpoint" : "10.1.0.1:2379"\n"Health" : true\n"Took" : 1.834ms\n"Error" : \n\n',
  );

  const status = answer(StatusResponse, {
    version: "3.7.1",
    dbSize: 20480,
    leader: 823943853834260055n,
    raftIndex: 31,
    raftTerm: 3,
    raftAppliedIndex: 31,
    dbSizeInUse: 16384,
    storageVersion: "3.7.0",
    dbSizeQuota: 2147483648,
    downgradeInfo: new DowngradeInfo(),
  });
  const list = [{ endpoint: "10.1.0.1:2379", status }];
  await expectOutput(
    "simple",
    (it) => it.endpointStatus(list),
    "10.1.0.1:2379, b6f3c91d2a84e57, 3.7.1, 3.7.0, 20 kB, 16 kB, 20%, 2.1 GB, true, false, 3, 31, 31, , , false\n",
  );
  await expectOutput(
    "json",
    (it) => it.endpointStatus(list),
    `[{"Endpoint":"10.1.0.1:2379","Status":{${headerJson},"version":"3.7.1","dbSize":20480,"leader":823943853834260055,"raftIndex":31,"raftTerm":3,"raftAppliedIndex":31,"dbSizeInUse":16384,"storageVersion":"3.7.0","dbSizeQuota":2147483648,"downgradeInfo":{}}}]\n`,
  );
  await expectOutput("json", (it) => it.endpointStatus([]), "null\n");
  await expectOutput(
    "fields",
    (it) => it.endpointStatus(list),
    `${headerFields}"Version" : "3.7.1"\n"StorageVersion" : "3.7.0"\n"DBSize" : 20480\n"DBSizeInUse" : 16384\n"DBSizeQuota" : 2147483648\n"Leader" : 823943853834260055\n"IsLearner" : false\n"RaftIndex" : 31\n"RaftTerm" : 3\n"RaftAppliedIndex" : 31\n"Errors" : []\n"Endpoint" : "10.1.0.1:2379"\n"DowngradeTargetVersion" : ""\n"DowngradeEnabled" : false\n\n`,
  );
  await expectUnsupported("protobuf", (it) => it.endpointStatus(list));

  const hash = answer(HashKVResponse, { hash: 3158907245, compactRevision: 5, hashRevision: 12 });
  const hashes = [{ endpoint: "10.1.0.1:2379", hash }];
  await expectOutput(
    "simple",
    (it) => it.endpointHashKv(hashes),
    "10.1.0.1:2379, 3158907245, 12\n",
  );
  await expectOutput(
    "json",
    (it) => it.endpointHashKv(hashes),
    `[{"Endpoint":"10.1.0.1:2379","HashKV":{${headerJson},"hash":3158907245,"compact_revision":5,"hash_revision":12}}]\n`,
  );
  await expectOutput(
    "fields",
    (it) => it.endpointHashKv(hashes),
    `${headerFields}"Endpoint" : "10.1.0.1:2379"\n"Hash" : 3158907245\n"HashRevision" : 12\n\n`,
  );
  await expectOutput(
    "table",
    (it) => it.endpointHashKv([]),
    "┌──────────┬──────┬───────────────┐\n│ ENDPOINT │ HASH │ HASH REVISION │\n└──────────┴──────┴───────────────┘\n",
  );
});

test("alarms, leaders and downgrades", async () => {
  const alarm = Object.assign(new AlarmMember(), { memberId: 823943853834260055n, alarm: 1 });
  const list = answer(AlarmResponse, { alarms: [alarm] });
  await expectOutput(
    "simple",
    (it) => it.alarm(list),
    "memberID:823943853834260055 alarm:NOSPACE\n",
  );
  await expectOutput(
    "json",
    (it) => it.alarm(list),
    `{${headerJson},"alarms":[{"memberID":823943853834260055,"alarm":1}]}\n`,
  );
  await expectOutput(
    "fields",
    (it) => it.alarm(list),
    `${headerFields}"MemberID" : 823943853834260055\n"AlarmType" : NOSPACE\n\n`,
  );
  await expectOutput("json", (it) => it.alarm(new AlarmResponse()), "{}\n");
  await expectOutput(
    "simple",
    (it) => it.moveLeader(n1.id, n2.id, new MoveLeaderResponse()),
    "Leadership transferred from b6f3c91d2a84e57 to c4a1f07e35d9862b\n",
  );
  await expectOutput("json", (it) => it.moveLeader(n1.id, n2.id, new MoveLeaderResponse()), "{}\n");
  const downgrade = answer(DowngradeResponse, { version: "3.7" });
  await expectOutput(
    "simple",
    (it) => it.downgrade("enable", downgrade),
    "Downgrade enable success, cluster version 3.7\n",
  );
  await expectOutput(
    "json",
    (it) => it.downgrade("enable", downgrade),
    `{${headerJson},"version":"3.7"}\n`,
  );
});

test("roles and users", async () => {
  const permission = (permType: number, key: string, rangeEnd: string) =>
    Object.assign(new Permission(), { permType, key: bytes(key), rangeEnd: bytes(rangeEnd) });
  const role = answer(AuthRoleGetResponse, {
    perm: [
      permission(0, "fruit/apple", ""),
      permission(2, "fruit/", "fruit0"),
      permission(1, "fruit/a", "fruit/z"),
      permission(2, "zoo", "\0"),
    ],
  });
  await expectOutput(
    "simple",
    (it) => it.roleGet("r1", role),
    "Role r1\nKV Read:\n\tfruit/apple\n\t[fruit/, fruit0) (prefix fruit/)\n\t[zoo, <open ended>\nKV Write:\n\t[fruit/, fruit0) (prefix fruit/)\n\t[fruit/a, fruit/z)\n\t[zoo, <open ended>\n",
  );
  await expectOutput(
    "simple",
    (it) => it.roleGet("root", answer(AuthRoleGetResponse)),
    "Role root\nKV Read:\n\t[, <open ended>\nKV Write:\n\t[, <open ended>\n",
  );
  const one = answer(AuthRoleGetResponse, { perm: [permission(2, "fruit/", "fruit0")] });
  await expectOutput(
    "json",
    (it) => it.roleGet("r1", one),
    `{${headerJson},"perm":[{"permType":2,"key":"ZnJ1aXQv","range_end":"ZnJ1aXQw"}]}\n`,
  );
  await expectOutput(
    "fields",
    (it) => it.roleGet("r1", one),
    `${headerFields}"PermType" :  READWRITE\n"Key" : "fruit/"\n"RangeEnd" : "fruit0"\n`,
  );
  const roles = answer(AuthRoleListResponse, { roles: ["r1", "r2"] });
  await expectOutput("simple", (it) => it.roleList(roles), "r1\nr2\n");
  await expectOutput("json", (it) => it.roleList(roles), `{${headerJson},"roles":["r1","r2"]}\n`);
  await expectOutput("fields", (it) => it.roleList(roles), `${headerFields}"Roles" : "r1" "r2"\n`);

  const user = answer(AuthUserGetResponse, { roles: ["r1", "r2"] });
  await expectOutput("simple", (it) => it.userGet("bob", user), "User: bob\nRoles: r1 r2\n");
  await expectOutput(
    "simple",
    (it) => it.userGet("bob", answer(AuthUserGetResponse)),
    "User: bob\nRoles:\n",
  );
  await expectOutput(
    "json",
    (it) => it.userGet("bob", user),
    `{${headerJson},"roles":["r1","r2"]}\n`,
  );
  await expectUnsupported("fields", (it) => it.userGet("bob", user));
  const users = answer(AuthUserListResponse, { users: ["<b&b>"] });
  await expectOutput(
    "json",
    (it) => it.userList(users),
    `{${headerJson},"users":["\\u003cb\\u0026b\\u003e"]}\n`,
  );
  const enabled = answer(AuthStatusResponse, { enabled: true, authRevision: 5 });
  await expectOutput(
    "simple",
    (it) => it.authStatus(enabled),
    "Authentication Status: true\nAuthRevision: 5\n",
  );
  await expectOutput(
    "json",
    (it) => it.authStatus(enabled),
    `{${headerJson},"enabled":true,"authRevision":5}\n`,
  );

  const done = answer(PutResponse);
  const sentences: [Parameters<Printer["done"]>[0], string][] = [
    [{ kind: "role-add", role: "r1" }, "Role r1 created"],
    [{ kind: "role-delete", role: "r1" }, "Role r1 deleted"],
    [{ kind: "role-grant", role: "r1" }, "Role r1 updated"],
    [
      { kind: "role-revoke", role: "r1", key: "fruit/apple", rangeEnd: bytes("") },
      "Permission of key fruit/apple is revoked from role r1",
    ],
    [
      { kind: "role-revoke", role: "r1", key: "fruit/", rangeEnd: bytes("fruit0") },
      "Permission of range [fruit/, fruit0) is revoked from role r1",
    ],
    [
      { kind: "role-revoke", role: "r1", key: "zoo", rangeEnd: bytes("\0") },
      "Permission of range [zoo, <open ended> is revoked from role r1",
    ],
    [{ kind: "user-add", user: "bob" }, "User bob created"],
    [{ kind: "user-delete", user: "bob" }, "User bob deleted"],
    [{ kind: "user-password" }, "Password updated"],
    [{ kind: "user-grant", user: "bob", role: "r1" }, "Role r1 is granted to user bob"],
    [{ kind: "user-revoke", user: "bob", role: "r1" }, "Role r1 is revoked from user bob"],
  ];
  for (const [what, text] of sentences) {
    await expectOutput("simple", (it) => it.done(what, done), `${text}\n`);
  }
  await expectOutput("json", (it) => it.done({ kind: "user-password" }, done), `{${headerJson}}\n`);
  await expectOutput("fields", (it) => it.done({ kind: "user-password" }, done), headerFields);
});
