// Bytes written by hand from the protobuf encoding rules, and the shapes of hot messages.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { WireError } from "@etcd-ts/base";
import {
  Compare,
  DeleteRangeRequest,
  decodeCompare,
  decodeInternalRaftRequest,
  decodeKeyValue,
  decodeLeaseGrantRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeRangeResponse,
  decodeRequestOp,
  decodeV2Request,
  decodeWatchCreateRequest,
  encodeCompare,
  encodeDeleteRangeRequest,
  encodeHashKVResponse,
  encodeInternalRaftRequest,
  encodeKeyValue,
  encodeLeaseGrantRequest,
  encodePutRequest,
  encodeRequestOp,
  encodeV2Request,
  encodeWatchCreateRequest,
  HashKVResponse,
  InternalRaftRequest,
  KeyValue,
  LeaseGrantRequest,
  PutRequest,
  RequestHeader,
  RequestOp,
  V2Request,
  WatchCreateRequest,
} from "../src/index.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));

test("put foo=bar, as a request and as a log entry", () => {
  const put = new PutRequest();
  put.key = text("foo");
  put.value = text("bar");
  assert.equal(hex(encodePutRequest(put)), "0a03666f6f1203626172");
  const entry = new InternalRaftRequest();
  entry.put = put;
  entry.header = new RequestHeader();
  entry.header.id = 0x8000000000000001n;
  assert.equal(
    hex(encodeInternalRaftRequest(entry)),
    "220a0a03666f6f1203626172a2060b0881808080808080808001",
  );
  const back = decodeInternalRaftRequest(encodeInternalRaftRequest(entry));
  assert.equal(back.header?.id, 0x8000000000000001n);
  assert.equal(hex(back.put!.value), "626172");
  assert.equal(back.range, undefined);
});

test("a stored KeyValue, and a tombstone", () => {
  const kv = new KeyValue();
  kv.key = text("foo");
  kv.createRevision = 2;
  kv.modRevision = 300;
  kv.version = 2;
  kv.value = text("x");
  kv.lease = 0x694d5765fc0d4b01n;
  assert.equal(hex(encodeKeyValue(kv)), "0a03666f6f100218ac0220022a0178308196b5e0dfecd5a669");
  assert.equal(decodeKeyValue(encodeKeyValue(kv)).lease, kv.lease);
  const tombstone = new KeyValue();
  tombstone.key = text("foo");
  assert.equal(hex(encodeKeyValue(tombstone)), "0a03666f6f");
});

test("negative and huge 64-bit integers keep every bit", () => {
  const grant = new LeaseGrantRequest();
  grant.ttl = -1n;
  grant.id = 2n ** 63n - 1n;
  assert.equal(hex(encodeLeaseGrantRequest(grant)), "08ffffffffffffffffff0110ffffffffffffffff7f");
  const back = decodeLeaseGrantRequest(encodeLeaseGrantRequest(grant));
  assert.equal(back.ttl, -1n);
  assert.equal(back.id, 2n ** 63n - 1n);
  // A bigint beyond 64 bits wraps, as an int64 of C does.
  grant.id = 2n ** 63n;
  assert.equal(decodeLeaseGrantRequest(encodeLeaseGrantRequest(grant)).id, -(2n ** 63n));
  const hash = new HashKVResponse();
  hash.compactRevision = -1;
  hash.hash = 0xffffffff;
  assert.equal(hex(encodeHashKVResponse(hash)), "10ffffffff0f18ffffffffffffffffff01");
});

test("a number that would lose bits is refused, both ways", () => {
  const kv = new KeyValue();
  kv.modRevision = 2 ** 53;
  assert.throws(() => encodeKeyValue(kv), WireError);
  kv.modRevision = 1.5;
  assert.throws(() => encodeKeyValue(kv), WireError);
  assert.equal(decodeKeyValue(unhex("18ffffffffffffff0f")).modRevision, 2 ** 53 - 1);
  assert.throws(() => decodeKeyValue(unhex("188080808080808010")), WireError);
  assert.equal(decodeRangeRequest(unhex("208080808080808010")).revision, 2n ** 53n);
});

