// Hot codecs against protobufjs, in microseconds a call:
//
//     node packages/api/dist/bench/codecs.bench.js [seconds for each figure]
//
// The tests run it too, for a few calls, so that it does not rot.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import {
  decodeInternalRaftRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeRangeResponse,
  encodeInternalRaftRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeRangeResponse,
  InternalRaftRequest,
  KeyValue,
  PutRequest,
  RangeRequest,
  RangeResponse,
  RequestHeader,
  ResponseHeader,
} from "../src/index.ts";

export interface Figure {
  readonly name: string;
  readonly oursMicroseconds: number;
  readonly protobufjsMicroseconds: number;
}

interface Subject {
  readonly name: string;
  ours(): unknown;
  theirs(): unknown;
}

/** Runs every subject for about `milliseconds`, ours and theirs in turns. */
export function measureCodecs(milliseconds: number): Figure[] {
  return subjects().map((subject) => {
    let ours = Number.POSITIVE_INFINITY;
    let theirs = Number.POSITIVE_INFINITY;
    // The best of some rounds: other work on the machine only ever adds.
    for (let round = 0; round < 5; round++) {
      ours = Math.min(
        ours,
        timed(() => subject.ours(), milliseconds / 10),
      );
      theirs = Math.min(
        theirs,
        timed(() => subject.theirs(), milliseconds / 10),
      );
    }
    return { name: subject.name, oursMicroseconds: ours, protobufjsMicroseconds: theirs };
  });
}

/** Results go here, so that no call is optimised away. */
let sink: unknown;

function timed(run: () => unknown, milliseconds: number): number {
  const begin = process.hrtime.bigint();
  const until = begin + BigInt(Math.round(milliseconds * 1e6));
  let calls = 0;
  let now = begin;
  do {
    for (let i = 0; i < 20; i++) sink = run();
    calls += 20;
    now = process.hrtime.bigint();
  } while (now < until);
  return Number(now - begin) / 1000 / calls;
}

function subjects(): Subject[] {
  const root = loadOracle();
  const type = (name: string): protobuf.Type => root.lookupType(`etcdserverpb.${name}`);

  const put = new PutRequest();
  put.key = Buffer.from("bench/0000000000000042");
  put.value = Buffer.alloc(256, 0x61);
  const putBytes = encodePutRequest(put);
  const PutType = type("PutRequest");
  const putObject = PutType.decode(putBytes);

  const range = new RangeRequest();
  range.key = put.key;
  range.serializable = true;
  const rangeBytes = encodeRangeRequest(range);
  const RangeType = type("RangeRequest");

  const entry = new InternalRaftRequest();
  entry.put = put;
  entry.header = new RequestHeader();
  entry.header.id = 0x8e9e_05c5_2164_694dn;
  const entryBytes = encodeInternalRaftRequest(entry);
  const EntryType = type("InternalRaftRequest");

  const response = new RangeResponse();
  response.header = new ResponseHeader();
  response.header.clusterId = 14841639068965178418n;
  response.header.memberId = 10276657743932975437n;
  response.header.revision = 1_234_567;
  response.header.raftTerm = 7;
  for (let i = 0; i < 1000; i++) {
    const kv = new KeyValue();
    kv.key = Buffer.from(`bench/${String(i).padStart(16, "0")}`);
    kv.createRevision = 1_000_000 + i;
    kv.modRevision = 1_100_000 + i;
    kv.version = 1 + (i % 300);
    kv.value = put.value;
    response.kvs.push(kv);
  }
  response.count = 1000;
  const responseBytes = encodeRangeResponse(response);
  const ResponseType = type("RangeResponse");
  const responseObject = ResponseType.decode(responseBytes);
  if (!Buffer.from(ResponseType.encode(responseObject).finish()).equals(responseBytes)) {
    throw new Error("the two encoders disagree");
  }

  return [
    {
      name: "decode PutRequest",
      ours: () => decodePutRequest(putBytes),
      theirs: () => PutType.decode(putBytes),
    },
    {
      name: "encode PutRequest",
      ours: () => encodePutRequest(put),
      theirs: () => PutType.encode(putObject).finish(),
    },
    {
      name: "decode RangeRequest",
      ours: () => decodeRangeRequest(rangeBytes),
      theirs: () => RangeType.decode(rangeBytes),
    },
    {
      name: "decode InternalRaftRequest of a put",
      ours: () => decodeInternalRaftRequest(entryBytes),
      theirs: () => EntryType.decode(entryBytes),
    },
    {
      name: "encode RangeResponse of 1,000 keys",
      ours: () => encodeRangeResponse(response),
      theirs: () => ResponseType.encode(responseObject).finish(),
    },
    {
      name: "decode RangeResponse of 1,000 keys",
      ours: () => decodeRangeResponse(responseBytes),
      theirs: () => ResponseType.decode(responseBytes),
    },
  ];
}

function loadOracle(): protobuf.Root {
  const repository = fileURLToPath(new URL("../../../..", import.meta.url));
  const folders = ["packages/api/proto", "tools/proto", "node_modules/protobufjs"];
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => {
    const paths = folders.map((folder) => join(repository, folder, target));
    return paths.find((path) => existsSync(path)) ?? target;
  };
  root.loadSync(["rpc.proto", "raft_internal.proto"], { keepCase: true });
  return root;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const seconds = Number(process.argv[2] ?? 2);
  for (const figure of measureCodecs(seconds * 1000)) {
    const { name, oursMicroseconds: ours, protobufjsMicroseconds: theirs } = figure;
    process.stdout.write(
      `${name.padEnd(38)} ${ours.toFixed(2).padStart(9)} µs, protobufjs ` +
        `${theirs.toFixed(2).padStart(9)} µs (${(theirs / ours).toFixed(1)} times ours)\n`,
    );
  }
  if (sink === undefined) process.exitCode = 1;
}
