import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Compare,
  CompareTarget,
  type DeleteRangeRequest,
  HashKVResponse,
  HealthCheckResponse,
  HealthListResponse,
  KeyValue,
  type LeaseGrantRequest,
  Member,
  MemberListResponse,
  Permission,
  type PutRequest,
  PutResponse,
  type RangeRequest,
  RangeResponse,
  ResponseHeader,
  SortOrder,
  type TxnRequest,
  type WatchRequest,
  WatchResponse,
} from "../src/index.ts";
import { fromJson, JsonDocuments, JsonError, toJson } from "../src/json.ts";

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

function header(): ResponseHeader {
  const result = new ResponseHeader();
  result.clusterId = 14841639068965178418n;
  result.memberId = 10276657743932975437n;
  result.revision = 2;
  result.raftTerm = 2;
  return result;
}
const headerText =
  '{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"2","raft_term":"2"}';

test("the worked examples of the gateway print and read as documented", () => {
  const put = fromJson("etcdserverpb.PutRequest", '{"key":"Zm9v","value":"YmFy"}') as PutRequest;
  assert.deepEqual(Buffer.from(put.key), Buffer.from("foo"));
  assert.deepEqual(Buffer.from(put.value), Buffer.from("bar"));

  const answer = new PutResponse();
  answer.header = header();
  assert.equal(toJson("etcdserverpb.PutResponse", answer), `{"header":${headerText}}`);

  const kv = new KeyValue();
  kv.key = bytes("foo");
  kv.createRevision = 2;
  kv.modRevision = 2;
  kv.version = 1;
  kv.value = bytes("bar");
  const range = new RangeResponse();
  range.header = header();
  range.kvs.push(kv);
  range.count = 1;
  assert.equal(
    toJson("etcdserverpb.RangeResponse", range),
    `{"header":${headerText},"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1",` +
      '"value":"YmFy"}],"count":"1"}',
  );

  const created = new WatchResponse();
  created.header = header();
  created.created = true;
  assert.equal(
    toJson("etcdserverpb.WatchResponse", created),
    `{"header":${headerText},"created":true}`,
  );

  const watch = fromJson(
    "etcdserverpb.WatchRequest",
    '{"create_request":{"key":"Zm9v"}}',
  ) as WatchRequest;
  assert.deepEqual(Buffer.from(watch.createRequest!.key), Buffer.from("foo"));
  assert.equal(watch.cancelRequest, undefined);
});

test("names print as declared, and are read in either form", () => {
  const member = new Member();
  member.id = 2n ** 64n - 1n;
  member.peerUrls.push("http://a:2380");
  member.isLearner = true;
  const list = new MemberListResponse();
  list.members.push(member);
  assert.equal(
    toJson("etcdserverpb.MemberListResponse", list),
    '{"members":[{"ID":"18446744073709551615","peerURLs":["http://a:2380"],"isLearner":true}]}',
  );
  for (const name of ["range_end", "rangeEnd"]) {
    const read = fromJson("etcdserverpb.DeleteRangeRequest", `{"${name}":"AA=="}`);
    assert.deepEqual([...(read as DeleteRangeRequest).rangeEnd], [0]);
  }
});

test("integers of 64 bits keep every bit, as number and as string", () => {
  for (const text of [
    "9007199254740993",
    '"9007199254740993"',
    "9007199254740993.0",
    "9007199254740993e0",
  ]) {
    const read = fromJson("etcdserverpb.RangeRequest", `{"limit":${text}}`) as RangeRequest;
    assert.equal(read.limit, 9007199254740993n);
  }
  const read = (text: string): bigint => {
    const message = fromJson("etcdserverpb.LeaseGrantRequest", `{"ID":${text}}`);
    return (message as LeaseGrantRequest).id;
  };
  assert.equal(read("-9223372036854775808"), -(2n ** 63n));
  assert.equal(read('"9223372036854775807"'), 2n ** 63n - 1n);
  assert.equal(read("1e3"), 1000n);
  assert.equal(read("1.5e1"), 15n);
  assert.equal(read("120e-1"), 12n);
  assert.equal(read("-0"), 0n);
  assert.equal(read("0e999999999"), 0n);
  for (const bad of [
    "9223372036854775808",
    "1.5",
    "1e30",
    "1e999999999",
    '""',
    '" 1"',
    '"1 "',
    '"0x1"',
    '"01"',
    "01",
    "+1",
    "true",
    "{}",
  ]) {
    assert.throws(() => read(bad), JsonError, bad);
  }
});

