// The machine's own codecs against the generated ones, and against damage.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DeleteRangeResponse,
  decodeKeyValue,
  encodeDeleteRangeResponse as generatedDelete,
  encodeKeyValue as generatedKeyValue,
  encodePutResponse as generatedPut,
  encodeRangeResponse as generatedRange,
  encodeRangeStreamResponse as generatedStream,
  encodeTxnResponse as generatedTxn,
  KeyValue,
  PutResponse,
  RangeResponse,
  RangeStreamResponse,
  ResponseHeader,
  ResponseOp,
  TxnResponse,
} from "@etcd-ts/api";
import { type Bytes, build, bytesToKey, CorruptionError, SeededRandom } from "@etcd-ts/base";
import {
  DeleteResult,
  encodeDeleteRangeResponse,
  encodeKeyValue,
  encodePutResponse,
  encodeRangeResponse,
  encodeRangeStreamChunk,
  encodeRangeStreamEnd,
  encodeTxnResponse,
  HeaderEncoder,
  KvField,
  KvFields,
  KvList,
  NoResult,
  type OpResult,
  PutResult,
  RangeResult,
  TxnResult,
} from "@etcd-ts/machine";
import { JsonError, parseJson, quoteJson } from "../src/json64.ts";
import {
  encodeRevisionKey,
  encodeTombstoneKey,
  isRevisionKey,
  isTombstoneKey,
  mainOf,
  subOf,
} from "../src/revision-key.ts";

const hex = (bytes: Bytes): string => Buffer.from(bytes).toString("hex");

/** Numbers where sizes change, and small and large ones. */
function number(random: SeededRandom): number {
  const power = 2 ** random.below(53);
  return random.chance(1, 5) ? 0 : power + random.below(3) - 1;
}

function randomKv(random: SeededRandom): KeyValue {
  const lease = random.chance(1, 3)
    ? BigInt.asIntN(
        64,
        random.bytes(8).reduce((n, b) => (n << 8n) | BigInt(b), 0n),
      )
    : 0n;
  return build(KeyValue, {
    key: random.bytes(random.below(40)),
    createRevision: number(random),
    modRevision: number(random),
    version: number(random),
    value: random.bytes(random.chance(1, 5) ? 0 : random.below(300)),
    lease,
  });
}

test("a KeyValue is encoded as the generated codec does, and taken apart again", () => {
  const random = new SeededRandom(1);
  const fields = new KvFields();
  for (let i = 0; i < 2000; i++) {
    const kv = randomKv(random);
    const key = bytesToKey(kv.key);
    const { createRevision, modRevision, version, value, lease } = kv;
    const encoded = encodeKeyValue(key, createRevision, modRevision, version, value, lease);
    assert.equal(hex(encoded), hex(generatedKeyValue(kv)));
    fields.read(encoded);
    assert.equal(fields.key(), key);
    assert.deepEqual(
      [fields.createRevision, fields.modRevision, fields.version, fields.lease()],
      [createRevision, modRevision, version, lease],
    );
    assert.equal(hex(fields.value()), hex(value));
  }
});

test("a KeyValue with fields in another order and unknown ones is taken apart too", () => {
  const kv = Buffer.from("30077a03616263200510020a016b3d01020304410102030405060708", "hex");
  const fields = new KvFields().read(kv);
  assert.deepEqual([fields.key(), fields.lease(), fields.version], ["k", 7n, 5]);
  assert.equal(decodeKeyValue(kv).lease, 7n);
});

test("damaged KeyValues are found, whatever the bytes", () => {
  const random = new SeededRandom(2);
  const fields = new KvFields();
  let damaged = 0;
  for (let i = 0; i < 5000; i++) {
    const bytes = random.chance(1, 2)
      ? random.bytes(random.below(60))
      : generatedKeyValue(randomKv(random)).slice();
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    try {
      fields.read(bytes);
      fields.key();
      fields.value();
      fields.lease();
    } catch (error) {
      assert.ok(error instanceof CorruptionError, String(error));
      damaged++;
    }
  }
  assert.ok(damaged > 1000);
});

