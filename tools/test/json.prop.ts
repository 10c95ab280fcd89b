// The JSON form of every message of `api` against protobufjs's, and hostile JSON.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { SeededRandom } from "@etcd-ts/base";
import { root } from "../src/protogen/packages.ts";
import { type Codec, type Fields, loadCodecs, plain, randomMessage } from "./oracle.ts";

const seed = Number(process.env["SEED"] ?? 31);
const rounds = Number(process.env["ROUNDS"] ?? 20);
const json = (await import(pathToFileURL(join(root, "packages/api/dist/src/json.js")).href)) as {
  toJson(type: string, message: object): string;
  fromJson(type: string, text: string): Fields;
  JsonError: new () => Error;
};
const codecs = (await loadCodecs()).filter(
  (codec) => !/^(raftpb|walpb|snappb)\.|\.Metadata$/.test(codec.model.fullName),
);

/**
 * Messages whose present zero scalars protobufjs would print although they are written only because the
 * format of old logs has them: it is the one file that JSON has nothing to do with.
 */
const old = new Set(["etcdserverpb.Request", "etcdserverpb.InternalRaftRequest"]);

test("messages print as protobufjs prints them, and come back", () => {
  const dice = new SeededRandom(seed);
  let count = 0;
  for (const codec of codecs) {
    const type = codec.model.fullName;
    for (let round = 0; round < rounds; round++) {
      const message = codec.decode(codec.encode(randomMessage(codec, dice)));
      const text = json.toJson(type, message);
      const where = `${type}, SEED=${seed}, round ${round}: ${text}`;
      assert.deepEqual(plain(json.fromJson(type, text)), plain(message), where);
      const indented = JSON.stringify(JSON.parse(text), undefined, 2);
      assert.deepEqual(plain(json.fromJson(type, indented)), plain(message), where);
      if (!old.has(type)) assert.deepEqual(JSON.parse(text), oracleJson(codec, message), where);
      count++;
    }
  }
  assert.ok(count > 2000, `${count} messages`);
});

function oracleJson(codec: Codec, message: Fields): unknown {
  const decoded = codec.oracle.decode(codec.encode(message));
  return codec.oracle.toObject(decoded, {
    longs: String,
    bytes: String,
    enums: String,
    defaults: false,
    arrays: false,
  });
}

test("hostile JSON gives a message or a JsonError", () => {
  const dice = new SeededRandom(seed);
  const characters = '{}[]":,\\0123456789.eE+-truefalsn u\u0001é\ud800';
  let accepted = 0;
  let refused = 0;
  for (const codec of codecs) {
    const type = codec.model.fullName;
    for (let round = 0; round < rounds; round++) {
      let text = json.toJson(type, randomMessage(codec, dice));
      for (let change = 1 + dice.below(3); change > 0; change--) {
        const at = dice.below(text.length + 1);
        const character = characters[dice.below(characters.length)]!;
        text = text.slice(0, at) + character + text.slice(at + dice.below(3));
      }
      try {
        json.fromJson(type, text);
        accepted++;
      } catch (error) {
        if (!(error instanceof json.JsonError))
          throw new Error(`${type}: ${text}`, { cause: error });
        refused++;
      }
    }
  }
  assert.ok(accepted > 100 && refused > 1000, `${accepted} accepted, ${refused} refused`);
  for (const bracket of ['{"a":', "[", '{"compare":[{"success":[']) {
    assert.throws(
      () => json.fromJson("etcdserverpb.TxnRequest", bracket.repeat(50000)),
      json.JsonError,
    );
  }
});