test("bytes are read in both alphabets, padded or not", () => {
  const key = (text: string): Buffer => {
    return Buffer.from(
      (fromJson("etcdserverpb.PutRequest", `{"key":"${text}"}`) as PutRequest).key,
    );
  };
  for (const text of ["+/8=", "+/8", "-_8=", "-_8"]) {
    assert.deepEqual(key(text), Buffer.from([0xfb, 0xff]), text);
  }
  assert.equal(key("").length, 0);
  for (const bad of ["a", "abc=d", "ab=", "a===", "+_8=", "a b=", "äö=="]) {
    assert.throws(() => key(bad), JsonError, bad);
  }
});

test("enums print by name and are read by name or number", () => {
  const permission = new Permission();
  permission.permType = 2;
  assert.equal(toJson("authpb.Permission", permission), '{"permType":"READWRITE"}');
  permission.permType = 9;
  assert.equal(toJson("authpb.Permission", permission), '{"permType":9}');
  const order = (text: string): number => {
    return (fromJson("etcdserverpb.RangeRequest", `{"sort_order":${text}}`) as RangeRequest)
      .sortOrder;
  };
  assert.equal(order('"DESCEND"'), SortOrder.DESCEND);
  assert.equal(order("2"), SortOrder.DESCEND);
  assert.equal(order("77"), 77);
  assert.equal(order('"SIDEWAYS"'), SortOrder.NONE, "an unknown name is passed over");
  assert.throws(() => order("2147483648"), JsonError);
  assert.throws(() => order("true"), JsonError);
});

test("members of a oneof are written directly, one at most", () => {
  const read = fromJson(
    "etcdserverpb.TxnRequest",
    '{"compare":[{"target":"VERSION","key":"Zm9v","version":"0"}],"success":[{"requestPut":{"key":"Zg"}}]}',
  ) as TxnRequest;
  assert.equal(read.compare[0]?.target, CompareTarget.VERSION);
  assert.equal(read.compare[0]?.version, 0n);
  assert.equal(read.compare[0]?.modRevision, undefined);
  assert.ok(read.success[0]?.requestPut);
  const two = '{"version":"0","mod_revision":"1"}';
  assert.throws(() => fromJson("etcdserverpb.Compare", two), /oneof .*target_union is already set/);
  const compare = fromJson("etcdserverpb.Compare", '{"version":null,"mod_revision":1}') as Compare;
  assert.equal(compare.modRevision, 1n);
  const zero = new Compare();
  zero.version = 0n;
  assert.equal(toJson("etcdserverpb.Compare", zero), '{"version":"0"}', "a chosen zero is shown");
});

test("unknown fields and null are passed over, a field given twice is not", () => {
  const read = fromJson(
    "etcdserverpb.PutRequest",
    ' {"x":{"y":[1,2,{"z":null}],"w":"\\u00e9\\n"}, "key":null, "lease" : 5 , "value":"YQ"} trailing',
  ) as PutRequest;
  assert.equal(read.key.length, 0);
  assert.equal(read.lease, 5n);
  assert.throws(
    () => fromJson("etcdserverpb.PutRequest", '{"key":"","key":""}'),
    /duplicate field/,
  );
  assert.throws(
    () => fromJson("etcdserverpb.RangeRequest", '{"range_end":"","rangeEnd":""}'),
    /duplicate field/,
  );
});