test("revision keys sort as revisions do and come back", () => {
  const mains = [
    0,
    1,
    255,
    256,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 52 + 7,
    Number.MAX_SAFE_INTEGER,
  ];
  let before = "";
  for (const main of mains) {
    for (const sub of [0, 1, 70_000, 0x7fff_ffff]) {
      const key = encodeRevisionKey(main, sub);
      assert.deepEqual([mainOf(key), subOf(key)], [main, sub]);
      assert.ok(isRevisionKey(key) && !isTombstoneKey(key));
      const tombstone = encodeTombstoneKey(main, sub);
      assert.ok(isRevisionKey(tombstone) && isTombstoneKey(tombstone));
      assert.ok(before < hex(key) && hex(key) < hex(tombstone));
      before = hex(tombstone);
    }
  }
  for (const bad of [
    "",
    "00",
    `${"00".repeat(8)}60${"00".repeat(8)}`,
    `ff${"00".repeat(7)}5f${"00".repeat(8)}`,
  ]) {
    assert.equal(isRevisionKey(Buffer.from(bad, "hex")), false);
  }
});

function list(tag: KvField, kvs: readonly KeyValue[]): KvList {
  if (kvs.length === 1) return KvList.ofOne(tag, generatedKeyValue(kvs[0] as KeyValue));
  const packed = new KvList(tag);
  for (const kv of kvs) packed.add(generatedKeyValue(kv));
  return packed;
}

/** A random result and the message it must become. */
function randomOp(random: SeededRandom, depth: number): [OpResult, ResponseOp] {
  const revision = 1 + number(random);
  const header = build(ResponseHeader, { revision });
  const kvs = Array.from({ length: random.below(4) }, () => randomKv(random));
  switch (random.below(depth < 3 ? 5 : 4)) {
    case 0: {
      const prevKv = kvs[0];
      return [
        new PutResult(revision, prevKv && generatedKeyValue(prevKv)),
        build(ResponseOp, { responsePut: build(PutResponse, { header, prevKv }) }),
      ];
    }
    case 1: {
      const more = random.chance(1, 2);
      const count = number(random);
      return [
        new RangeResult(revision, list(KvField.kvs, kvs), more, count),
        build(ResponseOp, { responseRange: build(RangeResponse, { header, kvs, more, count }) }),
      ];
    }
    case 2: {
      const deleted = number(random);
      const responseDeleteRange = build(DeleteRangeResponse, { header, deleted, prevKvs: kvs });
      return [
        new DeleteResult(revision, deleted, list(KvField.prevKvs, kvs)),
        build(ResponseOp, { responseDeleteRange }),
      ];
    }
    case 3:
      return [new NoResult(0), new ResponseOp()];
    default: {
      const [result, responseTxn] = randomTxn(random, depth + 1, 0);
      return [result, build(ResponseOp, { responseTxn })];
    }
  }
}

function randomTxn(
  random: SeededRandom,
  depth: number,
  revision: number,
): [TxnResult, TxnResponse] {
  const ops = Array.from({ length: random.below(4) }, () => randomOp(random, depth));
  const succeeded = random.chance(1, 2);
  const header = build(ResponseHeader, { revision });
  return [
    new TxnResult(
      revision,
      succeeded,
      ops.map(([result]) => result),
    ),
    build(TxnResponse, { header, succeeded, responses: ops.map(([, response]) => response) }),
  ];
}

