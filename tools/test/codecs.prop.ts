// Every generated codec against protobufjs as an independent implementation, on random messages.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@etcd-ts/base";
import {
  afterDecoding,
  type Codec,
  cutFields,
  type Fields,
  loadCodecs,
  merged,
  oracleBytes,
  plain,
  randomMessage,
} from "./oracle.ts";

const seed = Number(process.env["SEED"] ?? 20261122);
const rounds = Number(process.env["ROUNDS"] ?? 30);
const codecs = await loadCodecs();
const dice = new SeededRandom(seed);

/** Runs `body` on random messages of every type; a failure names type and seed. */
function onRandomMessages(body: (codec: Codec, message: Fields) => void): void {
  let count = 0;
  for (const codec of codecs) {
    for (let round = 0; round < rounds; round++) {
      const message = randomMessage(codec, dice);
      try {
        body(codec, message);
      } catch (error) {
        throw new Error(`${codec.model.fullName}, SEED=${seed} ROUNDS=${rounds}, round ${round}`, {
          cause: error,
        });
      }
      count++;
    }
  }
  assert.ok(count >= 3000 || rounds < 30, `${count} messages`);
}

function assertSame(actual: Fields, expected: Fields): void {
  assert.deepEqual(plain(actual), plain(expected));
}

test("there is a codec of every message of every package", () => {
  const names = codecs.map((codec) => codec.model.fullName);
  assert.ok(names.length > 140, `${names.length} codecs`);
  for (const name of [
    "raftpb.Message",
    "walpb.Record",
    "etcdserverpb.TxnRequest",
    "snappb.snapshot",
  ]) {
    assert.ok(names.includes(name), name);
  }
});

test("bytes are those of protobufjs, and decode to the message they were made of", () => {
  onRandomMessages((codec, message) => {
    const bytes = codec.encode(message);
    assert.deepEqual(Buffer.from(bytes), Buffer.from(oracleBytes(codec, message)));
    assert.equal(codec.size(message), bytes.length);
    assertSame(codec.decode(bytes), afterDecoding(codec, message));
  });
});

test("a message is written and read in the middle of a larger buffer", () => {
  onRandomMessages((codec, message) => {
    const bytes = codec.encode(message);
    const buffer = new Uint8Array(bytes.length + 20).fill(0xff);
    assert.equal(codec.write(message, buffer, 7), bytes.length + 7);
    assert.deepEqual(Buffer.from(buffer.subarray(7, bytes.length + 7)), Buffer.from(bytes));
    assert.deepEqual(new Uint8Array(buffer.subarray(0, 7)), new Uint8Array(7).fill(0xff));
    assertSame(codec.decode(buffer, 7, bytes.length + 7), codec.decode(bytes));
  });
});

test("two encodings in a row decode as protobuf merges messages", () => {
  onRandomMessages((codec, message) => {
    const other = randomMessage(codec, dice);
    const both = Buffer.concat([codec.encode(message), codec.encode(other)]);
    assertSame(codec.decode(both), merged(codec, message, other));
  });
});

test("unknown fields and known numbers with foreign wire types are passed over", () => {
  onRandomMessages((codec, message) => {
    const bytes = codec.encode(message);
    const known = new Set(codec.model.fields.map((field) => field.number));
    let unknown = 20000;
    while (known.has(unknown)) unknown++;
    const tag = (type: number): number[] => {
      const out: number[] = [];
      let rest = unknown * 8 + type;
      for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
      return [...out, rest];
    };
    const strangers = [
      [...tag(0), 0xff, 0x7f],
      [...tag(1), 1, 2, 3, 4, 5, 6, 7, 8],
      [...tag(2), 3, 0xff, 0xff, 0xff],
      [...tag(5), 1, 2, 3, 4],
      [...tag(3), 8, 1, 0x13, 0x10, 5, 0x14, 0x1a, 1, 0xff, ...tag(4)],
    ];
    const parts: Uint8Array[] = [];
    for (const part of cutFields(bytes)) {
      parts.push(Uint8Array.from(dice.pick(strangers)), part);
    }
    for (const field of codec.model.fields) {
      // Fixed-width values are no type of ours, so their wire types are foreign to every field.
      if (field.number < 16) parts.push(Uint8Array.from([field.number * 8 + 5, 1, 2, 3, 4]));
    }
    parts.push(...strangers.map((part) => Uint8Array.from(part)));
    assertSame(codec.decode(Buffer.concat(parts)), codec.decode(bytes));
  });
});

test("the order of fields on the wire does not matter", () => {
  onRandomMessages((codec, message) => {
    const bytes = codec.encode(message);
    const parts = cutFields(bytes);
    // Stable, so that items of one repeated field keep their order.
    const weight = new Map<number, number>();
    const key = (part: Uint8Array): number => {
      const number = part[0]! + (part[0]! > 127 ? part[1]! * 128 : 0);
      let value = weight.get(number);
      if (value === undefined) {
        value = dice.next32();
        weight.set(number, value);
      }
      return value;
    };
    parts.sort((a, b) => key(a) - key(b));
    assertSame(codec.decode(Buffer.concat(parts)), codec.decode(bytes));
  });
});
