import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  ApiError,
  allMethods,
  type ErrorCode,
  errorCodeOf,
  errorRows,
  GrpcStatus,
  goNameOf,
  goStatusText,
  httpStatusOf,
  kvService,
  leaseService,
  watchService,
} from "../src/index.ts";
import { etcdTsVersion, etcdVersion, minClusterVersion } from "../src/version.ts";

const rows = Object.entries(errorRows) as [ErrorCode, (typeof errorRows)[ErrorCode]][];

test("texts of the catalogue are unique, so that a client can find the row again", () => {
  assert.equal(rows.filter(([, row]) => row.message.startsWith("etcdserver: ")).length, 65);
  for (const [code, row] of rows) assert.equal(errorCodeOf(row.message), code);
  assert.equal(errorCodeOf("etcdserver: something else"), undefined);
});

test("rows have the status and text that etcd's clients know", () => {
  const expected: [ErrorCode, number, string][] = [
    ["emptyKey", 3, "etcdserver: key is not provided"],
    ["compacted", 11, "etcdserver: mvcc: required revision has been compacted"],
    ["futureRev", 11, "etcdserver: mvcc: required revision is a future revision"],
    ["noSpace", 8, "etcdserver: mvcc: database space exceeded"],
    ["leaseNotFound", 5, "etcdserver: requested lease not found"],
    ["leaseTtlTooLarge", 11, "etcdserver: too large lease TTL"],
    ["invalidClientApiVersion", 3, "etcdserver: invalid client api version"],
    ["peerUrlExist", 9, "etcdserver: Peer URLs already exists"],
    ["memberBadUrls", 3, "etcdserver: given member URLs are invalid"],
    ["clusterIdMismatch", 9, "etcdserver: cluster ID mismatch"],
    ["permissionDenied", 7, "etcdserver: permission denied"],
    ["invalidAuthToken", 16, "etcdserver: invalid auth token"],
    ["noLeader", 14, "etcdserver: no leader"],
    ["corrupt", 15, "etcdserver: corrupt cluster"],
    [
      "timeoutDueToConnectionLost",
      14,
      "etcdserver: request timed out, possibly due to connection lost",
    ],
    ["canceled", 1, "etcdserver: request canceled"],
    ["electionLeaderMissing", 2, '"leader" field must be provided'],
  ];
  for (const [code, status, message] of expected) {
    assert.equal(errorRows[code].status, status, code);
    assert.equal(errorRows[code].wireStatus, status, code);
    assert.equal(errorRows[code].message, message);
  }
});

test("two rows leave the server as UNKNOWN and become typed at the client", () => {
  const odd = rows.filter(([, row]) => row.wireStatus !== row.status).map(([code]) => code);
  assert.deepEqual(odd, ["memberNotEnoughStarted", "tooManyRequests"]);
  assert.equal(errorRows.tooManyRequests.wireStatus, GrpcStatus.unknown);
  assert.equal(errorRows.tooManyRequests.status, GrpcStatus.resourceExhausted);
  assert.ok(errorRows.tooManyRequests.typed);
  assert.ok(!errorRows.timeoutWaitAppliedIndex.typed);
});

test("an ApiError has code, status, message and cause", () => {
  const cause = new Error("deep below");
  const error = new ApiError("leaseExist", { cause });
  assert.equal(error.code, "leaseExist");
  assert.equal(error.status, GrpcStatus.failedPrecondition);
  assert.equal(error.message, "etcdserver: lease already exists");
  assert.equal(error.cause, cause);
  assert.equal(String(error), "ApiError: etcdserver: lease already exists");
});

test("statuses have Go's names and the gateway's HTTP statuses", () => {
  assert.equal(
    goStatusText("permissionDenied"),
    "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
  );
  assert.equal(goNameOf(GrpcStatus.cancelled), "Canceled");
  assert.equal(goNameOf(GrpcStatus.unauthenticated), "Unauthenticated");
  assert.equal(goNameOf(99), "Code(99)");
  const http = Object.values(GrpcStatus).map(httpStatusOf);
  const table = [
    200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
  ];
  assert.deepEqual(http, table);
});

test("the tables hold every service of etcd 3.7", () => {
  assert.equal(allMethods.length, 52);
  assert.equal(new Set(allMethods.map((method) => method.path)).size, 52);
  const count = (service: string): number =>
    allMethods.filter((method) => method.service === service).length;
  assert.deepEqual(
    [
      "etcdserverpb.KV",
      "etcdserverpb.Watch",
      "etcdserverpb.Lease",
      "etcdserverpb.Cluster",
      "etcdserverpb.Maintenance",
      "etcdserverpb.Auth",
      "v3lockpb.Lock",
      "v3electionpb.Election",
      "grpc.health.v1.Health",
    ].map(count),
    [6, 1, 5, 5, 8, 17, 2, 5, 3],
  );
  assert.equal(kvService.range.path, "/etcdserverpb.KV/Range");
  assert.equal(kvService.rangeStream.kind, "serverStream");
  assert.equal(watchService.watch.kind, "bidiStream");
  assert.deepEqual(leaseService.leaseRevoke.gateway, ["/v3/lease/revoke", "/v3/kv/lease/revoke"]);
  const gateway = allMethods.flatMap((method) => method.gateway);
  assert.equal(gateway.length, 51);
  assert.equal(new Set(gateway).size, gateway.length);
  assert.deepEqual(
    allMethods.filter((method) => method.gateway.length === 0).map((method) => method.path),
    [
      "/etcdserverpb.KV/RangeStream",
      "/grpc.health.v1.Health/Check",
      "/grpc.health.v1.Health/Watch",
      "/grpc.health.v1.Health/List",
    ],
  );
});

test("codecs of every method take the empty message both ways", () => {
  for (const method of allMethods) {
    const none = new Uint8Array(0);
    assert.equal(method.encodeRequest(method.decodeRequest(none)).length, 0, method.path);
    assert.equal(method.encodeResponse(method.decodeResponse(none)).length, 0, method.path);
  }
});

test("versions are those that the protocol knows", () => {
  assert.equal(etcdVersion, "3.7.1");
  assert.equal(minClusterVersion, "3.0.0");
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  assert.equal(etcdTsVersion, (JSON.parse(manifest) as { version: string }).version);
});