test("responses are those of the generated codecs, byte by byte", () => {
  const random = new SeededRandom(3);
  for (let i = 0; i < 1500; i++) {
    const clusterId = random.chance(1, 9) ? 0n : 0xcdf8_1819_4e3a_8c32n >> BigInt(random.below(64));
    const memberId = random.chance(1, 9) ? 0n : 0x8e9e_05c5_2164_694dn >> BigInt(random.below(64));
    const header = new HeaderEncoder(clusterId, memberId);
    const raftTerm = number(random);
    const complete = <T extends { header: ResponseHeader | undefined }>(message: T): T => {
      message.header = build(ResponseHeader, {
        clusterId,
        memberId,
        raftTerm,
        revision: message.header?.revision ?? 0,
      });
      return message;
    };
    const [result, op] = randomOp(random, 0);
    switch (result.kind) {
      case "put":
        assert.equal(
          hex(encodePutResponse(header, raftTerm, result)),
          hex(generatedPut(complete(op.responsePut!))),
        );
        break;
      case "range": {
        const message = op.responseRange!;
        const chunk = build(RangeResponse, { kvs: message.kvs });
        assert.equal(
          hex(encodeRangeStreamChunk(result)),
          hex(generatedStream(build(RangeStreamResponse, { rangeResponse: chunk }))),
        );
        assert.equal(
          hex(encodeRangeResponse(header, raftTerm, result)),
          hex(generatedRange(complete(message))),
        );
        assert.equal(
          hex(encodeRangeStreamEnd(header, raftTerm, result)),
          hex(generatedStream(build(RangeStreamResponse, { rangeResponse: message }))),
        );
        break;
      }
      case "deleteRange":
        assert.equal(
          hex(encodeDeleteRangeResponse(header, raftTerm, result)),
          hex(generatedDelete(complete(op.responseDeleteRange!))),
        );
        break;
      default: {
        const [txn, message] = randomTxn(random, 0, 1 + number(random));
        assert.equal(
          hex(encodeTxnResponse(header, raftTerm, txn)),
          hex(generatedTxn(complete(message))),
        );
      }
    }
  }
});

test("a long list of KeyValues is packed in chunks and comes apart again", () => {
  const random = new SeededRandom(4);
  const kvs = Array.from({ length: 3000 }, () => generatedKeyValue(randomKv(random)));
  const packed = new KvList(KvField.kvs);
  for (const kv of kvs) packed.add(kv);
  assert.equal(packed.count, 3000);
  assert.deepEqual(packed.toArray().map(hex), kvs.map(hex));
  const target = Buffer.alloc(packed.byteLength + 2);
  assert.equal(packed.write(target, 1), packed.byteLength + 1);
});

test("JSON keeps 64-bit numbers and reads what Go writes", () => {
  const json = parseJson(
    ' {"id":18446744073709551615, "list":["a\\u0062","\\n"],"flag":true,"none":null,"deep":{"x":[1.5,-2]}} ',
  );
  assert.equal(json.uint64("id"), 0xffff_ffff_ffff_ffffn);
  assert.deepEqual(json.texts("list"), ["ab", "\n"]);
  assert.equal(json.flag("flag"), true);
  assert.deepEqual([json.text("none"), json.text("absent"), json.list("none")], ["", "", []]);
  assert.equal(quoteJson('<a>&"\u2028é'), '"\\u003ca\\u003e\\u0026\\"\\u2028é"');
});

test("broken JSON is refused, and nothing else comes out", () => {
  const good = '{"id":12,"peerURLs":["http://a:1"],"isLearner":true,"n":{"x":[1,2,{"y":"z"}]}}';
  const random = new SeededRandom(5);
  for (let i = 0; i < 3000; i++) {
    const at = random.below(good.length);
    const broken = `${good.slice(0, at)}${random.pick(['"', "{", "}", "", "\\", "1e", ",", "\u0000"])}${good.slice(at + random.below(3))}`;
    try {
      parseJson(broken);
    } catch (error) {
      assert.ok(error instanceof JsonError, broken);
    }
  }
  assert.throws(() => parseJson(`{"a":${"[".repeat(100)}${"]".repeat(100)}}`), JsonError);
  assert.throws(() => parseJson('{"a":1} x'), JsonError);
  assert.throws(() => parseJson("12"), JsonError);
  assert.throws(() => parseJson('{"a":-1}').uint64("a"), JsonError);
  assert.throws(() => parseJson('{"a":18446744073709551616}').uint64("a"), JsonError);
});
