// Hostile bytes for every generated decoder: nothing but `WireError` comes out, and what decodes can be
// encoded again without a change.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom, WireError } from "@etcd-ts/base";
import { type Codec, type Fields, loadCodecs, randomMessage } from "./oracle.ts";

const seed = Number(process.env["SEED"] ?? 7);
const rounds = Number(process.env["ROUNDS"] ?? 40);
const codecs = await loadCodecs();
const dice = new SeededRandom(seed);

function attempt(codec: Codec, bytes: Uint8Array): boolean {
  let message: Fields;
  try {
    message = codec.decode(bytes);
  } catch (error) {
    if (error instanceof WireError) return false;
    throw new Error(
      `${codec.model.fullName}, SEED=${seed}: ${Buffer.from(bytes).toString("hex")}`,
      {
        cause: error,
      },
    );
  }
  const again = codec.encode(message);
  assert.deepEqual(
    Buffer.from(codec.encode(codec.decode(again))),
    Buffer.from(again),
    `${codec.model.fullName}, SEED=${seed}`,
  );
  return true;
}

test("mutated messages decode or are refused", () => {
  let accepted = 0;
  let refused = 0;
  for (const codec of codecs) {
    for (let round = 0; round < rounds; round++) {
      let bytes = Buffer.from(codec.encode(randomMessage(codec, dice)));
      for (let change = 1 + dice.below(3); change > 0 && bytes.length > 0; change--) {
        const at = dice.below(bytes.length);
        switch (dice.below(4)) {
          case 0:
            bytes[at] = dice.below(256);
            break;
          case 1:
            bytes = bytes.subarray(0, at);
            break;
          case 2:
            bytes = Buffer.concat([
              bytes.subarray(0, at),
              dice.bytes(1 + dice.below(4)),
              bytes.subarray(at),
            ]);
            break;
          default:
            bytes[at] = bytes[at]! ^ (1 << dice.below(8));
        }
      }
      if (attempt(codec, bytes)) accepted++;
      else refused++;
    }
  }
  assert.ok(accepted > 500 && refused > 500, `${accepted} accepted, ${refused} refused`);
});

test("random bytes decode or are refused", () => {
  for (const codec of codecs) {
    for (let round = 0; round < rounds; round++) attempt(codec, dice.bytes(dice.below(40)));
  }
});

test("every prefix of a message decodes or is refused", () => {
  for (const codec of codecs) {
    const bytes = codec.encode(randomMessage(codec, dice)).subarray(0, 300);
    for (let end = 0; end <= bytes.length; end++) attempt(codec, bytes.subarray(0, end));
  }
});

test("a chain of transactions nested too deeply is refused, not followed", () => {
  const codec = codecs.find((item) => item.model.fullName === "etcdserverpb.TxnRequest")!;
  const nest = (depth: number): Uint8Array => {
    let bytes = Buffer.alloc(0);
    for (let i = 0; i < depth; i++) {
      const head = (field: number, length: number): number[] => {
        const out = [field];
        let rest = length;
        for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
        return [...out, rest];
      };
      const op = Buffer.concat([Buffer.from(head(34, bytes.length)), bytes]);
      bytes = Buffer.concat([Buffer.from(head(18, op.length)), op]);
    }
    return bytes;
  };
  const deep = nest(400);
  assert.deepEqual(Buffer.from(codec.encode(codec.decode(deep))), Buffer.from(deep));
  assert.throws(() => codec.decode(nest(501)), WireError);
  assert.throws(() => codec.decode(nest(4000)), WireError);
  assert.throws(() => codec.decode(new Uint8Array(100000).fill(0xb3)), WireError, "open groups");
});