test("no text is the empty message, and broken text tells where", () => {
  for (const text of ["", "  \n\t", "{}", "{ }"]) {
    const read = fromJson("etcdserverpb.PutRequest", text) as PutRequest;
    assert.equal(read.key.length, 0);
  }
  assert.throws(
    () => fromJson("etcdserverpb.PutRequest", '{\n "key":"Zg",\n "lease":x}'),
    /^JsonError: proto: \(line 3:10\): /,
  );
  for (const bad of [
    "5",
    "[]",
    "null",
    "{",
    '{"key"}',
    '{"key":}',
    '{"key":"a',
    '{"key":"\\x"}',
    '{"key":"\n"}',
    "{,}",
    '{"key":"",}',
    '{"prev_kv":1}',
    '{"prev_kv":"true"}',
    '{"prev_kv":trueish}',
    '{"x":tru}',
    '{"x":1.}',
    '{"x":.5}',
    "{'key':\"\"}",
  ]) {
    assert.throws(() => fromJson("etcdserverpb.PutRequest", bad), JsonError, bad);
  }
  assert.throws(() => fromJson("etcdserverpb.Nothing", "{}"), RangeError);
});

test("texts keep their characters, and half a surrogate pair is refused", () => {
  const name = (text: string): string => {
    const message = fromJson("etcdserverpb.AuthenticateRequest", `{"name":${text}}`);
    return (message as { name: string }).name;
  };
  assert.equal(
    name('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\ude00é\u{1f600}"'),
    '"\\/\b\f\n\r\tA\u{1f600}é\u{1f600}',
  );
  assert.throws(() => name('"\\ud83d"'), JsonError);
  assert.throws(() => name('"\\ud83dx"'), JsonError);
  assert.throws(() => name('"\\ud83d\\u0041"'), JsonError);
  assert.throws(() => name('"\\ude00"'), JsonError);
});

test("32-bit numbers are JSON numbers, maps are objects in order of their keys", () => {
  const hash = new HashKVResponse();
  hash.hash = 4294967295;
  hash.compactRevision = -1;
  assert.equal(
    toJson("etcdserverpb.HashKVResponse", hash),
    '{"hash":4294967295,"compact_revision":"-1"}',
  );
  const list = new HealthListResponse();
  for (const key of ["b", "a"]) {
    const status = new HealthCheckResponse();
    status.status = 1;
    list.statuses.set(key, status);
  }
  const text = '{"statuses":{"a":{"status":"SERVING"},"b":{"status":"SERVING"}}}';
  assert.equal(toJson("grpc.health.v1.HealthListResponse", list), text);
  const back = fromJson("grpc.health.v1.HealthListResponse", text) as HealthListResponse;
  assert.deepEqual([...back.statuses.keys()], ["a", "b"]);
  assert.equal(back.statuses.get("a")?.status, 1);
});

test("a stream of documents is cut where they end, however it arrives", () => {
  const stream = '{"a":"}"}{"b":"\\"{"}\n\n [1,{"c":2}] 5 "x\\\\" null {"d":"é"}';
  const expected = [
    '{"a":"}"}',
    '{"b":"\\"{"}',
    '[1,{"c":2}]',
    "5",
    '"x\\\\"',
    "null",
    '{"d":"é"}',
  ];
  const all = Buffer.from(stream);
  for (let size = 1; size <= all.length; size++) {
    const documents = new JsonDocuments(100);
    const found: string[] = [];
    for (let at = 0; at < all.length; at += size) {
      found.push(...documents.push(all.subarray(at, at + size)));
    }
    found.push(...documents.end());
    assert.deepEqual(
      found.map((text) => text.trim()),
      expected,
      `chunks of ${size} bytes`,
    );
  }
  const unfinished = new JsonDocuments(100);
  assert.deepEqual(unfinished.push(bytes('{"a":')), []);
  assert.deepEqual(unfinished.end(), ['{"a":']);
  assert.throws(() => new JsonDocuments(3).push(bytes('{"a"')), JsonError);
});