test("members of a oneof have presence, and the last one on the wire wins", () => {
  const compare = new Compare();
  compare.key = text("k");
  compare.version = 0n;
  assert.equal(hex(encodeCompare(compare)), "1a016b2000");
  const last = decodeCompare(unhex("1a016b 2005 3000 3a0178"));
  assert.equal(last.version, undefined);
  assert.equal(last.modRevision, undefined);
  assert.equal(hex(last.value!), "78");
  const end = new Compare();
  end.rangeEnd = text("z");
  assert.equal(hex(encodeCompare(end)), "8204017a");

  const op = new RequestOp();
  op.requestDeleteRange = new DeleteRangeRequest();
  assert.equal(hex(encodeRequestOp(op)), "1a00");
  const two = decodeRequestOp(unhex("1203 0a0161 1a03 0a0162"));
  assert.equal(two.requestPut, undefined);
  assert.equal(hex(two.requestDeleteRange!.key), "62");
  const same = decodeRequestOp(unhex("1203 0a0161 1203 120176"));
  assert.equal(
    hex(encodePutRequest(same.requestPut!)),
    "0a0161120176",
    "one member twice is merged",
  );
  assert.equal(encodeDeleteRangeRequest(new DeleteRangeRequest()).length, 0);
});

test("repeated enums are packed, and read in both forms", () => {
  const create = new WatchCreateRequest();
  create.key = text("a");
  create.filters = [0, 1];
  assert.equal(hex(encodeWatchCreateRequest(create)), "0a01612a020001");
  assert.deepEqual(decodeWatchCreateRequest(unhex("2a020001")).filters, [0, 1]);
  assert.deepEqual(decodeWatchCreateRequest(unhex("2800 2801")).filters, [0, 1]);
  assert.deepEqual(decodeWatchCreateRequest(unhex("2801 2a0100 2802")).filters, [1, 0, 2]);
  assert.throws(() => decodeWatchCreateRequest(unhex("2a0180")), WireError);
});

test("the old v2 request is written as etcd 3.4 writes it, zeros included", () => {
  const request = new V2Request();
  request.id = 7n;
  request.method = "PUT";
  request.path = "/0/version";
  request.val = "3.4.0";
  assert.equal(
    hex(encodeV2Request(request)),
    "08071203505554" +
      "1a0a2f302f76657273696f6e" +
      "2205332e342e30" +
      "2800320038004800500058006000680070007800800100",
  );
  assert.equal(decodeV2Request(encodeV2Request(request)).prevExist, undefined);
  request.refresh = false;
  assert.equal(decodeV2Request(encodeV2Request(request)).refresh, false);
  // Its method is no message, which is how stock tells it from an InternalRaftRequest.
  assert.throws(() => decodeInternalRaftRequest(encodeV2Request(request)), WireError);
});

test("broken text in a text field is refused, broken text in bytes is data", () => {
  assert.throws(() => decodeInternalRaftRequest(unhex("a20604 1202c328")), /not valid UTF-8/);
  assert.equal(hex(decodePutRequest(unhex("0a02c328")).key), "c328");
});

test("decoded byte strings are views of the input", () => {
  const input = unhex("0a03666f6f");
  assert.equal(decodePutRequest(input).key.buffer, input.buffer);
  assert.equal(hex(decodePutRequest(unhex("ff0a03666f6fff"), 1, 6).key), "666f6f");
});

test("hot messages have one shape, whatever was set or decoded", () => {
  setFlagsFromString("--allow-natives-syntax");
  const sameMap = new Function("a", "b", "return %HaveSameMap(a, b)") as (
    a: object,
    b: object,
  ) => boolean;
  const full = decodePutRequest(unhex("0a01611201621805200128013001"));
  assert.ok(sameMap(full, new PutRequest()));
  const kv = decodeKeyValue(unhex("0a0161100118012001 2a0162"));
  assert.ok(sameMap(kv, new KeyValue()));
  const range = decodeRangeResponse(unhex("0a021802 1203 0a0161 2001"));
  assert.ok(sameMap(range, decodeRangeResponse(unhex(""))));
});
