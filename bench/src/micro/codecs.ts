// Codecs and checksums.

import {
  decodeKeyValue,
  decodePutRequest,
  decodeRangeResponse,
  encodeRangeResponse as encodeGenerated,
  encodePutRequest,
  KeyValue,
  PutRequest,
  RangeResponse,
  ResponseHeader,
} from "@etcd-ts/api";
import { type Bytes, build, bytesToKey, crc32c, SeededRandom, utf8ToBytes } from "@etcd-ts/base";
import { keyOf, putOf } from "../load/requests.ts";
import { internal, mustEqual, mustEqualBytes } from "./internals.ts";
import type { MicroBenchmark } from "./micro-benchmark.ts";
import { repeat } from "./rpc.ts";

type Scan = typeof import("../../../packages/server/src/services/put-scan.ts");
type Machine = typeof import("../../../packages/machine/src/index.ts");
type Lists = typeof import("../../../packages/machine/src/kv-list.ts");
type Codec = typeof import("../../../packages/machine/src/kv-codec.ts");

export const putScan: MicroBenchmark = {
  name: "put-scan",
  title: "is a put fit for the log as it came?",
  async prepare() {
    const { scanPlainPut } = await internal<Scan>("server/dist/src/services/put-scan.js");
    const message = encodePutRequest(putOf(42));
    const scan = (): number => scanPlainPut(message);
    const decode = (): number => {
      const put = decodePutRequest(message);
      const again = encodePutRequest(put);
      return again.length === message.length ? put.key.length + put.value.length : -1;
    };
    return {
      unit: "put",
      fast: { run: (count) => repeat(count, scan) },
      plain: { what: "decoding and encoding again", run: (count) => repeat(count, decode) },
      check() {
        mustEqual(scan(), decode(), "bytes of key and value");
        const unknown = Uint8Array.of(...message, 0x78, 1);
        mustEqual(scanPlainPut(unknown), -1, "a put with a field that nobody knows");
      },
    };
  },
};

export const putCodec: MicroBenchmark = {
  name: "put-decode",
  title: "decode a PutRequest",
  prepare() {
    const message = encodePutRequest(putOf(42));
    return {
      unit: "message",
      fast: { run: (count) => repeat(count, () => decodePutRequest(message)) },
      plain: {
        what: "field by field into an object of copies",
        run: (count) => repeat(count, () => decodePlainly(message)),
      },
      check() {
        mustEqualBytes(decodePutRequest(message).key, decodePlainly(message).key, "key");
        mustEqualBytes(decodePutRequest(message).value, decodePlainly(message).value, "value");
      },
    };
  },
};

/** Tag, length, bytes; nothing else is in these messages. */
function decodePlainly(message: Bytes): PutRequest {
  const fields = new Map<number, Bytes>();
  for (let at = 0; at < message.length; ) {
    const field = (message[at++] as number) >> 3;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] as number;
      length |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    fields.set(field, Uint8Array.from(message.subarray(at, at + length)));
    at += length;
  }
  const put = new PutRequest();
  put.key = fields.get(1) ?? put.key;
  put.value = fields.get(2) ?? put.value;
  return put;
}

export const rangeEncode: MicroBenchmark = {
  name: "range-encode",
  title: "encode the answer to a range of 1,000 keys",
  async prepare() {
    const { encodeRangeResponse, HeaderEncoder, RangeResult } = await internal<Machine>(
      "machine/dist/src/index.js",
    );
    const { KvField, KvList } = await internal<Lists>("machine/dist/src/kv-list.js");
    const { encodeKeyValue } = await internal<Codec>("machine/dist/src/kv-codec.js");
    const keys = 1000;
    const value = new SeededRandom(5).bytes(256);
    const clusterId = 0xcdf818194e3a8c32n;
    const memberId = 0x8e9e05c52164694dn;
    const header = new HeaderEncoder(clusterId, memberId);
    const response = new RangeResponse();
    response.header = new ResponseHeader();
    response.header.clusterId = clusterId;
    response.header.memberId = memberId;
    response.header.revision = keys + 1;
    response.header.raftTerm = 2;
    response.count = keys;
    const stored: Bytes[] = [];
    for (let n = 0; n < keys; n++) {
      const kv = new KeyValue();
      kv.key = keyOf(n);
      kv.value = value;
      kv.createRevision = n + 2;
      kv.modRevision = n + 2;
      kv.version = 1;
      response.kvs.push(kv);
      stored.push(encodeKeyValue(bytesToKey(kv.key), n + 2, n + 2, 1, value, 0n));
    }
    const copy = (): Bytes => {
      const kvs = new KvList(KvField.kvs);
      for (let n = 0; n < keys; n++) kvs.add(stored[n] as Bytes);
      return encodeRangeResponse(header, 2, new RangeResult(keys + 1, kvs, false, keys));
    };
    const decodeAndEncode = (): Bytes => {
      const answer = build(RangeResponse, { header: response.header, count: keys });
      answer.kvs = stored.map((bytes) => decodeKeyValue(bytes));
      return encodeGenerated(answer);
    };
    return {
      unit: "answer",
      fast: { run: (count) => repeat(count, copy) },
      plain: {
        what: "decoding each, and the generated encoder",
        run: (count) => repeat(count, decodeAndEncode),
      },
      check() {
        mustEqualBytes(copy(), encodeGenerated(response), "answer");
        mustEqualBytes(decodeAndEncode(), encodeGenerated(response), "answer of what was stored");
        mustEqual(decodeRangeResponse(copy()).kvs.length, keys, "keys");
      },
    };
  },
};

export const crc: MicroBenchmark = {
  name: "crc32c",
  title: "CRC-32C of 300 bytes",
  prepare() {
    const bytes = new SeededRandom(9).bytes(300);
    return {
      unit: "300 bytes",
      fast: { run: (count) => repeat(count, () => crc32c(0, bytes)) },
      plain: { what: "bit by bit", run: (count) => repeat(count, () => crcBitwise(bytes)) },
      check() {
        mustEqual(crc32c(0, bytes), crcBitwise(bytes), "checksum");
        mustEqual(crcBitwise(utf8ToBytes("123456789")), 0xe3069283, "the check value");
      },
    };
  },
};

function crcBitwise(bytes: Bytes): number {
  let state = ~0;
  for (const byte of bytes) {
    state ^= byte;
    for (let bit = 0; bit < 8; bit++) state = state & 1 ? (state >>> 1) ^ 0x82f63b78 : state >>> 1;
  }
  return ~state >>> 0;
}
